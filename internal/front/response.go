package front

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

const (
	// maxHeld is how much of a body is kept until it is flushed, or the handler is done.
	maxHeld = 16 << 10
	// maxKept is the largest buffer that the next response gets.
	maxKept = 64 << 10
	// sniffSize is how much of a body its type is guessed by.
	sniffSize = 512
)

// response is an http.ResponseWriter for HTTP/1.1. It also implements io.ReaderFrom, io.StringWriter, http.Flusher and
// the methods that http.ResponseController calls.
type response struct {
	conn *conn
	ctx  *requestContext
	// fd is the connection's descriptor, which is open for as long as the request lasts.
	fd     uintptr
	isHead bool

	header http.Header
	names  []string
	// status is zero until the head is known.
	status int
	// head is what there is of the head, and out what was not sent of the body.
	head, out []byte
	// sent reports whether the head was, chunked whether the body goes out in chunks.
	sent, chunked bool
	// length is what the handler has said of the body, -1 for nothing; written counts what it has written.
	length, written int64
	// typed, dated and closing report what the handler's header has.
	typed, dated, closing bool
	// close reports whether the connection ends with the response.
	close bool
	// more reports whether a file follows what is sent.
	more bool
	// timed reports whether there is a time limit for writing.
	timed atomic.Bool
	err   error
}

// Header returns what WriteHeader, or the first Write, sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader takes the status and the header. Interim ones are sent at once.
func (w *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	case w.status != 0:
		return
	case status < http.StatusOK && status != http.StatusSwitchingProtocols:
		w.writeInterim(status)
		return
	}

	w.status, w.length = status, -1
	if text := w.header["Content-Length"]; len(text) > 0 && w.bodyAllowed() {
		n, err := strconv.ParseUint(text[0], 10, 63)
		if err == nil {
			w.length = int64(n)
		}
	}

	w.head = appendStatusLine(w.head, status)
	w.appendHeader()
}

// bodyAllowed reports whether a response with the status has a body, or may say how long it would be.
func (w *response) bodyAllowed() bool {
	return w.status >= http.StatusOK && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

func (w *response) writeInterim(status int) {
	w.head = appendStatusLine(w.head, status)
	for _, name := range w.sortedNames() {
		if name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}

		for _, value := range w.header[name] {
			w.head = appendField(w.head, name, value)
		}
	}

	w.send(append(w.head, "\r\n"...))
	w.head = w.head[:0]
}

func appendStatusLine(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')

	text := http.StatusText(status)
	if text == "" {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(status), 10)
	}

	b = append(b, text...)

	return append(b, "\r\n"...)
}

// appendField writes a field. What would end its line becomes a space.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	from := len(b)
	b = append(b, value...)

	for i := from; i < len(b); i++ {
		if b[i] == '\r' || b[i] == '\n' {
			b[i] = ' '
		}
	}

	return append(b, "\r\n"...)
}

func (w *response) sortedNames() []string {
	w.names = w.names[:0]
	for name := range w.header {
		w.names = append(w.names, name)
	}

	slices.Sort(w.names)

	return w.names
}

// appendHeader adds the handler's fields to the head, but for those that say how the body ends.
func (w *response) appendHeader() {
	for _, name := range w.sortedNames() {
		values := w.header[name]
		switch name {
		case "Content-Length":
			continue
		case "Transfer-Encoding":
			// The one that counts is known when the body is.
			continue
		case "Content-Type":
			w.typed = true
			if w.status == http.StatusNotModified {
				continue
			}
		case "Content-Encoding":
			w.typed = w.typed || len(values) > 0 && values[0] != ""
		case "Date":
			w.dated = true
		case "Connection":
			w.closing = httpfield.HasToken(values, "close")
			w.close = w.close || w.closing
		}

		if strings.HasPrefix(name, http.TrailerPrefix) || !httpfield.IsToken(name) {
			continue
		}

		for _, value := range values {
			w.head = appendField(w.head, name, value)
		}
	}
}

// endHead adds what is known only now: the type of a body that begins with begin, its length, and what becomes of the
// connection. whole reports whether begin is all of the body.
func (w *response) endHead(begin []byte, whole bool) {
	w.sent = true
	if !w.typed && w.bodyAllowed() && len(begin) > 0 {
		w.head = appendField(w.head, "Content-Type", http.DetectContentType(begin[:min(len(begin), sniffSize)]))
	}

	if !w.dated {
		w.head = append(w.head, date()...)
	}

	w.close = w.close || w.conn.server.draining.Load()
	if w.close && !w.closing {
		w.head = append(w.head, "Connection: close\r\n"...)
	}

	if whole && w.length < 0 && (!w.isHead || w.written > 0 && w.written <= maxHeld) {
		w.length = w.written
	}

	switch {
	case !w.bodyAllowed():
	case w.length >= 0:
		w.head = append(w.head, "Content-Length: "...)
		w.head = strconv.AppendInt(w.head, w.length, 10)
		w.head = append(w.head, "\r\n"...)
	case !w.isHead:
		w.chunked = true
		w.head = append(w.head, "Transfer-Encoding: chunked\r\n"...)
	}

	w.head = append(w.head, "\r\n"...)
}

// Write fails with http.ErrBodyNotAllowed where the status has no body, and with http.ErrContentLength beyond the
// length that the header has.
func (w *response) Write(p []byte) (int, error) {
	if err := w.begin(int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}

	if w.isHead {
		// What guesses the type may need it.
		if len(w.out) < sniffSize && !w.sent {
			w.out = append(w.out, p[:min(len(p), sniffSize)]...)
		}

		return len(p), w.err
	}

	if len(w.out)+len(p) <= maxHeld {
		w.out = append(w.out, p...)
		return len(p), w.err
	}

	w.sendBody(p)
	if w.err != nil {
		return 0, w.err
	}

	return len(p), nil
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// begin makes sure that n more bytes may be written.
func (w *response) begin(n int64) error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}

	switch {
	case w.err != nil:
		return w.err
	case n == 0:
		return nil
	case !w.bodyAllowed():
		return http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+n > w.length:
		return http.ErrContentLength
	}

	w.written += n

	return nil
}

// sendBody sends what was held, and p behind it.
func (w *response) sendBody(p []byte) {
	if !w.sent {
		begin := w.out
		if len(begin) == 0 {
			begin = p
		}

		w.endHead(begin, false)
	}

	n := len(w.out) + len(p)
	if n > 0 && w.chunked {
		w.head = strconv.AppendInt(w.head, int64(n), 16)
		w.head = append(w.head, "\r\n"...)
	}

	w.head = append(w.head, w.out...)
	w.out = w.out[:0]

	// One call for all of it, and a copy only of what is small.
	if len(w.head)+len(p) <= maxKept {
		w.head = append(w.head, p...)
		p = nil
	}

	end := ""
	if n > 0 && w.chunked {
		end = "\r\n"
	}

	if p == nil {
		w.send(append(w.head, end...))
	} else {
		w.sendAll(net.Buffers{w.head, p, []byte(end)})
	}

	w.head = w.head[:0]
}

// Flush sends what was written.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what was written, and says why it cannot.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}

	if !w.sent || len(w.out) > 0 && !w.isHead {
		w.sendHeld()
	}

	return w.err
}

// sendHeld sends what was held.
func (w *response) sendHeld() {
	if w.isHead {
		w.sendHeadOnly(false)
		return
	}

	w.sendBody(nil)
}

// sendHeadOnly sends the response to a request that wants no body.
func (w *response) sendHeadOnly(whole bool) {
	if !w.sent {
		w.endHead(w.out, whole)
		w.send(w.head)
		w.head = w.head[:0]
	}
}

// ReadFrom writes what src has: a file without copying it, if its length is known.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if err := w.begin(0); err != nil {
		return 0, err
	}

	to, ok := w.conn.net.(io.ReaderFrom)
	limited, isLimited := src.(*io.LimitedReader)
	if !ok || !isLimited || w.isHead || !w.bodyAllowed() || w.length < 0 || !w.typed ||
		limited.N > w.length-w.written {
		return io.Copy(writerOnly{w}, src)
	}

	if !w.sent || len(w.out) > 0 {
		w.more = true
		w.sendBody(nil)
		w.more = false
	}

	if w.err != nil {
		return 0, w.err
	}

	n, err := to.ReadFrom(src)
	w.written += n
	w.fail(err)

	return n, err
}

type writerOnly struct{ io.Writer }

// finish sends the rest, and reports whether the connection may have another request.
func (w *response) finish() (reusable bool) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}

	switch {
	case w.isHead:
		w.sendHeadOnly(true)
	case !w.sent:
		w.sendWhole()
	default:
		w.sendEnd()
	}

	short := !w.isHead && w.bodyAllowed() && w.length >= 0 && w.written < w.length

	return w.err == nil && !w.close && !short
}

// sendWhole sends a response of which nothing was sent before.
func (w *response) sendWhole() {
	w.endHead(w.out, true)
	w.head = append(w.head, w.out...)
	w.send(w.head)
}

// sendEnd sends the rest of a body.
func (w *response) sendEnd() {
	if len(w.out) > 0 {
		w.sendBody(nil)
	}

	if w.chunked {
		w.send([]byte("0\r\n\r\n"))
	}
}

// SetReadDeadline is about the request's body, which has come. A time that has passed ends the request as if its client
// had left, as it does with net/http.
func (w *response) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		w.ctx.cancel()
	}

	return nil
}

// SetWriteDeadline is about the response; when it has passed no more can be written.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.timed.Store(!t.IsZero())
	return w.conn.net.SetWriteDeadline(t)
}

// EnableFullDuplex changes nothing: the request's body has come before.
func (*response) EnableFullDuplex() error { return nil }

// Hijack takes the connection, which can be closed, and not be read or written.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.close, w.err = true, http.ErrHijacked
	c := &taken{w.conn.net, w.conn}

	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// taken is a connection that a handler has hijacked. It is closed when the handler has returned: until then, who awaits
// its next request holds its descriptor.
type taken struct {
	net.Conn
	conn *conn
}

// SetLinger with zero makes Close reset the connection.
func (t *taken) SetLinger(seconds int) error {
	t.conn.resets = seconds == 0
	return nil
}

func (*taken) Read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (*taken) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (*taken) Close() error              { return nil }

// reset makes w ready for another request.
func (w *response) reset() {
	clear(w.header)
	clear(w.names)
	*w = response{
		header: w.header,
		names:  w.names[:0],
		head:   keep(w.head),
		out:    keep(w.out),
	}
}

// keep returns b for another use, if it is not too large.
func keep(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}

	return b[:0]
}

// dateField is the field Date of one second.
type dateField struct {
	second int64
	text   []byte
}

var lastDate atomic.Pointer[dateField]

// date returns the field Date.
func date() []byte {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}

	d := &dateField{second: now.Unix()}
	d.text = now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")
	lastDate.Store(d)

	return d.text
}
