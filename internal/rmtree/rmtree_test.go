package rmtree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/rmtree"
)

func open(t *testing.T) rmtree.Dir {
	t.Helper()
	d, err := rmtree.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })

	return d
}

func write(t *testing.T, path ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(path...), nil, 0o600))
}

func TestEmptyKeepsOneFile(t *testing.T) {
	d := open(t)
	for _, name := range []string{"a", "lock", "z"} {
		write(t, d.Name(), name)
	}

	require.NoError(t, os.MkdirAll(filepath.Join(d.Name(), "sub", "lock"), 0o700))

	require.NoError(t, rmtree.Empty(d, "lock", 100))

	left, err := os.ReadDir(d.Name())
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "lock", left[0].Name())
}

// Faults: H8.
func TestRemovalIsBounded(t *testing.T) {
	d := open(t)
	require.NoError(t, os.Mkdir(filepath.Join(d.Name(), "full"), 0o700))

	for _, name := range []string{"a", "b", "c"} {
		write(t, d.Name(), "full", name)
	}

	require.ErrorContains(t, rmtree.Remove(d, "full", 2), "full has more than 2 entries")
	require.NoError(t, rmtree.Remove(d, "full", 2), "the next time continues")
	require.NoFileExists(t, filepath.Join(d.Name(), "full"))
}

// nest makes a chain of directories as deep as that, which no path reaches.
func nest(t *testing.T, dir string, depth int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	require.NoError(t, err)

	for range depth {
		require.NoError(t, unix.Mkdirat(fd, "d", 0o700))
		sub, err := unix.Openat(fd, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
		fd = sub
	}

	require.NoError(t, unix.Close(fd))
}

func TestDeepDirectoriesNeedFewDescriptors(t *testing.T) {
	d := open(t)
	require.NoError(t, os.Mkdir(filepath.Join(d.Name(), "deep"), 0o700))
	nest(t, filepath.Join(d.Name(), "deep"), 1000)

	var before, limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("there is no list of descriptors: ", err)
	}

	limit = before
	for _, e := range entries {
		fd, err := strconv.ParseUint(e.Name(), 10, 64)
		require.NoError(t, err)
		limit.Cur = max(fd+4, uint64(len(entries)))
	}

	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	err = rmtree.Remove(d, "deep", 100_000)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before))
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(d.Name(), "deep"))
}

func TestRemoveLeavesWhatLinksLeadTo(t *testing.T) {
	d, other := open(t), open(t)
	write(t, other.Name(), "canary")
	require.NoError(t, os.Mkdir(filepath.Join(d.Name(), "sub"), 0o700))
	require.NoError(t, os.Symlink(other.Name(), filepath.Join(d.Name(), "sub", "link")))
	require.NoError(t, os.Symlink(other.Name(), filepath.Join(d.Name(), "link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(d.Name(), "sub", "fifo"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(d.Name(), "sub"), 0))

	for _, name := range []string{"sub", "link", "none"} {
		require.NoError(t, rmtree.Remove(d, name, 100), name)
		require.NoFileExists(t, filepath.Join(d.Name(), name))
	}

	require.FileExists(t, filepath.Join(other.Name(), "canary"))
}

// A process continues to fill the directory while it is removed.
// Faults: H8.
func TestRemoveWhileAnotherProcessFills(t *testing.T) {
	d := open(t)
	dir := filepath.Join(d.Name(), "busy")
	require.NoError(t, os.Mkdir(dir, 0o700))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)

		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = os.MkdirAll(filepath.Join(dir, fmt.Sprint(i%7), fmt.Sprint(i)), 0o700)
				_ = os.Rename(filepath.Join(dir, fmt.Sprint(i%7)), filepath.Join(dir, "moved"))
			}
		}
	}()

	_ = rmtree.Remove(d, "busy", 10_000) // either of them may be faster
	close(stop)
	<-stopped
	require.NoError(t, rmtree.Remove(d, "busy", 1_000_000))
	require.NoFileExists(t, dir)
}
