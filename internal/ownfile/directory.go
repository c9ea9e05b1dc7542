package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gopassenger/passenger/internal/trustedpath"
)

// OpenDirectory opens a directory that only this process's user can write to. option is what names the directory, with
// which errors begin.
func OpenDirectory(option, path string) (*os.Root, error) {
	// A FIFO in its place would be waited for.
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s cannot be used: %s is not a directory: name a directory that exists", option, path)
	}

	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w: name a directory that exists", option, err)
	}

	info, err := root.Stat(".")
	if err == nil {
		err = checkOwnDirectory(option, path, info)
	}

	if err == nil {
		if _, err = CheckDirectory(path); err != nil {
			err = fmt.Errorf("%s cannot be used: %w", option, err)
		}
	}

	if err != nil {
		return nil, errors.Join(err, root.Close())
	}

	return root, nil
}

func checkOwnDirectory(option, path string, info fs.FileInfo) error {
	switch owner := trustedpath.Owner(info); {
	case owner != os.Geteuid():
		return fmt.Errorf("%s is %s, which belongs to another user (uid %d): chown it to the server's user (uid %d), "+
			"or name another directory", option, path, owner, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s is %s, to which others can write: chmod go-w %s, or name another directory", option, path,
			path)
	}

	return nil
}
