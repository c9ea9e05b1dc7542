package spawnertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
)

// NewPool returns a pool for a test. It checks its invariants after each change, and a violation
// fails the test. Without cfg.Spawner, its processes are those of a Factory with the zero Script.
//
// When the test ends, the pool is closed. The test fails if a session is not closed by then or a
// moment later, or if processes or spawners of a Factory are left when the last of its pools is closed.
func NewPool(t testing.TB, cfg passenger.Config) *passenger.Pool {
	t.Helper()
	if cfg.Spawner == nil {
		cfg.Spawner = New(Script{})
	}

	cfg.SelfChecks, cfg.SelfCheckFailed = true, func(err error) { t.Errorf("the pool is at fault: %v", err) }
	pool, err := passenger.New(cfg)
	if err != nil {
		t.Fatalf("cannot make the pool of the test: %v", err)
	}

	factory, _ := cfg.Spawner.(*Factory)
	factory.countPool(1)

	t.Cleanup(func() {
		t.Helper()
		reportSessions(t, pool)
		if err := pool.Close(); err != nil {
			t.Errorf("cannot close the pool of the test: %v", err)
		}

		// Until the last pool is closed, processes may be those of another one.
		if factory.countPool(-1) == 0 {
			factory.reportLeft(t)
		}
	})

	return pool
}

// closingTime is how long sessions may take to end after the test. A server's Close does not wait for the handlers of
// connections that were hijacked, such as those of WebSockets.
const closingTime = 2 * time.Second

// reportSessions reports sessions that the test did not close.
func reportSessions(t testing.TB, pool *passenger.Pool) {
	t.Helper()

	open := openSessions(pool)
	if len(open) == 0 {
		return
	}

	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()

	err, forced := errors.AsType[*passenger.ShutdownError](pool.Shutdown(ctx))
	if !forced || err.Sessions == 0 {
		return
	}

	for _, line := range open {
		t.Errorf("%s", line)
	}
}

// openSessions describes the sessions of each process that has some.
func openSessions(pool *passenger.Pool) (lines []string) {
	for _, g := range pool.Inspect().Groups {
		for i := range g.Processes {
			if pr := &g.Processes[i]; pr.Sessions > 0 {
				const format = "%d sessions with process %d of %s were not closed at the end of the test"
				lines = append(lines, fmt.Sprintf(format, pr.Sessions, pr.PID, g.Name))
			}
		}
	}

	return lines
}

// countPool adds n to the number of pools of NewPool that use the factory, which may be nil, and returns it.
func (f *Factory) countPool(n int) int {
	if f == nil {
		return 0
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.pools += n

	return f.pools
}

// reportLeft reports what a closed pool should have ended.
func (f *Factory) reportLeft(t testing.TB) {
	t.Helper()

	if f == nil {
		return
	}

	for _, p := range f.LiveProcesses() {
		t.Errorf("%v lives on after its pool was closed", p)
	}

	if n := f.OpenSpawners(); n > 0 {
		t.Errorf("%d spawners are open after their pool was closed", n)
	}
}
