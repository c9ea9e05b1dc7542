// Package printed collects what processes print, for tests that wait for it.
package printed

import (
	"bytes"
	"fmt"
	"sync"
	"time"
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

// TB is what *testing.T and *testing.B are.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// deadline is for what has to be printed. A machine that is busy takes long to start an interpreter.
const deadline = time.Minute

// Await waits until a text was printed n times. The test ends if that takes too long, or if the process has
// ended before, which closes ended.
func (o *Output) Await(t TB, text string, times int, ended <-chan struct{}) {
	t.Helper()

	timeout := time.After(deadline)
	for last := false; ; {
		n, changed := o.Count(text)
		if n >= times {
			return
		}

		if last {
			t.Fatal(fmt.Sprintf("the process ended before it printed %q %d times: %s", text, times, o))
		}

		select {
		case <-changed:
		case <-ended:
			last = true
		case <-timeout:
			t.Fatal(fmt.Sprintf("%q was printed %d times of %d: %s", text, n, times, o))
		}
	}
}
