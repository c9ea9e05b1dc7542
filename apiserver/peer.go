package apiserver

import (
	"context"
	"net"

	"github.com/gopassenger/passenger/internal/peercred"
)

// Peer is who is at the other end of a Unix socket, as the kernel says.
type Peer struct {
	UID, GID int
	// PID may be another process's by now.
	PID int
}

type peerKey struct{}

// ConnContext adds the peer of a connection to its context, from which a Server
// knows who calls. It is for [http.Server.ConnContext] of servers whose clients
// connect by themselves: behind a proxy, all calls would be the proxy's.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if peer, known := peerOf(conn); known {
		return context.WithValue(ctx, peerKey{}, peer)
	}

	return ctx
}

// ConnContext is the function of the same name.
func (*Server) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return ConnContext(ctx, conn)
}

// PeerOf returns the peer that ConnContext added; known is false on TCP, and
// where the system does not tell. Where the system should and does not, peer has no
// UID, but -1.
func PeerOf(ctx context.Context) (peer Peer, known bool) {
	peer, known = ctx.Value(peerKey{}).(Peer)
	return peer, known
}

// unknown is the peer of a Unix socket whose credentials the kernel does not tell. It is
// a peer nevertheless, and not one that AllowAnyone is about.
var unknown = Peer{UID: -1, GID: -1}

func peerOf(conn net.Conn) (peer Peer, known bool) {
	switch c := conn.(type) {
	case *countedConn:
		return c.peer, c.known
	case *net.UnixConn:
		cred, known, err := peercred.Of(c)
		if err != nil {
			return unknown, true
		}

		return Peer(cred), known
	}

	return Peer{}, false
}
