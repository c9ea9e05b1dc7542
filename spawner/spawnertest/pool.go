package spawnertest

import (
	"testing"

	"github.com/gopassenger/passenger"
)

// NewPool returns a pool for a test. It checks its invariants after each change, and a violation
// fails the test. Without cfg.Spawner, its processes are those of a Factory with the zero Script.
//
// When the test ends, the pool is closed. The test fails if a session was not closed before, or if
// processes or spawners of a Factory are left.
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

	t.Cleanup(func() {
		t.Helper()
		reportSessions(t, pool)
		if err := pool.Close(); err != nil {
			t.Errorf("cannot close the pool of the test: %v", err)
		}

		if f, ok := cfg.Spawner.(*Factory); ok {
			f.reportLeft(t)
		}
	})

	return pool
}

// reportSessions reports sessions that the test did not close.
func reportSessions(t testing.TB, pool *passenger.Pool) {
	t.Helper()

	for _, g := range pool.Inspect().Groups {
		for i := range g.Processes {
			if pr := &g.Processes[i]; pr.Sessions > 0 {
				t.Errorf("%d sessions with process %d of %s were not closed at the end of the test", pr.Sessions,
					pr.PID, g.Name)
			}
		}
	}
}

// reportLeft reports what a closed pool should have ended.
func (f *Factory) reportLeft(t testing.TB) {
	t.Helper()

	for _, p := range f.LiveProcesses() {
		t.Errorf("%v lives on after its pool was closed", p)
	}

	if n := f.OpenSpawners(); n > 0 {
		t.Errorf("%d spawners are open after their pool was closed", n)
	}
}
