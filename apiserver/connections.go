package apiserver

import (
	"io"
	"net"
	"os"
	"sync"
)

// How many connections there may be: of root and the own user together, of
// all others together, and of each other user. On TCP, all are one user.
const (
	maxTrusted = 1024
	maxOthers  = 512
	maxPerUser = 64
)

// unknownUser stands for all on TCP.
const unknownUser = -1

// countedListener closes connections that are too many.
type countedListener struct {
	net.Listener
	euid int

	mu      sync.Mutex
	trusted int
	others  int
	perUser map[int]int
}

func newCountedListener(l net.Listener) *countedListener {
	return &countedListener{Listener: l, euid: os.Geteuid(), perUser: map[int]int{}}
}

// Accept returns a connection with its peer.
func (l *countedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}

		c := &countedConn{
			Conn:     conn,
			in:       conn,
			listener: l,
			uid:      unknownUser,
		}
		if c.peer, c.known = peerOf(conn); c.known {
			c.uid, c.in = c.peer.UID, &hostAdder{in: conn}
		}

		if l.enter(c.uid) {
			return c, nil
		}

		_ = conn.Close() // no caller has it
	}
}

func (l *countedListener) trusts(uid int) bool { return uid == 0 || uid == l.euid }

func (l *countedListener) enter(uid int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The connections of others must not keep these from calling.
	if l.trusts(uid) {
		if l.trusted >= maxTrusted {
			return false
		}

		l.trusted++

		return true
	}

	limit := maxPerUser
	if uid == unknownUser {
		limit = maxOthers
	}

	if l.others >= maxOthers || l.perUser[uid] >= limit {
		return false
	}

	l.others++
	l.perUser[uid]++

	return true
}

func (l *countedListener) leave(uid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trusts(uid) {
		l.trusted--
		return
	}

	l.others--
	if l.perUser[uid]--; l.perUser[uid] == 0 {
		delete(l.perUser, uid)
	}
}

// countedConn is counted until it is closed.
type countedConn struct {
	net.Conn
	in       io.Reader
	listener *countedListener
	uid      int
	peer     Peer
	known    bool
	closing  sync.Once
}

func (c *countedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *countedConn) Close() error {
	c.closing.Do(func() { c.listener.leave(c.uid) })
	return c.Conn.Close()
}
