package spawner

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	// preloaderStopTime is how long a preloader may take to end.
	preloaderStopTime = 5 * time.Second
	// exitWait is how long a preloader may take to say how a process ended
	// that is known to have ended.
	exitWait = time.Second / 4
)

// preloader is a process that has loaded an application and forks others.
type preloader struct {
	config  *Config
	app     *App
	child   *child
	address loaderproto.Address
	family  *family
	exits   *exits

	stderr bool // workers get a stderr of their own
}

// startPreloader starts a preloader. Its error is a *SpawnError.
func startPreloader(ctx context.Context, f *factory, app App) (*preloader, error) {
	a := newAttempt(f, app)
	p, err := a.preload(ctx)
	if err != nil {
		e := a.fail(ctx, err)
		e.Preloader = true
		return nil, e
	}

	return p, nil
}

func (a *attempt) preload(ctx context.Context) (*preloader, error) {
	if err := a.prepare(ctx); err != nil {
		return nil, err
	}

	if a.command.preloader == nil {
		// The application has changed since the spawn began.
		return nil, &fault{problem: noApp, subject: a.app.Root, err: ErrNoApp}
	}

	fam := &family{attempt: a}
	a.family = fam
	// Before the start, as the end of the process leaves the family.
	fam.join()
	a.journal.enter(StepStart)
	if err := a.start(a.command.preloader); err != nil {
		return nil, err
	}

	req := a.request()
	req.Features = []string{loaderproto.FeatureWorkerStderr, loaderproto.FeatureWorkerExits}
	var ready *loaderproto.PreloaderReady
	var rest io.Reader
	err := a.converse(ctx, func(conn io.ReadWriter) (err error) {
		ready, rest, err = a.negotiation(req).NegotiatePreloader(conn)
		return err
	})
	if err != nil {
		return nil, err
	}

	a.journal.enter(StepCheck)
	if err := a.sockets.checkAddress(ready.Address, a.owner()); err != nil {
		return nil, &fault{problem: badSocket, err: err}
	}

	p := &preloader{
		config:  a.config,
		app:     &a.app,
		child:   a.child,
		address: ready.Address,
		family:  fam,
		exits:   newExits(),
		stderr:  ready.HasFeature(loaderproto.FeatureWorkerStderr),
	}
	if !a.child.setDeadline(time.Time{}) {
		return nil, &loaderproto.Error{Kind: loaderproto.ExitedEarly, Step: loaderproto.ReadReady}
	}

	a.output.release()
	go p.read(rest, ready.HasFeature(loaderproto.FeatureWorkerExits))
	a.config.Logger.V(1).Info("the preloader is ready", "app", a.app.Name(), "pid", a.child.pid)

	return p, nil
}

// read reads what the preloader prints and says.
func (p *preloader) read(from io.Reader, tellsExits bool) {
	defer p.exits.close()
	if !tellsExits {
		p.child.readStdout(from)
		return
	}

	defer p.child.readers.Done()
	out := &p.child.output.out
	defer out.end()

	// Whatever ends it, there is nothing more to read.
	_ = loaderproto.ReadWorkerExits(from, func(b []byte) { _, _ = out.Write(b) }, p.exits.tell)
}

// stop ends the preloader and waits until nothing of it is left. The processes
// that it has forked go on.
func (p *preloader) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), preloaderStopTime)
	defer cancel()
	(&process{child: p.child, config: p.config}).Stop(ctx)
}

// kill is stop for a preloader that is of no use any more.
func (p *preloader) kill() {
	p.child.signal(syscall.SIGKILL)
	<-p.child.gone
}

// explain puts into an error what is wrong with a preloader that did not fork.
func (p *preloader) explain(err error) error {
	if f := (*fault)(nil); errors.As(err, &f) || isKind(err, loaderproto.AppError) {
		return err
	}

	if isKind(err, loaderproto.TimedOut) || errors.Is(err, os.ErrDeadlineExceeded) {
		return &fault{problem: preloaderHangs, err: err}
	}

	// It is this program that has none, and nothing is wrong with the preloader.
	if lacksDescriptors(err) {
		return &fault{problem: descriptorLimit, err: err}
	}

	grace := time.NewTimer(exitGrace)
	defer grace.Stop()

	select {
	case <-p.child.exited:
		return &fault{problem: preloaderGone, subject: p.child.exitStatus(), err: err}
	case <-grace.C:
		return &fault{problem: preloaderBroken, err: err}
	}
}

// fork asks for a process and gives it to a.
func (p *preloader) fork(ctx context.Context, a *attempt) (err error) {
	a.started = time.Now()
	conn, err := p.connect(ctx, a)
	if err != nil {
		return err
	}

	var stderr, theirs *os.File
	defer func() {
		if theirs != nil {
			_ = theirs.Close()
		}

		if err != nil {
			_ = conn.Close()
			if stderr != nil {
				_ = stderr.Close()
			}
		}
	}()
	if p.stderr {
		if stderr, theirs, err = os.Pipe(); err != nil {
			return err
		}
	}

	// The command takes no longer than a fork. What is left of the time is for
	// another preloader.
	_ = conn.SetDeadline(a.started.Add(a.app.StartTimeout / 2))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req := a.request()
	if err := loaderproto.SendSpawnCommand(&rightsWriter{conn: conn, file: theirs}, &req); err != nil {
		return err
	}

	pid, rest, err := loaderproto.ReadSpawnReply(conn)
	if err != nil {
		return err
	}

	worker, err := p.adopt(pid, a)
	if err != nil {
		return err
	}

	a.family = p.family
	p.family.join()
	// A fork has the environment and the limits of its preloader.
	a.env, a.limits = p.family.attempt.env, p.family.attempt.limits
	a.started = time.Now() // of the handshake
	a.child = newChild(pid, conn, rest, stderr, a.output)
	a.child.begin(worker, a.cleanUp)

	return nil
}

// adopt takes the process that the preloader has forked for a.
func (p *preloader) adopt(pid int, a *attempt) (leader, error) {
	status := func() string { return p.exits.await(pid, exitWait) }

	switch worker, err := adopt(pid, a.identity.uid, p.child.pid); {
	case errors.Is(err, errWorkerEnded):
		// What it said before is still to be read.
		return endedProcess{status}, nil
	case errors.Is(err, errForeignWorker):
		return nil, &fault{problem: foreignWorker, err: err}
	case err != nil:
		return nil, err
	default:
		worker.status = status
		return worker, nil
	}
}

func (p *preloader) connect(ctx context.Context, a *attempt) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, a.app.StartTimeout/2)
	defer cancel()
	conn, err := dialer(p.address, a.owner())(ctx)
	if err != nil {
		return nil, err
	}

	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("the preloader's socket is not a Unix socket")
	}

	return unixConn, nil
}

var (
	errForeignWorker = errors.New("the preloader reported a process that is not one of its own")
	errWorkerEnded   = errors.New("the process has ended already")
)

// endedProcess is a process that was over before it could be held.
type endedProcess struct{ status func() string }

func (e endedProcess) awaitEnd() string    { return e.status() }
func (endedProcess) signal(syscall.Signal) {}

func (endedProcess) signalAlone(syscall.Signal) {}

// rightsWriter sends a file along with the first byte.
type rightsWriter struct {
	conn *net.UnixConn
	file *os.File
}

func (w *rightsWriter) Write(b []byte) (int, error) {
	if w.file == nil {
		return w.conn.Write(b)
	}

	n, _, err := w.conn.WriteMsgUnix(b, syscall.UnixRights(int(w.file.Fd())), nil)
	w.file = nil
	if err != nil || n == len(b) {
		return n, err
	}

	m, err := w.conn.Write(b[n:])

	return n + m, err
}

// family is a preloader with the processes that it has forked. They share an
// environment, so that what has left their sessions can only be found when the
// last of them has ended.
type family struct {
	attempt *attempt // the preloader's

	mu      sync.Mutex
	members int
}

func (f *family) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members++
}

func (f *family) leave() {
	f.mu.Lock()
	f.members--
	last := f.members == 0
	f.mu.Unlock()
	if last {
		f.attempt.endEscaped()
	}
}

// exits are the ends of processes as their preloader tells them.
type exits struct {
	mu     sync.Mutex
	told   []loaderproto.WorkerExit
	news   chan struct{} // closed with the next one
	closed bool
}

// maxExits is the number of exits that are kept until they are asked for.
const maxExits = 64

func newExits() *exits { return &exits{news: make(chan struct{})} }

func (e *exits) tell(w loaderproto.WorkerExit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.told) == maxExits {
		e.told = append(e.told[:0], e.told[1:]...)
	}

	e.told = append(e.told, w)
	close(e.news)
	e.news = make(chan struct{})
}

// close notes that nothing more will come.
func (e *exits) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	close(e.news)
}

// await returns how a process has ended, in words.
func (e *exits) await(pid int, timeout time.Duration) string {
	const unknown = "ended, in a way that its preloader did not tell"
	timer := time.NewTimer(timeout)
	defer timer.Stop()

	for {
		e.mu.Lock()
		for i, w := range e.told {
			if w.PID == pid {
				e.told = append(e.told[:i], e.told[i+1:]...)
				e.mu.Unlock()
				return exitText(w)
			}
		}

		news, closed := e.news, e.closed
		e.mu.Unlock()
		if closed {
			return unknown
		}

		select {
		case <-news:
		case <-timer.C:
			return unknown
		}
	}
}

// exitText uses the words of os.ProcessState.
func exitText(w loaderproto.WorkerExit) string {
	status := syscall.WaitStatus(w.Status << 8) //nolint:gosec // G115: at most 255
	if w.Signal != 0 {
		status = syscall.WaitStatus(w.Signal) //nolint:gosec // G115: at most 255
	}

	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}

	return "exit status " + strconv.Itoa(status.ExitStatus())
}
