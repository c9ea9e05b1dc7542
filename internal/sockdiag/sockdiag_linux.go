package sockdiag

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// tcpState is a state of a TCP socket, as the kernel numbers them.
type tcpState uint8

// The states that matter, of include/net/tcp_states.h.
const (
	established tcpState = 1
	synReceived tcpState = 3
	closeWait   tcpState = 8
	listening   tcpState = 10
	// newSynReceived is what synReceived is called since Linux 4.1.
	newSynReceived tcpState = 12
)

// socket is what the kernel tells of one.
type socket struct {
	state tcpState
	uid   uint32
	// inode is 0 for a socket that no process has: not yet accepted, or closed.
	inode uint32
}

// waits reports whether the socket has not been accepted yet.
func (s *socket) waits() bool {
	return s.inode == 0 && (s.state == established || s.state == synReceived || s.state == newSynReceived ||
		s.state == closeWait)
}

// table is a way to find sockets. The error of a socket that there is not is ErrNotHere.
type table interface {
	// connection returns the socket at local that is connected with remote.
	connection(local, remote netip.AddrPort) (socket, error)
	// listener returns the socket that takes connections to local.
	listener(local netip.AddrPort) (socket, error)
}

// Peer returns the user who owns the other end of a connection within this host. The
// error is ErrClosed, ErrNotHere or ErrUnavailable.
func Peer(conn *net.TCPConn) (uid int, err error) {
	near, ok := conn.LocalAddr().(*net.TCPAddr)
	far, alsoOK := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !alsoOK {
		return 0, ErrNotHere
	}

	ours, theirs := unmapped(near.AddrPort()), unmapped(far.AddrPort())
	uid, err = owner(netlinkTable{}, theirs, ours)
	if err == nil || err == ErrClosed { //nolint:errorlint // it is not wrapped
		return uid, err
	}

	// A kernel without the module for TCP says the same as of a socket that there is not.
	uid, err = owner(procTable{root: "/proc/net"}, theirs, ours)
	if errors.Is(err, ErrNotHere) && !isEstablished(conn) {
		return 0, ErrClosed // by a reset, which leaves nothing
	}

	return uid, err
}

// isEstablished reports whether the other end has not been closed, as far as ours knows.
func isEstablished(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}

	state := established
	err = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = tcpState(info.State)
		}
	})

	return err == nil && state == established
}

// Listener returns the user whose socket takes connections to an address of this host.
// The error is ErrNotHere or ErrUnavailable.
func Listener(at netip.AddrPort) (uid int, err error) {
	s, err := netlinkTable{}.listener(unmapped(at))
	if err != nil {
		s, err = procTable{root: "/proc/net"}.listener(unmapped(at))
	}

	return int(s.uid), err
}

// Listeners returns the sockets that listen on a port of this host, on any address.
func Listeners(port int) ([]Listening, error) {
	// The table of all sockets is long where many connections have ended, and this is asked again and again.
	found, err := netlinkTable{}.listeners(port)
	if err != nil {
		return procTable{root: "/proc/net"}.listeners(port)
	}

	return found, nil
}

// AllListeners returns the sockets that listen on any port of this host.
func AllListeners() ([]Listening, error) { return procTable{root: "/proc/net"}.allListeners() }

func newListening(at netip.AddrPort, s socket) Listening {
	return Listening{Addr: at.Addr(), Port: int(at.Port()), UID: int(s.uid), Inode: uint64(s.inode)}
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// owner returns who owns the socket at local that is connected with remote.
func owner(t table, local, remote netip.AddrPort) (uid int, err error) {
	s, err := t.connection(local, remote)
	if err != nil {
		return 0, err
	}

	if s.inode == 0 && !s.waits() {
		return 0, ErrClosed
	}

	if s.inode != 0 || s.uid != 0 {
		return int(s.uid), nil
	}

	// See the package's comment.
	l, err := t.listener(local)
	if err != nil {
		return 0, err
	}

	again, err := t.connection(local, remote)
	switch {
	case err != nil:
		return 0, err
	case again.waits():
		return int(l.uid), nil
	case again.inode == 0:
		return 0, ErrClosed
	}

	return int(again.uid), nil
}

// unavailable says why the system does not tell.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }
