package ownfile_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// What a tenant may have put in a file's place is refused at once.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"FIFO":      {func(path string) error { return unix.Mkfifo(path, 0o666) }, "not a regular file"},
		"directory": {func(path string) error { return os.Mkdir(path, 0o700) }, "not a regular file"},
		"device":    {func(path string) error { return os.Symlink("/dev/zero", path) }, "not a regular file"},
		"terminal":  {func(path string) error { return os.Symlink("/dev/ptmx", path) }, "not a regular file"},
		"link to FIFO": {func(path string) error {
			_ = unix.Mkfifo(path+".f", 0o666)
			return os.Symlink(path+".f",
				path)
		}, "not a regular file"},
		"socket": {func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}

			return err
		}, "not a regular file"},
		"loop of links": {
			func(path string) error { return os.Symlink(filepath.Base(path), path) },
			"too many levels of symbolic links",
		},
		"sparse file": {sparse, "has more than 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, test.put(path))
			_, err := ownfile.ReadRegular(path, 1024)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// sparse makes a file of 10 GB that takes no space.
func sparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()

	return f.Truncate(10 << 30)
}

func TestFilesAndLinksToThemAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	require.NoError(t, os.Symlink("f", path+".link"))

	for _, path := range []string{path, path + ".link"} {
		content, err := ownfile.ReadRegular(path, 7)
		require.NoError(t, err)
		require.Equal(t, "content", string(content))
	}
}

func TestFileInADirectoryThatDoesNotExistSaysWhatToDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	_, err := ownfile.Open(filepath.Join(dir, "server.log"), os.O_WRONLY, 0o600)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "create the directory "+dir+", or name a file in another one")
}
