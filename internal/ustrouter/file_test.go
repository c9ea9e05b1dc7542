package ustrouter_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/ustrouter"
)

func someTransaction(path string) *ustrouter.Transaction {
	return &ustrouter.Transaction{
		Kind:   ustrouter.KindRequest,
		Time:   time.Now(),
		Path:   path,
		Status: 200,
	}
}

func openFile(t *testing.T, path string, log logr.Logger) *ustrouter.File {
	t.Helper()
	f, err := ustrouter.OpenFile(path, log)
	require.NoError(t, err)

	return f
}

func paths(all []ustrouter.Transaction) (paths []string) {
	for _, one := range all {
		paths = append(paths, one.Path)
	}

	return paths
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := openFile(t, path, logr.Discard())
	f.Write(someTransaction("/a"))
	f.Write(someTransaction("/b"))
	// A terminal may show the file.
	f.Write(someTransaction("/\u009b31m\u202e"))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), `/\u009b31m\u202e`)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm()|0o040, "whatever the umask is")
	require.Equal(t, []string{"/a", "/b", "/\u009b31m\u202e"}, paths(read(t, path)))

	// As logrotate does it.
	require.NoError(t, os.Rename(path, path+".1"))
	f.Write(someTransaction("/c"))
	require.NoError(t, f.Reopen())
	f.Write(someTransaction("/d"))
	require.NoError(t, f.Close(t.Context()))
	require.Equal(t, []string{"/a", "/b", "/\u009b31m\u202e", "/c"}, paths(read(t, path+".1")))
	require.Equal(t, []string{"/d"}, paths(read(t, path)))
	require.Equal(t, ustrouter.SinkStats{Written: 5}, f.Stats())

	f.Write(someTransaction("/e"))
	require.Equal(t, ustrouter.SinkStats{Written: 5, Dropped: 1}, f.Stats())
	require.Error(t, f.Reopen())
	require.Error(t, f.Close(t.Context()))
	f = openFile(t, path, logr.Discard())
	f.Write(someTransaction("/f"))
	require.NoError(t, f.Close(t.Context()))
	require.Equal(t, []string{"/d", "/f"}, paths(read(t, path)), "it is appended to")
}

// TestFailedReopen keeps the old file in use.
func TestFailedReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := openFile(t, path, logr.Discard())
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.ErrorContains(t, f.Reopen(), path)
	f.Write(someTransaction("/a"))
	require.NoError(t, f.Close(t.Context()))
	require.Equal(t, []string{"/a"}, paths(read(t, path+".1")))
}

// TestUnfinishedLine: what an earlier program could not finish is ended, so that
// only that line is broken.
func TestUnfinishedLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("{}\n{\"kind\":\"requ"), 0o600))
	f := openFile(t, path, logr.Discard())
	f.Write(someTransaction("/a"))
	require.NoError(t, f.Close(t.Context()))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(string(content), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, []string{"{}", `{"kind":"requ`}, lines[:2])
	require.Contains(t, lines[2], `"path":"/a"`)
}

func TestRefusedFiles(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(t *testing.T, path string) error
		fault   string
		root    bool
	}{
		"a link": {
			func(_ *testing.T, path string) error { return os.Symlink(path+".target", path) },
			"symbolic link", false,
		},
		"a directory": {
			func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) }, "is a directory",
			false,
		},
		"a FIFO": {
			func(_ *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) },
			"not a regular file", false,
		},
		"a device": {func(_ *testing.T, path string) error {
			return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3)
		}, "not a regular file", true},
		"other names": {func(t *testing.T, path string) error {
			t.Helper()
			require.NoError(t, os.WriteFile(path+".other", nil, 0o600))
			return os.Link(path+".other", path)
		}, "other names", false},
		"writable": {func(t *testing.T, path string) error {
			t.Helper()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return os.Chmod(path, 0o660)
		}, "chmod go-w", false},
		"of another user": {func(t *testing.T, path string) error {
			t.Helper()
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return os.Chown(path, 61001, 61001)
		}, "another user", true},
		"in a directory of another user": {func(_ *testing.T, path string) error {
			return os.Chown(filepath.Dir(path), 61001, 61001)
		}, "others than root", true},
		"below a directory for all": {func(_ *testing.T, path string) error {
			return os.Chmod(filepath.Dir(filepath.Dir(path)), 0o777)
		}, "others than root", true},
		"in no directory": {
			func(_ *testing.T, path string) error { return os.Remove(filepath.Dir(path)) },
			"no such file", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				interpreters.Missing(t, "root", "needs root, for what belongs to others")
			}

			path := filepath.Join(t.TempDir(), "dir", "f")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			require.NoError(t, test.prepare(t, path))
			_, err := ustrouter.OpenFile(path, logr.Discard())
			require.ErrorContains(t, err, test.fault)
			require.NoFileExists(t, path+".target")
		})
	}
}
