//go:build !linux

package sockdiag

import (
	"net"
	"net/netip"
	"syscall"
)

// Peer returns the user who owns the other end of a connection within this host. Only
// Linux tells; here the error is ErrUnavailable.
func Peer(*net.TCPConn) (uid int, err error) { return 0, ErrUnavailable }

// Listener returns the user whose socket takes connections to an address of this host.
// Only Linux tells; here the error is ErrUnavailable.
func Listener(netip.AddrPort) (uid int, err error) { return 0, ErrUnavailable }

// Listeners returns the sockets that listen on a port of this host, on any address. Only
// Linux tells; here the error is ErrUnavailable.
func Listeners(int) ([]Listening, error) { return nil, ErrUnavailable }

// AllListeners returns the sockets that listen on any port of this host. Only Linux tells; here the
// error is ErrUnavailable.
func AllListeners() ([]Listening, error) { return nil, ErrUnavailable }

// Backlog returns how many connections wait in the kernel until the program accepts them. Only Linux tells; here the
// error is ErrUnavailable.
func Backlog(syscall.Conn) (waiting int, err error) { return 0, ErrUnavailable }
