package handler

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// peer is the other end of a connection, and whether it is believed what it says of those before it.
type peer struct {
	addr, port string
	trusted    bool
}

const (
	// unknownAddr stands for an address that is not known. One that looks like an address would end up in lists of
	// blocked clients, in limits and in logs. localAddr is that of a peer on a Unix socket: applications show more to
	// local peers than to others.
	unknownAddr = ""
	localAddr   = "127.0.0.1"
	noPort      = "0"
)

// peerOf finds out who has connected. Middleware may have put the client's address in the place of the peer's, mostly
// without a port.
func (h *Handler) peerOf(r *http.Request) peer {
	addr, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr, port = strings.TrimSuffix(strings.TrimPrefix(r.RemoteAddr, "["), "]"), noPort
	}

	if ip, err := netip.ParseAddr(addr); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			port = noPort
		}

		return peer{canonical(addr, ip), port, h.trusts(ip)}
	}

	if onUnixSocket(r) {
		return peer{localAddr, noPort, true}
	}

	return peer{unknownAddr, noPort, false}
}

// canonical returns the one form of an address, so that applications which count by it see one client: IPv6 has many
// forms, and IPv4 one in that of IPv6.
func canonical(addr string, ip netip.Addr) string {
	if ip.Is4() {
		return addr
	}

	return ip.Unmap().String()
}

// onUnixSocket reports whether the peer has connected to a Unix socket, whose permissions say who may. The server says
// so of itself; what it says of the peer is no address of the internet.
func onUnixSocket(r *http.Request) bool {
	if addr := r.RemoteAddr; addr != "" && addr[0] != '@' && addr[0] != '/' {
		// Middleware has put another address there.
		return false
	}

	_, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)

	return ok
}

// trusts reports whether the address is that of a proxy that is believed.
func (h *Handler) trusts(ip netip.Addr) bool {
	if len(h.cfg.TrustedProxies) == 0 {
		return false
	}

	ip = ip.Unmap().WithZone("")

	return slices.ContainsFunc(h.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// listSpace is what may stand between the elements of a list, with empty ones, which are none (RFC 9110 section 5.6.1).
const listSpace = " \t,"

// clientOf returns the client of a request: the peer, or the one that a trusted peer names, which is the last address
// in X-Forwarded-For that is not a trusted proxy itself. first reports whether the field has no address before the
// client's, which the client could have made up.
func (h *Handler) clientOf(r *http.Request, p peer) (client peer, first bool) {
	chain := r.Header[forwardedFor]
	if !p.trusted || len(chain) == 0 {
		return p, true
	}

	client = p

	rest := strings.Join(chain, ",")
	for rest != "" {
		last := rest[strings.LastIndexByte(rest, ',')+1:]
		rest = strings.TrimSuffix(rest[:len(rest)-len(last)], ",")

		addr := strings.Trim(last, listSpace)
		if addr == "" {
			continue
		}

		if host, _, err := net.SplitHostPort(addr); err == nil {
			addr = host
		}

		addr = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
		ip, err := netip.ParseAddr(addr)
		if err != nil {
			// A proxy has written something that is no address.
			return client, false
		}

		client = peer{canonical(addr, ip), noPort, true}
		if !h.trusts(ip) {
			break
		}
	}

	return client, strings.Trim(rest, listSpace) == ""
}
