package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// venvNames are the directories in which an application may have a virtual
// environment.
var venvNames = []string{"venv", ".venv"}

// venvPython returns the Python of the virtual environment in dir; empty means no
// such environment. One that is there and cannot be used is a fault: another Python
// would find none of the packages, and its error would not show the cause.
func venvPython(dir string) (string, error) {
	python := filepath.Join(dir, "bin", "python")

	err := checkExecutable(python)
	switch {
	case err == nil:
		return python, nil
	case !isVenv(dir, python):
		return "", nil
	}

	return "", &fault{problem: venvUnusable, subject: dir, err: venvError(python, err)}
}

// isVenv reports whether dir is a virtual environment, whole or not, or one that this
// user may not look into.
func isVenv(dir, python string) bool {
	for _, mark := range []string{filepath.Join(dir, "pyvenv.cfg"), python} {
		if _, err := os.Lstat(mark); err == nil || errors.Is(err, fs.ErrPermission) {
			return true
		}
	}

	return false
}

// venvError says what is wrong with python, which may be a link to a Python that was
// removed or is another user's.
func venvError(python string, err error) error {
	reason := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		reason = e.Err
	}

	if target, linkErr := os.Readlink(python); linkErr == nil {
		return fmt.Errorf("%s, which leads to %s: %w", python, target, reason)
	}

	return fmt.Errorf("%s: %w", python, reason)
}
