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
	"syscall"

	"golang.org/x/sys/unix"
)

// procStatus is what /proc says of a process.
type procStatus struct {
	// uid is the real user. The owner of the directory is another one where the process has changed that.
	uid    int
	zombie bool
}

// readStatus is not done by package procfs, which reads more than is needed of each of what may be thousands of
// processes.
func readStatus(pid int) (s procStatus, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return s, err
	}

	// Only the name of the process could hold anything, and has no line breaks here.
	_, state, hasState := bytes.Cut(text, []byte("\nState:\t"))
	_, ids, hasIDs := bytes.Cut(state, []byte("\nUid:\t"))
	id, _, hasID := bytes.Cut(ids, []byte("\t"))
	if !hasState || !hasIDs || !hasID {
		return s, errors.New("/proc has an unknown format")
	}

	s.zombie = state[0] == 'Z'
	s.uid, err = strconv.Atoi(string(id))

	return s, err
}

func realUID(pid int) (int, error) {
	s, err := readStatus(pid)
	return s.uid, err
}

func belongsTo(pid, uid int) bool {
	of, err := realUID(pid)
	return err == nil && of == uid
}

// hasEnded reports whether a process is known to have ended, also one whose parent has not waited for it.
func hasEnded(pid int) bool {
	s, err := readStatus(pid)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && s.zombie
}

// isEnding reports whether a process has begun to end, or has ended. The system notes that before it closes its files.
func isEnding(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}

	// The name may hold anything. The first field behind it is the state, and the seventh has the flags, see proc(5).
	const exiting = 0x4 // PF_EXITING

	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 7 {
		return false
	}

	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)

	return err == nil && flags&exiting != 0
}

// isInSession costs a twentieth of what it costs to read a file of /proc.
func isInSession(pid, session int) bool {
	of, err := unix.Getsid(pid)
	return err == nil && of == session
}

// isInGroup costs as little as isInSession.
func isInGroup(pid, group int) bool {
	of, err := unix.Getpgid(pid)
	return err == nil && of == group
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

// mayBelongTo says cheaply that a process is another user's or the kernel's, on hosts where there are thousands of
// them. Directories of some processes belong to root.
func mayBelongTo(pid, uid int) bool {
	// Threads of the kernel have no group that can be seen from here, and are most of the processes of a small host.
	if isInGroup(pid, 0) {
		return false
	}

	var stat unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid), &stat)

	return err == nil && (int(stat.Uid) == uid || stat.Uid == 0)
}

// signalMatching sends sig to the processes of a user that match, and returns
// their pids.
func signalMatching(sig syscall.Signal, uid int, match func(pid int) bool) []int {
	ofUser := func(pid int) bool {
		if !match(pid) {
			return false
		}

		s, err := readStatus(pid)

		return err == nil && s.uid == uid && !s.zombie
	}

	var found []int
	for _, pid := range pids() {
		if mayBelongTo(pid, uid) && ofUser(pid) && signalOne(pid, sig, ofUser) {
			found = append(found, pid)
		}
	}

	return found
}

// signalOne looks at a process again when it has hold of it: the number may be
// another process's by now.
func signalOne(pid int, sig syscall.Signal, match func(pid int) bool) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}

	defer func() { _ = unix.Close(fd) }()

	return match(pid) && unix.PidfdSendSignal(fd, sig, nil, 0) == nil
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
		if !isInGroup(pid, group) {
			return false
		}

		s, err := readStatus(pid)

		return err == nil && !s.zombie
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
		killed := signalMatching(syscall.SIGKILL, uid, func(pid int) bool {
			return pid != os.Getpid() && startedWith(pid, variable)
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

// environPiece is how much is read at a time: most environments are smaller.
const environPiece = 4 << 10

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
	wanted := []byte("\x00" + variable + "\x00")
	// What begins in one piece may end in the next.
	window := append(make([]byte, 0, len(wanted)+environPiece), 0)
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
