package spawner

import (
	"context"
	"sync/atomic"
)

// smart has a preloader fork the processes of an application, and starts those
// of applications directly for which there is none.
type smart struct {
	factory *factory
	app     App
	// turn has an element while a spawn uses the preloader: others wait for
	// each other.
	turn      chan struct{}
	preloader *preloader // guarded by turn; nil means that none was started
	closed    atomic.Bool
}

func (s *smart) Spawn(ctx context.Context) (Process, error) {
	return spawn(ctx, s.factory, s.app, func(a *attempt, ctx context.Context) (*process, error) {
		if a.command.preloader == nil {
			return a.run(ctx)
		}

		return s.run(ctx, a)
	})
}

// Check is [Checking]'s. It does not look at the preloader.
func (s *smart) Check(ctx context.Context) error { return checkOnly(ctx, s.factory, s.app) }

// run has the preloader fork the process of an attempt.
func (s *smart) run(ctx context.Context, a *attempt) (*process, error) {
	a.plan(smartSteps)
	a.journal.enter(StepPreloader)

	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, canceled(ctx)
	}

	if s.closed.Load() {
		return nil, ErrClosed
	}

	if err := s.fork(ctx, a); err != nil {
		return nil, err
	}

	ready, rest, err := a.negotiate(ctx)
	if err != nil {
		return nil, err
	}

	return a.attach(ready, rest)
}

// fork gives the attempt a child. A preloader that does not fork one is replaced, once.
func (s *smart) fork(ctx context.Context, a *attempt) error {
	const maxTries = 2
	for tries := 1; ; tries++ {
		if err := s.start(ctx); err != nil {
			return err
		}

		a.journal.enter(StepFork)
		err := s.preloader.fork(ctx, a)
		if err == nil {
			return nil
		}

		// After a command that was called off the preloader is in an unknown
		// state.
		cause := canceled(ctx)
		if cause == nil {
			err = s.preloader.explain(err)
		}

		s.preloader.kill()
		s.preloader = nil
		// Another preloader would need more descriptors than this one.
		if cause != nil || tries == maxTries || lacksDescriptors(err) {
			return err
		}

		a.config.Logger.Error(err, "the preloader did not fork a process and is started again", "app", a.app.Name())
		a.journal.enter(StepPreloader)
	}
}

// start makes sure that a preloader runs. Its error is the *SpawnError of the
// preloader.
func (s *smart) start(ctx context.Context) error {
	if s.preloader != nil && s.preloader.child.lives() {
		return nil
	}

	if s.preloader != nil {
		s.preloader.kill()
		s.preloader = nil
	}

	p, err := startPreloader(ctx, s.factory, s.app)
	if err != nil {
		return err
	}

	s.preloader = p

	return nil
}

// StopPreloader leaves alone a preloader that is in use, which
// is not idle then.
func (s *smart) StopPreloader() {
	select {
	case s.turn <- struct{}{}:
	default:
		return
	}

	defer func() { <-s.turn }()
	s.stop()
}

func (s *smart) stop() {
	if s.preloader != nil {
		s.preloader.stop()
		s.preloader = nil
	}
}

func (s *smart) Close() error {
	// First, so that spawns that wait for their turn start no preloader.
	s.closed.Store(true)
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.stop()

	return nil
}
