package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/filelock"
	"github.com/gopassenger/passenger/internal/ownfile"
)

// pidFile says which process runs a server. It is locked for as long as that
// lives, so that one that was left behind is known for what it is.
type pidFile struct {
	file *os.File
	path string
}

// AlreadyRunningError means that a server with the same pid file runs.
type AlreadyRunningError struct {
	Path string
	PID  int
}

func (e *AlreadyRunningError) Error() string {
	return fmt.Sprintf("a server is already running on PID %d, according to the pid file %s: stop it, or name "+
		"another file with --pid-file", e.PID, e.Path)
}

func createPIDFile(path string) (*pidFile, error) {
	for {
		p, err := tryPIDFile(path)
		if !errors.Is(err, errReplaced) {
			return p, err
		}
	}
}

// errReplaced means that the file was removed before it was locked, by the server that
// has just ended.
var errReplaced = errors.New("the pid file was replaced")

func tryPIDFile(path string) (_ *pidFile, err error) {
	f, err := ownfile.Open(path, os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot use the pid file: %w", err)
	}

	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()

	// The lock, and not the number in the file, tells that a server runs: it ends with its process.
	if locked, err := filelock.Try(f, filelock.Exclusive); err == nil && !locked {
		pid, err := readPID(f)
		return nil, errors.Join(err, &AlreadyRunningError{Path: path, PID: pid})
	} else if err != nil {
		return nil, fmt.Errorf("cannot use the pid file: %w", err)
	}

	p := &pidFile{file: f, path: path}
	if !p.current() {
		return nil, errReplaced
	}

	if err := checkPIDFile(f); err != nil {
		return nil, fmt.Errorf("%w: name another file with --pid-file, or remove this one", err)
	}

	// In place, since the lock belongs to this file: another one that took its name would have none.
	if err := errors.Join(f.Truncate(0), writeString(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		// An empty file would say nothing of the server that was not started.
		return nil, errors.Join(fmt.Errorf("cannot write the pid file %s: %w", path, err), p.remove())
	}

	return p, nil
}

// checkPIDFile makes sure that the file is no other one, which would be lost. What a machine that lost its power leaves
// of a pid file, such as zeros or other bytes, is no text, and stops no start.
func checkPIDFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot use the pid file: %w", err)
	}

	if !info.Mode().IsRegular() {
		return fmt.Errorf("cannot use the pid file: %s is not a regular file", f.Name())
	}

	if err := checkContent(f, info); err != nil {
		return fmt.Errorf("cannot use the pid file: %w", err)
	}

	return nil
}

// checkContent makes sure that there is no text in the file but a number.
func checkContent(f *os.File, info os.FileInfo) error {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxTextLook))
	if err != nil {
		return err
	}

	if isID := info.Size() <= maxPIDFile && strings.Trim(string(b), "0123456789 \t\r\n") == ""; !isID && isText(b) {
		return fmt.Errorf("%s has something else than a process id in it", f.Name())
	}

	return nil
}

// maxTextLook is how much of a file shows whether it is text.
const maxTextLook = 4096

func isText(b []byte) bool {
	if len(b) == maxTextLook {
		// The last character may not be whole.
		last := len(b) - 1
		for last > 0 && !utf8.RuneStart(b[last]) {
			last--
		}

		b = b[:last]
	}

	return bytes.IndexFunc(b, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r)
	}) < 0
}

func writeString(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// current reports whether the file is still the one of its name.
func (p *pidFile) current() bool {
	there, err := os.Lstat(p.path)
	if err != nil {
		return false
	}

	ours, err := p.file.Stat()

	return err == nil && os.SameFile(there, ours)
}

func (p *pidFile) remove() error {
	var err error
	// Another server may have taken the name. The lock is held until the name is gone.
	if p.current() {
		err = os.Remove(p.path)
	}

	return errors.Join(err, p.file.Close())
}

// maxPIDFile is more than a number takes.
const maxPIDFile = 64

func readPID(f *os.File) (int, error) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxPIDFile))
	if err != nil {
		return 0, fmt.Errorf("cannot read the pid file %s: %w", f.Name(), err)
	}

	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 1 {
		return 0, fmt.Errorf("the pid file %s %w", f.Name(), errNoPID)
	}

	return pid, nil
}

// errNoPID means that a pid file was not written as a whole.
var errNoPID = errors.New("has no process id in it")

// RunningServer is what a pid file says.
type RunningServer struct {
	// PID is the process that the file names, or 0 if it names none, and Alive whether it
	// still runs.
	PID   int
	Alive bool
	file  *os.File
}

// FindServer reads a pid file. The caller must close the result.
func FindServer(path string) (*RunningServer, error) {
	// A named pipe would wait for a program that writes to it.
	const flags = os.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0) //nolint:gosec // G304: it is the operator's
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("cannot read the pid file: %s is a symbolic link: name the file that it leads to", path)
	}

	if err != nil {
		return nil, fmt.Errorf("cannot read the pid file: %w", err)
	}

	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	default:
		err = checkContent(f, info)
	}

	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read the pid file: %w: name the server's with --pid-file", err),
			f.Close())
	}

	s := &RunningServer{file: f}

	// Shared, so that two commands that look at the same time do not take each other for the server.
	free, err := filelock.Try(f, filelock.Shared)
	s.Alive = err == nil && !free

	// A file without a number is what a machine that lost its power leaves; no server
	// that runs does.
	s.PID, err = readPID(f)
	if err != nil && (s.Alive || !errors.Is(err, errNoPID)) {
		return nil, errors.Join(err, f.Close())
	}

	return s, nil
}

// ServerOf returns the server of an instance, whose lock takes the place of the pid file's. The caller must close the
// result.
func ServerOf(i *instancedir.Instance) (*RunningServer, error) {
	lock, err := i.OpenLock()
	if err != nil {
		return nil, err
	}

	return &RunningServer{PID: i.Properties.WatchdogPID, Alive: true, file: lock}, nil
}

// Close forgets the file.
func (s *RunningServer) Close() error { return s.file.Close() }

// Ended is closed when the process has ended.
func (s *RunningServer) Ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// It fails if the file was closed, and then no caller waits.
		_ = filelock.Wait(s.file, filelock.Shared)
	}()

	return ended
}
