package loaderproto

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Protocol is the protocol of a socket of an application.
type Protocol string

// The protocols for requests. A socket with any other protocol is shown to people, and never gets a
// request.
const (
	Session     Protocol = "session"
	HTTPSession Protocol = "http_session"
	// FastCGI is that of PHP, with one request at a time on a connection.
	FastCGI Protocol = "fastcgi"
	// HTTP is for direct access to one process by people, and not for the pool.
	HTTP Protocol = "http"
)

// TakesRequests reports whether the pool sends requests by p.
func (p Protocol) TakesRequests() bool { return p == Session || p == HTTPSession || p == FastCGI }

// Socket is where a process listens.
type Socket struct {
	Name     string
	Address  Address
	Protocol Protocol
	// Concurrency is the number of connections that the process serves at once; zero means no
	// limit.
	Concurrency int
}

// Address is the path of a Unix socket or a TCP address.
type Address struct {
	// Network is "unix" or "tcp".
	Network string
	// Addr is a clean absolute path, or host:port.
	Addr string
}

func (a Address) String() string {
	if a.Network == "tcp" {
		return "tcp://" + a.Addr
	}

	return a.Network + ":" + a.Addr
}

// Ready is the reply of a loader whose application serves.
type Ready struct {
	Sockets []Socket
	// PID is the process ID that the loader claims; zero means that it claims none. It must not be
	// trusted.
	PID int
	// Features are those of [Request.Features] that the loader accepted.
	Features []string
}

// HasFeature reports whether both sides agreed on a feature.
func (r *Ready) HasFeature(name string) bool { return slices.Contains(r.Features, name) }

func (r *Ready) add(name, value string, offered []string) *Error {
	switch name {
	case "socket":
		s, e := parseSocket(value)
		if e != nil {
			return e
		}

		r.Sockets = append(r.Sockets, s)
	case "pid":
		pid, ok := parsePID(value)
		if !ok {
			return fail(BadPID, ReadReady, value)
		}

		r.PID = pid
	case "features":
		// Without an offer, this is version 1.0, which does not know the key.
		if len(offered) == 0 {
			return fail(UnknownKey, ReadReady, name)
		}

		r.Features = append(r.Features, agreed(value, offered)...)
	default:
		return fail(UnknownKey, ReadReady, name)
	}

	return nil
}

// agreed returns the features in value that were offered.
func agreed(value string, offered []string) []string {
	var features []string
	for f := range strings.FieldsSeq(value) {
		if slices.Contains(offered, f) && !slices.Contains(features, f) {
			features = append(features, f)
		}
	}

	return features
}

func (r *Ready) check() *Error {
	n := 0
	for _, s := range r.Sockets {
		if s.Protocol.TakesRequests() {
			n++
		}
	}

	if n == 0 {
		return fail(NoRequestSocket, ReadReady, "")
	}

	if n > MaxRequestSockets {
		return fail(TooManySockets, ReadReady, strconv.Itoa(n))
	}

	return nil
}

// parsePID accepts what fits pid_t and names one process: neither a group nor all.
func parsePID(value string) (pid int, ok bool) {
	n, err := strconv.ParseUint(value, 10, 31)
	return int(n), err == nil && n > 0
}

func parseSocket(value string) (Socket, *Error) {
	f := strings.Split(value, ";")
	if len(f) != 4 {
		return Socket{}, fail(BadSocket, ReadReady, value)
	}

	addr, e := parseAddress(f[1])
	if e != nil {
		return Socket{}, e
	}

	// The original reads garbage as 0, which means no limit. No loader is known to rely on that.
	n, err := strconv.ParseUint(f[3], 10, 31)
	if err != nil || f[2] == "" {
		return Socket{}, fail(BadSocket, ReadReady, value)
	}

	return Socket{
		Name:        f[0],
		Address:     addr,
		Protocol:    Protocol(f[2]),
		Concurrency: int(n),
	}, nil
}

func parseAddress(value string) (Address, *Error) {
	bad := fail(BadAddress, ReadReady, value)
	if path, ok := strings.CutPrefix(value, "unix:"); ok {
		// The NUL at the end counts (unix(7)).
		if len(path) >= UnixPathMax || !cleanAbsolute(path) {
			return Address{}, bad
		}

		return Address{Network: "unix", Addr: path}, nil
	}

	hostPort, ok := strings.CutPrefix(value, "tcp://")
	if !ok {
		return Address{}, bad
	}

	host, port, err := net.SplitHostPort(hostPort)
	if err != nil || !isHost(host) {
		return Address{}, bad
	}

	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Address{}, bad
	}

	return Address{Network: "tcp", Addr: net.JoinHostPort(host, port)}, nil
}

// isHost reports whether host is an IP address, or a name of letters, digits, dots, dashes and
// underscores.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}

	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

	return host != "" && strings.Trim(host, allowed) == ""
}

// cleanAbsolute reports whether path is absolute, without NUL and without empty, "." or ".."
// elements.
func cleanAbsolute(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || strings.ContainsRune(path, 0) {
		return false
	}

	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}

	return true
}
