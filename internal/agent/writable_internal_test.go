package agent

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorsOfPlacesSayWhatToDo(t *testing.T) {
	t.Parallel()

	for cause, want := range map[error]string{
		syscall.EROFS:  "read-only file system: name a place that the server's user can write to with --pid-file",
		syscall.EACCES: "permission denied: name a place that the server's user can write to with --pid-file",
		syscall.ENOSPC: "no space left on device: free some space or inodes there, or name another place " +
			"with --pid-file",
		syscall.EDQUOT: "disk quota exceeded: raise the quota of the server's user, or name another place " +
			"with --pid-file",
		syscall.EFBIG:  "file too large: raise the limit on the size of files (ulimit -f, or LimitFSIZE= of a service)",
		syscall.EEXIST: "file exists",
	} {
		require.EqualError(t, withOption(&fs.PathError{Op: "write", Path: "/f", Err: cause}, "--pid-file"),
			"write /f: "+want)
	}

	require.NoError(t, withOption(nil, "--pid-file"))
}

func TestUnusableBufferDirectoryIsLoggedWithItsOption(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")

	for _, test := range []struct{ tmp, option, want string }{
		{gone, "", gone},
		{dir, gone, gone},
		{gone, dir, ""},
		{dir, "", ""},
	} {
		t.Setenv("TMPDIR", test.tmp)

		var log bytes.Buffer
		cfg := Config{}
		cfg.DataBufferDir = test.option
		cfg.warnOfBuffers(jsonLogger(&log))

		if test.want == "" {
			require.Empty(t, log.String(), "%+v", test)
			continue
		}

		require.Contains(t, log.String(), "write to "+test.want+": no such file or directory: make the directory, or "+
			"name another one with --data-buffer-dir")
	}
}
