// Package sockdiag tells which user owns the other end of a TCP connection within this
// host, as package peercred does of Unix sockets.
//
// The kernel is asked for the socket with the exact addresses and ports of the
// connection, so that it does not matter who listens on the port by now. A connection
// has an owner before it is accepted, too. What kernels say of such a one differs, as
// tried out: Linux 6.17 and later name the user who listens; before that it is user 0
// with inode 0, exactly what /proc/net/tcp shows, until accept gives the socket an
// inode and the user who accepts. So user 0 with inode 0 is not believed: the socket
// that listens on the address is looked at, and then the connection again. A
// connection that still waits is in the queue of a socket that has been there all the
// time, because a queue ends with its socket.
package sockdiag

import (
	"errors"
	"net/netip"
)

var (
	// ErrClosed means that the other end was closed: no process reads there.
	ErrClosed = errors.New("the other end of the connection was closed")
	// ErrNotHere means that the other end is none of the sockets of this network
	// namespace.
	ErrNotHere = errors.New("the other end of the connection is not in this network namespace")
	// ErrUnavailable means that the system does not tell who owns sockets.
	ErrUnavailable = errors.New("the system does not tell who owns the other end of the connection")
)

// Listening is a socket that listens.
type Listening struct {
	// Addr is where; the unspecified address means each, and that of IPv6 mostly each of
	// IPv4, too.
	Addr  netip.Addr
	Port  int
	UID   int
	Inode uint64
}

// Takes reports whether connections to addr may come to the socket.
func (l *Listening) Takes(addr netip.Addr) bool {
	return l.Addr == addr || l.Addr == netip.IPv6Unspecified() || l.Addr.IsUnspecified() && l.Addr.Is4() == addr.Is4()
}
