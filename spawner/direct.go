package spawner

import (
	"context"
	"errors"
)

// direct starts each process from its program.
type direct struct {
	factory *factory
	app     App
}

func (*direct) Close() error { return nil }

func (d *direct) Spawn(ctx context.Context) (Process, error) {
	return spawn(ctx, d.factory, d.app, (*attempt).run)
}

// Check is [Checking]'s.
func (d *direct) Check(ctx context.Context) error { return checkOnly(ctx, d.factory, d.app) }

// checkOnly does of a spawn what starts nothing.
func checkOnly(ctx context.Context, f *factory, app App) error {
	a := newAttempt(f, app)
	if err := a.prepare(ctx); err != nil {
		return a.fail(ctx, err)
	}

	a.discard()

	return nil
}

// spawn prepares an attempt and lets run make a process of it.
func spawn(ctx context.Context, f *factory, app App,
	run func(*attempt, context.Context) (*process, error),
) (Process, error) {
	// Another program may take a port just before ours does.
	const maxTries = 3
	for tries := 1; ; tries++ {
		a := newAttempt(f, app)

		err := a.prepare(ctx)
		if err == nil {
			err = a.prepareTraces()
		}

		if err == nil {
			var p *process
			if p, err = run(a, ctx); err == nil {
				err = a.confirm(ctx, p)
			}

			if err == nil {
				return p, nil
			}
		}

		// No other failure would be different at another port.
		if !errors.Is(err, errPortTaken) || tries == maxTries || canceled(ctx) != nil {
			return nil, a.fail(ctx, err)
		}

		a.config.Logger.Info("another program took the port that was allotted to the application: another one is tried",
			"app", a.app.Name(), "port", a.port)
		a.end(err)
	}
}

// run starts what was prepared and waits until it is ready.
func (a *attempt) run(ctx context.Context) (*process, error) {
	a.plan(directSteps)
	if a.command.generic {
		a.plan(genericSteps)
		if err := a.allotAddress(); err != nil {
			return nil, err
		}

		if a.command.appType.Name == phpType {
			if err := a.preparePHP(); err != nil {
				return nil, err
			}
		}
	}

	a.journal.enter(StepStart)
	if err := a.start(a.command.argv); err != nil {
		return nil, err
	}

	await := a.negotiate

	switch {
	case a.command.appType.Name == phpType:
		await = a.awaitFastCGI
	case a.command.generic:
		await = a.awaitServing
	}

	ready, rest, err := await(ctx)
	if err != nil {
		return nil, err
	}

	return a.attach(ready, rest)
}
