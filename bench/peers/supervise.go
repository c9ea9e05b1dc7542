package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

const (
	termGrace = 3 * time.Second        // for a program, from TERM to KILL
	restGrace = 500 * time.Millisecond // for its descendants, once it has ended
)

// supervise runs a program until that ends, stdin is closed, or SIGTERM comes.
// Then nothing is left of it: descendants that made themselves daemons are
// ours, and end as well.
func supervise(argv []string) error {
	if len(argv) == 0 {
		return errors.New("supervise: no program is given")
	}

	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}

	if err := adoptOrphans(); err != nil {
		return fmt.Errorf("cannot become the parent of orphans: %w", err)
	}

	if err := raiseFileLimit(); err != nil {
		return err
	}

	pid, err := startGroup(path, argv)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", path, err)
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	ended := make(chan syscall.WaitStatus, 1)
	reaped := make(chan struct{})
	go reap(pid, ended, reaped)

	select {
	case status := <-ended:
		err = fmt.Errorf("%s ended by itself, %s", argv[0], describe(status))
		wait(reaped, restGrace)
	case <-stop:
		_ = syscall.Kill(pid, syscall.SIGTERM)

		select {
		case <-ended:
			wait(reaped, restGrace)
		case <-time.After(termGrace):
		}
	}

	for !wait(reaped, 20*time.Millisecond) {
		killDescendants()
	}

	return err
}

// startGroup starts a program without input, in a process group of its own.
func startGroup(path string, argv []string) (pid int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()

	return syscall.ForkExec(path, argv, //nolint:gosec // G702: starting a given program is the purpose
		&syscall.ProcAttr{
			Env:   os.Environ(),
			Files: []uintptr{null.Fd(), 1, 2},
			Sys:   &syscall.SysProcAttr{Setpgid: true},
		})
}

// reap waits for each child, until there is none.
func reap(main int, ended chan<- syscall.WaitStatus, reaped chan<- struct{}) {
	defer close(reaped)

	for {
		var status syscall.WaitStatus

		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == main:
			ended <- status
		}
	}
}

func wait(done <-chan struct{}, most time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(most):
		return false
	}
}

func killDescendants() {
	processes, err := processes()
	if err != nil {
		return
	}

	for _, p := range processes.below(os.Getpid()) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "by " + status.Signal().String()
	}

	return fmt.Sprintf("with status %d", status.ExitStatus())
}

// raiseFileLimit allows this process and its children as many files as may be.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot read the limit of open files: %w", err)
	}

	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot raise the limit of open files to %d: %w", limit.Max, err)
	}

	return nil
}
