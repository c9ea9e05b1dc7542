package spawner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// procEntry is what /proc says of a process.
type procEntry struct {
	pid, uid       int
	group, session int
	zombie         bool
}

// readProc is not done by package procfs, which reads more than is needed of
// each of what may be thousands of processes.
func readProc(pid int) (procEntry, error) {
	p := procEntry{pid: pid}
	name := "/proc/" + strconv.Itoa(pid)
	uid, err := realUID(pid)
	if err != nil {
		return p, err
	}

	p.uid = uid
	line, err := os.ReadFile(name + "/stat") //nolint:gosec // G304: of the kernel
	if err != nil {
		return p, err
	}

	// The command's name stands in parentheses and may hold anything.
	end := bytes.LastIndexByte(line, ')')
	fields := strings.Fields(string(line[end+1:]))
	if end < 0 || len(fields) < 4 {
		return p, errors.New("/proc has an unknown format")
	}

	// proc(5): behind the name are the state, the parent, the group and the session.
	p.zombie = fields[0] == "Z"
	group, groupErr := strconv.Atoi(fields[2])
	session, sessionErr := strconv.Atoi(fields[3])
	p.group, p.session = group, session

	return p, errors.Join(groupErr, sessionErr)
}

// hasEnded reports whether a process is known to have ended, also one whose parent has not waited for it.
func hasEnded(pid int) bool {
	p, err := readProc(pid)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && p.zombie
}

// realUID does not go by the owner of the directory, which a process can
// change.
func realUID(pid int) (int, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}

	_, ids, ok := bytes.Cut(status, []byte("\nUid:"))
	fields := bytes.Fields(ids)
	if !ok || len(fields) == 0 {
		return 0, errors.New("/proc has an unknown format")
	}

	return strconv.Atoi(string(fields[0]))
}

// pids are the numbers of all processes.
func pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}

	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}

	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}

	return pids
}

// mayBelongTo says cheaply that a process is another user's, on hosts where
// there are thousands of them. Directories of some processes belong to root.
func mayBelongTo(pid, uid int) bool {
	var stat unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid), &stat)
	return err == nil && (int(stat.Uid) == uid || stat.Uid == 0)
}

// signalMatching sends sig to the processes of a user that match, and returns
// their pids.
func signalMatching(sig syscall.Signal, uid int, match func(procEntry) bool) []int {
	ofUser := match
	match = func(p procEntry) bool { return p.uid == uid && ofUser(p) }

	var found []int
	for _, pid := range pids() {
		if !mayBelongTo(pid, uid) {
			continue
		}

		if p, err := readProc(pid); err == nil && !p.zombie && match(p) && signalOne(pid, sig, match) {
			found = append(found, pid)
		}
	}

	return found
}

// signalOne looks at a process again when it has hold of it: the number may be
// another process's by now.
func signalOne(pid int, sig syscall.Signal, match func(procEntry) bool) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}

	defer func() { _ = unix.Close(fd) }()
	p, err := readProc(pid)

	return err == nil && match(p) && unix.PidfdSendSignal(fd, sig, nil, 0) == nil
}

// awaitGroup returns when no process of a group lives that could be signalled. The caller keeps the group's number from
// being used again.
func awaitGroup(group int) {
	for {
		var living []*os.File
		for _, pid := range pids() {
			if f := openMember(pid, group); f != nil {
				living = append(living, f)
			}
		}

		// What they start meanwhile is found by the next look.
		for _, f := range living {
			waitReadable(f)
			_ = f.Close()
		}

		if len(living) == 0 {
			return
		}
	}
}

// openMember returns the pidfd of a process, or nil if the process does not live in the group.
func openMember(pid, group int) *os.File {
	lives := func() bool {
		p, err := readProc(pid)
		return err == nil && p.group == group && !p.zombie
	}
	if !lives() {
		return nil
	}

	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}

	// The number may be another process's by now, and a setuid program does not end by our signals.
	if !lives() || unix.PidfdSendSignal(fd, 0, nil, 0) != nil {
		_ = unix.Close(fd)
		return nil
	}

	_ = unix.SetNonblock(fd, true) // else the wait takes a thread

	return os.NewFile(uintptr(fd), "pidfd")
}

// killMarked kills the processes of a user that have a variable in the
// environment that they were started with, and what they start meanwhile. It
// returns their pids.
func killMarked(variable string, uid int) []int {
	const rounds = 16
	var found []int

	for range rounds {
		killed := signalMatching(syscall.SIGKILL, uid, func(p procEntry) bool {
			return p.pid != os.Getpid() && startedWith(p.pid, variable)
		})
		if len(killed) == 0 {
			break
		}

		for _, pid := range killed {
			if !slices.Contains(found, pid) {
				found = append(found, pid)
			}
		}
	}

	return found
}

// maxEnviron is how much of an environment is looked at. The system lets a program start with 6 MiB of arguments and
// environment, and any process may say afterwards that its environment is all of its memory (PR_SET_MM_MAP).
const maxEnviron = 6 << 20

// startedWith reports whether a process has a variable, as NAME=VALUE, in the environment that it was started with.
func startedWith(pid int, variable string) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}

	defer func() { _ = f.Close() }()

	return hasVariable(f, variable)
}

// hasVariable looks for a variable in what /proc has of an environment, in little memory.
func hasVariable(environ io.Reader, variable string) bool {
	const piece = 64 << 10

	wanted := []byte("\x00" + variable + "\x00")
	// What begins in one piece may end in the next.
	window := append(make([]byte, 0, len(wanted)+piece), 0)
	for left := maxEnviron; left > 0; {
		n, err := environ.Read(window[len(window):min(len(window)+left, cap(window))])
		window = window[:len(window)+n]
		left -= n

		if bytes.Contains(window, wanted) {
			return true
		}

		if err != nil {
			return false
		}

		kept := copy(window, window[max(len(window)-len(wanted)+1, 0):])
		window = window[:kept]
	}

	return false
}
