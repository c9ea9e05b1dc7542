package spawner

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/loaderproto"
)

// exitGrace is how long a program that closed its stdout gets to end by
// itself, so that it can be told how it ended.
const exitGrace = 250 * time.Millisecond

// direct starts each process anew.
type direct struct {
	factory *factory
	app     App
}

func (*direct) Close() error { return nil }

func (d *direct) Spawn(ctx context.Context) (Process, error) {
	a := &attempt{
		factory: d.factory,
		config:  &d.factory.config,
		app:     d.app,
		began:   time.Now(),
		journal: newJournal(StepPrepare, StepStart, StepHandshake, StepRequest, StepLoad, StepReady, StepCheck),
	}
	a.output = newOutput(a.config.Logger.WithValues("app", a.app.Name()), a.config.OutputPrefix)
	p, err := a.run(ctx)
	if err != nil {
		return nil, a.fail(ctx, err)
	}
	return p, nil
}

// attempt is one spawn.
type attempt struct {
	factory *factory
	config  *Config
	app     App
	began   time.Time
	journal *journal
	output  *output

	dir      *privateDir
	sockets  *socketDir
	identity identity
	command  *command
	req      loaderproto.Request

	started time.Time
	child   *child
}

func (a *attempt) run(ctx context.Context) (*process, error) {
	a.journal.enter(StepPrepare)
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}
	a.journal.enter(StepStart)
	a.started = time.Now()
	child, err := startChild(&childSpec{
		argv:     a.command.argv,
		env:      environ(&a.app, a.dir.loaders),
		dir:      a.app.Root,
		identity: a.identity,
		output:   a.output,
		cleanUp:  a.sockets.remove,
	})
	if err != nil {
		return nil, startFault(a.command.argv[0], err)
	}
	a.child = child
	ready, rest, err := a.negotiate(ctx)
	if err != nil {
		return nil, err
	}
	a.journal.enter(StepCheck)
	return a.attach(ready, rest)
}

func (a *attempt) prepare(ctx context.Context) (err error) {
	if err := canceled(ctx); err != nil {
		return err
	}
	if a.dir, err = a.factory.privateDir(); err != nil {
		if errors.Is(err, ErrClosed) {
			return err
		}
		return &fault{problem: dirUnusable, subject: a.config.Dir, err: err}
	}
	if a.identity, err = identify(&a.app); err != nil {
		return &fault{problem: otherUser, err: err}
	}
	if err := checkRoot(a.app.Root, os.Stat); err != nil {
		return err
	}
	if a.command, err = resolve(&a.app, a.dir.loaders); err != nil {
		return err
	}
	if a.sockets, err = a.dir.newSocketDir(); err != nil {
		return &fault{problem: dirUnusable, subject: a.dir.path, err: err}
	}
	a.req = a.request()
	return a.req.Check()
}

// attach makes a process of a child that is ready.
func (a *attempt) attach(ready *loaderproto.Ready, rest io.Reader) (*process, error) {
	uid := a.identity.uid
	if err := a.sockets.check(ready.Sockets, uid); err != nil {
		return nil, &fault{problem: badSocket, err: err}
	}
	if ready.PID != 0 {
		if err := checkPID(ready.PID, uid); err != nil {
			return nil, &fault{problem: foreignPID, err: err}
		}
	}
	p := &process{child: a.child, config: a.config, info: Info{
		PID:             a.displayPID(ready.PID),
		GUPID:           a.req.GUPID,
		ConnectPassword: a.req.ConnectPassword,
		SpawnStarted:    a.began,
		SpawnEnded:      time.Now(),
	}}
	keepAlive := ready.HasFeature(loaderproto.FeatureSessionKeepAlive)
	for _, s := range ready.Sockets {
		if !s.Protocol.TakesRequests() {
			p.info.OtherSockets = append(p.info.OtherSockets, s)
			continue
		}
		p.info.Sockets = append(p.info.Sockets, Socket{
			Socket:           s,
			SessionKeepAlive: keepAlive && s.Protocol == loaderproto.Session,
			Dial:             dialer(s.Address, uid),
		})
	}
	if !a.child.setDeadline(time.Time{}) {
		return nil, &loaderproto.Error{Kind: loaderproto.ExitedEarly, Step: loaderproto.ReadReady}
	}
	a.output.release()
	go a.child.readStdout(rest)
	return p, nil
}

// displayPID is what to show: the pid that was reported if it is one of the
// child's session, which a start command may have put a shell in front of.
func (a *attempt) displayPID(reported int) int {
	if reported == 0 || reported == a.child.pid {
		return a.child.pid
	}
	if session, err := unix.Getsid(reported); err == nil && session == a.child.pid {
		return reported
	}
	a.config.Logger.Info("the application reported a pid that is not one of its processes; it is ignored",
		"app", a.app.Name(), "pid", a.child.pid, "reported", reported)
	return a.child.pid
}

// end kills what was started and waits until nothing of it is left. It returns
// how the process ended, if that was by itself.
func (a *attempt) end(cause error) string {
	c := a.child
	if endsByItself(cause) {
		grace := time.NewTimer(exitGrace)
		defer grace.Stop()
		select {
		case <-c.exited:
		case <-grace.C:
		}
	}
	c.signal(syscall.SIGKILL)
	// What is still to be read ends with the process, which has a deadline of
	// its own for the case that something else holds the socket.
	c.setDeadline(time.Time{})
	c.readStdout(c.admin)
	<-c.gone
	return c.ownStatus()
}

// endsByItself: a program with this error has closed its stdout, and so has
// most probably ended.
func endsByItself(err error) bool {
	e := (*loaderproto.Error)(nil)
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind { //nolint:exhaustive // the others leave the connection open
	case loaderproto.ExitedEarly, loaderproto.TruncatedLine, loaderproto.TruncatedBlock,
		loaderproto.ReadFailed, loaderproto.WriteFailed, loaderproto.AppError:
		return true
	default:
		return false
	}
}

// fail tidies up and puts err into words.
func (a *attempt) fail(ctx context.Context, err error) *SpawnError {
	e := &SpawnError{ID: newErrorID(), AppName: a.app.Name(), AppRoot: a.app.Root, Err: err}
	if a.command != nil {
		e.Command = a.command.argv
	}
	d := diagnosis{app: &a.app, command: e.Command, err: err}
	if cause := canceled(ctx); cause != nil {
		d.err, e.Err = cause, cause
		d.canceled = true
	}
	a.journal.end(StepFailed)
	e.Journey = a.journal.steps
	if a.child != nil {
		e.ExitStatus = a.end(err)
	} else if a.sockets != nil {
		a.sockets.remove()
	}
	e.Output, e.OutputDropped = a.output.release()
	d.status, d.output = e.ExitStatus, e.Output
	d.step = e.Journey.failed()
	d.explain(e)

	log := a.config.Logger.WithValues("app", e.AppName, "root", e.AppRoot, "id", e.ID)
	if e.Category == CategoryCanceled {
		log.Info("the start of a process was called off", "step", d.step)
	} else {
		log.Error(e.Err, "cannot start a process: "+e.Summary, "category", e.Category.String(), "step", d.step,
			"exitStatus", e.ExitStatus, "advice", e.Advice)
	}
	return e
}
