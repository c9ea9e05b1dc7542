package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/printed"
)

// slow makes a system call of the core take a minute longer, after it was made,
// until the test calls the function that it returns. Further arguments are
// strace's.
func (s *server) slow(t testing.TB, call string, args ...string) (quick func()) {
	t.Helper()
	path := interpreters.Find(t, "strace", "strace")
	if os.Geteuid() != 0 {
		interpreters.Missing(t, "root", "needs root, to trace processes")
	}

	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, append([]string{
		"-f", "-p", strconv.Itoa(s.core(t)), "-e", "trace=" + call, "-e", "inject=" + call + ":delay_exit=60000000",
		"-o", os.DevNull,
	}, args...)...)
	var stderr printed.Output
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by a signal
		close(ended)
	}()
	quick = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		<-ended
	}
	t.Cleanup(quick)
	stderr.Await(t, "attached", 1, ended)

	return quick
}

// A disk that is slow with the body of an upload delays no other request.
// Faults: F11.
func TestSlowBufferDiskDelaysOnlyItsUpload(t *testing.T) {
	t.Parallel()
	const size = 2 << 20 // more than is kept in memory
	dir := t.TempDir()
	s := start(t, &launch{
		dir:  newDir(t, map[string]string{"public/page.txt": "static"}),
		args: append(testApp(t), "--data-buffer-dir", dir),
	})
	c := s.client(t)
	c.get(t, "/pid")

	// What it writes to cannot be recognized by its name, which a buffer does not have;
	// but only buffers are written to at a position.
	quick := s.slow(t, "pwrite64")
	upload := make(chan fetched, 1)
	request := c.request(t, http.MethodPost, "/length", strings.NewReader(strings.Repeat("x", size)))
	go func() {
		a, err := c.do(request)
		upload <- fetched{a, err}
	}()
	eventually(t, func() error { return s.requireBuffer(t, dir) })

	for range 50 {
		require.Equal(t, "app: GET /", c.get(t, "/").body)
		require.Equal(t, "4096", c.ask(t, http.MethodPost, "/length",
			strings.NewReader(strings.Repeat("y", 4096))).body)
		require.Equal(t, "static", c.get(t, "/page.txt").body)
	}

	select {
	case a := <-upload:
		require.Fail(t, "the disk was not slow", "%v %v", a.reply, a.err)
	default:
	}

	quick()
	a := <-upload
	require.NoError(t, a.err)
	require.Equal(t, strconv.Itoa(size), a.body)
}

// requireBuffer returns an error unless the core has a file below dir with
// something in it.
func (s *server) requireBuffer(t testing.TB, dir string) error {
	t.Helper()
	fds := s.proc(t, "fd")
	entries, err := os.ReadDir(fds)
	if err != nil {
		return err
	}

	for _, e := range entries {
		path := filepath.Join(fds, e.Name())
		if target, err := os.Readlink(path); err != nil || !strings.HasPrefix(target, dir) {
			continue
		}

		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return nil
		}
	}

	return errors.New("nothing was written to the disk")
}

// A disk that is slow with the access log delays no request.
// Faults: F11.
func TestSlowAccessLogDelaysNoRequest(t *testing.T) {
	t.Parallel()
	const requests = 50
	log := filepath.Join(t.TempDir(), "access")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--access-log", log)})
	c := s.client(t)
	logged := func() int {
		b, err := os.ReadFile(log)
		require.NoError(t, err)
		return strings.Count(string(b), `"status":200`)
	}
	c.get(t, "/")
	eventually(t, func() error {
		if logged() < 1 {
			return errors.New("nothing was logged")
		}

		return nil
	})

	quick := s.slow(t, "write", "-P", log)
	for range requests {
		require.Equal(t, "app: GET /", c.get(t, "/").body)
	}

	require.Less(t, logged(), 1+requests, "the disk was not slow")
	quick()
	eventually(t, func() error {
		if n := logged(); n != 1+requests {
			return fmt.Errorf("%d requests were logged", n)
		}

		return nil
	})
}

// A disk that is slow with the log delays no request whose process prints.
// Faults: F11.
func TestSlowLogDelaysNoRequest(t *testing.T) {
	t.Parallel()
	const prints = 50
	log := filepath.Join(t.TempDir(), "log")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--log-file", log)})
	c := s.client(t)
	c.get(t, "/pid")
	quick := s.slow(t, "write", "-P", log)
	printed := func(atLeast int) error {
		b, err := os.ReadFile(log)
		if n := strings.Count(string(b), "printed: "); err == nil && n < atLeast {
			err = fmt.Errorf("%d lines of %d are in the log", n, atLeast)
		}

		return err
	}
	c.get(t, "/print?0")
	eventually(t, func() error { return printed(1) })

	for i := range prints {
		require.Contains(t, c.get(t, fmt.Sprintf("/print?%d", i+1)).body, "app: GET ")
	}

	require.Error(t, printed(2), "the disk was not slow")
	quick()
	eventually(t, func() error { return printed(1 + prints) })
}
