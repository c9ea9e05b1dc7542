package e2e_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// A server whose standard output and error have lost their readers serves on: it logs,
// reloads, and has its core replaced.
func TestServerOutlivesReadersOfItsLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(t.Context(), &launch{
		dir: dir, args: append(testApp(t), "--address", "127.0.0.1", "--port", "0", "--access-log", "-"),
	})
	readOut, out, err := os.Pipe()
	require.NoError(t, err)
	readErr, errOut, err := os.Pipe()
	require.NoError(t, err)
	s.Cmd.Stdout, s.Cmd.Stderr = out, errOut
	s.Judged = true
	s.Start(t, nil)
	require.NoError(t, out.Close())
	require.NoError(t, errOut.Close())

	// The readers go when it serves.
	var banner []byte

	buf := make([]byte, 4096)
	for !strings.Contains(string(banner), "You can stop it") {
		n, err := readOut.Read(buf)
		require.NoError(t, err)
		banner = append(banner, buf[:n]...)
	}

	s.url = boxed.AddressIn(t, string(banner))
	c := s.client(t)
	require.Contains(t, c.get(t, "/").body, "app: ")
	require.NoError(t, readOut.Close())
	require.NoError(t, readErr.Close())

	print := func() {
		t.Helper()

		for range 20 {
			require.Equal(t, 200, c.get(t, "/print?lost").StatusCode)
		}
	}
	print()

	core := s.core(t)
	for _, pid := range append(s.apps(t), core) {
		require.False(t, ignoresSIGPIPE(t, pid), "the process %d", pid)
	}

	// A reload, whose messages go nowhere.
	s.signal(t, syscall.SIGHUP)
	eventuallyWithin(t, deadline, func() error {
		if now := s.Core(s.Cmd.Process.Pid); now == 0 || now == core {
			return fmt.Errorf("the core is %d, as before", now)
		}

		return nil
	})
	print()

	// A core that is killed is replaced, which is logged by the watchdog.
	core = s.core(t)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	eventuallyWithin(t, deadline, func() error {
		if now := s.Core(s.Cmd.Process.Pid); now == 0 || now == core {
			return fmt.Errorf("the core is %d, as before", now)
		}

		return nil
	})
	print()
	c.CloseIdleConnections()
	s.signal(t, syscall.SIGTERM)
	<-s.Ended
	require.Equal(t, 0, s.Cmd.ProcessState.ExitCode(), "%v", s.Cmd.ProcessState)
	s.RequireClean(t)
}

// What a server starts has SIGPIPE at its default, also when the server was started
// with the signal ignored, as by systemd.
func TestChildrenHaveDefaultSIGPIPE(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{
		dir: t.TempDir(),
		args: []string{
			"--start-command", "grep SigIgn /proc/self/status >&2; exec " + os.Args[0],
			"--envvar", appVar + "=1", "--envvar", "GORACE=atexit_sleep_ms=0",
		},
		change: func(cmd *exec.Cmd) {
			cmd.Args = append([]string{"sh", "-c", `trap "" PIPE; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
		},
	})
	s.Stderr.Await(t, "SigIgn", 1, s.Ended)
	m := regexp.MustCompile(`SigIgn:\\?t?\s*([0-9a-f]{16})`).FindStringSubmatch(s.Stderr.String())
	require.NotNil(t, m, "%s", &s.Stderr)
	require.False(t, hasSIGPIPE(t, m[1]))
	s.stop(t)
}

// Tools die of SIGPIPE without a word, as others do.
func TestToolsDieQuietlyOfSIGPIPE(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	cmd := box.command(t.Context(), &launch{})
	cmd.Args = append(cmd.Args[:1], "start", "--help")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.Error(t, cmd.Run())
	require.NoError(t, w.Close())
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGPIPE, status.Signal(), "%v", cmd.ProcessState)
	require.Empty(t, stderr.String())
}

func ignoresSIGPIPE(t *testing.T, pid int) bool {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	m := regexp.MustCompile(`SigIgn:\s+([0-9a-f]+)`).FindSubmatch(b)
	require.NotNil(t, m)

	return hasSIGPIPE(t, string(m[1]))
}

func hasSIGPIPE(t *testing.T, mask string) bool {
	t.Helper()
	bits, err := strconv.ParseUint(mask, 16, 64)
	require.NoError(t, err)

	return bits&(1<<(uint(syscall.SIGPIPE)-1)) != 0
}
