//go:build linux

package faults_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output collects what the server prints, its log included.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// count counts a text, and returns what is closed when there may be more.
func (o *output) count(text string) (n int, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return bytes.Count(o.buf.Bytes(), []byte(text)), o.changed
}

// await waits until text has been printed so many times.
func (s *server) await(t testing.TB, text string, times int) {
	t.Helper()
	timeout := time.After(deadline)
	for last := false; ; {
		n, changed := s.log.count(text)
		if n >= times {
			return
		}
		require.False(t, last, "the server ended before it printed %q: %s", text, &s.log)
		select {
		case <-changed:
		case <-s.ended:
			last = true
		case <-timeout:
			require.FailNow(t, "not printed: "+text, "%d times of %d\n%s", n, times, &s.log)
		}
	}
}

// lines are the lines of the log that have all the texts.
func (s *server) lines(texts ...string) (found []string) {
lines:
	for line := range strings.Lines(s.log.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}
