package e2e_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output collects what a process prints.
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

// await waits until text was printed, or fails when it takes too long or ended
// is closed before.
func (o *output) await(t testing.TB, text string, ended <-chan struct{}) {
	t.Helper()
	timeout := time.After(deadline)
	for last := false; ; {
		o.mu.Lock()
		found := strings.Contains(o.buf.String(), text)
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if found {
			return
		}
		require.False(t, last, "the process ended before it printed %q: %s", text, o)
		select {
		case <-changed:
		case <-ended:
			last = true
		case <-timeout:
			require.FailNow(t, "not printed: "+text, o.String())
		}
	}
}
