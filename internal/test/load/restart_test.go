package load_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/spawner"
)

// Each language is restarted three times under load; in a long run, until 20,000 requests were served.
// Faults: P1.
func TestRollingRestart(t *testing.T) {
	const minRestarts = 3

	minRequests := int64(longtests.Rounds(t, 600, 20_000))
	pause := minRequests / 5 // between restarts, so that these do not take all of the processors

	for _, lang := range languages {
		t.Run(lang.name, func(t *testing.T) {
			s := newStand(t, lang)
			first := s.pids(t)
			l := s.newLoad(t)

			restarts := 0
			for restarts < minRestarts || l.requests.Load() < minRequests {
				s.restart(t)
				restarts++
				l.awaitMore(t, pause)
			}

			require.Empty(t, l.end())

			for _, pid := range s.pids(t) {
				require.NotContains(t, first, pid)
			}

			l.report(t, restarts)
		})
	}
}

// New processes that do not start leave the old ones where they are.
func TestRestartThatFails(t *testing.T) {
	requests := batch(t)
	for _, lang := range some() {
		t.Run(lang.name, func(t *testing.T) {
			s := newStand(t, lang)
			old := s.pids(t)
			l := s.newLoad(t)
			l.awaitMore(t, requests)
			s.breakApp(t)

			for range 2 {
				err := s.tryRestart(t)
				var resisted *passenger.DeploymentError
				require.ErrorAs(t, err, &resisted)
				var cause *spawner.SpawnError
				require.ErrorAs(t, resisted.Err, &cause)
				require.NotNil(t, s.group(t).DeploymentError)
				l.awaitMore(t, requests)
				require.Equal(t, old, s.pids(t))
			}

			s.mend(t)
			s.restart(t)
			require.Nil(t, s.group(t).DeploymentError)
			l.awaitMore(t, requests)
			require.Empty(t, l.end())
			l.report(t, 3)
		})
	}
}
