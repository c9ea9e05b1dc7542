package tools_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/pty"
)

const (
	enterScreen = "\x1b[?1049h"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// session is a program on a terminal.
type session struct {
	*pty.Terminal
	cmd    *exec.Cmd
	before unix.Termios
	seen   int
}

// onTerminal starts a program on a terminal of its own.
func (b *box) onTerminal(t *testing.T, width, height int, term, program string, args ...string) *session {
	t.Helper()
	cmd := b.command(t.Context(), program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{}

	return startOnTerminal(t, width, height, term, cmd)
}

// startOnTerminal starts a command that has its SysProcAttr.
func startOnTerminal(t *testing.T, width, height int, term string, cmd *exec.Cmd) *session {
	t.Helper()
	p, err := pty.Open(width, height)
	require.NoError(t, err)
	s := &session{Terminal: p, cmd: cmd}
	s.before, err = p.Mode()
	require.NoError(t, err)
	s.cmd.Env = append(s.cmd.Env, "TERM="+term)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = p.Program, p.Program, p.Program
	s.cmd.SysProcAttr.Setsid, s.cmd.SysProcAttr.Setctty = true, true
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill() // the test has failed
			_ = s.cmd.Wait()         // as above
		}

		require.NoError(t, p.Close())
	})

	return s
}

// await waits until a text is shown after what was awaited before.
func (s *session) await(t *testing.T, text string) {
	t.Helper()

	end := time.After(deadline)
	for {
		_, changed := s.Screen.Count(text)

		shown := s.Screen.String()
		for i := s.seen; i+len(text) <= len(shown); i++ {
			if shown[i:i+len(text)] == text {
				s.seen = i + len(text)
				return
			}
		}

		select {
		case <-changed:
		case <-end:
			require.FailNow(t, "not shown: "+text, "%q", shown)
		}
	}
}

func (s *session) press(t *testing.T, keys string) {
	t.Helper()
	require.NoError(t, s.Press(keys))
}

// requireEnd waits for the end of the program, and checks that the terminal is as
// it was.
func (s *session) requireEnd(t *testing.T, status int) {
	t.Helper()
	timer := time.AfterFunc(deadline, func() { _ = s.cmd.Process.Kill() }) // which shows in the status
	defer timer.Stop()
	_ = s.cmd.Wait() // see below
	require.Equal(t, status, s.cmd.ProcessState.ExitCode(), "%q", s.Screen.String())
	after, err := s.Mode()
	require.NoError(t, err)
	require.Equal(t, s.before, after)
	require.NotContains(t, s.Screen.String(), "goroutine ")
}

func TestWatch(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := b.start(t)
	s := b.onTerminal(t, 60, 12, "xterm", "passenger-status", "--watch", "--interval", "50ms")
	s.await(t, enterScreen)
	s.await(t, "\x1b[HVersion : ")
	s.await(t, "Max pool size : 6")
	s.await(t, "lines 1 to 11 of ")
	s.press(t, "\x1b[B")
	s.await(t, "lines 2 to 12 of ")
	s.press(t, "G")
	s.await(t, "  * PID: ")
	s.press(t, "\x1b[H")
	s.await(t, "lines 1 to 11 of ")
	require.NoError(t, s.Resize(60, 40))
	s.await(t, "  * PID: ")
	s.await(t, "\x1b[1mq leaves\x1b[0m")

	name := h.instance(t).Name
	require.NoError(t, h.Cmd.Process.Signal(syscall.SIGTERM))
	<-h.Ended
	s.await(t, "The instance "+name+" has ended: waiting for another one.")
	s.await(t, "No instance is running: waiting for one.")
	next := b.start(t)
	s.await(t, "Instance: "+next.instance(t).Name)
	s.await(t, next.name)
	s.press(t, "q")
	s.requireEnd(t, 0)
	s.await(t, leaveScreen)
}

func TestWatchLeaves(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.open(t)

	for _, test := range []struct {
		name   string
		leave  func(t *testing.T, s *session)
		status int
	}{
		{"Ctrl-C", func(t *testing.T, s *session) { t.Helper(); s.press(t, "\x03") }, 0},
		{"SIGTERM", func(t *testing.T, s *session) {
			t.Helper()
			require.NoError(t,
				s.cmd.Process.Signal(syscall.SIGTERM))
		}, 128 + 15},
		{"SIGINT", func(t *testing.T, s *session) {
			t.Helper()
			require.NoError(t,
				s.cmd.Process.Signal(syscall.SIGINT))
		}, 128 + 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := b.onTerminal(t, 80, 24, "xterm", "passenger-status", "--watch")
			s.await(t, "App groups    : 0")
			test.leave(t, s)
			s.requireEnd(t, test.status)
			s.await(t, leaveScreen)
		})
	}
}

// On a terminal, status is a table; passenger-status, and what is asked for by name, are as the original has them.
func TestStatusOnATerminalIsATable(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := b.start(t)
	h.get(t)

	for name, test := range map[string]struct {
		term    string
		command []string
		shown   string
		missing string
	}{
		"table":           {"xterm", []string{"passenger", "status"}, "APPLICATION", "General information"},
		"original's name": {"xterm", []string{"passenger-status"}, "General information", "APPLICATION"},
		"by name":         {"xterm", []string{"passenger", "status", "--show=pool"}, "General information", "APPLICATION"},
		"secrets":         {"xterm", []string{"passenger", "status", "-v"}, "General information", "APPLICATION"},
		"programs":        {"xterm", []string{"passenger", "status", "--json"}, `"queueLength"`, "APPLICATION"},
		"no screen":       {"dumb", []string{"passenger", "status"}, "General information", "APPLICATION"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := b.onTerminal(t, 80, 24, test.term, test.command[0], test.command[1:]...)
			s.await(t, test.shown)
			s.requireEnd(t, 0)
			require.NotContains(t, s.Screen.String(), test.missing)
		})
	}

	s := b.onTerminal(t, 80, 24, "xterm", "passenger", "status")
	s.await(t, "Serves  : ")
	s.await(t, "LAST FAILURE")
	s.await(t, " 0/1 ")
	s.requireEnd(t, 0)
}

// The owner of an application sees it, though not the incidents of all.
func TestStatusOnTheTerminalOfAnOwner(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))

	s := startOnTerminal(t, 80, 24, "xterm", h.commandAs(t.Context(), alice, "passenger", "status"))
	s.await(t, "LAST FAILURE")
	s.await(t, "shop ")
	s.requireEnd(t, 0)
	require.NotContains(t, s.Screen.String(), "blog")
}

func TestTop(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := b.start(t)
	h.get(t)

	for _, command := range [][]string{{"top"}, {"status", "--watch"}} {
		s := b.onTerminal(t, 80, 24, "xterm", "passenger", append(command, "--interval", "50ms")...)
		s.await(t, enterScreen)
		s.await(t, "\x1b[H"+h.instance(t).Name)
		s.await(t, "1 of 6 processes, 0 busy")
		s.await(t, "REQUESTS OF LATE")
		s.await(t, " 0/1 ")
		s.await(t, "sort: n name")
		s.press(t, "m")
		s.await(t, "REQUESTS OF LATE")
		s.press(t, "q")
		s.requireEnd(t, 0)
		s.await(t, leaveScreen)
	}
}

func TestTopSorts(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := b.open(t, app("aaa", alice), app("bbb", bob))
	s := b.onTerminal(t, 80, 24, "xterm", "passenger", "top", "--interval", "1h")
	s.await(t, "aaa ")
	s.await(t, "bbb ")
	o := h.pool.Inspect().Group("bbb").Options
	busy, err := h.pool.Get(t.Context(), &o)
	require.NoError(t, err)
	defer busy.Close(passenger.Discard)
	s.press(t, "p")
	s.await(t, "bbb ")
	s.await(t, "aaa ")
	s.press(t, "q")
	s.requireEnd(t, 0)
}

// A terminal that can only print gets one after the other, as a pipe does.
func TestWatchWithoutScreen(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.open(t)

	s := b.onTerminal(t, 80, 24, "dumb", "passenger-status", "--watch", "--interval", "50ms")
	for range 3 {
		s.await(t, "Version : ")
		s.await(t, "----------- Application groups -----------")
	}

	s.press(t, "\x03")
	s.requireEnd(t, 128+2)
	require.NotContains(t, s.Screen.String(), "\x1b")
}

func TestRestartAppMenu(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.open(t, app("blog", alice), app("shop", bob))

	for name, test := range map[string]struct {
		term, keys, shown string
		status            int
	}{
		"the second":     {"xterm", "\x1b[B\r", "Restarting shop\r\n", 0},
		"cancel":         {"xterm", "\x1b[A\r", "Nothing is restarted.\r\n", 1},
		"Ctrl-C":         {"xterm", "\x03", "Nothing is restarted.\r\n", 1},
		"a number":       {"dumb", "2\n", "Restarting shop\r\n", 0},
		"cancel by line": {"dumb", "0\n", "Nothing is restarted.\r\n", 1},
		"a signal":       {"dumb", "\x03", "^C", 128 + 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := b.onTerminal(t, 80, 24, test.term, "passenger-config", "restart-app")
			s.await(t, "Please select the application to restart.")
			s.await(t, "shop")
			s.await(t, "Cancel")
			s.press(t, test.keys)
			s.await(t, test.shown)
			s.requireEnd(t, test.status)
		})
	}
}

func TestRestartAppShowsProgress(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	srv := b.start(t)
	hold := filepath.Join(srv.dir, holdFile)
	require.NoError(t, syscall.Mkfifo(hold, 0o600))
	s := b.onTerminal(t, 200, 24, "xterm", "passenger-config", "restart-app", srv.dir, "--wait", "--rolling-restart")
	s.await(t, "Restarting "+srv.name+"\r\n")
	s.await(t, "processes are new")

	// The new process runs on.
	require.NoError(t, os.WriteFile(hold, nil, 0))
	require.NoError(t, os.Remove(hold))
	s.await(t, "\r\x1b[KRestarted "+srv.name+": ")
	s.await(t, " processes replaced in ")
	s.requireEnd(t, 0)
}
