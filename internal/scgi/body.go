package scgi

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var longAgo = time.Unix(1, 0)

// requestBody is the body of a request, and who looks after the connection when
// it has arrived.
type requestBody struct {
	in     *input
	cancel context.CancelFunc

	reading sync.Mutex // guards in
	closed  atomic.Bool
	err     error

	mu       sync.Mutex // guards what follows, and the read deadline
	arrived  bool
	ended    bool
	watching sync.WaitGroup
}

// Read fails with io.ErrUnexpectedEOF where the connection ends before the body
// does, and cancels the request's context then.
func (b *requestBody) Read(p []byte) (n int, err error) {
	b.reading.Lock()
	defer b.reading.Unlock()

	switch {
	case b.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}

	n, err = b.in.read(p)
	switch {
	case err == nil:
	case err == io.EOF: //nolint:errorlint // it is input's own
		b.err = err
	case os.IsTimeout(err):

		// The deadline may be moved.
	default:
		b.err = err
		b.cancel()
	}

	b.watchIfArrived()

	return n, err
}

// Close makes further reads fail. The rest is read after the response.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// watchIfArrived needs the reading lock.
func (b *requestBody) watchIfArrived() {
	if b.in.unread > 0 || b.err != nil && b.err != io.EOF { //nolint:errorlint // it is input's own
		return
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrived || b.ended {
		return
	}

	// The deadline for the body must not end the watch.
	b.arrived = true
	if b.in.conn.SetReadDeadline(time.Time{}) != nil {
		b.cancel()
		return
	}

	// The handler reads no more, and would not notice that the client has gone.
	b.watching.Go(func() {
		// A deadline is one of end, after which the context is of no use.
		if err := b.in.watch(); err == nil || !os.IsTimeout(err) {
			b.cancel()
		}
	})
}

// setDeadline is for reading the body, so not for watching the connection.
func (b *requestBody) setDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrived || b.ended {
		return nil
	}

	return b.in.conn.SetReadDeadline(t)
}

// end makes reads fail and waits until no read uses the input.
func (b *requestBody) end() {
	b.closed.Store(true)
	b.mu.Lock()
	b.ended = true

	// An error means that it is closed, so no reader waits for it.
	_ = b.in.conn.SetReadDeadline(longAgo)
	b.mu.Unlock()
	b.watching.Wait()
	// The reader who has it sees the deadline.
	b.reading.Lock()
	b.reading.Unlock() //nolint:staticcheck // SA2001: those who come later see closed
}
