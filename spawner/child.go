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
)

// drainTime is how long output that is still on its way when a process has
// ended is waited for: something else may hold the pipe.
const drainTime = time.Second

// child is a process with its process group and our ends of its stdio. Its
// life has two ends: exited, when the process was reaped, and gone, when its
// readers are done as well and its descriptors are closed.
type child struct {
	pid    int
	admin  *net.UnixConn // stdin and stdout
	stderr *os.File
	output *output
	exited chan struct{}
	gone   chan struct{}
	// readers are those of stdout and stderr.
	readers sync.WaitGroup

	// mu makes sure that nothing is signalled after it was reaped, when its
	// number may belong to somebody else.
	mu     sync.Mutex
	reaped bool
	killed bool
	status string
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
	identity  identity
	output    *output
	// cleanUp is called when the process has ended.
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
		Path: spec.argv[0], Args: spec.argv, Env: spec.env, Dir: spec.dir,
		Stdin: stdio.theirs, Stdout: stdio.theirs, Stderr: stdio.stderr,
		// A session of its own: no terminal, and a process group that ends
		// with it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: spec.identity.credential},
	}
	wait := newExitWaiter(cmd)
	if err := cmd.Start(); err != nil {
		stdio.close()
		return nil, err
	}
	_ = stdio.theirs.Close()
	_ = stdio.stderr.Close()
	c := &child{
		pid: cmd.Process.Pid, admin: stdio.ours, stderr: stdio.ourStderr, output: spec.output,
		exited: make(chan struct{}), gone: make(chan struct{}),
	}
	spec.output.started(c.pid)
	c.readers.Add(2)
	go c.readStderr()
	go c.reap(cmd, wait, spec.cleanUp)
	return c, nil
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

// reap waits for the process, ends its group, and tidies up.
func (c *child) reap(cmd *exec.Cmd, wait *exitWaiter, cleanUp func()) {
	zombie := wait.untilExit(c.pid)
	if !zombie {
		_ = cmd.Wait() // how it ended is in ProcessState
	}
	c.mu.Lock()
	if zombie {
		// Its pid cannot be anybody else's before it was reaped.
		_ = syscall.Kill(-c.pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	c.reaped = true
	c.status = cmd.ProcessState.String()
	end := time.Now().Add(drainTime)
	_ = c.admin.SetDeadline(end)
	_ = c.stderr.SetReadDeadline(end)
	c.mu.Unlock()
	close(c.exited)

	cleanUp()
	c.readers.Wait()
	_ = c.admin.Close()
	_ = c.stderr.Close()
	c.output.drain(drainTime)
	close(c.gone)
}

// signal sends sig to the process group while the process lives.
func (c *child) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return
	}
	c.killed = c.killed || sig == syscall.SIGKILL
	_ = syscall.Kill(-c.pid, sig)
}

// exitStatus says how the process ended; empty while it runs.
func (c *child) exitStatus() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// ownStatus is the exit status of a process that we did not kill.
func (c *child) ownStatus() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed && c.status == "signal: killed" {
		return ""
	}
	return c.status
}

// setDeadline sets the deadline of the admin socket. It fails when the process
// has ended, which sets one of its own.
func (c *child) setDeadline(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.reaped && c.admin.SetDeadline(t) == nil
}
