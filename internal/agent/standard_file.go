package agent

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// StandardFile returns the descriptor of the standard file that a log's path is a name of: 1 or 2, or 0 if it is the
// path of a file. Opened by that name, the log would need the rights of whoever has made the file, a socket of
// systemd's could not be opened at all, and a link from /dev is refused as any other is.
func StandardFile(path string) int {
	switch path {
	case standardOutput, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return 1
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		return 2
	}

	return 0
}

// openStandardFile returns a descriptor of its own of a standard file.
func openStandardFile(fd int) (*os.File, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if errors.Is(err, unix.EBADF) {
		return nil, errors.New("it is closed: start the server with that file open, or name another one")
	}

	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}

	return os.NewFile(uintptr(own), "standard file"), nil
}
