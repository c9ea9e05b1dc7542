package companion_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/companion"
	"github.com/gopassenger/passenger/spawner"
)

// stage has companions that are played.
type stage struct {
	*companion.Set

	mu     sync.Mutex
	played []*played
	log    []string
	refuse bool
}

// played is a process that ends when it is asked to, unless it is deaf, or when the test says.
type played struct {
	info         spawner.Info
	name, root   string
	deaf         bool
	once         sync.Once
	exited       chan struct{}
	status       string
	began, ended time.Time
}

func (p *played) Info() *spawner.Info     { return &p.info }
func (p *played) Exited() <-chan struct{} { return p.exited }
func (p *played) ExitStatus() string      { return p.status }

func (p *played) end(status string) {
	p.once.Do(func() {
		p.status, p.ended = status, time.Now()
		close(p.exited)
	})
}

// stopTimeout is that of played companions.
const stopTimeout = 10 * time.Second

func (p *played) Stop(ctx context.Context) {
	if !p.deaf {
		p.end("signal: terminated")
	}

	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
	case <-ctx.Done():
	}

	p.end("signal: killed")
}

func (p *played) lives() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func newStage(t *testing.T, deaf bool) *stage {
	t.Helper()
	s := &stage{}
	s.Set = companion.New(companion.Config{
		App: "shop",
		Start: func(_ context.Context, root string, spec *companion.Spec, _ int) (spawner.Process, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.refuse {
				return nil, errors.New("refused")
			}

			p := &played{name: spec.Name, root: root, deaf: deaf, exited: make(chan struct{}), began: time.Now()}
			p.info.PID = len(s.played) + 1
			s.played = append(s.played, p)

			return p, nil
		},
		Logger: funcr.New(func(_, args string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.log = append(s.log, args)
		}, funcr.Options{}),
		SelfChecks: true,
	})
	t.Cleanup(func() { s.Stop(context.Background()) })

	return s
}

// live are the processes that run, by name and release.
func (s *stage) live() (names []string) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, p := range s.played {
		if p.lives() {
			names = append(names, p.name+"@"+p.root)
		}
	}

	slices.Sort(names)

	return names
}

func (s *stage) last() *played {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.played[len(s.played)-1]
}

func (s *stage) logged(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, line := range s.log {
		if strings.Contains(line, part) {
			n++
		}
	}

	return n
}

func (s *stage) states() (states []string) {
	synctest.Wait()

	for _, c := range s.Inspect() {
		states = append(states, c.State)
	}

	return states
}

func specs(t *testing.T, object map[string]any) companion.Specs {
	t.Helper()
	parsed, err := companion.Parse(object)
	require.NoError(t, err)

	return parsed
}

// worker is an object with one companion that has these settings.
func worker(settings ...any) map[string]any {
	object := map[string]any{"command": "work"}
	for i := 0; i < len(settings); i += 2 {
		object[fmt.Sprint(settings[i])] = settings[i+1]
	}

	return map[string]any{"worker": object}
}

func TestPausesBetweenRestartsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, false)
		s.Replace(specs(t, worker()), "r1")
		pauses := make([]int, 0, 8)

		for range 8 {
			p := s.last()
			p.end("exit status 1")
			require.Equal(t, []string{"backing off"}, s.states())

			for s.last() == p {
				time.Sleep(500 * time.Millisecond) // of the bubble
			}

			pauses = append(pauses, int(s.last().began.Sub(p.ended)/time.Second))
		}

		require.Equal(t, []int{1, 2, 4, 8, 16, 32, 60, 60}, pauses)
		require.Equal(t, 8, s.Inspect()[0].Restarts)
		require.Equal(t, uint64(8), s.Inspect()[0].RestartsOfName)

		// One that has run for a while begins with the shortest pause again.
		time.Sleep(time.Minute)
		p := s.last()
		p.end("signal: killed")
		time.Sleep(1500 * time.Millisecond)
		require.NotSame(t, p, s.last())
		require.Equal(t, "signal: killed", s.Inspect()[0].LastExit)

		s.Stop(t.Context())
		require.Empty(t, s.live())
	})
}

func TestLogOfAFlappingCompanionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, false)
		s.Replace(specs(t, worker()), "r1")
		end := time.Now().Add(time.Hour)

		for time.Now().Before(end) {
			s.last().end("exit status 1")
			time.Sleep(100 * time.Millisecond)
		}

		require.Equal(t, 1, s.logged("a companion has started"))
		require.InDelta(t, 66, s.logged("is started again"), 3)
		require.NotZero(t, s.logged(`"restarts"=10`))
	})
}

func TestCompanionIsRestartedAsConfigured(t *testing.T) {
	for _, test := range []struct {
		restart, status string
		restarted       bool
	}{
		{"always", "exit status 0", true},
		{"always", "exit status 1", true},
		{"on-failure", "exit status 0", false},
		{"on-failure", "exit status 1", true},
		{"on-failure", "signal: killed", true},
		{"never", "exit status 0", false},
		{"never", "signal: killed", false},
	} {
		t.Run(test.restart+" "+test.status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, false)
				s.Replace(specs(t, worker("restart", test.restart)), "r1")
				s.last().end(test.status)
				synctest.Wait()
				if test.restarted {
					require.Equal(t, []string{"backing off"}, s.states())
				} else {
					require.Equal(t, []string{"ended"}, s.states())
				}

				// The next release starts it in any case.
				s.Replace(specs(t, worker("restart", test.restart)), "r2")
				require.Equal(t, []string{"worker@r2"}, s.live())
				require.Equal(t, []string{"running"}, s.states())
			})
		})
	}
}

func TestCompanionThatDoesNotStartIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, false)
		s.refuse = true
		s.Replace(specs(t, worker("restart", "on-failure")), "r1")
		require.Equal(t, []string{"backing off"}, s.states())
		require.Equal(t, "did not start", s.Inspect()[0].LastExit)

		s.mu.Lock()
		s.refuse = false
		s.mu.Unlock()
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"worker@r1"}, s.live())
	})
}

func TestNewReleaseOverlapsTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, true)
		s.Replace(specs(t, worker("count", 2.0)), "r1")
		require.Len(t, s.live(), 2)
		s.Replace(specs(t, worker("count", 1.0)), "r2")
		require.Equal(t, []string{"worker@r1", "worker@r1", "worker@r2"}, s.live())
		require.Equal(t, []string{"running", "stopping", "stopping"}, s.states())
		require.True(t, s.Inspect()[2].Retiring)

		time.Sleep(stopTimeout)
		require.Equal(t, []string{"worker@r2"}, s.live())
		require.Equal(t, []string{"running"}, s.states())
	})
}

func TestCompanionsThatMustNotOverlapNeverDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, true)
		alone := specs(t, worker("overlap", false))
		s.Replace(alone, "r1")
		require.Len(t, s.live(), 1)

		// Releases that are replaced before their turn comes are left out.
		for _, root := range []string{"r2", "r3", "r4"} {
			s.Replace(alone, root)
			require.Equal(t, []string{"worker@r1"}, s.live())
		}

		time.Sleep(stopTimeout)
		require.Equal(t, []string{"worker@r4"}, s.live())
		require.Equal(t, []string{"running"}, s.states())
		s.Stop(t.Context())
		require.Len(t, s.played, 2)
	})
}

func TestCompanionThatHasGoneFromTheConfigurationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, false)
		s.Replace(specs(t, worker()), "r1")
		require.Len(t, s.live(), 1)
		s.Replace(nil, "r2")
		require.Empty(t, s.live())
		require.Empty(t, s.states())
	})
}

func TestStopKillsWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, true)
		s.Replace(specs(t, worker("count", 3.0)), "r1")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		s.Stop(ctx)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Empty(t, s.live())

		s.Replace(specs(t, worker()), "r2")
		require.Empty(t, s.live(), "nothing starts after the end")
	})
}

func TestStopEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, false)
		s.Replace(specs(t, worker()), "r1")
		s.last().end("exit status 1")
		synctest.Wait()
		began := time.Now()
		s.Stop(t.Context())
		require.Zero(t, time.Since(began))
		require.Equal(t, []string{"ended"}, s.states())
	})
}

func TestRecycledCompanionIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, true)
		s.Replace(specs(t, worker("restart", "on-failure")), "r1")
		p := s.last()
		s.Recycle(p.info.PID + 1)
		require.Equal(t, []string{"running"}, s.states(), "it is another one's")

		for range 2 {
			s.Recycle(p.info.PID)
			require.Equal(t, []string{"stopping"}, s.states())
		}

		time.Sleep(stopTimeout)
		require.Equal(t, []string{"backing off"}, s.states())
		time.Sleep(time.Second)
		require.Equal(t, []string{"worker@r1"}, s.live())
		require.NotSame(t, p, s.last())
	})
}
