// Package headguard lets package net/http have only requests whose heads, and the framing
// of whose bodies, package httphead accepts. net/http is lenient where others are not: what
// it reads in silence in another way than a proxy in front of the server can be used to
// smuggle a request past that one.
//
// A [Guard] wraps connections. What a connection is sent is looked at once, where net/http
// reads it to, and passed on when it is known to be good. In the place of a head that is
// not, net/http gets one of ours, to which [Guard.Handler] responds, so that responses keep
// their order; in the place of a broken chunk, something that net/http takes for one too.
//
// TLS is spoken here as well, below the check. A connection that has agreed on HTTP/2, or
// that begins with its preface, is not looked at; nor is one that was hijacked.
package headguard

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// Guard checks the connections of a server. Its methods are for the fields of an
// [http.Server] that have their names.
type Guard struct {
	// Limits bound heads.
	Limits httphead.Limits
	// HTTP2 lets clients speak HTTP/2 without TLS.
	HTTP2 bool
	// HeaderTimeout is how long a client may take from the first byte of a head on that is
	// not its first; zero means no limit.
	HeaderTimeout time.Duration
	// StallTimeout bounds each write of at most 32 KiB to a connection, and with HTTP/2 also what is still to be
	// written when Handler's next has returned; zero means no limit. Those who write responses bound what they
	// write: this is for what they leave in buffers, and for responses so small that they do not look at the time.
	// A connection that was hijacked has no limit.
	StallTimeout time.Duration
	// Track receives the states of a connection, also that the first byte of a head has
	// come, which net/http does not know then.
	Track func(net.Conn, http.ConnState)
	// Flooded, if it is not nil, is called when a client's frames of HTTP/2 end its connection.
	Flooded func(client net.Addr, reason error)
	// ErrorLog gets handshakes of TLS that fail.
	ErrorLog *log.Logger

	// draining reports whether Drain is in progress.
	draining atomic.Bool
}

// Drain has server end each connection of HTTP/1 with its next response, and close those that wait for a request.
// net/http takes one whose next head has begun for such a connection; it is left open for its request.
func (g *Guard) Drain(server *http.Server) {
	g.draining.Store(true)
	defer g.draining.Store(false)

	server.SetKeepAlivesEnabled(false)
}

// refusedTarget is what net/http gets asked for in the place of what is refused. No client
// can know it.
var refusedTarget = sync.OnceValue(func() string { return "/" + rand.Text() })

// refusedHead has a body that never comes, so that net/http lets the client read the
// response before it closes the connection.
func refusedHead() string {
	return "GET " + refusedTarget() + " HTTP/1.1\r\nHost: refused\r\nContent-Length: " +
		strconv.FormatInt(1<<62, 10) + "\r\n\r\n"
}

// Listener returns the connections of l. They speak TLS if config is not nil.
func (g *Guard) Listener(l net.Listener, config *tls.Config) net.Listener {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{http2, "http/1.1"}
	}

	return &listener{l, g, config}
}

const http2 = "h2"

type listener struct {
	net.Listener

	guard *Guard
	tls   *tls.Config
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	return l.guard.conn(c, l.tls), nil
}

// Conn returns a connection without TLS, of which its first bytes were read before.
func (g *Guard) Conn(c net.Conn, first []byte) net.Conn {
	self := g.conn(c, nil)
	if guarded := unwrap(self); len(first) > 0 {
		guarded.keep(first)
		guarded.checkStash()
	}

	return self
}

func (g *Guard) conn(c net.Conn, config *tls.Config) net.Conn {
	guarded := &Conn{Conn: c, guard: g, first: true}
	if config != nil {
		guarded.tls = tls.Server(c, config)
		guarded.Conn = guarded.tls
	}

	guarded.self = guarded
	if rf, ok := guarded.Conn.(readerFrom); ok {
		guarded.self = &sendingConn{guarded, rf}
	}

	return guarded.self
}

// ConnContext marks a connection's requests as checked.
func (g *Guard) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if guarded := unwrap(c); guarded != nil {
		return pace.WithUnsent(httphead.WithStrict(ctx, guarded), guarded.unsent)
	}

	return ctx
}

// ConnState follows what net/http does with a connection.
func (g *Guard) ConnState(c net.Conn, state http.ConnState) {
	if g.Track != nil {
		g.Track(c, state)
	}

	guarded := unwrap(c)
	if guarded == nil {
		return
	}

	switch state {
	case http.StateIdle:
		guarded.idle()
	case http.StateHijacked:
		guarded.stepAside()
	case http.StateActive:
		guarded.hasBegun.Store(false) // net/http knows it now
	case http.StateNew, http.StateClosed:
	}
}

// Handler responds to what is refused, and passes the rest to next.
func (g *Guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := httphead.StrictReader(r.Context()).(*Conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}

		if c.tls != nil {
			// net/http does not see it.
			r.TLS = c.state
		}

		if r.RequestURI == refusedTarget() {
			if refusal := c.refusal.Load(); refusal != nil {
				respond(w, refusal)
				return
			}
		}

		// A panic cuts the response, and a server that closes its connections waits for none.
		c.lingers.Store(false)
		c.serve(next, w, r)
		c.lingers.Store(r.ProtoMajor == 1)

		if r.ProtoMajor == 2 && g.StallTimeout > 0 {
			// A client whose window is closed keeps the stream for as long as it likes otherwise.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.StallTimeout))
		}
	})
}

// serve passes a request to next. By HTTP/1.0, the end of the connection may be that of the response: should the server
// be killed meanwhile, the kernel resets the connection, so that the response does not look whole.
func (c *Conn) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !r.ProtoAtLeast(1, 1) {
		rawsock.SetLinger(c.Conn, 0)
		defer rawsock.SetLinger(c.Conn, -1)
	}

	next.ServeHTTP(w, r)
}

func respond(w http.ResponseWriter, e *httphead.Error) {
	body := strconv.Itoa(e.Status) + " " + http.StatusText(e.Status) + ": " + e.Reason + "\n"

	// net/http adds the length, and that the connection ends: the request's body has not come.
	head := w.Header()
	head.Set("Content-Type", "text/plain; charset=utf-8")
	head.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status)
	// The client may have gone.
	_, _ = io.WriteString(w, body)
}
