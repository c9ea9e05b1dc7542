package agent

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// minProgramFD is above the descriptors that a process is started with: it must still
// be the program's in the child, when that executes it by its descriptor.
const minProgramFD = 256

// holdProgram opens a file to execute it later. It need not be readable.
func holdProgram(path string) (*os.File, error) {
	opened, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}

	defer func() { _ = unix.Close(opened) }()

	fd, err := unix.FcntlInt(uintptr(opened), unix.F_DUPFD_CLOEXEC, minProgramFD)
	if err != nil {
		return nil, fmt.Errorf("cannot keep %s open: %w", path, err)
	}

	return os.NewFile(uintptr(fd), path), nil
}

// descriptorPath is by which a child of this process executes the file.
func descriptorPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }
