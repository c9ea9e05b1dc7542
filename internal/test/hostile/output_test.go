package hostile_test

import (
	"bytes"
	"strings"
	"sync"
)

// output collects what a process prints.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	select {
	case o.changed <- struct{}{}:
	default:
	}

	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await reports whether text was printed before done is closed.
func (o *output) await(text string, done <-chan struct{}) bool {
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.changed:
		case <-done:
			return strings.Contains(o.String(), text)
		}
	}

	return true
}
