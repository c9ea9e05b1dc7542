package spawner

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/randtext"
	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/loaderproto"
)

// exitGrace is how long a program that closed its stdout gets to end by
// itself, so that its exit status is known.
const exitGrace = 250 * time.Millisecond

// termGrace is how long a program that was not ready in time has to end itself
// before it is killed.
const termGrace = 5 * time.Second

// attempt is one spawn, or the start of a preloader.
type attempt struct {
	factory *factory
	config  *Config
	app     App
	began   time.Time
	journal *journal
	output  *output
	gupid   string

	dir      *privateDir
	sockets  *socketDir
	identity *identity
	envFiles map[string]string
	command  *command
	port     int  // zero means that none was allotted
	byPort   bool // the program serves there, or on socket, and did not speak the handshake
	// host is where it serves on the port, once it does.
	host netip.Addr
	// socket is the Unix socket that it was given instead of a port; empty means none.
	socket   string
	password string
	env      *environment
	limits   string

	started time.Time
	child   *child
	// checkFrom is how much had been printed when the health check began.
	checkFrom int64
	family    *family // nil without a preloader
	// traces and slowLog are nil unless the process writes backtraces there.
	traces  *traceFile
	slowLog *slowLog
	// companion is nil for a process that takes requests.
	companion *Companion
}

func newAttempt(f *factory, app App) *attempt {
	a := &attempt{
		factory: f,
		config:  &f.config,
		app:     app,
		began:   time.Now(),
		journal: newJournal(),
	}
	a.gupid = newGUPID(a.began)
	a.password = randtext.Alphanumeric(passwordLength)
	a.output = newOutput(a.config.Logger.WithValues("app", app.Name()), a.config.OutputPrefix)
	a.output.flood = newFlood(app.MaxOutputRate)
	a.output.keeping = f.config.Witness
	if open := a.config.Output; open != nil {
		a.output.open = func() Output { return open(&a.app) }
	}

	return a
}

// plan says which steps there will be until a process may get requests.
func (a *attempt) plan(steps []StepName) {
	a.journal.plan(slices.Concat(steps, a.app.checkSteps()))
}

// prepare finds out what to start as which user, and makes room for its sockets.
func (a *attempt) prepare(ctx context.Context) (err error) {
	a.journal.enter(StepPrepare)
	if err := canceled(ctx); err != nil {
		return err
	}

	if a.dir, err = a.factory.privateDir(); err != nil {
		// The directory is gone with the factory, and not at fault.
		if errors.Is(err, ErrClosed) {
			return err
		}

		return &fault{problem: dirUnusable, subject: a.config.Dir, err: err}
	}

	if err := a.check(a.factory.identifier); err != nil {
		return err
	}

	if err := a.dir.writeLoaders(languages(a.command.appType.Name)); err != nil {
		return &fault{problem: dirUnusable, subject: a.dir.path, err: err}
	}

	if a.sockets, err = a.dir.newSocketDir(a.identity); err != nil {
		return &fault{problem: dirUnusable, subject: a.dir.path, err: err}
	}

	// What cannot be sent is refused before there is a process to end.
	req := a.request()

	return req.Check()
}

// readApp reads the application's files with its user's rights.
func (a *attempt) readApp(p *program) (err error) {
	// Again: findProgram has looked with the rights of this program.
	if err := checkRoot(a.app.Root, os.Stat); err != nil {
		return err
	}

	if a.envFiles, err = readEnvFiles(&a.app); err != nil {
		return err
	}

	r := newResolver(&a.app, a.dir.loaders, a.envFiles)
	r.byName = a.loginShell() != ""
	r.switched = a.identity.switched
	r.home, r.uid = a.identity.home, a.identity.uid
	a.command, err = r.resolve(p)

	return err
}

// start starts argv as the attempt's process.
func (a *attempt) start(argv []string) error {
	a.env = a.newEnvironment()
	argv = a.prepared(argv, a.env)
	a.started = time.Now()
	generic := a.command.generic
	if generic {
		a.guard().watch(a.gupid)
	}

	spec := &childSpec{
		argv:     argv,
		env:      a.env.list(),
		dir:      a.app.Root,
		identity: a.identity,

		noNewPrivileges: a.app.NoNewPrivileges,

		// These speak no handshake. Any other program may, and needs its stdin for that.
		noInput:     a.companion != nil || a.command.appType.Name == phpType,
		secondAdmin: !generic && a.command.appType.Name == "node",

		output:  a.output,
		cleanUp: a.cleanUp,
	}
	if a.companion != nil {
		spec.held = a.companion.Held
	}

	child, err := startChild(spec)
	if err != nil {
		a.guard().forget(a.gupid)
		return startFault(argv[0], err)
	}

	if generic {
		a.guard().name(a.gupid, child.pid)
	}

	a.child = child

	return a.checkState()
}

// cleanUp is called when the process has ended.
func (a *attempt) cleanUp() {
	// What a worker executes has the worker's marker. What it forks has the preloader's, as other workers do.
	if a.family == nil || a.family.attempt != a {
		a.endEscaped()
	}

	if a.family != nil {
		a.family.leave()
	}

	a.guard().forget(a.gupid)
	a.discard()
}

// removeSockets removes what the process has left in the directory of its sockets.
func (a *attempt) removeSockets() {
	if err := a.sockets.remove(); err != nil {
		a.config.Logger.Error(err, "cannot remove the directory of a process's sockets: look at what is in it, and "+
			"remove it",
			"app", a.app.Name(), "dir", a.sockets.path)
	}
}

// endEscaped ends what has left the process's session.
func (a *attempt) endEscaped() {
	var pids []int

	// The environment of a process can be read by its user.
	err := a.identity.withRights(func() error {
		pids = killMarked(MarkerVar+"="+a.gupid, a.identity.uid)
		return nil
	})
	if err != nil {
		a.config.Logger.Error(err, "cannot look for processes that the application has put into the background", "app",
			a.app.Name())
	}

	if len(pids) > 0 {
		a.config.Logger.Info("processes that the application had put into the background were killed with it",
			"app", a.app.Name(), "pids", pids)
	}
}

// attach makes a process of a child that is ready, whose output is still kept.
func (a *attempt) attach(ready *loaderproto.Ready, rest io.Reader) (*process, error) {
	a.journal.enter(StepCheck)
	owner := a.owner()
	if err := a.sockets.check(ready.Sockets, owner); err != nil {
		return nil, &fault{problem: badSocket, err: err}
	}

	if ready.PID != 0 {
		if err := checkPID(ready.PID, a.identity.uid); err != nil {
			return nil, &fault{problem: foreignPID, err: err}
		}
	}

	p := &process{
		child:  a.child,
		config: a.config,
		byPort: a.byPort,
		info: Info{
			PID:             a.displayPID(ready.PID),
			AppType:         a.command.appType.Name,
			StartupFile:     a.command.startupFile,
			User:            a.identity.name,
			UID:             a.identity.uid,
			GID:             a.identity.gid,
			WithRights:      a.identity.withRights,
			GUPID:           a.gupid,
			ConnectPassword: a.password,
			SpawnStarted:    a.began,
			SpawnEnded:      time.Now(),
		},
	}

	p.tracer, p.env = a.tracer(ready), a.env
	if a.command.appType.Name == phpType {
		scripts := a.command.scripts(&a.app)
		p.info.Scripts = &scripts
	}

	a.addSockets(&p.info, ready, owner)

	// It fails if the process has ended since it reported its sockets.
	if !a.child.setDeadline(time.Time{}) {
		return nil, &loaderproto.Error{Kind: loaderproto.ExitedEarly, Step: loaderproto.ReadReady}
	}

	a.child.goOnReading(rest)

	return p, nil
}

// addSockets adds those that the process has reported, whose owner was checked.
func (a *attempt) addSockets(info *Info, ready *loaderproto.Ready, owner *owner) {
	keepAlive := ready.HasFeature(loaderproto.FeatureSessionKeepAlive)
	for _, s := range ready.Sockets {
		// Such as that for direct access, which loaders open for people and tools.
		if !s.Protocol.TakesRequests() {
			info.OtherSockets = append(info.OtherSockets, s)
			continue
		}

		info.Sockets = append(info.Sockets, Socket{
			Socket:           s,
			SessionKeepAlive: keepAlive && s.Protocol == loaderproto.Session,
			OutOfBandWork:    ready.HasFeature(loaderproto.FeatureHTTPOutOfBandWork),
			NamesClient:      ready.HasFeature(loaderproto.FeatureHTTPClient),
			Dial:             requestDialer(s.Address, owner),
			Log:              a.output.logLine,
		})
	}
}

// displayPID is what to show: the pid that was reported if it is one of the
// child's session, which a start command may have put a shell in front of.
func (a *attempt) displayPID(reported int) int {
	if reported == 0 || reported == a.child.pid {
		return a.child.pid
	}

	// No process enters a session from outside, so a member of it descends from the child.
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

	killDelay := time.Duration(0)
	switch {
	case endsByItself(cause):
		killDelay = exitGrace
	case tooSlow(cause):
		// It may want to say where it hangs.
		c.signal(syscall.SIGTERM)
		killDelay = termGrace
	}

	kill := time.AfterFunc(killDelay, func() { c.signal(syscall.SIGKILL) })
	defer kill.Stop()

	// What is still to be read ends with the process, which has a deadline of
	// its own for the case that something else holds the socket.
	c.setDeadline(time.Time{})
	if !c.reading {
		c.readStdout(c.in)
	}

	<-c.gone

	return c.ownStatus()
}

// endsByItself reports whether a program with this error has closed its stdout, and
// so has most probably ended.
func endsByItself(err error) bool {
	return isKind(err, loaderproto.ExitedEarly, loaderproto.TruncatedLine, loaderproto.TruncatedBlock,
		loaderproto.ReadFailed, loaderproto.WriteFailed, loaderproto.AppError)
}

// tooSlow reports whether the time to start was over.
func tooSlow(err error) bool {
	f := (*fault)(nil)
	return isKind(err, loaderproto.TimedOut) || errors.As(err, &f) &&
		(f.problem.isOfServing() || f.problem.isOfCheck())
}

func isKind(err error, kinds ...loaderproto.Kind) bool {
	e := (*loaderproto.Error)(nil)
	return errors.As(err, &e) && slices.Contains(kinds, e.Kind)
}

// fail tidies up and puts err into words.
func (a *attempt) fail(ctx context.Context, err error) *SpawnError {
	if e := (*SpawnError)(nil); errors.As(err, &e) { // the preloader's own
		a.discard()
		return e
	}

	e := &SpawnError{
		ID:          newErrorID(),
		AppName:     a.app.Name(),
		AppRoot:     a.app.Root,
		Environment: a.app.Environment,
		Err:         err,
	}
	d := diagnosis{
		app:   &a.app,
		err:   err,
		port:  a.port,
		shell: a.command != nil && a.needsShell(),

		identifier: a.factory.identifier,
	}
	if a.command != nil {
		e.Command = a.command.argv
		if a.command.preloader != nil {
			e.Command = a.command.preloader
		}
	}

	if a.identity != nil {
		e.User = a.identity.String()
		d.user = e.User
	}

	if a.env != nil {
		e.Env = a.env.list()
	}

	d.command = e.Command
	// The end of ctx cuts off whatever was in progress, whose error then explains nothing.
	if cause := canceled(ctx); cause != nil {
		d.err, e.Err = cause, cause
		d.canceled = true
	}

	a.endFailed(e)

	if a.dir != nil {
		d.loaders = a.dir.loaders
	}

	e.Output = foldFrames(withoutMarkers(e.Output), d.loaders)
	d.status, d.output = e.ExitStatus, e.Output
	if a.checkFrom > 0 {
		// The start itself was a success: what was printed before the check cannot be why it failed.
		d.output = printedSince(a.checkFrom, e.Output, e.OutputDropped)
	}

	d.step = e.Journey.failed()
	d.explain(e)
	a.logFailure(e)

	return e
}

// endFailed ends what has been started, and adds what is known then.
func (a *attempt) endFailed(e *SpawnError) {
	// Before the process is ended: the step does not include the grace for that.
	a.journal.end(StepFailed)
	e.Journey = a.journal.steps
	e.Limits = a.limits
	if a.child != nil {
		e.ExitStatus = a.end(e.Err)
	} else {
		a.discard()
	}

	// Only now is the process gone, and its last words are here.
	e.Output, e.OutputDropped = a.output.release()
}

// logFailure writes one record with all that helps to find the cause: in production
// nothing else tells it.
func (a *attempt) logFailure(e *SpawnError) {
	r := e.Report()
	log := a.config.Logger.WithValues("app", e.AppName, "root", e.AppRoot, "id", e.ID)
	// A restart or shutdown calls starts off, which is no failure of the application.
	if e.Category == CategoryCanceled {
		log.Info("the start of a process was called off", "step", r.Step)
		return
	}

	about := []any{"category", r.Category, "step", r.Step, "exitStatus", r.ExitStatus, "advice", r.Advice}
	if r.Message != "" {
		about = append(about, "appMessage", r.Message)
	}

	if r.Output != "" {
		about = append(about, "output", r.Output, "outputCut", r.OutputCut)
	}

	log.Error(errors.New(redact.New(e.Env).Text(errorText(e.Err))), "cannot start a process: "+r.Summary, about...)
}

// discard gives back what an attempt without a process has.
func (a *attempt) discard() {
	// What cannot be closed is closed already.
	_ = a.traces.finish()
	_ = a.slowLog.finish()

	if a.sockets != nil {
		a.removeSockets()
	}

	a.factory.ports.release(a.port)
}
