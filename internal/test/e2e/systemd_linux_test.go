package e2e_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const signOfLife = "WATCHDOG=1"

// awaitSign waits for a sign of life.
func awaitSign(t testing.TB, messages <-chan string) {
	t.Helper()

	late := time.After(deadline)
	for {
		select {
		case m := <-messages:
			if m == signOfLife {
				return
			}
		case <-late:
			require.Fail(t, "the service manager gets no sign of life")
		}
	}
}

// A unit with WatchdogSec= gets a sign of life as long as the core responds, and none
// while it hangs; a core that has died is replaced, which is no reason to end the server.
func TestSystemdGetsSignsOfLifeFromACoreThatResponds(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	s := startIn(t, box, &launch{dir: t.TempDir(), args: testApp(t), env: []string{env, "WATCHDOG_USEC=2000000"}})
	awaitSign(t, messages)

	// On a busy machine, a core may have been too slow before.
	const silent = "the core does not respond: systemd gets no sign of life"
	before := strings.Count(s.Stderr.String(), silent)

	core := s.core(t)
	signalAll(t, syscall.SIGSTOP, core)
	s.Stderr.Await(t, silent, before+1, s.Ended)

	for len(messages) > 0 {
		<-messages
	}

	s.Stderr.Await(t, "WatchdogSec", 1, s.Ended)
	require.Empty(t, messages)
	require.Equal(t, before+1, strings.Count(s.Stderr.String(), silent))

	signalAll(t, syscall.SIGCONT, core)
	awaitSign(t, messages)

	signalAll(t, syscall.SIGKILL, core)
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	awaitSign(t, messages)

	// They go on while requests end.
	c := s.client(t)
	held := c.background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	s.signal(t, syscall.SIGTERM)

	for m := range messages {
		if m == "STOPPING=1" {
			break
		}
	}

	awaitSign(t, messages)
	signalAll(t, syscall.SIGUSR1, s.apps(t)...)
	require.NoError(t, (<-held).err)
	s.requireExit(t, 0)
}

// The variables may be meant for another process, from which this one has only inherited
// them, and then no sign is given in its place. Applications get none of them.
func TestSystemdsWatchdogOfAnotherProcessIsLeftAlone(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	s := startIn(t, box, &launch{
		dir:  t.TempDir(),
		args: testApp(t),
		env:  []string{env, "WATCHDOG_USEC=1000", "WATCHDOG_PID=1"},
	})
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	s.client(t).get(t, "/")
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, "STOPPING=1", awaitMessage(t, messages))
	s.requireExit(t, 0)
	require.Empty(t, messages)
}

// What the variable says must be meant; a server that ignored it would be killed later.
func TestSystemdsWatchdogTimeThatIsNoneFailsTheStart(t *testing.T) {
	t.Parallel()

	for _, value := range []string{"soon", "0", "-5", "99999999999999999999"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s := &server{sandbox: newSandbox(t)}
			s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
				dir:  t.TempDir(),
				args: testApp(t),
				env:  []string{"WATCHDOG_USEC=" + value},
			})
			s.run(t)
			s.requireExit(t, 1)
			require.Contains(t, s.Stderr.String(), `WATCHDOG_USEC is "`+value+`"`)
			require.Contains(t, s.Stderr.String(), "correct what starts the server")
		})
	}
}

// A service manager may have stopped reading: the server starts, serves and ends without it.
func TestServerWaitsForNoServiceManagerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	path := filepath.Join(box.Dir, "notify")
	address := &net.UnixAddr{Name: path, Net: "unixgram"}
	l, err := net.ListenUnixgram("unixgram", address)
	require.NoError(t, err)
	defer l.Close()

	// No more fits into its queue.
	full, err := net.DialUnix("unixgram", nil, address)
	require.NoError(t, err)
	defer full.Close()
	raw, err := full.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Write(func(fd uintptr) bool {
		for err = nil; err == nil; {
			_, err = syscall.SendmsgN(int(fd), []byte("X=1"), nil, nil, syscall.MSG_DONTWAIT)
		}

		return true
	}))
	require.ErrorIs(t, err, syscall.EAGAIN)

	s := startIn(t, box, &launch{
		dir:  t.TempDir(),
		args: testApp(t),
		env:  []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=200000"},
	})
	s.client(t).get(t, "/")
	s.Stderr.Await(t, "cannot notify systemd", 1, s.Ended)
	s.stop(t)
}

// An abstract socket, as in containers, is reached by its name.
func TestNotificationsToAnAbstractSocket(t *testing.T) {
	t.Parallel()
	name := "@" + t.TempDir()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.SetReadDeadline(time.Now().Add(deadline)))

	s := start(t, &launch{dir: t.TempDir(), args: testApp(t), env: []string{"NOTIFY_SOCKET=" + name}})
	message := make([]byte, 512)
	n, err := l.Read(message)
	require.NoError(t, err)
	require.Equal(t, "READY=1", string(message[:n]))
	s.stop(t)
}

// A unit of Type=notify-reload waits for RELOADING after its signal: a configuration that is rejected says so at once.
func TestRejectedReloadIsNotified(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	dir := t.TempDir()
	s := startIn(t, box, &launch{dir: dir, args: testApp(t), env: []string{env}})
	require.Equal(t, "READY=1", awaitMessage(t, messages))

	for text, told := range map[string]string{
		`{"max_pool_size": 0}`:  "max_pool_size is 0",
		`{"pid_file": "other"}`: "pid_file was not set",
		`{`:                     "is not valid",
	} {
		writePassengerfile(t, dir, text)
		s.signal(t, syscall.SIGHUP)
		requireReloadNotified(t, messages, "STATUS=The reload has failed: the new configuration was rejected")
		s.Stderr.Await(t, told, 1, s.Ended)
	}

	writePassengerfile(t, dir, `{}`)
	s.signal(t, syscall.SIGHUP)
	requireReloadNotified(t, messages, "STATUS=\n")
	s.stop(t)
}
