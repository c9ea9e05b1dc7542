package tools_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/procstat"
)

// server is a running passenger start whose application responds with the id of its
// process.
type server struct {
	*box
	boxed.Program
	// dir is the application's, name that of its group.
	dir, name, url string
	client         *http.Client
}

// start starts a server with the test binary as its application.
func (b *box) start(t testing.TB, args ...string) *server {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)

	return b.serve(t, t.TempDir(), append([]string{
		"--start-command", self, "--envvar", appVar + "=1", "--envvar", "GORACE=atexit_sleep_ms=0",
	}, args...)...)
}

// serve starts a server with the application in a directory. It ends with the test.
func (b *box) serve(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	s := &server{
		box:     b,
		Program: boxed.Program{Merged: true},
		dir:     dir,
		client:  &http.Client{Transport: &http.Transport{}, Timeout: deadline},
	}
	s.name = s.dir + " (production)"
	s.Cmd = b.command(context.WithoutCancel(t.Context()), "passenger", append([]string{
		"start", dir, "--address", "127.0.0.1", "--port", "0", "--environment", "production",
	}, args...)...)
	s.begin(t)

	return s
}

// begin starts the server. It ends with the test.
func (s *server) begin(t testing.TB) {
	t.Helper()
	s.Start(t, func() {
		s.client.CloseIdleConnections()

		// How it ends does not matter to the tests of tools.
		_ = s.Cmd.Process.Signal(syscall.SIGTERM) // it may have been ended
		select {
		case <-s.Ended:
		case <-time.After(deadline):
			t.Error("the server does not end")
		}
	})
	s.url = s.Address(t)
	s.get(t)
}

// get asks the application, and returns the id of the process that responded.
func (s *server) get(t testing.TB) (pid int) {
	t.Helper()
	pid, err := s.ask(t.Context())
	require.NoError(t, err)

	return pid
}

func (s *server) ask(ctx context.Context) (pid int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/", nil)
	if err != nil {
		return 0, err
	}

	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}

	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}

	return strconv.Atoi(string(body))
}

// instance is the server's own.
func (s *server) instance(t testing.TB) *instancedir.Instance {
	t.Helper()
	i, err := s.list().SelectPID(s.Cmd.Process.Pid)
	require.NoError(t, err)

	return i
}

// kill ends everything at once, so that the instance directory is left behind.
func (s *server) kill(t testing.TB) {
	t.Helper()
	core := s.instance(t).Properties.CorePID
	freeze(t, s.Cmd.Process.Pid) // it must not see the end of the other
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	require.NoError(t, s.Cmd.Process.Kill())
	<-s.Ended
}

// freeze stops a process, and waits until it has.
func freeze(t testing.TB, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	eventually(t, func() error {
		p, err := procstat.Read(pid)
		if err == nil && p.State != procstat.Known("T") {
			err = errors.New("the process has not stopped")
		}

		return err
	})
}
