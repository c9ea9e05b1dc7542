package rmtree

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Remove removes the directory name from d, with all that is in it, or a file of that
// name. A limit bounds how many entries are removed, since others may be adding some;
// the error says what is left then. That name is not there is no error.
func Remove(d Dir, name string, limit int) error {
	st, err := d.Lstat(name)
	if err != nil {
		return ignoreGone(err)
	}

	if !isDirectory(st) {
		return ignoreGone(d.Unlink(name))
	}

	sub, err := d.OpenOwnDir(name)
	if err != nil {
		return ignoreGone(err)
	}

	err = Empty(sub, "", limit)
	if err := errors.Join(err, sub.Close()); err != nil {
		return err
	}

	return ignoreGone(d.Rmdir(name))
}

// Empty removes all that is in d but the file called keep, and gives d the mode 0700.
// The limit is that of Remove.
//
// Nothing is removed that is on another file system, and nothing that belongs to another
// user than d, unless d is root's.
func Empty(d Dir, keep string, limit int) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.FD(), &st); err != nil {
		return d.Fault("stat", "", err)
	}

	r := &removal{
		top:   d,
		owner: st.Uid,
		dev:   device(&st),
		limit: limit,
		left:  limit,
	}

	// No one else comes in from here on.
	if err := d.Chmod(0o700); err != nil {
		return err
	}

	for {
		done := true
		err := d.Each(func(name string) error {
			if name == keep {
				return nil
			}

			done = false

			return r.remove(name)
		})
		if err != nil || done {
			return err
		}
	}
}

// removal empties a directory: what is a directory in a directory is moved up and
// then emptied, so that no more than two are open at a time however deep they are.
type removal struct {
	top         Dir
	owner       uint32
	dev         uint64
	limit, left int
}

//nolint:gosec,unconvert,nolintlint // G115: only compared; of another type elsewhere
func device(st *unix.Stat_t) uint64 { return uint64(st.Dev) }

//nolint:unconvert,nolintlint // 16 bits elsewhere
func isDirectory(st *unix.Stat_t) bool { return uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR }

// remove removes an entry of the top, or empties it a little.
func (r *removal) remove(name string) error {
	isDirectory, err := r.unlink(r.top, name)
	if err != nil || !isDirectory {
		return err
	}

	sub, err := r.top.OpenOwnDir(name)
	if err != nil {
		return ignoreChanged(err)
	}

	err = r.raise(sub)
	if err := errors.Join(err, sub.Close()); err != nil {
		return err
	}

	return ignoreChanged(r.top.Rmdir(name))
}

// ignoreChanged ignores that an entry is not what it was, which the next look finds out.
func ignoreChanged(err error) error {
	for _, changed := range []error{unix.ENOTDIR, unix.ELOOP, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, changed) {
			return nil
		}
	}

	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return err
}

// raise removes what is in sub, and moves directories up.
func (r *removal) raise(sub Dir) error {
	var st unix.Stat_t
	if err := unix.Fstat(sub.FD(), &st); err != nil {
		return sub.Fault("stat", "", err)
	}

	if device(&st) != r.dev {
		return fmt.Errorf("%s is another file system: unmount it", sub.Name())
	}

	if r.owner != 0 && st.Uid != r.owner {
		// The owner of the top could have moved it here to have it removed.
		return fmt.Errorf("%s belongs to the user %d, and not to %d as what it is in", sub.Name(), st.Uid, r.owner)
	}

	if os.Geteuid() == 0 && st.Uid != 0 {
		// Root may have CAP_CHOWN and yet not CAP_DAC_OVERRIDE.
		if err := sub.Chown(0, 0); err != nil {
			return err
		}

		st.Uid = 0
	}

	if int(st.Uid) == os.Geteuid() {
		if err := sub.Chmod(0o700); err != nil {
			return err
		}
	}

	return sub.Each(func(name string) error {
		isDirectory, err := r.unlink(sub, name)
		if err != nil || !isDirectory {
			return err
		}

		return ignoreGone(r.moveUp(sub, name))
	})
}

func (r *removal) moveUp(sub Dir, name string) error {
	to := "." + rand.Text()
	err := sub.Rename(name, r.top, to)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}

	// A directory gets another parent only by who may write to it.
	if os.Geteuid() == 0 {
		_ = unix.Fchownat(sub.FD(), name, 0, 0, unix.AT_SYMLINK_NOFOLLOW) // the mode then fails, too
	}

	if unix.Fchmodat(sub.FD(), name, 0o700, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return err
	}

	return sub.Rename(name, r.top, to)
}

// unlink removes an entry of a directory, unless that is a directory.
func (r *removal) unlink(from Dir, name string) (directory bool, err error) {
	if r.left--; r.left < 0 {
		return false, fmt.Errorf("%s has more than %d entries, or a process is still filling it", r.top.Name(), r.limit)
	}

	err = from.Unlink(name)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.EISDIR):
		return true, nil
	}

	st, statErr := from.Lstat(name)
	switch {
	case statErr != nil:
		return false, ignoreGone(statErr)
	case isDirectory(st):
		return true, nil
	}

	return false, err
}
