package passenger_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// begin restarts the application "a" and returns where the result will be.
func (f *fixture) begin(o passenger.RestartOptions) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f.Restart(f.Context(), "a", o) }()
	synctest.Wait()

	return result
}

// started makes an application have n idle processes.
func (f *fixture) started(o *passenger.Options, n int) {
	f.Helper()
	o.MinProcesses = n
	f.get(o).Close(passenger.KeepAlive)
	synctest.Wait()
	time.Sleep(time.Duration(n) * time.Minute) // for slow spawns
	synctest.Wait()
	require.Len(f, f.pids(o.App.GroupName), n)
}

func TestRollingRestart(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		f.started(o, 3)
		busy := f.get(o)
		require.Equal(f, 1000, busy.PID())

		result := f.begin(passenger.RestartOptions{})
		for i := range 2 {
			require.Equal(f, 3, f.Inspect().CapacityUsed, "the replacement needs no room")
			require.Len(f, f.pids("a"), 3, "an old process serves until the new one does")
			time.Sleep(time.Second)
			synctest.Wait()
			require.Contains(f, f.pids("a"), 1003+i)
			s := f.get(o)
			require.GreaterOrEqual(f, s.PID(), 1003, "the newest generation comes first")
			s.Close(passenger.KeepAlive)
		}

		require.Contains(f, f.pids("a"), 1000, "the busy one is replaced last")
		fallback := []*passenger.Session{f.get(o), f.get(o)}
		require.Empty(f, result)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, []int{1003, 1004, 1005}, f.pids("a"))
		require.NoError(f, <-result)
		require.Equal(f, 4, f.factory.Live(), "it still has a request")
		busy.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 3, f.factory.Live())

		for _, s := range fallback {
			s.Close(passenger.KeepAlive)
		}
	})
}

func TestRollingRestartFallsBackToOldProcesses(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		f.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Second })
		f.begin(passenger.RestartOptions{})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, 1002, f.get(o).PID())
		require.Equal(f, 1001, f.get(o).PID(), "the new one has no room")
		require.Zero(f, f.ask(o).times)
	})
}

func TestRestartInBatches(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		o.RestartBatchSize = 2
		f.started(o, 4)
		began := time.Now()
		require.NoError(f, <-f.begin(passenger.RestartOptions{}))
		require.Equal(f, 2*time.Second, time.Since(began))
		require.Equal(f, 8, f.factory.Spawns())
	})
}

// Faults: G8.
func TestRollingRestartPassesAStuckProcess(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.DrainTimeout = 30 * time.Second
		f.started(o, 2)
		stuck, other := f.get(o), f.get(o)
		c, err := stuck.Connect(f.Context())
		require.NoError(f, err)
		began := time.Now()
		result := f.begin(passenger.RestartOptions{})
		other.Close(passenger.KeepAlive)
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		require.Equal(f, 30*time.Second, time.Since(began))
		require.NoError(f, <-result)
		require.Equal(f, []int{1002, 1003}, f.pids("a"))
	})
}

// Faults: G7.
func TestRollingRestartKeepsOldProcessesWhenNewOneFails(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = alwaysFail })
		err := f.Restart(f.Context(), "a", passenger.RestartOptions{})
		var resisted *passenger.DeploymentError
		require.ErrorAs(f, err, &resisted)
		require.ErrorAs(f, err, new(*spawner.SpawnError))
		require.Equal(f, []int{1000, 1001}, f.pids("a"))
		require.Equal(f, resisted, f.group("a").DeploymentError)

		// No more attempts, not even for those who wait.
		f.get(o)
		f.get(o)
		waiting := f.ask(o)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(f, 3, f.factory.Spawns())
		require.Zero(f, waiting.times)

		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = nil })
		require.NoError(f, <-f.begin(passenger.RestartOptions{Method: passenger.RestartRolling}))
		require.Nil(f, f.group("a").DeploymentError)
		require.Equal(f, 1, waiting.times)
	})
}

func TestBlockingRestart(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		running := f.get(o)
		result := f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
		require.Empty(f, f.pids("a"))
		waiting := f.ask(o)
		require.Equal(f, 1, f.factory.Live(), "the busy one")
		time.Sleep(time.Second)
		synctest.Wait()
		require.NoError(f, <-result)
		require.Equal(f, 1002, waiting.session.PID())
		running.Close(passenger.KeepAlive)

		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = alwaysFail })
		again := f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
		queued := f.ask(o)
		require.ErrorAs(f, <-again, new(*spawner.SpawnError))
		synctest.Wait()
		require.ErrorIs(f, queued.err, errRefused)
	})
}

func TestRestartOfNothing(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		require.ErrorIs(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}), passenger.ErrNoSuchApp)
		f.get(options("a")).Close(passenger.KeepAlive)
		f.factory.Kill(1000)
		synctest.Wait()
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartBlocking}))
		require.Equal(f, 1, f.factory.Spawns(), "no request needs a process")
		n, err := f.RestartAppRoot(f.Context(), "/apps/a", passenger.RestartOptions{})
		require.NoError(f, err)
		require.Equal(f, 1, n)
		n, err = f.RestartAppRoot(f.Context(), "/apps/b", passenger.RestartOptions{})
		require.NoError(f, err)
		require.Zero(f, n)
	})
}

func TestRestartDuringARestart(t *testing.T) {
	for _, method := range []passenger.RestartMethod{passenger.RestartRolling, passenger.RestartBlocking} {
		inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
			o := options("a")
			f.started(o, 3)
			first := f.begin(passenger.RestartOptions{})
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			second := f.begin(passenger.RestartOptions{Method: method})
			require.Empty(f, first)
			require.NoError(f, <-second)
			require.NoError(f, <-first)
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Len(f, f.pids("a"), 3)

			for _, p := range f.group("a").Processes {
				require.EqualValues(f, 2, p.Generation)
			}
		})
	}
}

func TestShutdownDuringARestart(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		f.started(o, 3)
		result := f.begin(passenger.RestartOptions{})
		require.NoError(f, f.Shutdown(f.Context()))
		require.ErrorIs(f, <-result, passenger.ErrClosed)
		require.ErrorIs(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}), passenger.ErrClosed)
	})
}

func TestRestartGivenUpGoesOn(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		f.started(options("a"), 1)
		ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(f, f.Restart(ctx, "a", passenger.RestartOptions{}), context.DeadlineExceeded)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, []int{1001}, f.pids("a"))
	})
}

func TestReplacedOptionsCount(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		changed := *o
		changed.App.StartCommand = []string{"new"}
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Options: &changed}))
		require.Equal(f, []string{"new"}, f.factory.Process(1).App().StartCommand)
	})
}

func touch(t testing.TB, path string, at time.Time) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chtimes(path, at, at))
}

func TestRestartFile(t *testing.T) {
	root := t.TempDir()
	restartTxt := filepath.Join(root, "tmp", "restart.txt")
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = root
		generation := func() uint32 {
			f.get(o).Close(passenger.KeepAlive)
			synctest.Wait()

			return f.group("a").Generation
		}
		touch(f, restartTxt, time.Now())
		require.EqualValues(f, 0, generation(), "the first look only remembers")
		touch(f, restartTxt, time.Now().Add(time.Hour))
		require.EqualValues(f, 0, generation(), "it is looked for each 10 seconds")
		time.Sleep(10 * time.Second)
		require.EqualValues(f, 1, generation())
		time.Sleep(10 * time.Second)
		require.EqualValues(f, 1, generation(), "once for each change (F7)")
		touch(f, restartTxt, time.Now().Add(-time.Hour))
		time.Sleep(10 * time.Second)
		require.EqualValues(f, 2, generation(), "earlier is a change as well")
		require.NoError(f, os.Remove(restartTxt))
		time.Sleep(10 * time.Second)
		require.EqualValues(f, 2, generation(), "to remove it is none")
		touch(f, restartTxt, time.Now())
		time.Sleep(10 * time.Second)

		require.EqualValues(f, 3, generation())
	})
}

// Whoever finds that restart.txt was touched says what is started.
func TestRestartFileAndChangedOptions(t *testing.T) {
	root := t.TempDir()
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		get := func(command string) []string {
			o := options("a")
			o.App.Root, o.App.StartCommand = root, []string{command}
			o.StickySessionID = 7
			f.get(o).Close(passenger.KeepAlive)
			synctest.Wait()

			return f.factory.Process(len(f.factory.Processes()) - 1).App().StartCommand
		}
		require.Equal(f, []string{"first"}, get("first"))
		require.Equal(f, []string{"first"}, get("second"))
		time.Sleep(10 * time.Second)
		touch(f, filepath.Join(root, "tmp", "restart.txt"), time.Now())
		require.Equal(f, []string{"second"}, get("second"))
		time.Sleep(10 * time.Second)
		touch(f, filepath.Join(root, "tmp", "restart.txt"), time.Now().Add(time.Second))
		require.Equal(f, []string{"second"}, get("with a\ttab"), "options at fault do not count")
		require.EqualValues(f, 2, f.group("a").Generation)
	})
}

func TestAlwaysRestartFile(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.RestartDir, o.StatThrottleRate = dir, time.Minute
		get := func() int {
			s := f.get(o)
			defer s.Close(passenger.KeepAlive)
			return s.PID()
		}
		require.Equal(f, 1000, get())
		touch(f, filepath.Join(dir, "always_restart.txt"), time.Now())
		require.Equal(f, 1000, get())
		time.Sleep(time.Minute)

		for i := range 3 {
			require.Equal(f, 1001+i, get(), "each request gets the latest code")
		}

		require.NoError(f, os.Remove(filepath.Join(dir, "always_restart.txt")))
		require.Equal(f, 1003, get())
		require.Equal(f, 1003, get())
	})
}

func TestLinkedAppRootIsResolvedAtEachRestart(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	release := func(name string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		_ = os.Remove(filepath.Join(dir, "current"))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "current")))
	}
	release("one")
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(dir, "current")
		f.started(o, 1)
		release("two")
		f.get(o)
		f.get(o)

		require.Equal(f, filepath.Join(dir, "one"), f.factory.Process(1).App().Root, "the same for all of a generation")
		require.NoError(f, <-f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking}))

		require.Equal(f, filepath.Join(dir, "two"), f.factory.Process(2).App().Root)
		require.Equal(f, filepath.Join(dir, "two"), f.group("a").ReleaseRoot)
		require.Equal(f, o.App.Root, f.group("a").AppRoot)
	})
}
