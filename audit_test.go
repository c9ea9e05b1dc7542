package passenger_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// audit is a fixture that keeps account of spawners, spawns and restarts. At the end
// of its test the accounts have to be even.
type audit struct {
	*fixture
	spawners *accounts
	events   *ledger
}

// inAudit runs a test in virtual time; change may be nil.
func inAudit(
	t *testing.T, maxPoolSize int, script spawnertest.Script, change func(*passenger.Config), test func(f *audit),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		factory := spawnertest.New(script)
		f := &audit{
			fixture:  &fixture{T: t, factory: factory, worked: make(chan int, 10)},
			spawners: &accounts{Factory: factory},
			events:   &ledger{},
		}
		cfg := passenger.Config{
			MaxPoolSize:   maxPoolSize,
			Spawner:       f.spawners,
			SelfChecks:    true,
			OutOfBandWork: f.workOutOfBand,
			Observer:      f.events,
		}
		if change != nil {
			change(&cfg)
		}

		pool, err := passenger.New(cfg)
		require.NoError(t, err)
		f.Pool = pool

		defer func() {
			require.NoError(t, pool.Close())
			f.requireNothingLeft(t)
		}()
		test(f)
	})
}

// requireNothingLeft is for a pool that is closed.
func (f *audit) requireNothingLeft(t require.TestingT) {
	require.Empty(t, f.factory.LiveProcesses())
	require.Empty(t, f.spawners.faults(true))
	require.Empty(t, f.events.faults())

	for _, g := range f.Inspect().Groups {
		require.Zero(t, g.QueueLength, g.Name)

		for _, p := range g.Processes {
			require.Positive(t, p.Sessions, "%s: process %d is kept for nothing", g.Name, p.PID)
		}
	}
}

// accounts is a factory that keeps account of its spawners.
type accounts struct {
	*spawnertest.Factory

	mu   sync.Mutex
	made []*accountedSpawner
	// calls counts those of NewSpawner; refuse, if there is one, says what comes of each.
	calls  int
	refuse func(n int, app spawner.App) error
	// closing is how long it takes to close a spawner.
	closing time.Duration
}

type accountedSpawner struct {
	spawner.Spawner
	accounts *accounts
	app      spawner.App
	// spawning counts the spawns and checks that go on, closed the calls of Close, late those
	// that began after one, and cut those that went on at one.
	spawning, closed, late, cut int
}

// accountedPreloading is one that has a preloader.
type accountedPreloading struct {
	*accountedSpawner
	stop func()
}

func (s accountedPreloading) StopPreloader() { s.stop() }

func (a *accounts) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	a.mu.Lock()
	a.calls++
	n, refuse := a.calls, a.refuse
	a.mu.Unlock()
	if refuse != nil {
		if err := refuse(n, app); err != nil {
			return nil, err
		}
	}

	inner, err := a.Factory.NewSpawner(app)
	if err != nil {
		return nil, err
	}

	s := &accountedSpawner{Spawner: inner, accounts: a, app: app}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made = append(a.made, s)
	if preloading, ok := inner.(spawner.Preloading); ok {
		return accountedPreloading{s, preloading.StopPreloader}, nil
	}

	return s, nil
}

func (s *accountedSpawner) Check(ctx context.Context) (err error) {
	dummy := s.Spawner.(spawner.Checking) //nolint:forcetypeassert,errcheck // it is one
	s.during(func() { err = dummy.Check(ctx) })

	return err
}

func (s *accountedSpawner) Spawn(ctx context.Context) (p spawner.Process, err error) {
	s.during(func() { p, err = s.Spawner.Spawn(ctx) })
	return p, err
}

// during counts what may not go on when the spawner is closed.
func (s *accountedSpawner) during(f func()) {
	s.change(func() {
		s.spawning++
		if s.closed > 0 {
			s.late++
		}
	})
	defer s.change(func() { s.spawning-- })
	f()
}

func (s *accountedSpawner) Close() error {
	s.change(func() {
		s.closed++
		if s.spawning > 0 {
			s.cut++
		}
	})
	time.Sleep(s.accounts.closing)

	return s.Spawner.Close()
}

func (s *accountedSpawner) change(f func()) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	f()
}

// faults says what is wrong with the spawners; atEnd, they have to be closed.
func (a *accounts) faults(atEnd bool) (faults []string) {
	a.mu.Lock()
	defer a.mu.Unlock()

	for i, s := range a.made {
		if s.closed > 1 || s.late > 0 || s.cut > 0 || atEnd && s.closed == 0 {
			faults = append(faults, fmt.Sprintf("spawner %d, of %s: closed %d times, %d spawns began later, %d went "+
				"on then",
				i, s.app.Name(), s.closed, s.late, s.cut))
		}
	}

	return faults
}

// open counts the spawners of an application that are not closed.
func (a *accounts) open(name string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()

	for _, s := range a.made {
		if s.app.Name() == name && s.closed == 0 {
			n++
		}
	}

	return n
}

// ledger is an observer that enters what begins and what ends.
type ledger struct {
	passenger.NoObserver
	mu       sync.Mutex
	spawns   map[uint64]*entry[passenger.SpawnEvent]
	restarts map[uint64]*entry[passenger.RestartEvent]
}

type entry[E any] struct{ began, ended []*E }

func enter[E any](m *map[uint64]*entry[E], id uint64) *entry[E] {
	if *m == nil {
		*m = map[uint64]*entry[E]{}
	}

	if (*m)[id] == nil {
		(*m)[id] = &entry[E]{}
	}

	return (*m)[id]
}

func (l *ledger) SpawnBegan(e *passenger.SpawnEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := enter(&l.spawns, e.ID)
	at.began = append(at.began, e)
}

func (l *ledger) SpawnEnded(e *passenger.SpawnEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := enter(&l.spawns, e.ID)
	at.ended = append(at.ended, e)
}

func (l *ledger) RestartBegan(e *passenger.RestartEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := enter(&l.restarts, e.ID)
	at.began = append(at.began, e)
}

func (l *ledger) RestartEnded(e *passenger.RestartEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := enter(&l.restarts, e.ID)
	at.ended = append(at.ended, e)
}

// faults says what has not begun and ended once.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := unevenEntries("spawn", l.spawns)

	return append(faults, unevenEntries("restart", l.restarts)...)
}

func unevenEntries[E any](what string, m map[uint64]*entry[E]) (faults []string) {
	for _, id := range slices.Sorted(maps.Keys(m)) {
		began, ended := len(m[id].began), len(m[id].ended)
		if began != 1 || ended != 1 {
			faults = append(faults, fmt.Sprintf("%s %d: begun %d times, ended %d times", what, id, began, ended))
		}
	}

	return faults
}

// restartErrors are how the restarts ended, in their order.
func (l *ledger) restartErrors() (errs []error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	for _, id := range slices.Sorted(maps.Keys(l.restarts)) {
		for _, e := range l.restarts[id].ended {
			errs = append(errs, e.Err)
		}
	}

	return errs
}

// gate is where spawns wait that a test holds.
type gate struct {
	open chan struct{}
	// stubborn reports whether those that wait do not look at their context.
	stubborn bool
}

func newGate(stubborn bool) *gate { return &gate{open: make(chan struct{}), stubborn: stubborn} }

func (g *gate) beforeSpawn(ctx context.Context, _ int, _ spawner.App) error {
	if g.stubborn {
		ctx = context.WithoutCancel(ctx)
	}

	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serve asks for a session that is closed as soon as it comes.
func (f *audit) serve(o *passenger.Options) *asyncGet {
	a := &asyncGet{}
	a.stop = f.AsyncGet(o, func(s *passenger.Session, err error) {
		a.session, a.err = s, err
		a.times++
		if s != nil {
			s.Close(passenger.KeepAlive)
		}
	})

	return a
}
