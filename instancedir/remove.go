package instancedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxRemoved bounds a removal while somebody else is filling the directory.
const maxRemoved = 1 << 20

// removeInstance removes dir, which is called name in the registry, with all that
// is in it. The lock goes last, so that what is left after an error, or when we
// are killed, is still known for an instance directory.
func removeInstance(registry, dir directory, name string, id fileID) error {
	r := &removal{top: dir, left: maxRemoved}
	if err := r.empty(); err != nil {
		return err
	}
	if err := ignoreGone(dir.unlink(lockName)); err != nil {
		return err
	}
	st, err := registry.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if idOf(st) != id {
		return nil
	}
	// If it was replaced just now, by something that is empty, that is removed.
	return ignoreGone(registry.rmdir(name))
}

// removal empties a directory. Other users may have made what is in it, as deep as
// they liked, and may be doing so: directories are moved up and then emptied, so
// that no more than two are open at a time.
type removal struct {
	top   directory
	owner uint32
	dev   uint64
	left  int
}

func (r *removal) empty() error {
	var st unix.Stat_t
	if err := unix.Fstat(r.top.fd(), &st); err != nil {
		return r.top.fault("stat", "", err)
	}
	r.owner, r.dev = st.Uid, idOf(&st).dev
	// Nobody else comes in any more.
	if err := r.top.Chmod(0o700); err != nil {
		return err
	}
	for {
		done := true
		err := r.top.each(func(name string) error {
			if name == lockName {
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

// remove removes an entry of the top, or empties it a little.
func (r *removal) remove(name string) error {
	isDirectory, err := r.unlink(r.top, name)
	if err != nil || !isDirectory {
		return err
	}
	sub, err := r.top.openOwnDirectory(name)
	if err != nil {
		return ignoreChanged(err)
	}
	err = r.raise(sub)
	if err := errors.Join(err, sub.Close()); err != nil {
		return err
	}
	return ignoreChanged(r.top.rmdir(name))
}

// ignoreChanged: it is not what it was, which the next look at it finds out.
func ignoreChanged(err error) error {
	for _, changed := range []error{unix.ENOTDIR, unix.ELOOP, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, changed) {
			return nil
		}
	}
	return ignoreGone(err)
}

// raise removes what is in sub, and moves directories up.
func (r *removal) raise(sub directory) error {
	var st unix.Stat_t
	if err := unix.Fstat(sub.fd(), &st); err != nil {
		return sub.fault("stat", "", err)
	}
	if idOf(&st).dev != r.dev {
		return fmt.Errorf("%s is another file system: unmount it", sub.Name())
	}
	if r.owner != 0 && st.Uid != r.owner {
		// Whoever owns the top could have moved it here to have it removed.
		return fmt.Errorf("%s belongs to the user %d, and not to %d as what it is in", sub.Name(), st.Uid, r.owner)
	}
	if int(st.Uid) == os.Geteuid() {
		if err := sub.Chmod(0o700); err != nil {
			return err
		}
	}
	return sub.each(func(name string) error {
		isDirectory, err := r.unlink(sub, name)
		if err != nil || !isDirectory {
			return err
		}
		return ignoreGone(r.moveUp(sub, name))
	})
}

func (r *removal) moveUp(sub directory, name string) error {
	to := "." + randomName(suffixLength)
	err := sub.rename(name, r.top, to)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	// A directory gets another parent only by who may write to it.
	if unix.Fchmodat(sub.fd(), name, 0o700, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return err
	}
	return sub.rename(name, r.top, to)
}

// unlink removes an entry of a directory, unless that is a directory.
func (r *removal) unlink(from directory, name string) (isDirectory bool, err error) {
	if r.left--; r.left < 0 {
		return false, fmt.Errorf("%s has more than %d entries, or somebody is still filling it", r.top.Name(), maxRemoved)
	}
	err = from.unlink(name)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.EISDIR):
		return true, nil
	}
	st, statErr := from.stat(name)
	if statErr != nil {
		return false, ignoreGone(statErr)
	}
	if fileType(st) == unix.S_IFDIR {
		return true, nil
	}
	return false, err
}
