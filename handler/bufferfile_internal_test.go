package handler

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What does not take a buffer says what would help.
func TestErrorsOfBuffersSayWhatToDo(t *testing.T) {
	t.Parallel()

	for cause, want := range map[error]string{
		syscall.ENOSPC: "no space left on device: free some space or inodes, or set another one (data_buffer_dir)",
		syscall.EDQUOT: "disk quota exceeded: raise the quota of the server's user, or set another one " +
			"(data_buffer_dir)",
		syscall.EFBIG:  "file too large: raise the limit on the size of files (ulimit -f, or LimitFSIZE= of a service)",
		syscall.EMFILE: "too many open files: raise the limit on open files (ulimit -n, or LimitNOFILE= of a service)",
		syscall.ENOENT: "no such file or directory: make it, or set another one (data_buffer_dir)",
		syscall.EACCES: "permission denied: set one that the server's user can write to (data_buffer_dir)",
		syscall.EROFS:  "read-only file system: set one that the server's user can write to (data_buffer_dir)",
		syscall.EIO:    "input/output error: set another one (data_buffer_dir)",
	} {
		require.EqualError(t, &storeError{&fs.PathError{Op: "write", Path: "/b", Err: cause}},
			"the directory for buffers cannot be used: write /b: "+want)
	}
}
