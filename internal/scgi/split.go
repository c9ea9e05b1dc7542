package scgi

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// FirstByteTimeout is how long a connection that [Split] accepts may take
	// for its first byte.
	FirstByteTimeout = 10 * time.Second
	// MaxUndecided is the most connections of a listener that have sent nothing
	// yet; the oldest gives way to a new one.
	MaxUndecided = 1024
	// lastByteTime replaces FirstByteTimeout when the listener has ended.
	lastByteTime = time.Second
)

// Split makes two listeners of l: connections that begin with a digit, as SCGI
// does, are accepted by one, all others by the other. Both must be served. It
// accepts from l at once.
//
// On Linux the connections are those of l, untouched; elsewhere, and where they are
// no sockets, they are wrapped, with CloseWrite.
//
// When one of the listeners is closed, the connections that are for it are; when both
// are, l is closed too. When l ends before, by its Close or its Accept, both end with its
// error after what was accepted has been passed on: so it is l that has to end first,
// and the servers after that, if no client is to be cut off.
func Split(l net.Listener) (scgi, http net.Listener) {
	s := &splitter{l: l, undecided: list.New(), ended: make(chan struct{})}
	s.scgi, s.http = newBranch(s), newBranch(s)
	s.work.Go(s.accept)

	return s.scgi, s.http
}

// splitter passes the connections of a listener on to two.
type splitter struct {
	l          net.Listener
	scgi, http *branch
	work       sync.WaitGroup

	mu        sync.Mutex
	undecided *list.List // of net.Conn, the oldest first
	open      int        // branches
	err       error      // why l has ended
	ended     chan struct{}
}

// branch is one of the listeners.
type branch struct {
	splitter *splitter
	conns    chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func newBranch(s *splitter) *branch {
	s.open++
	return &branch{splitter: s, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the next connection for it.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.closed:
		return nil, &net.OpError{
			Op:   "accept",
			Net:  b.Addr().Network(),
			Addr: b.Addr(),
			Err:  net.ErrClosed,
		}
	case <-b.splitter.ended:
		return nil, b.splitter.err
	}
}

// Addr is the address of the listener that was split.
func (b *branch) Addr() net.Addr { return b.splitter.l.Addr() }

// Close ends Accept.
func (b *branch) Close() (err error) {
	b.once.Do(func() {
		close(b.closed)
		err = b.splitter.closeBranch()
	})

	return err
}

func (s *splitter) closeBranch() error {
	s.mu.Lock()
	s.open--
	last := s.open == 0
	if last {
		for e := s.undecided.Front(); e != nil; e = e.Next() {
			closeConn(e.Value)
		}
	}

	s.mu.Unlock()
	if !last {
		return nil
	}

	err := s.l.Close()
	s.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		// The listener has ended before.
		err = nil
	}

	return err
}

// accept ends with the listener, and then lets the branches end.
func (s *splitter) accept() {
	var deciding sync.WaitGroup

	var pause time.Duration
	for {
		c, err := s.l.Accept()
		switch {
		case err == nil:
			pause = 0
			e := s.add(c)
			deciding.Go(func() { s.decide(c, e) })
		case temporary(err):
			pause = nextPause(pause)
			<-time.After(pause)
		default:
			s.hurry()
			deciding.Wait()
			s.err = err
			close(s.ended)

			return
		}
	}
}

// add makes room for c if there is none.
func (s *splitter) add(c net.Conn) *list.Element {
	s.mu.Lock()
	defer s.mu.Unlock()

	// An error shows when something is read.
	_ = c.SetReadDeadline(time.Now().Add(FirstByteTimeout))
	// No branch is left that would take it.
	if s.open == 0 {
		closeConn(c)
	}

	if s.undecided.Len() >= MaxUndecided {
		closeConn(s.undecided.Remove(s.undecided.Front()))
	}

	return s.undecided.PushBack(c)
}

// hurry ends the wait: no other connection will come.
func (s *splitter) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()

	for e := s.undecided.Front(); e != nil; e = e.Next() {
		if c, ok := e.Value.(net.Conn); ok {
			_ = c.SetReadDeadline(time.Now().Add(lastByteTime))
		}
	}
}

// decide passes c on when its first byte has come.
func (s *splitter) decide(c net.Conn, e *list.Element) {
	first, again, err := firstByte(c)
	s.mu.Lock()
	s.undecided.Remove(e)
	// Under the lock: hurry must not set another deadline behind this one.
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}

	s.mu.Unlock()
	if err != nil {
		_ = c.Close()
		return
	}

	to := s.http
	if first >= '0' && first <= '9' {
		to = s.scgi
	}

	select {
	case to.conns <- again:
	case <-to.closed:
		_ = c.Close()
	}
}

// firstByte waits for the first byte of c, and returns c as it was before.
func firstByte(c net.Conn) (first byte, again net.Conn, err error) {
	var p [1]byte
	if raw := rawConn(c); raw != nil {
		_, err = peek(raw, p[:])
		return p[0], c, err
	}

	// A read may return neither bytes nor an error.
	for n := 0; n == 0 && err == nil; {
		n, err = c.Read(p[:])
		if n == 1 {
			err = nil
		}
	}

	return p[0], &begunConn{Conn: c, begin: p, left: 1}, err
}

// begunConn is a connection whose first byte was read.
type begunConn struct {
	net.Conn
	begin [1]byte
	left  int
}

func (c *begunConn) Read(p []byte) (int, error) {
	if c.left > 0 && len(p) > 0 {
		c.left = 0
		p[0] = c.begin[0]
		return 1, nil
	}

	return c.Conn.Read(p)
}

// NetConn returns the connection itself.
func (c *begunConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what is written, if that can be.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}

	return errors.ErrUnsupported
}

func closeConn(v any) {
	if c, ok := v.(net.Conn); ok {
		_ = c.Close()
	}
}
