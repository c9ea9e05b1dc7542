package instancedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/filelock"
)

// maxCreation is how long a creation may take. What is not finished after that
// is stale, unless it is locked.
const maxCreation = time.Minute

// state is what an instance directory is in.
type state struct {
	st         unix.Stat_t
	properties Properties
	// stale is why no process uses it any more; empty means that one does.
	stale string
	// empty means that there is not even a lock.
	empty bool
}

// examine finds out the state of a directory. An error is why it can be neither
// used nor called stale.
func examine(dir directory) (s state, err error) {
	if err := unix.Fstat(dir.FD(), &s.st); err != nil {
		return s, dir.Fault("stat", "", err)
	}

	// What is in it could be anybody's then, the lock included.
	if permissions(&s.st)&0o022 != 0 {
		return s, fmt.Errorf("its mode %04o lets others than its owner write to it", permissions(&s.st))
	}

	lock, err := openLock(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.examineWithoutLock(dir)
	}

	if err != nil {
		return s, err
	}

	defer func() { _ = lock.Close() }()

	// Two who look at the same time do not disturb each other.
	free, err := filelock.Try(lock, filelock.Shared)
	if err != nil {
		return s, err
	}

	if free {
		return s, s.examineFree(dir)
	}

	finalized, err := isFinalized(dir)
	if err == nil && !finalized {
		err = errors.New("it is just being created or removed")
	}

	if err != nil {
		return s, err
	}

	s.properties, err = readProperties(dir)

	return s, err
}

// examineWithoutLock is sure of one thing only: no process needs an empty directory.
func (s *state) examineWithoutLock(dir directory) error {
	errNotEmpty := errors.New("it has no file " + lockName + ", so it is not known whether a process uses it")
	if err := dir.Each(func(string) error { return errNotEmpty }); err != nil {
		return err
	}

	s.empty = true

	return s.examineAge("it is empty")
}

func (s *state) examineFree(dir directory) error {
	finalized, err := isFinalized(dir)
	if err != nil {
		return err
	}

	if _, err := readProperties(dir); errors.Is(err, errUnsupported) {
		return err // it may have another way to tell that it lives
	}

	if !finalized {
		return s.examineAge("its creation was not finished")
	}

	s.stale = "its instance has ended"

	return nil
}

func (s *state) examineAge(reason string) error {
	// The clock may have been set back since.
	if time.Since(time.Unix(s.st.Mtim.Unix())).Abs() < maxCreation {
		return errors.New("it is just being created or removed")
	}

	s.stale = reason

	return nil
}

func isFinalized(dir directory) (bool, error) {
	st, err := dir.Lstat(finalizedName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	return err == nil && fileType(st) == unix.S_IFREG, err
}

func readProperties(dir directory) (Properties, error) {
	content, err := dir.read(propertiesName, maxProperties)
	if err != nil {
		return Properties{}, err
	}

	return parseProperties(content)
}

// readPID returns 0 if there is no number.
func readPID(dir directory, name string) int {
	content, err := dir.read(name, 32)
	if err != nil {
		return 0
	}

	// pid_t has a sign and 31 bits.
	pid, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 31)
	if err != nil {
		return 0
	}

	return int(pid)
}

// readPassword keeps the content out of its errors.
func readPassword(dir directory, name string) (string, error) {
	content, err := dir.read(name, maxPassword)
	if err != nil {
		return "", err
	}

	password := strings.TrimRight(string(content), "\r\n")
	if password == "" || strings.ContainsFunc(password, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", &os.PathError{Op: "read", Path: dir.path(name), Err: errors.New("it has no password in it")}
	}

	return password, nil
}
