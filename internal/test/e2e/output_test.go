package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// output collects what a process prints.
type output struct{ printed.Output }

// await waits until text was printed, or fails when it takes too long or ended
// is closed before.
func (o *output) await(t testing.TB, text string, ended <-chan struct{}) {
	t.Helper()

	timeout := time.After(deadline)
	for last := false; ; {
		n, changed := o.Count(text)
		if n > 0 {
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
