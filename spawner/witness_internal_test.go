package spawner

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// puppet is the leader of a child that a test plays.
type puppet struct {
	leader
	signaled func(syscall.Signal)
}

func (p puppet) signalAlone(sig syscall.Signal) { p.signaled(sig) }

func newPuppet(signaled func(syscall.Signal)) *child {
	return &child{leader: puppet{signaled: signaled}, exited: make(chan struct{})}
}

// ownSocketDir returns the directory of a process of this user.
func ownSocketDir(t *testing.T) (*socketDir, *identity) {
	t.Helper()
	path, err := os.MkdirTemp("", "t") //nolint:usetesting // the paths of sockets have to be short
	require.NoError(t, err)
	root, err := os.OpenRoot(filepath.Dir(path))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, root.Close())
		require.NoError(t, os.RemoveAll(path))
	})

	return &socketDir{parent: root, name: filepath.Base(path), path: path},
		&identity{account: account{uid: os.Geteuid()}, gid: os.Getegid()}
}

// newTraces returns the file of a process, and its path.
func newTraces(t *testing.T) (traces *traceFile, path string) {
	t.Helper()
	dir, id := ownSocketDir(t)
	traces, err := dir.newTraceFile(id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, traces.finish()) })

	return traces, filepath.Join(dir.path, traceFileName)
}

// write appends to a file, as a process does.
func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestBacktracesOfASignal(t *testing.T) {
	traces, path := newTraces(t)
	n := 0
	c := newPuppet(func(sig syscall.Signal) {
		require.Equal(t, syscall.SIGURG, sig, "programs ignore it")
		n++
		write(t, path, fmt.Sprint("backtrace ", n))
	})

	for i := 1; i <= 2; i++ {
		text, err := traces.ask(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("backtrace ", i), text, "without those before")
	}

	require.Empty(t, c.sent, "the process does not end of it")
}

func TestProcessThatShowsNothing(t *testing.T) {
	traces, _ := newTraces(t)
	_, err := traces.ask(t.Context(), newPuppet(func(syscall.Signal) {}))
	require.ErrorIs(t, err, errSilent)
}

func TestProcessThatWritesWithoutEnd(t *testing.T) {
	traces, path := newTraces(t)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c := newPuppet(func(syscall.Signal) {
		go func() {
			defer close(done)

			for ctx.Err() == nil {
				_, _ = f.WriteString(strings.Repeat("x", 64<<10))
			}
		}()
	})
	text, err := traces.ask(t.Context(), c)
	cancel()
	<-done
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), MaxBacktraces)
}

// The file is open before the process starts, so that a name that it replaces leads nowhere.
func TestProcessThatReplacesItsFile(t *testing.T) {
	traces, path := newTraces(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	c := newPuppet(func(syscall.Signal) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink(secret, path))
	})
	_, err := traces.ask(t.Context(), c)
	require.ErrorIs(t, err, errSilent)

	content, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content), "it was not emptied either")
}

func TestBacktracesOfACrashStay(t *testing.T) {
	traces, path := newTraces(t)
	c := newPuppet(func(syscall.Signal) { require.Fail(t, "its number may be another's") })
	write(t, path, "Segmentation fault")
	close(c.exited)

	for range 2 {
		text, err := traces.ask(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, "Segmentation fault", text)
		require.NoError(t, traces.finish())
	}
}

func TestProcessThatEndedInOrderLeavesNothing(t *testing.T) {
	traces, _ := newTraces(t)
	c := newPuppet(func(syscall.Signal) {})
	close(c.exited)
	_, err := traces.ask(t.Context(), c)
	require.ErrorContains(t, err, "left no backtraces")
}

// listenForTraces serves each connection with f.
func listenForTraces(t *testing.T, f func(net.Conn)) *traceSocket {
	t.Helper()
	dir, id := ownSocketDir(t)
	path := filepath.Join(dir.path, traceFileName)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)

		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}

			f(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})

	return &traceSocket{path: path, owner: &owner{uid: id.uid}}
}

func TestBacktracesOfASocket(t *testing.T) {
	s := listenForTraces(t, func(c net.Conn) { _, _ = io.WriteString(c, "backtraces") })
	text, err := s.ask(t.Context(), newPuppet(nil))
	require.NoError(t, err)
	require.Equal(t, "backtraces", text)
}

func TestSocketThatSendsWithoutEnd(t *testing.T) {
	s := listenForTraces(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 64<<10)); err != nil {
				return
			}
		}
	})
	text, err := s.ask(t.Context(), newPuppet(nil))
	require.NoError(t, err)
	require.Len(t, text, MaxBacktraces)
}

func TestSocketThatSendsNothing(t *testing.T) {
	release := make(chan struct{})
	s := listenForTraces(t, func(net.Conn) { <-release })
	_, err := s.ask(t.Context(), newPuppet(nil))
	close(release)
	require.ErrorIs(t, err, errSilent)
}

func TestSocketOfAnotherUserIsNotAsked(t *testing.T) {
	s := listenForTraces(t, func(c net.Conn) { _, _ = io.WriteString(c, "lies") })
	s.owner = &owner{uid: os.Geteuid() + 1, switched: true}
	_, err := s.ask(t.Context(), newPuppet(nil))
	require.Error(t, err)
}

func TestLastOutputIsBounded(t *testing.T) {
	o := &output{}
	require.Empty(t, o.lastLines())

	for i := range 1000 {
		o.keepLast(fmt.Append(nil, "line ", i))
	}

	lines := o.lastLines()
	require.Len(t, lines, MaxLastLines)
	require.Equal(t, "line 900", lines[0])
	require.Equal(t, "line 999", lines[MaxLastLines-1])

	for range 10 {
		o.keepLast([]byte(strings.Repeat("x", maxLogLine)))
	}

	o.keepLast([]byte("end"))
	lines = o.lastLines()
	require.Equal(t, []string{"end"}, lines)
	require.LessOrEqual(t, cap(o.last), 4*MaxLastOutput)
}

func TestSlowLogIsBoundedAndWaitedFor(t *testing.T) {
	dir, id := ownSocketDir(t)
	l, err := dir.newSlowLog(time.Second, id)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.finish()) }()
	require.Contains(t, l.config(), "request_slowlog_timeout = 1\n")

	c := newPuppet(nil)
	_, err = l.ask(t.Context(), c)
	require.ErrorContains(t, err, "has looked at no request")

	asked := make(chan string, 1)
	go func() {
		text, _ := l.ask(t.Context(), c)
		asked <- text
	}()
	write(t, l.path, strings.Repeat("x", 2*MaxLastOutput)+"sleep() /index.php:3")
	text := <-asked
	require.Len(t, text, MaxLastOutput)
	require.True(t, strings.HasSuffix(text, "sleep() /index.php:3"))
}

func TestSlowLogThatAnotherMadeIsRefused(t *testing.T) {
	dir, id := ownSocketDir(t)
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir.path, slowLogName)))
	_, err := dir.newSlowLog(time.Second, id)
	require.ErrorIs(t, err, os.ErrExist)
}

// php-fpm writes a slow log only where it will be asked for it.
func TestSlowLogIsMadeWhereItIsWanted(t *testing.T) {
	for _, c := range []struct {
		limit   time.Duration
		witness bool
		made    bool
	}{{time.Second, true, true}, {0, true, false}, {time.Second, false, false}} {
		dir, id := ownSocketDir(t)
		socket := filepath.Join(dir.path, "php")
		a := &attempt{
			app:      App{SlowRequestTime: c.limit},
			config:   &Config{Witness: c.witness},
			command:  &command{argv: []string{"php-fpm", "-y", socket + phpConfigSuffix}},
			sockets:  dir,
			socket:   socket,
			identity: id,
			output:   &output{},
		}
		require.NoError(t, a.preparePHP())

		config, err := os.ReadFile(socket + phpConfigSuffix)
		require.NoError(t, err)
		require.Equal(t, c.made, strings.Contains(string(config), "slowlog = "), "%+v", c)
		require.Equal(t, c.made, a.output.ignore != nil, "its lines in the log are left out for that")
		require.NoError(t, a.slowLog.finish())
	}
}
