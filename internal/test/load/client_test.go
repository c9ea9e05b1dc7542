package load_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

const clients = 16

// client has one connection that it keeps open, and does as little as it can:
// what it needs of the processors is not there for those that it tests.
type client struct {
	addr string
	conn net.Conn
	br   *bufio.Reader
	out  []byte
	body []byte
}

func newClient(addr string) *client {
	return &client{addr: addr, br: bufio.NewReader(nil)}
}

// failure is a request that did not get the right response.
type failure struct {
	// status is that of a complete response; zero means that there was none.
	status int
	err    error
}

func (f *failure) String() string { return fmt.Sprintf("status %d: %v", f.status, f.err) }

var errResponse = errors.New("a wrong response")

// ask sends a request and checks that the response is a process's id and the
// path.
func (c *client) ask(path, query string) *failure {
	status, keep, err := c.roundTrip(path, query)
	if err == nil && (status != 200 || !isResponse(c.body, path)) {
		err = fmt.Errorf("%w: %.200s", errResponse, c.body)
	}

	if err != nil || !keep {
		c.hangUp()
	}

	if err != nil {
		return &failure{status, err}
	}

	return nil
}

func isResponse(body []byte, path string) bool {
	pid, rest, found := bytes.Cut(body, []byte(" "))
	n, err := strconv.Atoi(string(pid))
	return found && err == nil && n > 0 && string(rest) == path
}

// roundTrip leaves the response's body in c.body. status is 0 if it did not come
// to its end.
func (c *client) roundTrip(path, query string) (status int, keep bool, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, deadline); err != nil {
			return 0, false, err
		}

		if err := c.conn.SetDeadline(time.Now().Add(2 * deadline)); err != nil {
			return 0, false, err
		}

		c.br.Reset(c.conn)
	}

	c.out = append(append(append(append(c.out[:0], "GET "...), path...), query...),
		" HTTP/1.1\r\nHost: test\r\n\r\n"...)
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, false, err
	}

	line, err := c.br.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}

	if len(line) < 12 {
		return 0, false, fmt.Errorf("%w: %q", errResponse, line)
	}

	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, err
	}

	length := -1

	keep = true
	for {
		if line, err = c.br.ReadSlice('\n'); err != nil {
			return 0, false, err
		}

		if len(line) <= len("\r\n") {
			break
		}

		name, value, _ := bytes.Cut(line, []byte(":"))

		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			keep = !bytes.EqualFold(value, []byte("close"))
		}
	}

	if length < 0 {
		return 0, false, fmt.Errorf("%w: it has no length", errResponse)
	}

	c.body = append(c.body[:0], make([]byte, length)...)
	if _, err := io.ReadFull(c.br, c.body); err != nil {
		return 0, false, err
	}

	return status, keep, nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// load is clients that ask until stop.
type load struct {
	// thinkTime is between a response and the next request of a client.
	thinkTime time.Duration
	ending    atomic.Bool
	requests  atomic.Int64
	done      sync.WaitGroup
	begun     time.Time

	mu       sync.Mutex
	failures []*failure
}

// newLoad begins, and continues until end is called, or the test ends. Clients that do not think, as in a long run,
// take the processors from the processes that start meanwhile.
func (s *stand) newLoad(t *testing.T) *load {
	t.Helper()
	if longtests.Enabled() {
		return s.newBusyLoad(t, 0)
	}

	return s.newBusyLoad(t, 20*time.Millisecond)
}

func (s *stand) newBusyLoad(t *testing.T, thinkTime time.Duration) *load {
	t.Helper()

	l := &load{thinkTime: thinkTime, begun: time.Now()}
	for i := range clients {
		l.done.Go(func() { l.run(s.addr, i) })
	}

	t.Cleanup(func() { l.end() })

	return l
}

func (l *load) run(addr string, number int) {
	c := newClient(addr)
	defer c.hangUp()

	for n := number; !l.ending.Load(); n += clients {
		// Each request has a path of its own, so that no response passes for
		// another's.
		f := c.ask("/"+strconv.Itoa(n), "")
		if f != nil {
			l.mu.Lock()
			l.failures = append(l.failures, f)
			l.mu.Unlock()
		}

		l.requests.Add(1)
		<-time.After(l.thinkTime)
	}
}

// awaitMore waits for as many more requests.
func (l *load) awaitMore(t *testing.T, n int64) {
	t.Helper()
	n += l.requests.Load()
	await(t, func() bool { return l.requests.Load() >= n }, func() string { return "the clients get no responses" })
}

// end stops the clients when they have got their responses.
func (l *load) end() []*failure {
	l.ending.Store(true)
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.failures
}

// report says how it went.
func (l *load) report(t *testing.T, restarts int) {
	t.Helper()
	t.Logf("%d requests in %.1f s, %d failed, %d restarts", l.requests.Load(), time.Since(l.begun).Seconds(),
		len(l.end()), restarts)
}
