//go:build linux

package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func (s *server) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.core()), file)
}

// fds are the server's file descriptors, with what they are of.
func (s *server) fds(t testing.TB) map[int]string {
	t.Helper()
	entries, err := os.ReadDir(s.proc("fd"))
	require.NoError(t, err)

	fds := map[int]string{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		require.NoError(t, err)
		if target, err := os.Readlink(s.proc("fd/" + e.Name())); err == nil { // else it has just been closed
			fds[fd] = target
		}
	}

	return fds
}

// countFDs counts the server's file descriptors but for pipes: package net keeps
// some to copy between sockets.
func (s *server) countFDs(t testing.TB) (n int) {
	t.Helper()

	for _, target := range s.fds(t) {
		if !strings.HasPrefix(target, "pipe:") {
			n++
		}
	}

	return n
}

// requireNoMoreFDs checks that the server gives back what it has beyond before
// and a little.
func (s *server) requireNoMoreFDs(t testing.TB, before int) {
	t.Helper()
	eventually(t, func() error {
		if now := s.countFDs(t); now > before+2 {
			return fmt.Errorf("%d file descriptors are open, %d were before: %v", now, before, s.fds(t))
		}

		return nil
	})
}

// bufferFiles counts the files without a name that are below dir.
func (s *server) bufferFiles(t testing.TB, dir string) (n int) {
	t.Helper()

	for _, target := range s.fds(t) {
		if strings.HasPrefix(target, dir+"/") && strings.HasSuffix(target, "(deleted)") {
			n++
		}
	}

	return n
}

// requireBufferFiles waits until there are n, at least, or none.
func (s *server) requireBufferFiles(t testing.TB, dir string, count int) {
	t.Helper()
	eventually(t, func() error {
		if n := s.bufferFiles(t, dir); n < count || count == 0 && n > 0 {
			return fmt.Errorf("there are %d buffer files, not %d", n, count)
		}

		return nil
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)

	for _, e := range entries {
		require.NotContains(t, e.Name(), "buffer")
	}
}

// limitFDs lets the server have descriptors below limit only; zero means as many
// as this process may have. It changes what the server may do from now on.
func (s *server) limitFDs(t testing.TB, limit int) {
	t.Helper()
	var now unix.Rlimit
	require.NoError(t, unix.Prlimit(s.core(), unix.RLIMIT_NOFILE, nil, &now))
	now.Cur = now.Max
	if limit > 0 {
		now.Cur = uint64(limit)
	}

	require.NoError(t, unix.Prlimit(s.core(), unix.RLIMIT_NOFILE, &now, nil))
}

// freeFD is the lowest descriptor that the server has not.
func (s *server) freeFD(t testing.TB) int {
	t.Helper()

	fds := s.fds(t)
	for fd := 0; ; fd++ {
		if _, taken := fds[fd]; !taken {
			return fd
		}
	}
}

var memoryLine = regexp.MustCompile(`(?m)^(VmHWM|VmRSS):\s+(\d+) kB`)

// memory is what the server has in memory, and the most that it ever had, in
// MB.
func (s *server) memory(t testing.TB) (now, peak int) {
	t.Helper()
	status, err := os.ReadFile(s.proc("status"))
	require.NoError(t, err)

	for _, m := range memoryLine.FindAllSubmatch(status, -1) {
		kB, err := strconv.Atoi(string(m[2]))
		require.NoError(t, err)
		if string(m[1]) == "VmRSS" {
			now = kB >> 10
		} else {
			peak = kB >> 10
		}
	}

	return now, peak
}
