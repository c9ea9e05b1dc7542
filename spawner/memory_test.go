package spawner_test

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/spawner"
)

// An application prints much more than memory may grow before it serves.
// Faults: A6.
func TestFloodWhileStartingTakesLittleMemory(t *testing.T) {
	// One that discards is none, in place of which the default one prints.
	f := newFixture(t, func(c *spawner.Config) { c.Logger = funcr.New(func(_, _ string) {}, funcr.Options{}) })
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var maxSys atomic.Uint64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()

		for {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&now)
				maxSys.Store(max(maxSys.Load(), now.Sys))
			case <-stop:
				return
			}
		}
	}()
	a := app(t, "flood", "bytes="+strconv.Itoa(longtests.Rounds(t, 25<<20, 50<<20))) // on each stream
	a.StartTimeout = 3 * patience
	p := f.start(t, a)
	close(stop)
	<-done
	require.Less(t, maxSys.Load(), before.Sys+32<<20)
	body, err := get(t, p, "/")
	require.NoError(t, err)
	require.Equal(t, "hello", body)
}

// TestOutputIsCut has an application that prints a lot and then ends.
func TestOutputIsCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	a.StartCommand = []string{"sh", "-c", `head -c 1000000 /dev/zero | tr '\0' x; echo the end; exit 5`}
	e := f.fail(t, a)
	require.Equal(t, "exit status 5", e.ExitStatus)
	require.Len(t, e.Output, spawner.MaxCapturedOutput)
	require.Equal(t, int64(1000000+len("the end\n")-spawner.MaxCapturedOutput), e.OutputDropped)
	require.Contains(t, e.Output, "the end\n")
}

// TestIdleProcessesTakeNoThread: the wait for a process is the poller's.
func TestIdleProcessesTakeNoThread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs pidfd")
	}

	f := newFixture(t)
	before := threads(t)

	const n = 10
	for range n {
		f.start(t, app(t, "http"))
	}

	require.Less(t, threads(t), before+n)
}

// Faults: B16.
func TestFloodWhileTheLogIsStuckStopsNoRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.log.block = make(chan struct{})
	p := f.start(t, app(t, "flood", "bytes="+strconv.Itoa(8<<20)))
	body, err := get(t, p, "/")
	require.NoError(t, err, "a log that is stuck holds no request up")
	require.Equal(t, "hello", body)
	close(f.log.block)
	p.Stop(t.Context())
	require.Eventually(t, func() bool { return len(f.log.lines("droppedBytes")) > 0 }, patience, time.Millisecond)
	require.Less(t, len(f.log.String()), 8<<20)
}
