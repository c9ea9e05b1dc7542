package watchdog

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes what an agent leaves behind when it dies a child of this
// process, and so something that it can name for sure, end, and wait for.
func adoptOrphans() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// childPIDs returns the children of this process, dead ones that no call has
// waited for included.
func childPIDs() (pids []int) {
	// As when all agents have ended and left nothing behind.
	if any, _ := lookAtChildren(); !any {
		return nil
	}

	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}

	self := os.Getpid()
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && !isOfKernel(pid) && parentPID(pid) == self {
			pids = append(pids, pid)
		}
	}

	return pids
}

// isOfKernel reports that a process is a thread of the kernel, which has no group that can be seen from here, unless
// this process has none either. It costs a fraction of reading a file of /proc, and such threads are most of the
// processes of a small host.
func isOfKernel(pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && group == 0 && unix.Getpgrp() != 0
}

// parentPID returns 0 if there is no such process.
func parentPID(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}

	// The name, in parentheses, may have anything in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}

	// The kernel has written a number.
	parent, _ := strconv.Atoi(string(fields[1]))

	return parent
}

// endOrphans ends what an agent has left behind: it is asked to, and killed
// after Config.KillTimeout. Whatever that leaves behind is next. Those of which spared
// reports true stay; nil means that none do.
func (w *Watchdog) endOrphans(spared func(pid int) bool) {
	left := func() []int {
		pids := w.children.others()
		if spared != nil {
			pids = slices.DeleteFunc(pids, spared)
		}

		return pids
	}
	w.orphans.Lock()
	defer w.orphans.Unlock()

	for {
		pids := left()
		if len(pids) == 0 {
			return
		}

		w.cfg.Logger.V(1).Info("ending what an agent has left behind", "pids", pids)

		var gone sync.WaitGroup
		for _, pid := range pids {
			signalOrphan(pid, unix.SIGTERM)
			gone.Go(func() { wait(pid, 0) })
		}

		// Until it was waited for, a child's ID is not reused.
		kill := time.AfterFunc(w.cfg.KillTimeout, func() {
			for _, pid := range left() {
				signalOrphan(pid, unix.SIGKILL)
			}
		})
		gone.Wait()
		kill.Stop()
	}
}

// signalOrphan signals a child with its group, if it leads one.
func signalOrphan(pid int, signal syscall.Signal) {
	if group, err := unix.Getpgid(pid); err == nil && group == pid {
		// A group can be gone.
		_ = unix.Kill(-pid, signal)
		return
	}

	_ = unix.Kill(pid, signal)
}

func wait(pid, options int) {
	for {
		if _, err := unix.Wait4(pid, nil, options, nil); err != unix.EINTR {
			return
		}
	}
}

// Reap waits for orphans that have ended. A program that is process 1 of a
// container, or whose agents' offspring leaves orphans, calls it at each SIGCHLD.
func (w *Watchdog) Reap() {
	if !w.orphans.TryLock() {
		// A hook has children of its own, or orphans are waited for already.
		return
	}

	defer w.orphans.Unlock()
	w.reap()
}

func (w *Watchdog) reap() {
	if _, ended := lookAtChildren(); !ended {
		// As after most hooks: reading the state of each process of the host would take long.
		return
	}

	for _, pid := range w.children.others() {
		wait(pid, unix.WNOHANG)
	}
}

// lookAtChildren reports whether there are any children, and whether one of them waits to be waited for, be it one that
// is listed.
func lookAtChildren() (any, ended bool) {
	for {
		var info unix.Siginfo
		// With WNOWAIT, the child is still there for the one who waits for it.
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return !errors.Is(err, unix.ECHILD), err == nil && info.Signo != 0
		}
	}
}

// setOOMScore says how likely the kernel ends this process when memory runs out.
func setOOMScore(score string) error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte(score), 0)
}

// protect makes the kernel spare this process when memory runs out, if it may,
// and returns the score that agents are to have; empty means that it may not.
func protect() string {
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil || setOOMScore("-1000") != nil {
		return ""
	}

	return string(bytes.TrimSpace(score))
}

// socketPair returns the two ends of a socket. Neither is inherited but by the
// process that is given it.
func socketPair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}

	return os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "watchdog"), nil
}
