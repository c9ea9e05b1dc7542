package watchdog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of agents. They are wrapped with the agent's name.
var (
	// ErrAgentEnded: it has ended with success, without having been asked to.
	ErrAgentEnded = errors.New("it has ended by itself")
	// ErrForced: it did not end in time, and was made to.
	ErrForced = errors.New("it did not end in time, and was made to")
	// ErrStopping: it is to end.
	ErrStopping = errors.New("it is to end")
	// ErrNotServing: no process of it serves now.
	ErrNotServing = errors.New("it does not serve")
	// ErrStartFailed: it did not come to serve.
	ErrStartFailed = errors.New("it did not start")
)

// Agent is a program that does a server's work.
type Agent struct {
	// Name is for the log, as "core".
	Name string
	// Command returns the program; it is called for each start. The watchdog sets
	// ExtraFiles, and what of Env and SysProcAttr it needs.
	Command func() *exec.Cmd
	// Start calls what starts the program, as on a thread with fewer rights; nil means that it
	// is called as it is.
	Start func(start func() error) error
	// Config becomes Parent.Config, as JSON. It may have secrets in it: no other user
	// else sees it.
	Config any
	// Protocol becomes Parent.Protocol. It identifies what Config and the rest of what
	// is said means, for agents that may be of another version than the watchdog.
	Protocol string
	// Files are lent to the agent, by name. They stay open here.
	Files map[string]*os.File
	// Ready is called each time that the agent serves, with its process id and
	// what it reported; nil means that no call needs it.
	Ready func(pid int, about json.RawMessage)
	// Status is called with what an agent that serves tells by Parent.Tell, one call
	// at a time for each process; nil means that it is ignored.
	Status func(pid int, status json.RawMessage)
	// MaxFailedStarts is the number of failed starts in a row after which the watchdog
	// gives up; zero means 10, a negative value never.
	MaxFailedStarts int
}

const defaultMaxFailedStarts = 10

// agent is an Agent's life.
type agent struct {
	cfg *Agent
	dog *Watchdog
	// stopping gets the context that bounds the end, once. done is closed after
	// it, or when the agent is given up; result is how it ended then.
	stopping chan context.Context
	done     chan struct{}
	result   error
	// successors are to take the place of the process that serves, and retiring
	// are those whose place was taken.
	successors chan successor
	retiring   sync.WaitGroup

	mu      sync.Mutex
	current *process // nil means none that serves
	// draining are processes whose place was taken, some of which may have ended.
	draining []*process
}

func newAgent(w *Watchdog, cfg *Agent) *agent {
	return &agent{
		cfg:        cfg,
		dog:        w,
		stopping:   make(chan context.Context, 1),
		done:       make(chan struct{}),
		successors: make(chan successor),
	}
}

func (a *agent) set(p *process) {
	a.mu.Lock()
	a.current = p
	a.mu.Unlock()
}

func (a *agent) serving() *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

func (a *agent) send(command string) {
	if p := a.serving(); p != nil {
		// If it is dead, another process takes its place.
		_ = p.link.send(&message{Command: command})
	}
}

// process is one process of an agent.
type process struct {
	cmd  *exec.Cmd
	link *link
	// ready is when it began to serve, alive how long after that it has responded
	// last.
	ready time.Time
	alive atomic.Int64
	// yielded is closed when it takes no more work.
	yielded   chan struct{}
	questions questions
	// exited is closed when it has ended; err says how.
	exited chan struct{}
	err    error
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// start starts a process and waits until it serves, for as long as timeout.
func (a *agent) start(ctx context.Context, timeout time.Duration) (_ *process, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w within %s", ErrStartFailed, timeout))
	defer cancel()
	p, err := a.launch()
	if err != nil {
		return nil, fmt.Errorf("the %s cannot be started: %w", a.cfg.Name, err)
	}

	told := make(chan error, 1)
	var about json.RawMessage
	// receive does not end with ctx, but with the link, which end closes.
	go func() {
		m, err := p.link.receive()
		switch {
		case err != nil:
			told <- errEndedEarly
		case m.Error != "":
			told <- &FailedError{Reason: m.Error, Details: m.Details}
		default:
			about = m.Ready
			told <- nil
		}
	}()

	select {
	case err = <-told:
	case <-ctx.Done():
		err = fmt.Errorf("the %s cannot be started: %w", a.cfg.Name, context.Cause(ctx))
	}

	if err != nil {
		p.end()
		if errors.Is(err, errEndedEarly) {
			err = fmt.Errorf("%w: the %s ended before it could serve (%w)", ErrStartFailed, a.cfg.Name,
				exitReason(p.err))
		}

		return nil, err
	}

	p.ready = time.Now()
	a.set(p)
	go a.listen(p)
	go a.watchHeart(p)
	if a.cfg.Ready != nil {
		a.cfg.Ready(p.pid(), about)
	}

	return p, nil
}

var errEndedEarly = errors.New("it ended before it could serve")

// launch starts a process and tells it what to do.
func (a *agent) launch() (*process, error) {
	config, err := json.Marshal(a.cfg.Config)
	if err != nil {
		return nil, err
	}

	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}

	l, err := newLink(ours)
	// The link has a duplicate.
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, err
	}

	// The names tell the agent which descriptor is which.
	names := slices.Sorted(maps.Keys(a.cfg.Files))
	cmd := a.cfg.Command()
	if err := a.startProgram(cmd, theirs, names); err != nil {
		l.close()
		return nil, err
	}

	p := &process{
		cmd:     cmd,
		link:    l,
		yielded: make(chan struct{}),
		exited:  make(chan struct{}),
	}
	go func() {
		defer close(p.exited)
		p.err = a.dog.children.wait(cmd)
	}()

	// If it is dead already, that shows where its response is awaited.
	_ = l.send(&message{Start: &startMessage{
		Config:   config,
		Protocol: a.cfg.Protocol,
		Files:    names,
		OOMScore: a.dog.oomScore,
	}})

	return p, nil
}

// startProgram starts a command with its end of the link and the named files, and closes this process's copies.
func (a *agent) startProgram(cmd *exec.Cmd, link *os.File, names []string) error {
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}

	cmd.Env = append(cmd.Env, feedbackVariable+"=true")
	cmd.ExtraFiles = []*os.File{link}
	defer func() {
		for _, f := range cmd.ExtraFiles {
			_ = f.Close()
		}
	}()

	for _, name := range names {
		f, err := duplicate(a.cfg.Files[name])
		if err != nil {
			return err
		}

		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}

	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}

	// Ctrl-C is for the watchdog to act on.
	cmd.SysProcAttr.Setpgid = true
	start := func() error { return a.dog.children.start(cmd) }
	if a.cfg.Start != nil {
		return a.cfg.Start(start)
	}

	return start()
}

// duplicate returns a file that is lent as it is: Fd, which an exec.Cmd calls, sets a
// file that net has made to blocking mode, and with it the agents' own, whose Accept
// would no longer end.
func duplicate(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}

	fd := -1
	controlErr := raw.Control(func(from uintptr) { fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) })
	if controlErr != nil {
		return nil, controlErr
	}

	if err != nil {
		return nil, &os.PathError{Op: "duplicate", Path: f.Name(), Err: err}
	}

	return os.NewFile(uintptr(fd), f.Name()), nil
}

// end kills the process, if it has not ended, and waits.
func (p *process) end() {
	// Its group is what it has started and not put into a session of its own.
	// The process was not waited for, so its ID is not reused.
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		<-p.exited
	}

	p.link.close()
}

// exitReason says how a process ended that was not to.
func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}

	return err
}
