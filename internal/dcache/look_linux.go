package dcache

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resolveCached has openat2(2) fail rather than wait for a disk, since Linux 5.12. Package unix does not name it.
const resolveCached = 0x20

// maxPath bounds the paths that are looked up, with the zero byte behind them.
const maxPath = 256

// look needs no memory. known is false where the kernel would have to ask the file system, or knows of a link.
func look(path string) (kind Kind, known bool) {
	var name [maxPath]byte
	if len(path) >= len(name) || strings.IndexByte(path, 0) >= 0 {
		return Unknown, true
	}

	copy(name[:], path)

	// With O_PATH no file system is asked to open anything.
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolveCached | unix.RESOLVE_NO_SYMLINKS,
	}

	// A relative path has no directory, and is not known.
	//nolint:gosec // G103: the one way to call it
	fd, _, err := syscall.RawSyscall6(unix.SYS_OPENAT2,
		^uintptr(0),
		uintptr(unsafe.Pointer(&name)),
		uintptr(unsafe.Pointer(&how)),
		unsafe.Sizeof(how),
		0, 0)
	switch err { //nolint:exhaustive // the others are all the same
	case 0:
		kind = kindOf(fd)
		_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0) // nothing was written

		return kind, true
	case syscall.ENOENT, syscall.ENOTDIR:
		return Absent, true
	}

	return Unknown, false
}

// kindOf asks for what the kernel knows without the file system.
func kindOf(fd uintptr) Kind {
	var (
		none [1]byte
		stat unix.Statx_t
	)

	//nolint:gosec // G103: the one way to call it
	_, _, err := syscall.RawSyscall6(unix.SYS_STATX,
		fd,
		uintptr(unsafe.Pointer(&none)),
		unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC,
		unix.STATX_TYPE,
		uintptr(unsafe.Pointer(&stat)),
		0)
	switch {
	case err != 0 || stat.Mask&unix.STATX_TYPE == 0:
		return Unknown
	case stat.Mode&unix.S_IFMT == unix.S_IFREG:
		return Regular
	case stat.Mode&unix.S_IFMT == unix.S_IFLNK:
		return Unknown
	}

	return Other
}
