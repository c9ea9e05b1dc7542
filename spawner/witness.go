package spawner

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/loaderproto"
)

// What is kept of the words of a process.
const (
	// MaxBacktraces is how much a process may say of what it is doing, in bytes.
	MaxBacktraces = 128 << 10
	// MaxLastOutput and MaxLastLines are how much of what a process has printed is kept in memory.
	MaxLastOutput = 16 << 10
	MaxLastLines  = 100
)

// ErrNoBacktraces means that a process cannot say what it is doing: its loader has not offered to.
var ErrNoBacktraces = errors.New("the process has not offered to show its backtraces")

var errSilent = errors.New("the process has not shown its backtraces in time: it may be in a function of the system, " +
	"or of its interpreter")

// Witness is what a Process may be that says what it is doing, and has done.
type Witness interface {
	Process
	// Backtraces asks the process for the backtraces of its threads, and returns them in the form of its
	// language, at most MaxBacktraces. They are the application's words, without the secrets of its
	// environment, and not checked. The process does nothing else than before, but a system call that it
	// waits in may be interrupted. One that has ended may have left some, of its crash. The error is
	// ErrNoBacktraces, or says why there are none.
	Backtraces(ctx context.Context) (string, error)
	// LastOutput returns the last lines that the process has printed, without those secrets. That of a
	// process that has ended is waited for until ctx ends.
	LastOutput(ctx context.Context) []string
}

var _ Witness = (*process)(nil)

// tracer asks a process for its backtraces.
type tracer interface {
	ask(ctx context.Context, c *child) (string, error)
}

func (p *process) Backtraces(ctx context.Context) (string, error) {
	if p.tracer == nil {
		return "", ErrNoBacktraces
	}

	text, err := p.tracer.ask(ctx, p.child)

	return redact.New(p.env.list()).Text(text), err
}

func (p *process) LastOutput(ctx context.Context) []string {
	if !p.child.lives() {
		select {
		case <-p.child.gone:
		case <-ctx.Done():
		}
	}

	lines := p.child.output.lastLines()
	secrets := redact.New(p.env.list())

	for i := range lines {
		lines[i] = secrets.Text(lines[i])
	}

	return lines
}

// traceFileName is that of a file or a socket in the directory of a process's sockets.
const traceFileName = "backtraces"

// The waits for what a process writes into its file, which has no end.
const (
	traceLookInterval = 10 * time.Millisecond
	traceQuietTime    = 100 * time.Millisecond
	traceTimeout      = 1500 * time.Millisecond
)

// traceFile is a file that a process appends its backtraces to when it gets SIGURG, and perhaps when it crashes. It
// was made here, before the process, so that whatever the process does to its name, this is the file.
type traceFile struct {
	mu   sync.Mutex
	file *os.File
	// left is what the process had written when it ended.
	left string
}

func (d *socketDir) newTraceFile(id *identity) (*traceFile, error) {
	f, err := d.create(traceFileName, os.O_RDWR, id)
	if err != nil {
		return nil, err
	}

	return &traceFile{file: f}, nil
}

// finish closes the file of a process that has ended, and keeps what is in it.
func (t *traceFile) finish() error {
	if t == nil {
		return nil
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	if t.file == nil {
		return nil
	}

	t.left, _ = t.read() // the process may have written nothing
	err := t.file.Close()
	t.file = nil

	return err
}

func (t *traceFile) ask(ctx context.Context, c *child) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	// One that has just written something by itself is about to die of it.
	if info, err := t.stat(); err == nil && info.Size() > 0 {
		select {
		case <-c.exited:
		case <-time.After(traceQuietTime):
		}
	}

	if t.file == nil || !c.lives() {
		return t.ofTheDead()
	}

	if err := t.file.Truncate(0); err != nil {
		return "", err
	}

	defer func() {
		if c.lives() {
			_ = t.file.Truncate(0) // what is there later comes from a crash
		}
	}()

	// Whatever the program does with signals, it ignores this one unless it has a handler. It is not one that
	// counts as sent, since the process does not end of it.
	c.leader.signalAlone(syscall.SIGURG)

	return t.await(ctx, c)
}

// await waits until the process has written something, and then nothing for a while. The handler of a signal can do
// little, and not say that it has come to its end.
func (t *traceFile) await(ctx context.Context, c *child) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()

	ticker := time.NewTicker(traceLookInterval)
	defer ticker.Stop()

	written, since := int64(0), time.Now()
	for {
		select {
		case <-ticker.C:
		case <-c.exited:
			return t.read()
		case <-ctx.Done():
			if written > 0 {
				return t.read()
			}

			return "", errSilent
		}

		info, err := t.file.Stat()
		switch {
		case err != nil:
			return "", err
		case info.Size() != written:
			written, since = info.Size(), time.Now()
		case written > 0 && time.Since(since) >= traceQuietTime:
			return t.read()
		}
	}
}

func (t *traceFile) stat() (fs.FileInfo, error) {
	if t.file == nil {
		return nil, os.ErrClosed
	}

	return t.file.Stat()
}

func (t *traceFile) read() (string, error) {
	b, err := io.ReadAll(io.NewSectionReader(t.file, 0, MaxBacktraces))
	return string(b), err
}

// ofTheDead returns what a process has left that has ended.
func (t *traceFile) ofTheDead() (string, error) {
	left := t.left
	if t.file != nil {
		left, _ = t.read()
	}

	if left == "" {
		return "", errors.New("the process has ended, and left no backtraces")
	}

	return left, nil
}

// traceSocket is a Unix socket of a process: who connects gets its backtraces.
type traceSocket struct {
	path  string
	owner *owner
}

func (t *traceSocket) ask(ctx context.Context, c *child) (string, error) {
	if !c.lives() {
		return "", errors.New("the process has ended")
	}

	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()

	conn, err := t.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()

	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	b, err := io.ReadAll(io.LimitReader(conn, MaxBacktraces))
	if len(b) > 0 {
		return string(b), nil // also what came of them in time
	}

	if err == nil || ctx.Err() != nil {
		err = errSilent
	}

	return "", err
}

// traceDialWait is the time between two attempts to connect: the thread that listens may begin to only when the process
// serves.
const traceDialWait = 50 * time.Millisecond

func (t *traceSocket) dial(ctx context.Context) (net.Conn, error) {
	dial := dialer(loaderproto.Address{Network: "unix", Addr: t.path}, t.owner)
	for {
		conn, err := dial(ctx)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}

		select {
		case <-time.After(traceDialWait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// offeredTraces are the features by which the process may show its backtraces.
func (a *attempt) offeredTraces() []string {
	switch {
	case !a.config.Witness, a.command.appType.costlyTraces && a.app.SlowRequestTime == 0:
		return nil
	case a.traces != nil:
		return []string{loaderproto.FeatureBacktraceSignal, loaderproto.FeatureBacktraceSocket}
	}

	return []string{loaderproto.FeatureBacktraceSocket}
}

// prepareTraces makes the file for languages whose loaders write into one.
func (a *attempt) prepareTraces() (err error) {
	if !a.config.Witness || !a.command.appType.traceFile {
		return nil
	}

	if a.traces, err = a.sockets.newTraceFile(a.identity); err != nil {
		return &fault{problem: dirUnusable, subject: a.sockets.path, err: err}
	}

	return nil
}

// tracer returns what a process that is ready has agreed to.
func (a *attempt) tracer(ready *loaderproto.Ready) tracer {
	switch {
	case a.traces != nil && ready.HasFeature(loaderproto.FeatureBacktraceSignal):
		return a.traces
	case ready.HasFeature(loaderproto.FeatureBacktraceSocket):
		return &traceSocket{path: filepath.Join(a.sockets.path, traceFileName), owner: a.owner()}
	case a.slowLog != nil:
		return a.slowLog
	}

	return nil
}

// keepLast keeps the end of what is printed, for LastOutput. It needs the lock.
func (o *output) keepLast(line []byte) {
	if over := len(o.last) + len(line) + 1 - 2*MaxLastOutput; over > 0 {
		o.last = o.last[:copy(o.last, o.last[max(len(o.last)-MaxLastOutput, 0):])]
	}

	o.last = append(append(o.last, line[max(len(line)-MaxLastOutput, 0):]...), '\n')
}

// lastLines returns the last lines that were printed, whole ones unless one is longer than all may be.
func (o *output) lastLines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()

	return lastOfOutput(o.last)
}

func lastOfOutput(text []byte) []string {
	if len(text) == 0 {
		return nil
	}

	cut := text[max(len(text)-MaxLastOutput, 0):]
	lines := strings.Split(strings.TrimSuffix(string(cut), "\n"), "\n")
	if len(cut) < len(text) && len(lines) > 1 {
		lines = lines[1:] // the end of one
	}

	return lines[max(len(lines)-MaxLastLines, 0):]
}
