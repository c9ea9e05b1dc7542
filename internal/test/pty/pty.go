// Package pty opens pseudo terminals, for tests of what is shown on terminals. It
// can do so on Linux.
package pty

import (
	"errors"
	"io"
	"os"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// Terminal is a pseudo terminal: what programs use, and who sits before it.
type Terminal struct {
	// Screen gets all that is shown.
	Screen printed.Output
	// Program is for the program's input and output.
	Program *os.File

	person *os.File
	read   chan struct{}
}

// newTerminal begins to read what is shown.
func newTerminal(person, program *os.File) *Terminal {
	t := &Terminal{Program: program, person: person, read: make(chan struct{})}
	go func() {
		defer close(t.read)
		_, _ = io.Copy(&t.Screen, person) // its end is an error
	}()

	return t
}

// Press sends keys.
func (t *Terminal) Press(keys string) error {
	_, err := t.person.WriteString(keys)
	return err
}

// Close hangs up.
func (t *Terminal) Close() error {
	err := errors.Join(t.Program.Close(), t.person.Close())
	<-t.read
	return err
}
