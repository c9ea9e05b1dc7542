package spawner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/gopassenger/passenger/internal/rawsock"
	"github.com/gopassenger/passenger/internal/sockdiag"
	"github.com/gopassenger/passenger/loaderproto"
)

var errPeer = errors.New("another user listens on the application's address")

// owner says who may listen on the addresses of a process.
type owner struct {
	uid int
	// switched reports whether the process runs as another user than this program, so that there are
	// users who do not trust each other. What cannot be found out is refused then.
	switched bool
	// session is that of the process; zero means that it is not known yet.
	session int

	mu sync.Mutex
	// others are users who processes of the session have become by themselves.
	others map[int]bool
}

func (a *attempt) owner() *owner {
	o := &owner{uid: a.identity.uid, switched: a.identity.switched}
	if a.child != nil {
		o.session = a.child.pid
	}

	return o
}

// accepts reports whether a socket of a user may be one of the process. Without user
// switching, root may have started a program that becomes another user by itself, as
// gunicorn does with --user; no process of other programs gets into its session.
func (o *owner) accepts(uid int) bool {
	if uid == o.uid {
		return true
	}

	if o.switched || o.uid != 0 || o.session == 0 {
		return false
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.others[uid] && hasSessionUser(o.session, uid) {
		if o.others == nil {
			o.others = map[int]bool{}
		}

		o.others[uid] = true
	}

	return o.others[uid]
}

// refusal is the error for a socket whose owner accepts refuses.
func (o *owner) refusal(uid int) error {
	return fmt.Errorf("%w: its user ID is %d, and that of the application is %d", errPeer, uid, o.uid)
}

// checkPeer makes sure that one of the process's sockets is at the other end of a new
// connection: whatever was there when the address was reported may have been replaced.
func (o *owner) checkPeer(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return checkPeer(conn, o.uid)
	}

	uid, unknown := sockdiag.Peer(tcp)
	switch {
	case errors.Is(unknown, sockdiag.ErrClosed):
		return nil // no process reads what is written to it, and that shows soon enough
	case unknown != nil && o.switched:
		return fmt.Errorf("cannot find out which user listens there: %w: let the application serve on a Unix socket "+
			"($SOCKET)", unknown)
	case unknown == nil && !o.accepts(uid):
		return o.refusal(uid)
	}

	return nil
}

// checkListener makes sure that no other user listens on a TCP address that a process
// has reported. That nothing is found there shows when it is connected to.
func (o *owner) checkListener(address loaderproto.Address) error {
	var refused error
	for _, addr := range exactly(address) {
		at, err := netip.ParseAddrPort(addr)
		if err != nil {
			return fmt.Errorf("the socket %s has no address: %w", address, err)
		}

		uid, err := sockdiag.Listener(at)
		switch {
		case err != nil:
			continue
		case o.accepts(uid):
			return nil
		}

		refused = fmt.Errorf("the socket %s cannot be used: %w", address, o.refusal(uid))
	}

	return refused
}

// exactly returns the addresses that an address of this host means. No name is looked up:
// what localhost is depends on a file, and on which of its addresses responds first.
func exactly(address loaderproto.Address) []string {
	host, port, err := net.SplitHostPort(address.Addr)
	if err != nil || host != "localhost" {
		return []string{address.Addr}
	}

	return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}

// requestDialer is dialer for connections that requests are sent by.
func requestDialer(address loaderproto.Address, o *owner) func(context.Context) (net.Conn, error) {
	dial := dialer(address, o)

	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}

		return rawsock.Conn(conn), nil
	}
}

// dialer connects to a socket of a process.
func dialer(address loaderproto.Address, o *owner) func(context.Context) (net.Conn, error) {
	if address.Network == "tcp" {
		return func(ctx context.Context) (net.Conn, error) { return dialTCP(ctx, address, o) }
	}

	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dialUnix(ctx, address.Addr, o.uid)
		if err != nil {
			return nil, err
		}

		if err := o.checkPeer(conn); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("cannot use %s: %w", address, err)
		}

		return conn, nil
	}
}

// dialTCP connects to the address at which a socket of the process is.
func dialTCP(ctx context.Context, address loaderproto.Address, o *owner) (net.Conn, error) {
	var failed error
	for _, addr := range exactly(address) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			if err = o.checkPeer(conn); err == nil {
				return conn, nil
			}

			_ = conn.Close()
			err = fmt.Errorf("cannot use tcp://%s: %w", addr, err)
		}

		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}

	return nil, failed
}

// loopback are the addresses at which a program may serve on its port.
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

func tcpAddress(host netip.Addr, port int) loaderproto.Address {
	return loaderproto.Address{Network: "tcp", Addr: net.JoinHostPort(host.String(), strconv.Itoa(port))}
}
