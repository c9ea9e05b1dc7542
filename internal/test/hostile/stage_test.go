package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	// idPrefix begins the targets whose responses are what comes after it.
	idPrefix = "/id/"
	// rowMark comes before the number of a row in its target.
	rowMark = "?row="
	// plainResponse is what a request gets if there is no script for it.
	plainResponse = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nrow"
)

// stage is where the test plays the application, on the connections that the
// application's process accepts.
type stage struct {
	protocol loaderproto.Protocol
	control  *net.UnixListener
	wg       sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// controls are the application's processes.
	controls []net.Conn
	conns    map[int]*appConn
	last     int // number of the latest connection
	// script is for what has no id.
	script *script
	// served counts the requests with an id by their connection.
	served map[int]int
	// latest is the connection of the latest of them, ids are what they carry.
	latest int
	ids    map[string]bool
	// password is that of the latest process.
	password string
	// rows counts the calls of begin; a request whose target has another number
	// is of an earlier row.
	rows int
	// noted is closed when there is a request without an id.
	noted chan struct{}
	// seen are the requests without an id.
	seen []*seen
	// faults are of requests with an id, and of connections.
	faults []error
}

// appConn is a connection of the server to the application.
type appConn struct {
	net.Conn
	number   int
	br       *bufio.Reader
	password string
	ended    chan struct{}
}

func newStage(t *testing.T, path string, protocol loaderproto.Protocol) *stage {
	t.Helper()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: path})
	require.NoError(t, err)
	s := &stage{
		protocol: protocol,
		control:  l,
		conns:    map[int]*appConn{},
		served:   map[int]int{},
		ids:      map[string]bool{},
		noted:    make(chan struct{}),
	}
	s.wg.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}

			s.wg.Go(func() { s.receive(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()

		s.closed = true
		for _, c := range s.controls {
			_ = c.Close()
		}

		for _, c := range s.conns {
			_ = c.Close()
		}

		s.mu.Unlock()
		s.wg.Wait()
	})

	return s
}

// receive takes the connections of one process.
func (s *stage) receive(control *net.UnixConn) {
	defer control.Close()
	s.mu.Lock()
	s.controls = append(s.controls, control)
	s.mu.Unlock()

	for {
		c, password, err := receiveConn(control)
		if err != nil {
			return
		}

		s.mu.Lock()
		s.last++
		s.password = password
		conn := &appConn{
			Conn:     c,
			number:   s.last,
			br:       bufio.NewReader(c),
			password: password,
			ended:    make(chan struct{}),
		}
		s.conns[conn.number] = conn
		if s.closed {
			_ = c.Close()
		}

		s.mu.Unlock()
		s.wg.Go(func() { s.serve(conn) })
	}
}

// serve plays the application on one connection.
func (s *stage) serve(c *appConn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c.number)
		s.mu.Unlock()
		close(c.ended)
	}()
	if sc := s.takeEarly(); sc != nil {
		sc.perform(c)
		return
	}

	for {
		r, err := readRequest(c.br, s.protocol, c.password)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !isCut(err) {
				s.fault(fmt.Errorf("a request on connection %d: %w", c.number, err))
			}

			return
		}

		r.conn = c.number
		if id, ok := strings.CutPrefix(r.target, idPrefix); ok {
			if !s.respondID(c, r, id) {
				return
			}

			continue
		}

		sc := s.note(r)
		if sc.reads == readsAll && !s.readBody(c, r) || !sc.perform(c) {
			return
		}
	}
}

func (s *stage) respondID(c *appConn, r *seen, id string) bool {
	s.mu.Lock()
	s.served[c.number]++
	s.latest = c.number
	s.ids[id] = true
	s.mu.Unlock()
	if _, err := r.readBody(c.br); err != nil || r.fault != nil {
		s.fault(errors.Join(fmt.Errorf("request %s", id), r.fault, err))
	}

	text, last := strings.CutPrefix(id, "last/")
	if last {
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
		return false
	}

	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Conn: %d\r\n\r\n%s", len(text), c.number, text)

	return err == nil
}

// readBody reports whether the body came to its end.
func (s *stage) readBody(c *appConn, r *seen) bool {
	body, err := r.readBody(c.br)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.body, r.whole = body, err == nil

	return r.whole
}

// note keeps a request and returns what is to be done with it.
func (s *stage) note(r *seen) *script {
	s.mu.Lock()
	defer s.mu.Unlock()
	if target, row, ok := strings.Cut(r.target, rowMark); ok {
		r.target = target
		if row != strconv.Itoa(s.rows) {
			return newScript(keeps, plainResponse)
		}
	}

	s.seen = append(s.seen, r)
	if len(s.seen) == 1 {
		close(s.noted)
	}

	if s.script == nil {
		return newScript(keeps, plainResponse)
	}

	return s.script
}

func (s *stage) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, err)
}

// takeEarly returns the script if it is one that reads nothing. It is for one
// connection.
func (s *stage) takeEarly() *script {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.script
	if sc == nil || sc.reads != readsNothing {
		return nil
	}

	s.script = nil

	return sc
}

// begin forgets what was seen and sets what is to be done with requests. It
// returns the number of the next connection.
func (s *stage) begin(sc *script) (next int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows++
	s.script, s.seen, s.faults, s.served, s.ids, s.noted = sc, nil, nil, map[int]int{}, map[string]bool{},
		make(chan struct{})

	return s.last + 1
}

// marked is a request for "/" with the row that begin was called for, which a
// late one is known by: the application may see what the server cuts off when
// the next row is at work.
func (s *stage) marked(raw string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Replace(raw, " / HTTP/1.", " /"+rowMark+strconv.Itoa(s.rows)+" HTTP/1.", 1)
}

// hasID reports whether the application has seen the request that carries it.
func (s *stage) hasID(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// servedIDs is how many requests with an id came on a connection.
func (s *stage) servedIDs(number int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[number]
}

// latestConn is the number of the connection that had the latest request with
// an id.
func (s *stage) latestConn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}

// awaitRequest waits for a request without an id.
func (s *stage) awaitRequest() error {
	s.mu.Lock()
	noted := s.noted
	s.mu.Unlock()

	select {
	case <-noted:
		return nil
	case <-time.After(deadline):
		return errors.New("no request comes")
	}
}

// hangUp closes all connections.
func (s *stage) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, c := range s.conns {
		_ = c.Close()
	}
}

// requests returns copies of those without an id, and what was wrong.
func (s *stage) requests() (all []*seen, faults error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, r := range s.seen {
		clone := *r
		all = append(all, &clone)
	}

	return all, errors.Join(s.faults...)
}

// openConns counts the connections that are open.
func (s *stage) openConns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// awaitEnd waits until a connection is closed.
func (s *stage) awaitEnd(number int) error {
	s.mu.Lock()
	c := s.conns[number]
	s.mu.Unlock()
	if c == nil {
		return nil
	}

	select {
	case <-c.ended:
		return nil
	case <-time.After(deadline):
		return fmt.Errorf("connection %d of the application is still open", number)
	}
}
