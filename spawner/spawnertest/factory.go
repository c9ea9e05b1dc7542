// Package spawnertest helps to test what uses spawners, without real processes:
//
//	func TestCheckout(t *testing.T) {
//		factory := spawnertest.New(spawnertest.Script{Handler: shop})
//		pool := spawnertest.NewPool(t, passenger.Config{Spawner: factory})
//		// Get sessions from the pool; end processes by factory.Kill.
//	}
//
// A [Factory] has processes that are Go functions, which follow a [Script]. [NewPool] makes a pool
// for a test. [Factory.Hold] stops spawns at a point of the test's choice. [Conform] is the test
// suite that every factory must pass.
//
// With the default connections, those of [net.Pipe], everything works inside the bubbles of
// testing/synctest: there is no system call, and no goroutine that the test did not cause.
package spawnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

const firstPID = 1000

// Factory is a [spawner.Factory] whose processes follow a [Script], or one for each application.
// The zero value follows the zero script. It is safe for concurrent use.
type Factory struct {
	mu     sync.Mutex
	script Script
	// scripts are those of applications that have one of their own, by group name.
	scripts map[string]*Script
	holds   []*Hold
	closed  bool
	// spawns counts those that were begun, open the spawners that are not closed.
	spawns, open int
	// started counts pids, all holds the processes that became ready.
	started int
	all     []*Process
	live    int
	// pools counts those of NewPool that are open.
	pools int
}

var _ spawner.Factory = (*Factory)(nil)

// New returns a factory whose processes follow script.
func New(script Script) *Factory { return &Factory{script: script} }

// Change changes the script of all applications that have none of their own. Spawns, connections
// and stops that begin later follow it.
func (f *Factory) Change(change func(*Script)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.script)
}

// ChangeApp is Change for the application of this group name. From then on it has a script of its
// own, which begins as a copy of the common one.
func (f *Factory) ChangeApp(name string, change func(*Script)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	script := f.scripts[name]
	if script == nil {
		own := f.script
		script = &own
		if f.scripts == nil {
			f.scripts = map[string]*Script{}
		}

		f.scripts[name] = script
	}

	change(script)
}

// NewSpawner returns a spawner for app, which must be valid.
func (f *Factory) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	if err := app.Validate(); err != nil {
		return nil, err
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, spawner.ErrClosed
	}

	f.open++
	s := &DummySpawner{factory: f, app: app.Clone()}
	// Preloading is found by a type assertion, so that only a spawner with a preloader may have the method.
	if stop := f.scriptOf(app.Name()).StopPreloader; stop != nil {
		return preloading{DummySpawner: s, stop: stop}, nil
	}

	return s, nil
}

// Close makes further spawns fail. Processes stay alive, so that a test can find those that were
// forgotten.
func (f *Factory) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true

	return nil
}

// Spawns returns the number of spawns that have begun.
func (f *Factory) Spawns() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spawns
}

// OpenSpawners returns the number of spawners that are not closed.
func (f *Factory) OpenSpawners() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// Live returns the number of processes that have not ended.
func (f *Factory) Live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// Processes returns all processes, also those that have ended, in the order in which they became
// ready.
func (f *Factory) Processes() []*Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// LiveProcesses returns the processes that have not ended, oldest first.
func (f *Factory) LiveProcesses() []*Process {
	return slices.DeleteFunc(f.Processes(), (*Process).ended)
}

// Process returns the i-th process that became ready, from 0 on, or nil.
func (f *Factory) Process(i int) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i < 0 || i >= len(f.all) {
		return nil
	}

	return f.all[i]
}

// ProcessByPID returns the process with this PID, even if it has ended, or nil.
func (f *Factory) ProcessByPID(pid int) *Process {
	for _, p := range f.Processes() {
		if p.info.PID == pid {
			return p
		}
	}

	return nil
}

// Kill ends the process with this PID as SIGKILL would. It reports whether there was a live one.
func (f *Factory) Kill(pid int) bool {
	p := f.ProcessByPID(pid)

	return p != nil && p.Die("signal: killed")
}

// current returns the present script of an application.
func (f *Factory) current(name string) Script {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.scriptOf(name)
}

func (f *Factory) scriptOf(name string) *Script {
	if own := f.scripts[name]; own != nil {
		return own
	}

	return &f.script
}

// DummySpawner starts the processes of one application of a [Factory].
type DummySpawner struct {
	factory *Factory
	app     spawner.App
	closing sync.Once
}

// App returns the application that the spawner was made for.
func (s *DummySpawner) App() spawner.App { return s.app }

// Close counts the spawner as closed. It has nothing to end but processes, which stay.
func (s *DummySpawner) Close() error {
	s.closing.Do(func() {
		s.factory.mu.Lock()
		defer s.factory.mu.Unlock()
		s.factory.open--
	})

	return nil
}

// preloading is a DummySpawner that pretends to have a preloader.
type preloading struct {
	*DummySpawner
	stop func()
}

func (p preloading) StopPreloader() { p.stop() }

// Check does what the script says, see [spawner.Checking].
func (s *DummySpawner) Check(ctx context.Context) error {
	s.factory.mu.Lock()
	check := s.factory.scriptOf(s.app.Name()).OnCheck
	s.factory.mu.Unlock()

	if check == nil {
		return nil
	}

	return check(ctx, s.app)
}

// Spawn starts a process by the script.
func (s *DummySpawner) Spawn(ctx context.Context) (spawner.Process, error) {
	f := s.factory
	began := time.Now()
	f.mu.Lock()
	f.spawns++
	// A copy: a script that is changed later is for later spawns.
	n, script, closed := f.spawns, *f.scriptOf(s.app.Name()), f.closed
	held := f.hold(s.app.Name())
	f.mu.Unlock()
	if closed {
		return nil, s.failure(n, spawner.ErrClosed)
	}

	if err := held.wait(ctx); err != nil {
		return nil, s.failure(n, err)
	}

	if err := s.rehearse(ctx, n, &script); err != nil {
		return nil, s.failure(n, err)
	}

	p, err := f.start(ctx, s.app, &script, began)
	if err != nil {
		return nil, s.failure(n, err)
	}

	return p, nil
}

func (s *DummySpawner) rehearse(ctx context.Context, n int, script *Script) error {
	if script.SpawnDelay > 0 {
		delay := time.NewTimer(script.SpawnDelay)
		defer delay.Stop()

		select {
		case <-delay.C:
		case <-ctx.Done():
		}
	}

	if script.BeforeSpawn != nil {
		if err := script.BeforeSpawn(ctx, n, s.app); err != nil {
			return err
		}
	}

	if err := canceled(ctx); err != nil {
		return err
	}

	return script.Failures[n]
}

func (s *DummySpawner) failure(n int, err error) *spawner.SpawnError {
	if e := (*spawner.SpawnError)(nil); errors.As(err, &e) {
		return e
	}

	category := spawner.CategoryStartup
	switch {
	case errors.Is(err, spawner.ErrClosed):
		category = spawner.CategoryInternal
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		category = spawner.CategoryCanceled
	}

	return &spawner.SpawnError{
		Category: category,
		Summary:  err.Error(),
		ID:       fmt.Sprintf("%08x", n),
		AppName:  s.app.Name(),
		AppRoot:  s.app.Root,
		Err:      err,
	}
}

// canceled returns the error of ctx, with its cause if that says more.
func canceled(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}

	return fmt.Errorf("%w: %w", err, cause)
}
