package front

import (
	"errors"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// bufferSize is how long a head may be, with a body behind it, for the short way.
const bufferSize = 16 << 10

// work is the memory that a connection needs for a request.
type work struct {
	// buf has bytes that have come up to n; those before from are done with.
	buf     []byte
	from, n int
	head    httphead.Head
	w       response
}

var works = sync.Pool{New: func() any {
	return &work{buf: make([]byte, bufferSize), w: response{header: make(http.Header, 16)}}
}}

// state is what a connection waits for.
type state int32

const (
	// fresh means that it has not sent anything yet.
	fresh state = iota
	// idle means that it waits for the next request.
	idle
	// reading means that a request has begun to come.
	reading
	// serving means that it has a request.
	serving
)

// outcome is what becomes of a connection.
type outcome int

const (
	// undecided means that it has more requests, perhaps.
	undecided outcome = iota
	closing
	// leaving means that it belongs to net/http from now on.
	leaving
)

// conn is a connection. All of its requests are served within one call of Read of its syscall.RawConn: in this way the
// runtime's poller remembers what has come while a request was served, and the next one is read when it is there, and
// not tried for before. Nothing may close it, or read it, within that call.
type conn struct {
	server *Server
	rest   *handover
	// track receives the states of the connection.
	track  func(http.ConnState)
	net    net.Conn
	raw    syscall.RawConn
	local  net.Addr
	remote string

	state atomic.Int32
	// work is nil while nothing has come.
	work    *work
	outcome outcome
	// resets reports whether the client is to see that its response was cut.
	resets bool
	// posted reports whether a line end may follow the last request.
	posted bool
	// waitsForBody reports whether a body has had the time that it may take.
	waitsForBody bool
	// deadlineSet is when the time limit for the next request was set; zero means that another one holds.
	deadlineSet time.Time
	// left is what the client had not taken of the last response when its time for another request was over; zero means
	// that there was no look.
	left int64

	// watch and watchedFD are what the watch over leaving clients knows the connection by; zero means that it does not.
	watch, watchedFD int32
	// halfClosed reports whether the client has closed its direction, at least.
	halfClosed atomic.Bool
	// current is the context of the request; nil means none.
	current atomic.Pointer[requestContext]
	// more reports whether something has come behind the request, so that its client waits for responses.
	more atomic.Bool
	// isCut reports whether the connection has to end, whatever it has.
	isCut atomic.Bool
}

// newConn returns nil for a connection that is none of the kernel's.
func (s *Server) newConn(accepted net.Conn, rest *handover) *conn {
	var raw syscall.RawConn
	var err error

	switch c := accepted.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}

	if err != nil {
		return nil
	}

	track := func(http.ConnState) {}
	if s.Follow != nil {
		track = s.Follow(accepted)
	}

	return &conn{
		server: s,
		track:  track,
		rest:   rest,
		net:    accepted,
		raw:    raw,
		local:  accepted.LocalAddr(),
		remote: accepted.RemoteAddr().String(),
	}
}

func (c *conn) setState(s state) { c.state.Store(int32(s)) }

// serve serves the connection up to its end, or until it is net/http's.
func (c *conn) serve() {
	if d := c.server.HTTP.ReadHeaderTimeout; d > 0 {
		_ = c.net.SetReadDeadline(time.Now().Add(d)) // an error shows when something is read
	}

	// Also where a handler ends its goroutine.
	defer c.end()

	for {
		err := c.raw.Read(c.step)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.extend() {
			return
		}
	}
}

// extend decides what follows when the time for a read is up. It reports whether to read again.
func (c *conn) extend() bool {
	if c.halfClosed.Load() && state(c.state.Load()) == idle {
		// It was woken up to find the end.
		return c.net.SetReadDeadline(time.Time{}) == nil
	}

	if c.waitsForBody {
		c.outcome = leaving
		return false
	}

	if c.work == nil && !c.server.draining.Load() {
		return c.takes()
	}

	if c.work != nil {
		return false
	}

	// What came at the last moment is served.
	there := false
	_ = c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _ := rawsock.Receive(fd, b[:], syscall.MSG_PEEK)
		there = n > 0
	})

	return there && c.net.SetReadDeadline(time.Now().Add(lastHeadTime)) == nil
}

// takes waits for a client whose time for another request is over while the kernel has a part of its last response: for
// as long as it takes more of it. One that does not is reset, since the kernel would keep that for minutes.
func (c *conn) takes() bool {
	limit := c.server.Guard.StallTimeout
	if limit <= 0 || state(c.state.Load()) != idle {
		return false
	}

	left, known := c.unsent()
	if !known || left == 0 {
		return false
	}

	if c.left > 0 && left >= c.left {
		c.resets = true
		return false
	}

	c.left, c.deadlineSet = left, time.Time{}

	return c.net.SetReadDeadline(time.Now().Add(limit)) == nil
}

// end closes the connection, or gives it to net/http.
func (c *conn) end() {
	c.server.leaves.remove(c, c.outcome == leaving)

	if c.outcome == leaving {
		c.leave()
	} else {
		if c.resets {
			rawsock.Drop(c.net)
		} else if limit := c.server.Guard.StallTimeout; limit > 0 {
			rawsock.BoundUnsent(c.net, limit)
		}

		_ = c.net.Close()
		c.track(http.StateClosed)
	}

	c.free()
	c.server.remove(c)
}

// leave gives the connection to net/http, with the bytes that have come.
func (c *conn) leave() {
	_ = c.net.SetDeadline(time.Time{}) // an error shows when something is read

	guarded := c.server.Guard.Conn(rawsock.Conn(c.net), c.work.buf[c.work.from:c.work.n])
	if track := c.server.Guard.Track; track != nil {
		// So that no look at net/http's connections misses it.
		track(guarded, http.StateNew)
	}

	c.rest.give(guarded)
}

// free gives the memory to other connections.
func (c *conn) free() {
	w := c.work
	if w == nil {
		return
	}

	c.work = nil
	w.from, w.n = 0, 0
	w.head.Reset()
	works.Put(w)
}

// step reads and serves what has come. It is called when something has, and reports whether the connection's time here
// is over.
func (c *conn) step(fd uintptr) (done bool) {
	for {
		if c.work == nil {
			c.work = works.Get().(*work) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
		}

		w := c.work
		n, errno := rawsock.Receive(fd, w.buf[w.n:], 0)

		switch {
		case errno == syscall.EAGAIN:
			if w.n == 0 {
				c.free()
			}

			return false
		case n == 0 && w.n > 0:
			// It ends within a request.
			c.outcome = leaving
			return true
		case errno != 0 || n == 0:
			c.outcome = closing
			return true
		}

		// If there had been more, the buffer would be full. Then the next bytes are not tried for.
		all := w.n+n < len(w.buf)
		w.n += n

		for c.outcome == undecided && c.next(fd) {
		}

		if c.outcome != undecided {
			return true
		}

		// The end may have come with the last bytes. Of a connection that waits between two requests, the watch says
		// so.
		if all && c.work == nil && !c.halfClosed.Load() {
			return false
		}
	}
}

// next serves a request, if all of it has come. It reports whether to look for another one.
func (c *conn) next(fd uintptr) bool {
	w, s := c.work, c.server
	if c.posted && w.n-w.from >= 2 && string(w.buf[w.from:w.from+2]) == "\r\n" {
		// Some clients write one behind the body of a POST, RFC 9112 section 2.2.
		w.from += 2
		c.posted = false
	}

	if w.from == w.n {
		return c.wait()
	}

	n, err := w.head.Parse(w.buf[w.from:w.n], &s.Guard.Limits)
	switch {
	case errors.Is(err, httphead.ErrIncomplete):
		return c.waitForMore()
	case err != nil || !isSimple(&w.head) || n+int(min(w.head.Length, bufferSize)) > len(w.buf):
		c.outcome = leaving
		return false
	}

	length := n + int(w.head.Length)
	if w.n-w.from < length {
		return c.waitForBody()
	}

	c.waitsForBody = false
	if c.watch == 0 && s.leaves.add(c, fd) != nil {
		c.outcome = leaving
		return false
	}

	r, ctx := w.newRequest(c, n)
	if r == nil {
		c.outcome = leaving
		return false
	}

	c.posted = r.Method == http.MethodPost
	w.from += length
	w.head.Reset()

	if !c.handle(r, ctx, fd) {
		c.outcome = closing
		return false
	}

	return true
}

// wait begins to wait for the next request. It returns false.
func (c *conn) wait() bool {
	c.free()
	c.left = 0

	if d := c.server.HTTP.IdleTimeout; d > 0 {
		// The clock need not be exact, and setting it takes time.
		if now := time.Now(); now.Sub(c.deadlineSet) > min(time.Second, d/8) {
			c.deadlineSet = now
			_ = c.net.SetReadDeadline(now.Add(d))
		}
	} else if c.deadlineSet.IsZero() {
		c.deadlineSet = time.Now()
		_ = c.net.SetReadDeadline(time.Time{})
	}

	c.setState(idle)
	if c.server.draining.Load() {
		c.outcome = closing
	}

	return false
}

// waitForMore waits for the rest of a head. It returns false.
func (c *conn) waitForMore() bool {
	w := c.work
	if w.from > 0 {
		w.n = copy(w.buf, w.buf[w.from:w.n])
		w.from = 0
		w.head.Reset() // it has the bytes' old place
	}

	if w.n == len(w.buf) {
		c.outcome = leaving
		return false
	}

	// The first head has its time from the beginning of the connection on.
	if s := state(c.state.Load()); s == idle || s == serving {
		c.limit(c.server.HTTP.ReadHeaderTimeout)
	}

	c.setState(reading)

	return false
}

// bodyTime is how long a small body may take for the short way.
const bodyTime = time.Second

// waitForBody waits for the rest of a body. It returns false.
func (c *conn) waitForBody() bool {
	w := c.work
	w.head.Reset()

	if w.from > 0 {
		w.n = copy(w.buf, w.buf[w.from:w.n])
		w.from = 0
	}

	if !c.waitsForBody {
		c.waitsForBody = true
		c.limit(bodyTime)
	}

	c.setState(reading)

	return false
}

// limit sets the time for reading; zero means no limit.
func (c *conn) limit(d time.Duration) {
	c.deadlineSet = time.Time{}
	if c.server.draining.Load() && (d <= 0 || d > lastHeadTime) {
		d = lastHeadTime
	}

	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}

	_ = c.net.SetReadDeadline(until) // an error shows when something is read
}

// handle serves a request, and reports whether the connection may have another one.
func (c *conn) handle(r *http.Request, ctx *requestContext, fd uintptr) (reusable bool) {
	c.setState(serving)
	c.track(http.StateActive)

	w := &c.work.w
	w.conn, w.ctx, w.fd, w.isHead, w.close = c, ctx, fd, r.Method == http.MethodHead, r.Close

	c.more.Store(c.work.from < c.work.n)
	c.current.Store(ctx)
	if c.halfClosed.Load() {
		c.cancelIfLeft(fd)
	}

	returned := false
	defer func() {
		c.current.Store(nil)
		ctx.cancel()

		if !returned {
			c.logPanic(recover())
			// What the handler has started may know the memory still.
			c.work, reusable = nil, false
		}
	}()

	c.server.Handler.ServeHTTP(w, r)
	returned, reusable = true, w.finish()
	if w.timed.Load() && reusable {
		reusable = c.net.SetWriteDeadline(time.Time{}) == nil
	}

	w.reset()
	c.track(http.StateIdle)

	return reusable
}

func (c *conn) logPanic(p any) {
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http does
		c.server.ErrorLog.Printf("http: panic serving %v: %v\n%s", c.remote, p, debug.Stack())
	}
}

// noticeEnd is called by the watch when the client has closed its direction, or the connection.
func (c *conn) noticeEnd(fd uintptr) {
	c.halfClosed.Store(true)
	c.cancelIfLeft(fd)

	// If it waits for a request, the end may have come with the bytes of the last one.
	_ = c.net.SetReadDeadline(time.Unix(1, 0))
}

// cancelIfLeft cancels the request if its client, which has closed its direction, has nothing more to say.
func (c *conn) cancelIfLeft(fd uintptr) {
	if ctx := c.current.Load(); ctx != nil && !c.more.Load() && hasLeft(fd) {
		ctx.cancel()
	}
}

// hurry ends the connection soon if it has no request.
func (c *conn) hurry() {
	switch state(c.state.Load()) {
	case fresh:
		_ = c.net.SetReadDeadline(time.Now().Add(firstRequestTime))
	case idle:
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	case reading:
		_ = c.net.SetReadDeadline(time.Now().Add(lastHeadTime))
	case serving:
	}
}

// unsent is a [pace.Unsent].
func (c *conn) unsent() (bytes int64, known bool) { return rawsock.Unsent(c.net) }

// cut ends the connection, whatever it has.
func (c *conn) cut() {
	c.isCut.Store(true)
	_ = c.net.SetDeadline(time.Unix(1, 0))
	if ctx := c.current.Load(); ctx != nil {
		ctx.cancel()
	}
}
