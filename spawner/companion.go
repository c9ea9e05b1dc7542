package spawner

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// CompanionVar is the variable that has the name of a companion in its environment.
const CompanionVar = "PASSENGER_COMPANION"

// DefaultCompanionStopTimeout is that of [Companion].
const DefaultCompanionStopTimeout = 10 * time.Second

// Companion is a program that runs beside the processes of an application and takes no requests, such as the workers
// of a queue.
type Companion struct {
	// Name tells it from others, in the log and in its environment.
	Name string
	// Command is a program with its arguments. A name is looked up in the application's PATH.
	Command []string
	// Env is added to the environment of the application's processes, and counts more.
	Env map[string]string
	// StopSignal asks it to end; zero means SIGTERM. Its children do not get the signal, since many programs end
	// theirs when they have finished their work.
	StopSignal syscall.Signal
	// StopTimeout is how long after StopSignal the companion and what it has started are killed; zero means
	// DefaultCompanionStopTimeout.
	StopTimeout time.Duration
	// Held is a file that it keeps open, by which others can notice its end; nil means none. The caller closes it.
	Held *os.File
	// Output is called when it has started, and returns what takes the lines that it prints; nil means that of Config.
	Output func() Output
}

// CompanionStarter is what a Factory may be that starts companions. That of [New] is one.
type CompanionStarter interface {
	Factory
	// StartCompanion starts a companion of app: as the user that processes of app run as, in the same directory, with
	// the same environment but for PORT and SOCKET, and with the same limits. It returns when the program has begun.
	// The Process has no sockets, and its Stop is as Companion says. Every error but those of app's Validate and
	// ErrClosed is a *SpawnError, and nothing is left running then.
	StartCompanion(ctx context.Context, app App, c Companion) (Process, error)
}

var companionSteps = []StepName{StepPrepare, StepStart}

func (f *factory) StartCompanion(ctx context.Context, app App, c Companion) (Process, error) {
	if err := app.Validate(); err != nil {
		return nil, err
	}

	if len(c.Command) == 0 {
		return nil, errors.New("the companion has no command: set Companion.Command")
	}

	app = app.Clone()
	app.setDefaults()
	if app.Env == nil {
		app.Env = map[string]string{}
	}

	maps.Copy(app.Env, c.Env)

	a := newAttempt(f, app)
	a.companion = &c
	config := f.config
	config.Logger = config.Logger.WithValues("companion", c.Name)
	a.config = &config
	a.output.log = a.output.log.WithValues("companion", c.Name)
	if c.Output != nil {
		a.output.open = c.Output
	}

	a.journal.plan(companionSteps)
	p, err := a.runCompanion(ctx)
	if err != nil {
		return nil, a.fail(ctx, err)
	}

	return p, nil
}

func (a *attempt) runCompanion(ctx context.Context) (*companionProcess, error) {
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}

	a.journal.enter(StepStart)
	if err := a.identity.withRights(a.resolveCompanion); err != nil {
		return nil, err
	}

	if err := a.start(a.command.argv); err != nil {
		return nil, err
	}

	// There is no handshake that could still fail, so no error will need what it prints.
	a.output.release()
	a.child.goOnReading(a.child.in)

	return &companionProcess{
		child: a.child,
		spec:  a.companion,
		info: Info{
			PID:          a.child.pid,
			User:         a.identity.name,
			UID:          a.identity.uid,
			GID:          a.identity.gid,
			GUPID:        a.gupid,
			SpawnStarted: a.began,
			SpawnEnded:   time.Now(),
		},
	}, nil
}

// resolveCompanion puts the companion's command in the place of the application's, whose environment stays.
func (a *attempt) resolveCompanion() error {
	app := a.command
	r := newResolver(&a.app, a.dir.loaders, a.envFiles)
	r.byName = a.loginShell() != ""
	if path, ok := app.env["PATH"]; ok {
		r.path = path // that of a virtual environment
	}

	program, err := r.lookUp(a.companion.Command[0], companionMissing)
	if err != nil {
		return err
	}

	env := map[string]string{CompanionVar: a.companion.Name}
	maps.Copy(env, app.env)
	argv := slices.Concat([]string{program}, a.companion.Command[1:])

	// As a shell would: its environment may say where it serves something of its own.
	for variable, find := range inText {
		value, ok := a.app.Env[variable]
		if !ok {
			value = a.envFiles[variable]
		}

		for i := range argv {
			argv[i] = find().ReplaceAllLiteralString(argv[i], value)
		}
	}

	// The guard ends what is generic, since it does not notice by itself that this program has gone.
	a.command = &command{program: app.program, argv: argv, env: env, generic: true}

	return nil
}

// companionProcess is a companion that runs.
type companionProcess struct {
	info  Info
	child *child
	spec  *Companion

	asked sync.Once
}

func (p *companionProcess) Info() *Info             { return &p.info }
func (p *companionProcess) Exited() <-chan struct{} { return p.child.exited }
func (p *companionProcess) ExitStatus() string      { return p.child.exitStatus() }

// Stop is that of Process, with the companion's own signal and time.
func (p *companionProcess) Stop(ctx context.Context) {
	p.asked.Do(func() {
		sig := p.spec.StopSignal
		if sig == 0 {
			sig = syscall.SIGTERM
		}

		p.child.signalAlone(sig)
	})

	timeout := p.spec.StopTimeout
	if timeout == 0 {
		timeout = DefaultCompanionStopTimeout
	}

	kill := time.NewTimer(timeout)
	defer kill.Stop()

	select {
	case <-p.child.gone:
		return
	case <-kill.C:
	case <-ctx.Done():
	}

	p.child.signal(syscall.SIGKILL)
	<-p.child.gone
}
