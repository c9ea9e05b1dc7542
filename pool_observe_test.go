package passenger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// journal is an observer that writes down its events.
type journal struct {
	passenger.NoObserver
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// taken returns the lines since the last call.
func (j *journal) taken() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil

	return lines
}

func (j *journal) SpawnBegan(e *passenger.SpawnEvent) {
	j.note("spawn of %s, generation %d", e.AppName, e.Generation)
}

func (j *journal) SpawnEnded(e *passenger.SpawnEvent) {
	if e.Err != nil {
		j.note("spawn failed after %s: %v", e.Took, e.Err)
		return
	}

	j.note("spawned in %s", e.Took)
}

func (j *journal) ProcessAttached(e *passenger.ProcessEvent) {
	j.note("attached to %s, generation %d", e.AppName, e.Generation)
}

func (j *journal) ProcessDetached(e *passenger.ProcessEvent) {
	j.note("detached, generation %d, processed %d, exited %v", e.Generation, e.Processed, e.Exited)
}

func (j *journal) RestartBegan(e *passenger.RestartEvent) {
	j.note("restart to generation %d, blocking %v", e.Generation, e.Blocking)
}

func (j *journal) RestartEnded(e *passenger.RestartEvent) {
	j.note("restarted to generation %d: %v", e.Generation, e.Err)
}

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		factory := spawnertest.New(spawnertest.Script{
			SpawnDelay: time.Second, Failures: map[int]error{3: errors.New("broken")},
		})
		pool, err := passenger.New(passenger.Config{Spawner: factory, Observer: j, SelfChecks: true})
		require.NoError(t, err)
		options := &passenger.Options{App: spawner.App{Root: "/app", GroupName: "app"}}
		s, err := pool.Get(t.Context(), options)
		require.NoError(t, err)
		s.Close(passenger.KeepAlive)
		require.Equal(t, []string{"spawn of app, generation 0", "spawned in 1s", "attached to app, generation 0"},
			j.taken())

		err = pool.Restart(t.Context(), "app", passenger.RestartOptions{})
		require.NoError(t, err)
		synctest.Wait()
		require.ElementsMatch(t, []string{
			"restart to generation 1, blocking false", "spawn of app, generation 1", "spawned in 1s",
			"attached to app, generation 1",
			"detached, generation 0, processed 1, exited false", "restarted to generation 1: <nil>",
		}, j.taken())

		err = pool.Restart(t.Context(), "app", passenger.RestartOptions{})
		require.Error(t, err)
		synctest.Wait()
		lines := j.taken()
		require.Contains(t, lines, "spawn failed after 1s: cannot start app: broken (error 00000003)")
		require.Contains(t, lines, "restarted to generation 2: "+err.Error())

		factory.LiveProcesses()[0].Die("signal: killed")
		synctest.Wait()
		require.Contains(t, j.taken(), "detached, generation 1, processed 0, exited true")
		require.NoError(t, pool.Close())
	})
}
