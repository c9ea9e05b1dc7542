// Package printed collects what processes print, for tests that wait for it.
package printed

import (
	"bytes"
	"sync"
)

// Output is an io.Writer that keeps all of it. The zero value is ready. It is
// safe for concurrent use.
type Output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}

	return o.buf.Write(b)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Count counts a text, and returns what is closed when there is more to look at.
func (o *Output) Count(text string) (n int, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}

	return bytes.Count(o.buf.Bytes(), []byte(text)), o.changed
}
