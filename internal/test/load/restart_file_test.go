package load_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// However fast restart.txt is touched, no request is lost, and what was there
// at the last touch is what runs in the end.
func TestRestartFileTouchedOften(t *testing.T) {
	const touches = 50
	for _, tt := range []struct {
		name  string
		pause time.Duration
	}{
		{"at once", 0},
		{"in half a second", time.Second / 2 / touches},
	} {
		t.Run(tt.name, func(t *testing.T) { testTouches(t, inGo, touches, tt.pause, clients) })
	}

	if longtests.Enabled() {
		for _, lang := range languages {
			t.Run(lang.name, func(t *testing.T) { testTouches(t, lang, touches, 40*time.Millisecond, 2*batch(t)) })
		}
	}
}

func testTouches(t *testing.T, lang *language, touches int, pause time.Duration, requests int64) {
	t.Helper()
	s := newStand(t, lang, func(o *passenger.Options) { o.StatThrottleRate = -1 })
	l := s.newLoad(t)
	before := s.group(t).Generation

	var last time.Time
	for range touches {
		last = s.touch(t)
		<-time.After(pause)
	}

	s.await(t, func(g *passenger.GroupSnapshot) bool { return !g.Restarting && allStartedSince(g, last) })
	l.awaitMore(t, requests)
	restarts := int(s.group(t).Generation - before)
	require.GreaterOrEqual(t, restarts, 1)
	require.LessOrEqual(t, restarts, touches)
	require.Empty(t, l.end())
	l.report(t, restarts)
}

// touch touches restart.txt and returns when it began to.
func (s *stand) touch(t *testing.T) time.Time {
	t.Helper()
	path := filepath.Join(s.root, "tmp", "restart.txt")
	now := time.Now()
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, os.Chtimes(path, now, now))

	return now
}

// allStartedSince reports whether there are as many processes as there should be, each of which
// was started after that moment.
func allStartedSince(g *passenger.GroupSnapshot, moment time.Time) bool {
	now := enabled(g)
	for i := range now {
		if !now[i].SpawnStarted.After(moment) {
			return false
		}
	}

	return len(now) == processes
}
