package spawner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// preloaded is an application whose preloader testapp plays.
func preloaded(t *testing.T, params ...string) spawner.App {
	t.Helper()
	a := app(t, "preloader", params...)
	a.StartCommand = nil
	a.Type, a.Ruby = "rack", testapp.Command()[0]
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "config.ru"), nil, 0o600))

	return a
}

var modern = "modern=yes"

func TestSmartConforms(t *testing.T) {
	t.Parallel()

	for name, params := range map[string][]string{"original": nil, "modern": {modern}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spawnertest.Conform(t, func(t *testing.T) spawnertest.Subject {
				t.Helper()
				f := newFixture(t)

				return spawnertest.Subject{
					Factory: f,
					App:     preloaded(t, params...),
					Broken:  preloaded(t, append(params, "worker=exit", "status=3")...),
					Kill:    kill(t),
				}
			})
		})
	}
}

// smartFixture has one spawner, whose preloader can be looked at.
type smartFixture struct {
	*fixture
	spawner.Spawner
}

func newSmartFixture(t *testing.T, a spawner.App) *smartFixture {
	t.Helper()
	f := newFixture(t)
	s, err := f.NewSpawner(a)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	return &smartFixture{fixture: f, Spawner: s}
}

func (f *smartFixture) worker(t *testing.T) spawner.Process {
	t.Helper()
	p, err := f.Spawn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { stopNow(p) })

	return p
}

func stopNow(p spawner.Process) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Stop(ctx)
}

func (f *smartFixture) loads() int { return len(f.log.lines("preloader loaded")) }

// requireLoads checks how many preloaders there were, of which the log tells a moment later.
func (f *smartFixture) requireLoads(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return f.loads() >= n }, patience, time.Millisecond)
	require.Equal(t, n, f.loads())
}

// preloaderPID is the pid under which the preloader's output was logged last.
func (f *smartFixture) preloaderPID(t *testing.T) int {
	t.Helper()
	lines := f.log.lines("preloader loaded")
	require.NotEmpty(t, lines)
	_, rest, ok := strings.Cut(lines[len(lines)-1], `"pid"=`)
	require.True(t, ok)
	var pid int
	_, err := fmt.Sscanf(rest, "%d", &pid)
	require.NoError(t, err)

	return pid
}

func (f *smartFixture) fail(t *testing.T) *spawner.SpawnError {
	t.Helper()
	p, err := f.Spawn(t.Context())
	require.Nil(t, p)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)

	return e
}

func (f *smartFixture) stopPreloader(t *testing.T) {
	t.Helper()
	s, ok := f.Spawner.(spawner.Preloading)
	require.True(t, ok)
	s.StopPreloader()
}

func TestWorkersShareOnePreloader(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern))
	workers := []spawner.Process{f.worker(t), f.worker(t), f.worker(t)}
	f.requireLoads(t, 1)

	dirs := map[string]bool{}
	for _, p := range workers {
		s := stateOf(t, p)
		require.Equal(t, p.Info().PID, s.PID)
		require.Equal(t, s.PID, s.PGID, "a group of its own")
		require.Equal(t, f.preloaderPID(t), s.SID, "the preloader's session")
		require.Equal(t, p.Info().GUPID, s.Options["gupid"])
		require.Equal(t, p.Info().ConnectPassword, s.Options["connect_password"])
		require.Equal(t, "smart", s.Options["spawn_method"])
		dirs[s.Options["socket_dir"]] = true
	}

	require.Len(t, dirs, 3)
	_, err := get(t, workers[0], "/print?stderr=mine%0a")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return len(f.log.lines("mine", fmt.Sprintf(`"pid"=%d`, workers[0].Info().PID), `"stream"="stderr"`)) == 1
	}, patience, time.Millisecond, "the stderr of a worker is its own")

	f.stopPreloader(t)
	_, err = get(t, workers[0], "/")
	require.NoError(t, err, "workers survive the preloader")
	workers[1].Stop(t.Context())
	f.worker(t)
	f.requireLoads(t, 2)
}

// Preloaders of protocol 1.0 run unchanged.
func TestOriginalPreloader(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t))
	p := f.worker(t)
	require.Equal(t, f.preloaderPID(t), stateOf(t, p).PGID)
	_, err := get(t, p, "/print?stderr=shared%0a")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return len(f.log.lines("shared", fmt.Sprintf(`"pid"=%d`, f.preloaderPID(t)))) == 1
	}, patience, time.Millisecond, "its stderr is the preloader's")
	other := f.worker(t)
	p.Stop(t.Context())
	_, err = get(t, other, "/")
	require.NoError(t, err, "the group is not killed with one process of it")
}

func TestExitStatusOfWorkers(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern))
	p := f.worker(t)
	_, err := get(t, p, "/exit?status=7")
	require.Error(t, err)
	requireExit(t, p)
	require.Equal(t, "exit status 7", p.ExitStatus())
	p = f.worker(t)
	require.NoError(t, syscall.Kill(p.Info().PID, syscall.SIGKILL))
	requireExit(t, p)
	require.Equal(t, "signal: killed", p.ExitStatus())
	p = f.worker(t)
	p.Stop(t.Context())
	require.Equal(t, "exit status 0", p.ExitStatus())
	require.NoDirExists(t, filepath.Dir(p.Info().Sockets[0].Address.Addr))
}

func TestGroupOfAWorkerEndsWithIt(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern, "worker=parent", "children=5"))
	p, other := f.worker(t), f.worker(t)
	p.Stop(t.Context())
	require.Eventually(t, func() bool { return syscall.Kill(-p.Info().PID, 0) != nil }, patience, time.Millisecond)
	require.NoError(t, syscall.Kill(-other.Info().PID, 0))
}

// Faults: A18.
func TestKilledPreloaderIsRestartedOnce(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern, "spoil=die", "times=1"))
	f.worker(t)
	f.requireLoads(t, 2)
	require.Len(t, f.log.lines("started again"), 1, f.log.String())

	t.Run("always", func(t *testing.T) {
		t.Parallel()
		f := newSmartFixture(t, preloaded(t, modern, "spoil=die"))
		e := f.fail(t)
		require.Equal(t, spawner.CategoryStartup, e.Category)
		require.Contains(t, e.Summary, "preloader ended")
		require.Contains(t, e.Summary, "signal: killed")
		require.NotEmpty(t, e.Advice)
		requireFailedStep(t, e.Journey, spawner.StepFork)
		f.requireLoads(t, 2)
	})
	t.Run("between spawns", func(t *testing.T) {
		t.Parallel()
		f := newSmartFixture(t, preloaded(t, modern))
		p := f.worker(t)
		require.NoError(t, syscall.Kill(f.preloaderPID(t), syscall.SIGKILL))
		f.worker(t)
		_, err := get(t, p, "/")
		require.NoError(t, err)
		f.requireLoads(t, 2)
	})
}

// Faults: A19.
func TestHangingPreloaderIsKilled(t *testing.T) {
	t.Parallel()
	a := preloaded(t, modern, "spoil=hang", "times=1")
	a.StartTimeout = 4 * time.Second
	f := newSmartFixture(t, a)
	f.worker(t)
	f.requireLoads(t, 2)

	a = preloaded(t, modern, "spoil=hang")
	a.StartTimeout = 4 * time.Second
	f = newSmartFixture(t, a)
	e := f.fail(t)
	require.Equal(t, spawner.CategoryTimeout, e.Category, e)
	require.Contains(t, e.Summary, "did not fork")
	f.requireLoads(t, 2)
}

// Faults: A20.
func TestPreloaderThatSendsGarbageIsKilled(t *testing.T) {
	t.Parallel()

	for spoil, summary := range map[string]string{
		"garbage": "sent a response that it should not",
		"half":    "sent a response that it should not",
		"error":   "no memory to fork",
		"foreign": "one of its own",
	} {
		t.Run(spoil, func(t *testing.T) {
			t.Parallel()
			f := newSmartFixture(t, preloaded(t, modern, "spoil="+spoil, "times=1"))
			f.worker(t)
			f.requireLoads(t, 2)

			for _, pid := range []int{1, os.Getpid()} {
				f = newSmartFixture(t, preloaded(t, modern, "spoil="+spoil, fmt.Sprintf("pid=%d", pid)))
				e := f.fail(t)
				want := spawner.CategoryProtocol
				if spoil == "error" {
					want = spawner.CategoryExplained
				}

				require.Equal(t, want, e.Category, e)
				require.Contains(t, e.Summary, summary)
				f.requireLoads(t, 2)
				if spoil != "foreign" {
					break
				}
			}
		})
	}
}

// Faults: A21.
func TestWorkerThatDiesBeforeReadyKeepsThePreloader(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ worker, status string }{
		{"worker=exit", "exit status 3"},
		{"worker=crash", "signal: killed"},
		{"worker=exit-after-request", "exit status 3"},
	} {
		f := newSmartFixture(t, preloaded(t, modern, test.worker, "status=3", "print=last words\n"))
		e := f.fail(t)
		require.Equal(t, spawner.CategoryStartup, e.Category, e)
		require.Equal(t, test.status, e.ExitStatus)
		require.Contains(t, e.Output, "last words")
		requireCircumstances(t, e)
		require.Error(t, f.fail(t))
		f.requireLoads(t, 1)
	}
}

// Faults: B9.
func TestZombieCountsAsDead(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern, "spoil=never-reap"))
	p := f.worker(t)
	require.NoError(t, syscall.Kill(p.Info().PID, syscall.SIGKILL))
	requireExit(t, p)
	require.Contains(t, p.ExitStatus(), "did not tell")
	p.Stop(t.Context())
}

func TestPreloaderDoesNotStart(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		behaviour string
		category  spawner.Category
		kind      loaderproto.Kind
	}{
		"exits":          {"exit", spawner.CategoryStartup, loaderproto.ExitedEarly},
		"says nothing":   {"silent", spawner.CategoryTimeout, loaderproto.TimedOut},
		"explains":       {"error", spawner.CategoryExplained, loaderproto.AppError},
		"is a plain app": {"http", spawner.CategoryProtocol, loaderproto.BadAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := preloaded(t)
			a.Env = testapp.Env(test.behaviour, "text=no database")
			if test.category == spawner.CategoryTimeout {
				a.StartTimeout = time.Second
			}

			f := newSmartFixture(t, a)
			e := f.fail(t)
			require.Equal(t, test.category, e.Category, e)
			require.True(t, e.Preloader)
			var p *loaderproto.Error
			require.ErrorAs(t, e, &p)
			require.Equal(t, test.kind, p.Kind)
		})
	}
}

func TestSmartFallsBackToDirect(t *testing.T) {
	t.Parallel()
	a := app(t, "http")
	a.SpawnMethod = spawner.SmartSpawning
	p := newSmartFixture(t, a).worker(t)
	require.Equal(t, "direct", stateOf(t, p).Options["spawn_method"])

	a = preloaded(t)
	a.SpawnMethod, a.Env = spawner.DirectSpawning, testapp.Env("http")
	require.Equal(t, "direct", stateOf(t, newFixture(t).start(t, a)).Options["spawn_method"])
}

func TestCancelWhileThePreloaderWorks(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern, "spoil=hang"))
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	began := time.Now()
	_, err := f.Spawn(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), patience)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, spawner.CategoryCanceled, e.Category)
}

// An escaped process of a preloader's family is ended with the last of them.
func TestEscapedProcessesOfAPreloader(t *testing.T) {
	t.Parallel()
	f := newSmartFixture(t, preloaded(t, modern, "worker=http"))
	p := f.worker(t)
	daemon := pidFrom(t, p, "/daemon")
	f.stopPreloader(t)
	require.NoError(t, syscall.Kill(daemon, 0))
	p.Stop(t.Context())
	requireGone(t, daemon)
	require.Eventually(t, func() bool { return len(f.log.lines("into the background", fmt.Sprint(daemon))) == 1 },
		patience, time.Millisecond)
}
