package spawner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// fileNumber returns the number of an open file; zero means that it is not known.
func fileNumber(f *os.File) uint64 {
	var stat unix.Stat_t
	if unix.Fstat(int(f.Fd()), &stat) != nil {
		return 0
	}

	return stat.Ino
}

// waitsForInput reports whether a process of the attempt's session waits for what comes by the stdin that it was given.
func (a *attempt) waitsForInput() (waits bool) {
	if a.child.input == 0 {
		return false
	}

	// What a process does, its user may know.
	_ = a.identity.withRights(func() error { // without the rights, it is not known
		waits = slices.ContainsFunc(pids(), func(pid int) bool {
			return isInSession(pid, a.child.pid) && reads(pid, a.child.input)
		})

		return nil
	})

	return waits
}

// inputCalls are the calls of the system that read, whose first argument is the descriptor.
var inputCalls = []int{unix.SYS_READ, unix.SYS_READV, unix.SYS_RECVFROM, unix.SYS_RECVMSG}

// reads reports whether a thread of a process waits in a call that reads descriptor 0, which has to be the file.
func reads(pid int, file uint64) bool {
	dir := fmt.Sprintf("/proc/%d", pid)
	if link, err := os.Readlink(dir + "/fd/0"); err != nil || link != fmt.Sprintf("socket:[%d]", file) {
		return false
	}

	threads, _ := filepath.Glob(dir + "/task/*/syscall") // the pattern is right

	return slices.ContainsFunc(threads, func(name string) bool {
		text, err := os.ReadFile(name) //nolint:gosec // G304: of the kernel
		if err != nil {
			return false
		}

		return slices.ContainsFunc(inputCalls, func(number int) bool {
			// proc(5): the number of the call, and its arguments in hexadecimal digits.
			return strings.HasPrefix(string(text), fmt.Sprintf("%d 0x0 ", number))
		})
	})
}
