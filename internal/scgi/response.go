package scgi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// outputSize is how much of a response is kept until it is flushed.
	outputSize = 4 << 10
	copySize   = 32 << 10
	sniffSize  = 512
)

var outputs = sync.Pool{New: func() any {
	b := make([]byte, outputSize)
	return &b
}}

var copyBuffers = sync.Pool{New: func() any {
	b := make([]byte, copySize)
	return &b
}}

// response is an http.ResponseWriter. It also implements http.Flusher,
// io.StringWriter, io.ReaderFrom, and of http.ResponseController everything but
// Hijack.
type response struct {
	conn   net.Conn
	body   *requestBody
	log    logr.Logger
	header http.Header
	isHead bool

	// mu lets a handler's goroutine that has outlived it do no harm.
	mu       sync.Mutex
	status   int // zero means none yet
	head     responseHead
	own      *[]byte // the pool's
	out      []byte  // of the body, what was not sent
	sent     bool    // the head was
	length   int64   // as the handler said, or -1
	written  int64   // of the body, also where it is not sent
	finished bool
	err      error
}

func newResponse(c net.Conn, body *requestBody, isHead bool, log logr.Logger) *response {
	return &response{
		conn:   c,
		body:   body,
		log:    log,
		isHead: isHead,
		header: http.Header{},
		length: -1,
	}
}

// Header returns what WriteHeader, or the first Write, sends.
func (w *response) Header() http.Header { return w.header }

// WriteHeader takes the status and the header. Informational ones cannot be sent,
// except that 101 is the end, as an error: there is nothing to change to.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *response) writeHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("scgi: the status %d is not of three digits", status))
	}

	switch {
	case w.finished:
		return
	case w.status != 0:
		w.log.Info("a handler of SCGI requests has set the status again", "status", status, "before", w.status)
		return
	case status == http.StatusSwitchingProtocols:
		w.log.Info("a handler of SCGI requests wanted to change the protocol, which HTTP alone can: use proxy_pass " +
			"or mod_proxy_http")
		status = http.StatusNotImplemented
		// What the handler has set is for the change of the protocol.
		w.header = http.Header{}
	case status < http.StatusOK:
		return
	}

	w.status = status
	w.head = newResponseHead(status, w.header, w.log)
	w.length = w.head.length
	w.own, _ = outputs.Get().(*[]byte)
	w.out = (*w.own)[:0]
}

// Write fails with http.ErrBodyNotAllowed where the status has no body, and with
// http.ErrContentLength beyond the length that the header has.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write(p)
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *response) write(p []byte) (int, error) {
	switch {
	case w.finished:
		return 0, net.ErrClosed
	case w.status == 0:
		w.writeHeader(http.StatusOK)
	}

	switch {
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case !w.head.bodyAllowed:
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}

	w.head.sniff(p)
	w.written += int64(len(p))
	if w.isHead {
		return len(p), nil
	}

	if len(w.out)+len(p) <= cap(w.out) {
		w.out = append(w.out, p...)
		return len(p), nil
	}

	return w.send(p)
}

// send sends what there is, and p.
func (w *response) send(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}

	before := w.out
	w.out = w.out[:0]
	if !w.sent {
		w.sent = true
		before = append(w.head.bytes(), before...)
	}

	var n int64

	var err error
	switch {
	case len(p) == 0 && len(before) == 0:
		return 0, nil
	case len(p) == 0:
		_, err = w.conn.Write(before)
	default:
		pieces := net.Buffers{before, p}
		n, err = pieces.WriteTo(w.conn)
	}

	if err != nil {
		w.fail(err)
		return max(0, int(n)-len(before)), err
	}

	return len(p), nil
}

// fail ends a response whose reader has gone, or is too slow.
func (w *response) fail(err error) {
	w.err = err
	w.body.cancel()
}

// Flush sends what was written.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what was written, and says why it cannot.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *response) flush() error {
	if w.finished {
		return net.ErrClosed
	}

	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}

	_, err := w.send(nil)

	return err
}

// SetReadDeadline is about the request's body, and nothing once that has arrived.
func (w *response) SetReadDeadline(t time.Time) error { return w.body.setDeadline(t) }

// SetWriteDeadline is about the response; when it has passed no more can be written.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

// EnableFullDuplex changes nothing: the body can always be read while the response is
// written.
func (*response) EnableFullDuplex() error { return nil }

// ReadFrom writes what src has, a file without copying it where the system can.
func (w *response) ReadFrom(src io.Reader) (total int64, err error) {
	buf, _ := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	if f, n := fileOf(src); f != nil {
		if total, err = w.readFromFile(src, f, n, (*buf)[:sniffSize]); err != nil {
			return total, err
		}
	}

	// The types hide ReadFrom and WriteTo, by which the copy would come back here.
	n, err := io.CopyBuffer(writerOnly{w}, readerOnly{src}, *buf)

	return total + n, err
}

type (
	writerOnly struct{ io.Writer }
	readerOnly struct{ io.Reader }
)

// readFromFile writes the beginning of a file, whose type may have to be guessed,
// as anything else, and then as much of the rest as it can without copying.
func (w *response) readFromFile(src io.Reader, f *fileReader, n int64, buf []byte) (total int64, err error) {
	begin, err := io.ReadFull(src, buf)
	if begin > 0 {
		if _, err := w.Write(buf[:begin]); err != nil {
			return 0, err
		}

		total = int64(begin)
	}

	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // they are ReadFull's own
		return total, nil
	}

	if err != nil {
		return total, err
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished || w.isHead {
		return total, nil
	}

	// The head, and what was written before, come before the file.
	if err := w.flush(); err != nil {
		return total, err
	}

	n -= int64(begin)
	// As in Write, no more than the header says.
	if w.length >= 0 {
		n = min(n, w.length-w.written)
	}

	sent, err := sendFile(w.conn, f.openFile, n)
	f.advance(sent)
	w.written += sent
	if err != nil {
		w.fail(err)
	}

	return total + sent, err
}

// finish sends the rest, and reports whether the response is complete. The handler
// has returned.
func (w *response) finish() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}

	defer w.end()

	short := w.length >= 0 && w.written < w.length && !w.isHead
	switch {
	case short:
		w.log.Info("a handler of SCGI requests has written less than it said", "length", w.length, "written", w.written)
		return false
	case !w.sent && w.length < 0 && !w.isHead && w.head.bodyAllowed:
		// All of the body is still in the buffer, so that its length is known.
		w.head.writeLength(w.written)
	}

	_, err := w.send(nil)

	return err == nil
}

// discard ends the request without a response, or without its rest.
func (w *response) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

func (w *response) end() {
	w.finished = true
	if w.own != nil {
		outputs.Put(w.own)
		w.own, w.out = nil, nil
	}
}
