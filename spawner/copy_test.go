package spawner

import (
	"os"
	"path/filepath"
	"slices"
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

// leave makes a copy and a socket directory as of a program that was killed.
func (d *privateDir) leave(t *testing.T) (left []string) {
	t.Helper()
	c, err := newLoadersCopy(d.path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.path, "loader"), nil, 0o600))
	sockets, err := (&privateDir{
		path:    d.path,
		sockets: d.sockets,
		root:    d.root,
		copy:    c,
	}).newSocketDir(own())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(sockets.path, "socket"), nil, 0o600))
	require.NoError(t, c.lock.Close())

	return []string{c.path, sockets.path}
}

// own is the user and group that this program runs as.
func own() *identity {
	return &identity{account: account{uid: os.Geteuid()}, gid: os.Getegid()}
}

// openedFactory is one that has begun to use dir.
func openedFactory(t *testing.T, dir string) *factory {
	t.Helper()
	made, err := New(Config{Dir: dir, Users: SameUser})
	require.NoError(t, err)
	f, ok := made.(*factory)
	require.True(t, ok)
	_, err = f.privateDir()
	require.NoError(t, err)

	return f
}

// shortDir is one whose path leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	return dir
}

// What a factory has in a directory outlives others', and goes with it; what those
// have left that were killed goes when another one comes.
func TestWhatOthersHaveLeftIsRemoved(t *testing.T) {
	dir := shortDir(t)
	first := openedFactory(t, dir)
	kept, err := first.dir.newSocketDir(own())
	require.NoError(t, err)
	left := slices.Concat(first.dir.leave(t), first.dir.leave(t), first.dir.leave(t))

	// What is not a directory is none, wherever it leads.
	outside := t.TempDir()
	link := filepath.Join(dir, copyPrefix+"link")
	require.NoError(t, os.Symlink(outside, link))
	require.Len(t, copies(t, dir), 5)

	second := openedFactory(t, dir)
	for _, path := range left {
		require.NoFileExists(t, path)
		require.NoDirExists(t, path)
	}

	require.DirExists(t, outside)
	require.DirExists(t, kept.path)
	require.ElementsMatch(t, []string{link, first.dir.copy.path, second.dir.copy.path}, copies(t, dir))
	require.NoError(t, kept.remove())
	require.NoError(t, first.Close())
	require.ElementsMatch(t, []string{link, second.dir.copy.path}, copies(t, dir))
	require.NoError(t, second.Close())
	require.Equal(t, []string{link}, copies(t, dir))
}

// A copy that is being made is never taken for one that was left behind.
func TestCopiesAreMadeWhileOthersAreRemoved(t *testing.T) {
	d := openedFactory(t, shortDir(t)).dir
	t.Cleanup(func() { require.NoError(t, d.remove()) })
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

				if err := d.removeLeft(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}

	for range 4 {
		making.Go(func() {
			for range 200 {
				c, err := newLoadersCopy(d.path)
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
	require.Equal(t, []string{d.copy.path}, copies(t, d.path))
}

// The lock of a copy belongs to this program only: programs that are started do not get it.
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
