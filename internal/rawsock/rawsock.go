// Package rawsock talks to sockets without Go's scheduler taking notice.
//
// A system call of package net or syscall is one that might block. If it takes
// more than 20 µs, as sending over a local connection does when that wakes the
// reader, the scheduler gives the goroutine's processor away, to a thread that it
// wakes for it. A server that has little else to do spends a fifth of its time on
// that. The calls here cannot block; they look like computing to the scheduler,
// and what they do should take about as little time.
package rawsock

import "net"

// MaxSend is how many bytes Send takes: copying more lasts so long that the
// scheduler should know.
const MaxSend = 16 << 10

// MaxSendPieces is how many bytes SendPieces takes, of MaxPieces pieces at most: the response of an application, which
// others have to wait for no longer than in a web server with one thread.
const (
	MaxSendPieces = 128 << 10
	MaxPieces     = 3
)

// Conn returns a connection that reads and writes by this package if c is one of
// package net's over TCP or a Unix socket, and else c.
func Conn(c net.Conn) net.Conn { return wrap(c) }

// SetLinger is SetLinger of the TCP connection below c, if there is one.
func SetLinger(c net.Conn, seconds int) {
	for {
		switch below := c.(type) {
		case *net.TCPConn:
			// If it is closed already, nothing is left to do.
			_ = below.SetLinger(seconds)
			return
		case interface{ NetConn() net.Conn }:
			c = below.NetConn()
		default:
			return
		}
	}
}

// Listener returns connections that are read and written by this package, if
// those of l are of TCP or Unix sockets.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	return wrap(c), nil
}
