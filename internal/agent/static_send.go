package agent

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/front"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/pace"
)

const (
	// freelyWritten is how much of a response is written without a look at the time: what the buffers of the server
	// take.
	freelyWritten = 2 << 10
	// copiedFile is up to which size a file is copied, so that its bytes leave with the head, by one system call.
	copiedFile = 3 << 10
)

// staticBuffers are for files that are not sent by the kernel.
var staticBuffers = sync.Pool{New: func() any { return new([pace.Piece]byte) }}

// staticWriter writes a static file, with a limit for the time that the client takes for each piece.
type staticWriter struct {
	http.ResponseWriter

	control *http.ResponseController
	// timeout is the limit; 0 or less means none.
	timeout time.Duration
	// unsent says what the client has not taken of what was written; nil means that nothing does.
	unsent pace.Unsent
	// headFirst means that the server lets the kernel send a file only when the head has gone out.
	headFirst bool

	// begun is how much is written or being written, and written how much was.
	begun   int64
	written atomic.Int64
	// watch is nil until there is something to watch.
	watch *pace.Watch

	mu sync.Mutex
	// file is the one that the kernel is sending, from start on; nil means none.
	file  *openedFile
	start int64
}

// newStaticWriter returns a writer for a response. end has to follow the last write.
func newStaticWriter(w http.ResponseWriter, r *http.Request, timeout time.Duration) *staticWriter {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)

	// The server's own deadline is set on the same connection, and ours would take its place.
	if ok && server.WriteTimeout > 0 {
		timeout = 0
	}

	// Our own server sends both together.
	_, byFront := httphead.StrictReader(r.Context()).(*front.Server)

	return &staticWriter{
		ResponseWriter: w,
		control:        http.NewResponseController(w),
		timeout:        timeout,
		unsent:         pace.UnsentOf(r.Context()),
		headFirst:      ok && !byFront && r.TLS == nil && r.ProtoMajor == 1,
	}
}

// begin begins a write.
func (w *staticWriter) begin(bytes int64) {
	w.begun += bytes
	if w.watch == nil && w.timeout > 0 && w.begun > freelyWritten {
		w.watch = pace.NewWatch(w.control, w.timeout, w.progress)
	}
}

func (w *staticWriter) progress() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()

	done := w.written.Load()
	if w.file != nil {
		done += w.file.position() - w.start
	}

	if w.unsent != nil {
		left, _ := w.unsent()
		done -= left
	}

	return done
}

// end waits until what was written has left the server, as far as there is a limit for it.
func (w *staticWriter) end() {
	if w.watch == nil {
		return
	}

	// What the server has buffered is the last write.
	_ = w.control.Flush()
	if w.watch.End() {
		// The client has not read for too long, and the kernel would keep the rest for it for minutes.
		pace.Reset(w.control)
	}
}

// Unwrap is for [http.ResponseController].
func (w *staticWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes p.
func (w *staticWriter) Write(p []byte) (int, error) {
	w.begin(int64(len(p)))
	n, err := w.ResponseWriter.Write(p)
	w.written.Add(int64(n))

	return n, err
}

// ReadFrom lets the kernel send a file, where it can.
func (w *staticWriter) ReadFrom(r io.Reader) (int64, error) {
	limited, _ := r.(*io.LimitedReader)
	if limited != nil && limited.N > copiedFile && w.watch == nil {
		if file, ok := limited.R.(*openedFile); ok {
			return w.send(file, limited)
		}
	}

	buffer := staticBuffers.Get().(*[pace.Piece]byte) //nolint:forcetypeassert,errcheck // New makes nothing else
	defer staticBuffers.Put(buffer)

	// The struct hides ReadFrom, by which io.CopyBuffer would come back to this method.
	return io.CopyBuffer(struct{ io.Writer }{w}, r, buffer[:])
}

// send sends a part of a file.
func (w *staticWriter) send(file *openedFile, part *io.LimitedReader) (int64, error) {
	w.sending(file)
	// It may be closed before the watch looks for the last time.
	defer w.sending(nil)
	w.begin(part.N)

	if w.headFirst {
		// Package net/http would read the beginning, to guess a type that is known.
		if err := w.control.Flush(); err != nil {
			return 0, err
		}
	}

	n, err := io.Copy(w.ResponseWriter, part)
	w.written.Add(n)

	return n, err
}

// sending notes which file the kernel sends from here on; nil means none.
func (w *staticWriter) sending(file *openedFile) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.file = file; file != nil {
		w.start = file.next()
	}
}
