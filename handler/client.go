package handler

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/validators"
)

// client is where a request comes from and its response goes to. Nothing else uses the http.ResponseWriter.
type client struct {
	w   http.ResponseWriter
	req *request
	rc  controller // made by control

	// account is what the bodies of the exchange take of the buffer budget.
	account account
	// reader reads the request's body.
	reader pacedBody
	// writing is the pace at which the client has to take the response; nil means that there is none yet.
	writing *pace.Pace
	// spellings are those of the response's fields.
	spellings []httpfield.Spelling
	// status is that of the response; zero means that its head has not been written.
	status int
	// unread reports whether the client may still be sending its body, so that its connection must end with the
	// response.
	unread bool

	// received and sent count the bytes of the bodies.
	received, sent atomic.Int64
	// disconnected reports whether the client has to go, whatever deadline is set later.
	disconnected atomic.Bool
}

func (c *client) control() controller {
	if c.rc.ResponseController == nil {
		c.rc = newController(c.w)
	}

	return c.rc
}

// header is that of the response.
func (c *client) header() http.Header { return c.w.Header() }

// hasResponse reports whether the head of a response was written.
func (c *client) hasResponse() bool { return c.status != 0 }

// closeConnection ends a connection of HTTP/1 with the response: what the client still sends must not be taken for its
// next request.
func (c *client) closeConnection() {
	if c.req.isHTTP1() {
		c.header().Set("Connection", "close")
	}
}

// closeIfAmbiguous ends the connection if a server in front of us may see another end of the request.
func (c *client) closeIfAmbiguous() {
	if c.req.isAmbiguous() {
		c.header().Set("Connection", "close")
	}
}

// writeInterim writes an interim response: early hints, mostly. That the client may send its body is for the server in
// front to say, which has done so. Much middleware takes the first status that it sees for that of the response, so it
// sees none of these. Where the server's own writer cannot be found, they are left out: no client relies on them.
func (c *client) writeInterim(r *response) {
	w := serverOf(c.w)
	if w == nil || r.status == http.StatusContinue || c.req.isBefore11() {
		return
	}

	out := w.Header()
	before := out.Clone()
	r.copyHeader(out)
	// An interim response has no length. With HTTP/2, net/http copies a header that has one; any other it may still be
	// reading in another goroutine when the client has reset the stream.
	out["Content-Length"] = nil
	w.WriteHeader(r.status)
	clear(out)
	maps.Copy(out, before)
}

// writeHead writes the head of the response, with the names as spellings says. Middleware that looks at the header
// before and after sees Go's form.
func (c *client) writeHead(status int) {
	c.status = status
	if len(c.spellings) == 0 || !c.req.isHTTP1() {
		c.w.WriteHeader(status)
		return
	}

	out := c.header()
	respell(out, c.spellings, writesAtOnce(c.w))
	c.w.WriteHeader(status)

	for _, s := range c.spellings {
		if values, there := out[s.Written]; there {
			delete(out, s.Written)
			out[s.Canonical] = values
		}
	}
}

// writesAtOnce reports whether w is a server's own, so that no middleware looks at the header between us and the
// client.
func writesAtOnce(w http.ResponseWriter) bool {
	switch reflect.TypeOf(w).String() {
	case "*http.response", "*front.response", "*scgi.response":
		return true
	}

	return false
}

// serverOf returns the server's own writer below those of middleware; nil means that it cannot be found.
func serverOf(w http.ResponseWriter) http.ResponseWriter {
	for w != nil {
		switch reflect.TypeOf(w).String() {
		case "*http.http2responseWriter", "*http2.responseWriter", "*http3.responseWriter":
			return w
		}

		if writesAtOnce(w) {
			return w
		}

		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}

		w = wrapper.Unwrap()
	}

	return nil
}

// write writes a piece of the body. A client that does not take it in time is as good as gone.
func (c *client) write(piece []byte) error {
	c.beginWrite(len(piece))
	n, err := c.w.Write(piece)
	c.endWrite()
	c.sent.Add(int64(n))

	if err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}

	return nil
}

// writeUntimed writes a short body, with HTTP/1 without a time limit of ours. A client that has gone cannot get it.
func (c *client) writeUntimed(body []byte) {
	c.limitEnd()
	n, _ := c.w.Write(body)
	c.sent.Add(int64(n))
}

// writeFrom writes n bytes of a file, which the kernel copies where it can.
func (c *client) writeFrom(file *os.File, n int64) (written int64, err error) {
	c.beginWrite(int(n))
	written, err = io.CopyN(c.w, file, n)
	c.endWrite()
	c.sent.Add(written)

	if err != nil {
		return written, fmt.Errorf("%w: %w", errClientGone, err)
	}

	return written, nil
}

// writeFile responds with a file, a part of it, or that the client has it already, as the request's header asks.
func (c *client) writeFile(file *sentFile) error {
	w := &fileWriter{client: c}
	w.Writer = pace.Writer{ResponseWriter: c.w, Begin: c.beginWrite, End: w.endWrite}

	modified := file.info.ModTime()
	r := validators.BoundRanges(validators.Exact(c.req.http, modified), file.info.Size())
	http.ServeContent(w, r, file.info.Name(), modified, file.file)

	if w.err != nil {
		return fmt.Errorf("%w: %w", errClientGone, w.err)
	}

	return nil
}

// fileWriter sees what http.ServeContent writes.
type fileWriter struct {
	pace.Writer
	client *client
	err    error
}

func (w *fileWriter) WriteHeader(status int) {
	w.Header()["Status"] = statusField(status)
	w.client.writeHead(status)
}

func (w *fileWriter) endWrite(n int64, err error) {
	w.client.endWrite()
	w.client.sent.Add(n)

	if pace.Failed(err) {
		w.err = err
	}
}

// flush sends the client what the server has buffered. Writers that cannot flush do not hold anything back.
func (c *client) flush() {
	c.account.wait(true)
	defer c.account.proceed()

	if c.writing != nil {
		cfg := &c.req.h.cfg
		c.writing.Begin(time.Now().Add(cfg.stepTime(cfg.clientTime(0))))
		defer c.writing.End()
	}

	_ = c.control().Flush()
}

// finish waits until what was written has left us, as far as there is a time limit for it.
func (c *client) finish() {
	c.limitEnd()
	if c.writing == nil {
		return
	}

	c.flush()

	// Too late to matter: the connection may serve another request.
	if c.writing.Over() {
		c.setWriteDeadline(time.Time{})
	}
}

// waitForSender makes net/http wait for a client that is still sending, as it does where http.MaxBytesReader finds too
// much, which is the only way to say so. A close at once would reset the connection, and cost the client its response.
// Our own server waits by itself.
func (c *client) waitForSender() {
	if !c.req.isHTTP1() || httphead.IsStrict(c.req.ctx) || !c.isClosedAtOnce() {
		return
	}

	if w := serverOf(c.w); w != nil {
		beyond := http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0)
		_, _ = beyond.Read(make([]byte, 1)) // its error is the purpose
	}
}

// isClosedAtOnce reports whether net/http closes the connection of a client that is still sending at once: where the
// client has said that it ends, and where the body is none of those of a known length that are read without being asked
// for.
func (c *client) isClosedAtOnce() bool {
	r := c.req.http
	if r.Close && r.ContentLength > c.received.Load() {
		return true
	}

	return c.unread && (r.ContentLength < 0 || len(r.Header["Expect"]) > 0)
}

// limitEnd limits how long a client of HTTP/2 may take for the end of a response, which its stream keeps until the
// window lets it go. With HTTP/1, it is the server's to write what is in its buffers.
func (c *client) limitEnd() {
	cfg := &c.req.h.cfg
	if s := c.req.server(); c.req.isHTTP1() || !cfg.limitsClients() || s != nil && s.WriteTimeout > 0 {
		return
	}

	c.setWriteDeadline(time.Now().Add(cfg.stepTime(cfg.clientTime(0))))
}

// abort makes sure that a response that ended because of err does not look whole, even where middleware recovers from
// the panic to come, and net/http, or a writer that compresses, would end it in order.
func (c *client) abort(err error) {
	rc := c.control()
	if !errors.Is(err, errClientGone) {
		// The client gets what there is of it.
		c.flush()
	}

	// HTTP/2 resets the stream.
	failed := rc.SetWriteDeadline(past) == nil

	// Without chunks or a length, only a reset tells a broken end from a regular one. Web servers speak HTTP/1.0 to us.
	// Of a client that does not read, the kernel would keep what it has to send for minutes.
	unmarked := c.req.isBefore11() && len(c.header()["Content-Length"]) == 0
	if failed && !unmarked && !errors.Is(err, errClientGone) && !c.writing.Over() {
		return
	}

	pace.Reset(rc)
}

// allowEarlyResponse keeps net/http from reading the rest of the body before it writes a response. Other writers, which
// have no such switch, do not do that.
func (c *client) allowEarlyResponse() { _ = c.control().EnableFullDuplex() }

// abandonBody lets an error be sent although the client may still be sending its request: net/http would wait for the
// rest before the response, and after it.
func (c *client) abandonBody() {
	c.unread = true
	c.allowEarlyResponse()
	c.setReadDeadline(time.Now().Add(abandonTime))
	c.closeConnection()
}

// hijack takes the connection over. buffered has what the client has sent already.
func (c *client) hijack() (conn net.Conn, buffered *bufio.Reader, err error) {
	conn, rw, err := c.control().Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("the connection cannot change its protocol: %w", err)
	}

	return conn, rw.Reader, nil
}

// setReadDeadline and setWriteDeadline bound until when the client's connection may be read and written; zero means for
// ever. There are writers without deadlines.
func (c *client) setReadDeadline(t time.Time) {
	_ = c.control().SetReadDeadline(t)
	if c.disconnected.Load() {
		_ = c.control().SetReadDeadline(past)
	}
}

func (c *client) setWriteDeadline(t time.Time) {
	_ = c.control().SetWriteDeadline(t)
	if c.disconnected.Load() {
		_ = c.control().SetWriteDeadline(past)
	}
}

// past is a deadline that makes whatever waits fail at once.
var past = time.Unix(1, 0)

// openAccount lets the bodies of this client take part of the buffer budget.
func (c *client) openAccount() {
	cfg := &c.req.h.cfg
	c.account.open(cfg.Buffers, cfg.DataBufferDir, c)
}

// reserve takes n bytes of the budget for the request's body.
func (c *client) reserve(part int, n int64) error {
	if n <= 0 {
		return nil
	}

	err := c.account.take(part, n)
	if err == nil {
		return nil
	}

	c.req.h.logBufferError(err)

	return fmt.Errorf("%w: %w", errNoRoom, err)
}

// interrupt makes reading or writing fail. It is for another goroutine, while the exchange waits for its client.
func (c *client) interrupt(writing bool) {
	// This runs in another goroutine, and control makes its controller without a lock.
	rc := newController(c.w)
	if writing {
		_ = rc.SetWriteDeadline(past)
	} else {
		_ = rc.SetReadDeadline(past)
	}
}

// unsent is a [pace.Unsent]. It is for another goroutine, while the exchange waits for its client.
func (c *client) unsent() (bytes int64, known bool) {
	unsent := pace.UnsentOf(c.req.ctx)
	if unsent == nil {
		return 0, false
	}

	return unsent()
}

// disconnect cuts the client's connection. It is for another goroutine, while the exchange cannot end. A tunnel has no
// deadlines: its client goes with the application's connection.
func (c *client) disconnect() {
	c.disconnected.Store(true)
	c.interrupt(false)
	c.interrupt(true)
}
