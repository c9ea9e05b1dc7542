package instancedir

import (
	"errors"
	"io/fs"

	"github.com/gopassenger/passenger/internal/rmtree"
)

// maxRemoved bounds a removal while another process fills the directory.
const maxRemoved = 1 << 20

// removeInstance removes dir, which is called name in the registry, with all that
// is in it. The lock goes last, so that what is left after an error, or when we
// are killed, is still known for an instance directory.
func removeInstance(registry, dir directory, name string, id fileID) error {
	if err := rmtree.Empty(dir.Dir, lockName, maxRemoved); err != nil {
		// A directory that was removed cannot be read.
		if _, gone := registry.Lstat(name); errors.Is(err, fs.ErrNotExist) && errors.Is(gone, fs.ErrNotExist) {
			return nil
		}

		return err
	}

	if err := ignoreGone(dir.Unlink(lockName)); err != nil {
		return err
	}

	st, err := registry.Lstat(name)
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
	return ignoreGone(registry.Rmdir(name))
}
