package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// socket is a listening socket that others can listen on as well.
type socket interface {
	net.Listener
	File() (*os.File, error)
}

// Ports are listening sockets that have no file, by the names that the core gets them by.
type Ports struct {
	sockets map[string]socket
	// inherited is true if systemd has opened them, which are then all that take requests.
	inherited bool
}

// listen opens the configured addresses. opened are the ports that are open already; nil
// means none. Its errors say what to do.
func (c *Config) listen(ctx context.Context, opened *Ports) (_ map[string]socket, err error) {
	if opened == nil {
		if opened, err = c.openPorts(ctx); err != nil {
			return nil, err
		}
	}

	if opened.inherited || c.SocketFile == "" {
		return opened.sockets, nil
	}

	var l socket
	if c.Flying != nil {
		l, err = c.Flying.listen(ctx, c.SocketFile)
	} else {
		l, err = listenUnix(ctx, c.SocketFile)
	}

	if err != nil {
		return nil, errors.Join(err, closeAll(opened.sockets))
	}

	opened.sockets[c.mainSocket()] = l

	return opened.sockets, nil
}

// mainSocket is the name of what is on the configured port or file.
func (c *Config) mainSocket() string {
	if c.SSL && c.SSLPort == 0 {
		return httpsFile
	}

	return httpFile
}

// openPorts opens what has no file, or takes what systemd has opened.
func (c *Config) openPorts(ctx context.Context) (*Ports, error) {
	sockets, err := inheritedSockets()
	if err != nil {
		return nil, err
	}

	inherited := len(sockets) > 0

	taken := map[string]string{} // by the names of sockets, the options that name their ports
	for _, port := range []struct {
		name, address, option string
		wanted                bool
	}{
		{c.mainSocket(), c.hostPort(c.Port), "--port", !inherited && c.SocketFile == ""},
		{httpsFile, c.hostPort(c.SSLPort), "--ssl-port", !inherited && c.SSLPort != 0},
		{metricsFile, c.MetricsAddress, "--metrics-address", c.MetricsAddress != "" && sockets[metricsFile] == nil},
	} {
		if !port.wanted {
			continue
		}

		own, err := listenPort(ctx, port.address, port.option)
		if err != nil {
			// What holds the port may be a socket of this server, which is opened by another option.
			for name, own := range sockets {
				if overlap(own.Addr(), port.address) {
					err = fmt.Errorf("cannot listen on %s, as %s asks for: the server itself listens on %s, by %s: "+
						"choose another port for one of them", port.address, port.option, own.Addr(),
						cmp.Or(taken[name], "a socket of systemd"))
				}
			}

			return nil, errors.Join(err, closeAll(sockets))
		}

		for n, l := range own {
			name := portName(port.name, n)
			sockets[name], taken[name] = l, port.option
		}
	}

	return &Ports{sockets, inherited}, nil
}

// overlap reports whether a socket that listens keeps others from the address.
func overlap(listens net.Addr, address string) bool {
	own, isTCP := listens.(*net.TCPAddr)
	other, err := net.ResolveTCPAddr("tcp", address)
	if !isTCP || err != nil || own.Port != other.Port {
		return false
	}

	return own.IP.Equal(other.IP) || own.IP.IsUnspecified() || len(other.IP) == 0 || other.IP.IsUnspecified()
}

func closeAll(sockets map[string]socket) error {
	errs := make([]error, 0, len(sockets))
	for _, l := range sockets {
		errs = append(errs, l.Close())
	}

	return errors.Join(errs...)
}

func listenTCP(ctx context.Context, address, option string) (socket, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l.(*net.TCPListener), nil //nolint:forcetypeassert,errcheck // what "tcp" is
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program: stop that one, or choose another one "+
			"with %s", address, option)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: choose a port above 1023 with %s", address, option)
	}

	return nil, fmt.Errorf("cannot listen on %s: %w: check %s, and --address", address, err, option)
}

// listenUnix replaces a socket file without a listener, and no other file.
func listenUnix(ctx context.Context, path string) (socket, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s exists and is not a socket: move it away, or choose another file with --socket",
			path)
	default:
		// Only a connection tells whether a server listens behind the file.
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("the socket file %s is in use by another program: stop that one, or choose "+
				"another file with --socket", path)
		}

		// Any other error, as for a lack of rights, does not say that the file is stale.
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
		}

		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot remove the stale socket file %s: %w", path, withOption(err, "--socket"))
		}
	}

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})

	// The path ends with a NUL.
	longest := len(syscall.RawSockaddrUnix{}.Path) - 1
	switch {
	case err != nil && len(path) > longest:
		return nil, fmt.Errorf("cannot listen on the socket file %s: its path has %d bytes, and that of a socket at "+
			"most %d: choose a shorter one with --socket", path, len(path), longest)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on the socket file %s: %w: check its directory", path,
			withOption(err, "--socket"))
	}

	// Closing must not remove the socket of a server that has replaced this
	// one meanwhile.
	l.SetUnlinkOnClose(false)

	// By the file's identity, Close knows later whether it is still this one.
	made, err := os.Lstat(path)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
	}

	return &unixListener{UnixListener: l, path: path, made: made}, nil
}

type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// Close closes the socket and removes its file if it is still that one.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.made) {
		err = errors.Join(err, os.Remove(l.path))
	}

	return err
}

// urls are how users reach the sockets.
func (c *Config) urls(sockets map[string]socket) (urls []string) {
	for _, scheme := range []string{httpFile, httpsFile} {
		for _, name := range portNames(scheme) {
			if l := sockets[name]; l != nil {
				urls = append(urls, c.url(scheme, l))
			}
		}
	}

	return urls
}

func (c *Config) url(scheme string, l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}

	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}

	// All addresses are those of IPv6 for the system, whatever was asked for.
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsUnspecified() && c.Address == anyAddress {
		host = anyAddress
	}

	if usual := map[string]string{httpFile: "80", httpsFile: "443"}; port != usual[scheme] {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}

	return scheme + "://" + host + "/"
}
