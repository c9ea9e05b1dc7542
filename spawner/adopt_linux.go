package spawner

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// canAdopt reports whether processes that a preloader starts can be identified for
// good, for which Linux 5.3 and /proc are needed.
var canAdopt = sync.OnceValue(func() bool {
	// No process has this ID. A successful call would need a descriptor, which may be missing now and not later.
	_, err := unix.PidfdOpen(-1, 0)
	_, procErr := os.Stat("/proc/self/status")

	return errors.Is(err, unix.EINVAL) && procErr == nil
})

// adopted is a process that a preloader has started and that is ours to end.
type adopted struct {
	pid     int
	uid     int
	session int
	pidfd   *os.File
	// leads reports whether the process leads a group of its own.
	leads bool
	// status says how the process ended, when the preloader has said so.
	status func() string
}

// adopt makes sure that pid is a process of uid in the session of a preloader,
// and holds on to it. What the preloader says is not to be trusted. A process
// that has ended already is errWorkerEnded.
func adopt(pid, uid, session int) (*adopted, error) {
	foreign := func(reason string) error { return fmt.Errorf("%w: pid %d %s", errForeignWorker, pid, reason) }
	// A preloader that reports itself or this program would have the wrong process ended.
	if pid == session || pid == os.Getpid() {
		return nil, foreign("is not a worker")
	}

	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, errWorkerEnded
	}

	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}

	_ = unix.SetNonblock(fd, true) // else the wait takes a thread
	a := &adopted{
		pid:     pid,
		uid:     uid,
		session: session,
		pidfd:   os.NewFile(uintptr(fd), "pidfd"),
	}
	defer func() {
		if err != nil {
			_ = a.pidfd.Close()
		}
	}()
	found, readErr := readStatus(pid)
	inSession := isInSession(pid, session)
	a.leads = isInGroup(pid, pid)

	// What was read is of the process that is held if that still exists.
	if err = unix.PidfdSendSignal(fd, 0, nil, 0); errors.Is(err, unix.ESRCH) {
		err = errWorkerEnded
		return nil, err
	}

	if err = readErr; err != nil {
		return nil, err
	}

	if found.uid != uid {
		err = foreign(fmt.Sprintf("belongs to user %d instead of %d", found.uid, uid))
		return nil, err
	}

	if !inSession {
		err = foreign(fmt.Sprintf("is not in session %d", session))
		return nil, err
	}

	return a, nil
}

func (a *adopted) awaitEnd() (status string) {
	waitReadable(a.pidfd)
	a.killGroup()
	_ = a.pidfd.Close()

	return a.status()
}

func (a *adopted) signal(sig syscall.Signal) {
	// It fails if the process has ended, but what it has started may live.
	_ = a.send(sig)
	if a.leads {
		a.eachInGroup(sig)
	}
}

func (a *adopted) signalAlone(sig syscall.Signal) { _ = a.send(sig) }

func (a *adopted) send(sig syscall.Signal) error {
	raw, err := a.pidfd.SyscallConn()
	if err != nil {
		return err
	}

	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) })

	return errors.Join(err, sendErr)
}

func (a *adopted) killGroup() {
	if a.leads {
		a.eachInGroup(syscall.SIGKILL)
	}
}

// eachInGroup signals what the process has started, one by one: the group's
// number may belong to others as soon as the preloader has reaped the process.
func (a *adopted) eachInGroup(sig syscall.Signal) {
	signalMatching(sig, a.uid, func(pid int) bool {
		return isInGroup(pid, a.pid) && isInSession(pid, a.session) && pid != a.pid
	})
}

// waitReadable returns when f can be read, as a pidfd can when its process has
// ended. It leaves the waiting to the runtime's poller where that is possible.
func waitReadable(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return // it was closed
	}

	readable := func(fd uintptr, milliseconds int) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // G115: a descriptor
		n, err := unix.Poll(fds, milliseconds)
		return err == nil && n > 0
	}
	err = raw.Read(func(fd uintptr) bool { return readable(fd, 0) })
	if err == nil {
		return
	}

	_ = raw.Control(func(fd uintptr) {
		// poll(2) fails with EINTR when a signal comes.
		for !readable(fd, -1) {
			continue
		}
	})
}
