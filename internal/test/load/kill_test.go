package load_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// Killing processes harms the requests that they have, and no others. A long run kills for 20 s.
// Faults: P2.
func TestKillProcesses(t *testing.T) {
	const (
		every    = 100 * time.Millisecond
		recovery = time.Second
	)

	duration := time.Duration(longtests.Rounds(t, 2, 20)) * time.Second
	s := newStand(t, inGo)
	l := s.newBusyLoad(t, 0) // so that the processes have requests when they are killed
	kills, inFlight := 0, 0
	tick := time.NewTicker(every)
	defer tick.Stop()

	for end := time.Now().Add(duration); time.Now().Before(end); {
		<-tick.C
		if n, killed := s.kill(t); killed {
			kills++
			inFlight += n
		}
	}

	ended := time.Now()
	s.await(t, func(g *passenger.GroupSnapshot) bool { return len(enabled(g)) == processes })
	recovered := time.Since(ended)
	failures := l.end()
	l.report(t, 0)
	t.Logf("%d processes killed with %d requests in flight, recovered after %s", kills, inFlight, recovered)
	require.LessOrEqual(t, len(failures), inFlight)

	for _, f := range failures {
		// 0 is a connection that was cut.
		require.Contains(t, []int{0, http.StatusBadGateway}, f.status, f)
	}

	require.Less(t, recovered, recovery)
}

// kill kills a random process and returns how many requests it had from a look
// right before the signal until it was gone. That includes the few that ended
// well before the signal arrived, and those that came before the process was
// really dead, which the pool cannot know of.
func (s *stand) kill(t *testing.T) (inFlight int, killed bool) {
	t.Helper()

	// A process that has not served anybody yet counts as one that did not
	// start, and the pool takes its time before it tries again.
	candidates := slices.DeleteFunc(enabled(s.group(t)),
		func(p passenger.ProcessSnapshot) bool { return p.Processed == 0 })
	if len(candidates) == 0 {
		return 0, false
	}

	victim := candidates[rand.IntN(len(candidates))]

	// With a session of ours the dead process stays in the pool's account.
	opts := s.opts
	opts.StickySessionID = victim.StickyID
	session, err := s.pool.Get(t.Context(), &opts)
	require.NoError(t, err)
	defer session.Close(passenger.Discard)
	if session.GUPID() != victim.GUPID {
		return 0, false
	}

	look := func(g *passenger.GroupSnapshot) *passenger.ProcessSnapshot {
		i := slices.IndexFunc(g.Processes, func(p passenger.ProcessSnapshot) bool { return p.GUPID == victim.GUPID })
		require.GreaterOrEqual(t, i, 0)
		return &g.Processes[i]
	}
	before := look(s.group(t))
	require.NoError(t, syscall.Kill(victim.PID, syscall.SIGKILL))
	s.await(t, func(g *passenger.GroupSnapshot) bool {
		now := look(g)
		inFlight = int(now.Processed - before.Processed)
		return now.Exited && now.Sessions == 1
	})

	return inFlight, true
}
