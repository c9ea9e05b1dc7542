//go:build !linux

package agent

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/gopassenger/passenger/internal/trustedpath"
)

// publicDir is the directory of static files while one request is served. Links that lead out of it are not followed.
type publicDir struct{ root *os.Root }

// openPublic opens the directory rel of a release.
func openPublic(root, rel string) (*publicDir, error) {
	dir, err := os.OpenRoot(joined(root, rel))
	if err != nil {
		return nil, err
	}

	return &publicDir{root: dir}, nil
}

func (d *publicDir) close() { _ = d.root.Close() } // nothing was written

// has reports whether there may be a file of this name: open says whether it can be served.
func (d *publicDir) has(name string) bool {
	info, err := d.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// open opens a regular file, and never waits for what is something else.
//
// Errors: errForeignLink, errNotAFile, and those of the system.
func (d *publicDir) open(name string) (*openedFile, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotAFile
	}

	if err == nil {
		err = d.checkHardLinks(info)
	}

	if err != nil {
		_ = f.Close()
		return nil, err
	}

	return &openedFile{File: f, info: info}, nil
}

// checkHardLinks refuses, for root, a file that a user has only linked into their directory and that belongs to
// another user.
func (d *publicDir) checkHardLinks(info fs.FileInfo) error {
	dir, err := d.root.Stat(".")
	if err != nil {
		return err
	}

	uid := trustedpath.Owner(dir)
	stat, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 && (!ok || stat.Nlink > 1 && uid != 0 && int(stat.Uid) != uid) {
		return errForeignLink
	}

	return nil
}
