package spawner

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func copies(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, copyPrefix+"*"))
	require.NoError(t, err)
	return found
}

// leave makes a copy as of a program that was killed.
func leave(t *testing.T, dir string) (path string) {
	t.Helper()
	c, err := newLoadersCopy(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.path, "loader"), nil, 0o600))
	require.NoError(t, c.lock.Close())
	return c.path
}

func TestLeftCopiesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	kept, err := newLoadersCopy(dir)
	require.NoError(t, err)
	for range 3 {
		leave(t, dir)
	}
	// What is not a directory is none, wherever it leads.
	outside := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	link := filepath.Join(dir, copyPrefix+"link")
	require.NoError(t, os.Symlink(filepath.Dir(outside), link))
	require.Len(t, copies(t, dir), 5)

	require.NoError(t, removeLeftCopies(dir))
	require.ElementsMatch(t, []string{kept.path, link}, copies(t, dir))
	require.FileExists(t, outside)
	require.NoError(t, kept.remove())
	require.Equal(t, []string{link}, copies(t, dir))
}

// The copy of a factory outlives others', and goes with it.
func TestFactoryRemovesLeftCopies(t *testing.T) {
	dir, err := os.MkdirTemp("", "sp") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	left := leave(t, dir)
	open := func() *factory {
		f, ok := New(Config{Dir: dir, Users: SameUser}).(*factory)
		require.True(t, ok)
		_, err := f.privateDir()
		require.NoError(t, err)
		return f
	}
	first := open()
	require.NoDirExists(t, left)
	second := open()
	require.Len(t, copies(t, dir), 2, "those that live keep theirs")
	require.NoError(t, first.Close())
	require.Equal(t, []string{second.dir.copy.path}, copies(t, dir))
	require.NoError(t, second.Close())
	require.Empty(t, copies(t, dir))
}

// A copy that is being made is never taken for one that was left behind.
func TestCopiesAreMadeWhileOthersAreRemoved(t *testing.T) {
	dir := t.TempDir()
	var removing, making sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		removing.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := removeLeftCopies(dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		making.Go(func() {
			for range 200 {
				c, err := newLoadersCopy(dir)
				if err == nil {
					err = os.WriteFile(filepath.Join(c.path, "loader"), nil, 0o600)
				}
				if err == nil {
					_, err = os.Stat(filepath.Join(c.path, "loader"))
				}
				if err == nil {
					err = c.remove()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	making.Wait()
	close(done)
	removing.Wait()
	require.Empty(t, copies(t, dir))
}

// The lock of a copy is nobody else's: programs that are started do not get it.
func TestLockIsNotInherited(t *testing.T) {
	c, err := newLoadersCopy(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.remove()) })
	raw, err := c.lock.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
		require.Zero(t, errno)
		require.NotZero(t, flags&syscall.FD_CLOEXEC)
	}))
}
