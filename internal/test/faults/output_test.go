//go:build linux

package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// output collects what the server prints, its log included.
type output = printed.Output

// await waits until text has been printed so many times.
func (s *server) await(t testing.TB, text string, times int) {
	t.Helper()

	timeout := time.After(deadline)
	for last := false; ; {
		n, changed := s.log.Count(text)
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
