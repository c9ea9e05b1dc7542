package spawnertest

import (
	"testing"

	"github.com/gopassenger/passenger"
)

// NewPool returns a pool for a test, which checks its invariants after each change. What
// is at fault fails the test and no other. Without a cfg.Spawner the processes are those
// of a Factory with the zero Script.
//
// When the test ends, NewPool closes the pool, and fails the test if sessions were not
// closed before, or if processes or spawners are left of a Factory.
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

// reportSessions tells of sessions that nobody has closed.
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

// reportLeft tells of what a closed pool should have ended.
func (f *Factory) reportLeft(t testing.TB) {
	t.Helper()

	for _, p := range f.LiveProcesses() {
		t.Errorf("%v lives on after its pool was closed", p)
	}

	if n := f.OpenSpawners(); n > 0 {
		t.Errorf("%d spawners are open after their pool was closed", n)
	}
}
