package pty

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a pseudo terminal of that size, in characters.
func Open(width, height int) (*Terminal, error) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}

	fail := func(err error) (*Terminal, error) { return nil, errors.Join(err, person.Close()) }
	var number int
	err = control(person, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}

		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)

		return err
	})
	if err != nil {
		return fail(err)
	}

	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fail(err)
	}

	t := newTerminal(person, program)
	if err := t.Resize(width, height); err != nil {
		return nil, errors.Join(err, t.Close())
	}

	return t, nil
}

// Resize gives it another size, and its programs SIGWINCH.
func (t *Terminal) Resize(width, height int) error {
	return control(t.person, func(fd int) error {
		//nolint:gosec // G115: a test's
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{
			Col: uint16(width),
			Row: uint16(height),
		})
	})
}

// Mode returns how the terminal treats what is typed and shown.
func (t *Terminal) Mode() (mode unix.Termios, err error) {
	err = control(t.Program, func(fd int) error {
		m, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			mode = *m
		}

		return err
	})

	return mode, err
}

// control does not take the descriptor away from the runtime's poller, as Fd
// does, which the reader's end depends on.
func control(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}

	var failure error
	err = conn.Control(func(fd uintptr) { failure = call(int(fd)) })

	return errors.Join(err, failure)
}
