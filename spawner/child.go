package spawner

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/inherit"
)

// drainTime is how long output that is still on its way when a process has
// ended is waited for: something else may hold the pipe.
const drainTime = time.Second

// child is a process with its process group and our ends of its stdio. Its
// life has two ends: exited, when the process has ended, and gone, when nothing
// of it is left, its readers are done and its descriptors are closed.
type child struct {
	pid   int
	admin *net.UnixConn // stdin and stdout
	// in continues what was read from admin already.
	in io.Reader
	// input is the number of the file that its stdin is; zero means that it is not known.
	input  uint64
	stderr *os.File // nil means that the process writes to that of its preloader
	output *output
	leader leader
	exited chan struct{}
	gone   chan struct{}
	// readers are those of stdout and stderr.
	readers sync.WaitGroup
	// reading reports whether stdout is read already. Only the goroutine that spawns uses it.
	reading bool

	mu    sync.Mutex
	ended bool
	// sent are the signals that we have sent to it while it lived.
	sent   []syscall.Signal
	status string
}

// leader is the process that a child consists of, or the first of its group.
type leader interface {
	// awaitEnd returns when the process has ended, with how it did, and has
	// then ended its group as well.
	awaitEnd() (status string)
	// signal sends sig to the process and its group while the process lives,
	// and to no other process at any time.
	signal(sig syscall.Signal)
	// signalAlone is signal without the group.
	signalAlone(sig syscall.Signal)
}

// stdio are both ends of a process's stdio.
type stdio struct {
	theirs, stderr *os.File
	ours           *net.UnixConn
	ourStderr      *os.File
	all            []io.Closer
}

// openStdio makes the admin socket and the pipe for stderr.
func openStdio() (_ *stdio, err error) {
	s := &stdio{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	pair, err := socketpair()
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}

	s.theirs = os.NewFile(uintptr(pair[1]), "admin socket of the process")
	s.own(s.theirs)
	ours := os.NewFile(uintptr(pair[0]), "admin socket")
	conn, err := net.FileConn(ours)
	// FileConn has made a copy of the descriptor.
	_ = ours.Close()
	if err != nil {
		return nil, err
	}

	s.own(conn)
	var ok bool
	if s.ours, ok = conn.(*net.UnixConn); !ok {
		return nil, errors.New("the admin socket is not a Unix socket")
	}

	if s.ourStderr, s.stderr, err = os.Pipe(); err != nil {
		return nil, err
	}

	s.own(s.ourStderr)
	s.own(s.stderr)

	return s, nil
}

func (s *stdio) own(c io.Closer) { s.all = append(s.all, c) }

func (s *stdio) close() {
	for _, c := range s.all {
		_ = c.Close()
	}
}

// childSpec says what to start.
type childSpec struct {
	// argv begins with an absolute path.
	argv, env []string
	dir       string
	identity  *identity
	// noNewPrivileges reports whether executing a setuid program gives the process nothing.
	noNewPrivileges bool
	output          *output
	// noInput reports whether its stdin is empty, and nothing but its output comes by the admin socket.
	noInput bool
	// secondAdmin reports whether the admin socket is its descriptor 3 as well, so that the loader can hide what it
	// reads.
	secondAdmin bool
	// held is a file that the process keeps open as descriptor 3; nil means none.
	held *os.File
	// cleanUp is called when the process and its group have ended.
	cleanUp func()
}

// startChild starts a process. The caller must call readStdout when it has
// done the handshake.
func startChild(spec *childSpec) (*child, error) {
	stdio, err := openStdio()
	if err != nil {
		return nil, err
	}

	cmd := &exec.Cmd{
		Path:   spec.argv[0],
		Args:   spec.argv,
		Env:    spec.env,
		Dir:    spec.dir,
		Stdin:  stdio.theirs,
		Stdout: stdio.theirs,
		Stderr: stdio.stderr,
		// A session of its own: no terminal, and a process group that ends
		// with it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: spec.identity.credential()},
	}
	if spec.noInput {
		cmd.Stdin = nil
	}

	switch {
	case spec.held != nil:
		cmd.ExtraFiles = []*os.File{spec.held}
	case spec.secondAdmin:
		cmd.ExtraFiles = []*os.File{stdio.theirs}
	}

	wait := newExitWaiter(cmd)
	limits := spec.identity.limits(spec.noNewPrivileges)
	if err := limits.Start(func() error { return inherit.Start(cmd) }); err != nil {
		stdio.close()
		return nil, err
	}

	input := fileNumber(stdio.theirs)

	// With copies here, the end of the process would not end what we read from it.
	_ = stdio.theirs.Close()
	_ = stdio.stderr.Close()
	c := newChild(cmd.Process.Pid, stdio.ours, stdio.ours, stdio.ourStderr, spec.output)
	c.input = input
	c.begin(&ownProcess{cmd: cmd, wait: wait}, spec.cleanUp)

	return c, nil
}

func newChild(pid int, admin *net.UnixConn, in io.Reader, stderr *os.File, out *output) *child {
	return &child{
		pid:    pid,
		admin:  admin,
		in:     in,
		stderr: stderr,
		output: out,
		exited: make(chan struct{}),
		gone:   make(chan struct{}),
	}
}

// begin makes c read what the process prints on stderr, and wait for its end.
func (c *child) begin(l leader, cleanUp func()) {
	c.leader = l
	c.output.started(c.pid)
	c.readers.Add(1) // readStdout
	if c.stderr != nil {
		c.readers.Add(1)
		go c.readStderr()
	}

	go c.awaitEnd(cleanUp)
}

// goOnReading is readStdout in the background.
func (c *child) goOnReading(from io.Reader) {
	c.reading = true
	go c.readStdout(from)
}

// readStdout reads what the process prints until it ends; from continues admin.
func (c *child) readStdout(from io.Reader) {
	defer c.readers.Done()
	defer c.output.out.end()
	copyOutput(&c.output.out, from)
}

func (c *child) readStderr() {
	defer c.readers.Done()
	defer c.output.error.end()
	copyOutput(&c.output.error, c.stderr)
}

func copyOutput(to *stream, from io.Reader) {
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		_, _ = to.Write(buf[:n]) // never fails
		if err != nil {
			return
		}
	}
}

// awaitEnd waits for the process and tidies up.
func (c *child) awaitEnd(cleanUp func()) {
	status := c.leader.awaitEnd()
	c.mu.Lock()
	c.ended = true
	c.status = status
	// Under the lock, so that setDeadline cannot lift it afterwards.
	end := time.Now().Add(drainTime)
	_ = c.admin.SetDeadline(end)
	if c.stderr != nil {
		_ = c.stderr.SetReadDeadline(end)
	}

	c.mu.Unlock()

	// Before tidying up, which looks at all processes of the host: its replacement does not wait for that.
	close(c.exited)

	// First, since it ends what has left the session and may hold the pipes that the readers read.
	cleanUp()
	c.readers.Wait()
	_ = c.admin.Close()
	if c.stderr != nil {
		_ = c.stderr.Close()
	}

	c.output.end(drainTime)
	close(c.gone)
}

// signal sends sig to the process group while the process lives.
func (c *child) signal(sig syscall.Signal) {
	c.noteSent(sig)
	c.leader.signal(sig)
}

// signalAlone sends sig to the process and not to its group.
func (c *child) signalAlone(sig syscall.Signal) {
	c.noteSent(sig)
	c.leader.signalAlone(sig)
}

// noteSent notes a signal that the process may end of. That it has ended before shows here later, on a busy machine.
func (c *child) noteSent(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if !c.ended && !hasEnded(c.pid) {
		c.sent = append(c.sent, sig)
	}
}

// lives reports whether the process has not ended.
func (c *child) lives() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// exitStatus says how the process ended; empty while it runs.
func (c *child) exitStatus() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// ownStatus is the exit status of a process that did not end because of us; empty
// otherwise. What handles SIGTERM may exit with any status then, while SIGKILL leaves
// that of a process which was about to end.
func (c *child) ownStatus() string {
	c.mu.Lock()
	defer c.mu.Unlock()

	for _, sig := range c.sent {
		if sig != syscall.SIGKILL || c.status == "signal: "+sig.String() {
			return ""
		}
	}

	return c.status
}

// setDeadline sets the deadline of the admin socket. It fails when the process
// has ended, which sets one of its own.
func (c *child) setDeadline(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.admin.SetDeadline(t) == nil
}
