package ownfile

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CheckOnlyRoot makes sure that only root can change a file, replace it, or replace a link
// or a directory that leads to it.
func CheckOnlyRoot(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}

	info, err := os.Stat(real)
	if err != nil {
		return err
	}

	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || stat.Uid != 0:
		return fmt.Errorf("%s belongs to another user than root", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others than root can write to %s, its mode is %04o", path, info.Mode().Perm())
	}

	for _, dir := range []string{filepath.Dir(path), filepath.Dir(real)} {
		if by := replaceable(dir); by != "" {
			return fmt.Errorf("others than root could replace what is in the directory %s", by)
		}
	}

	return nil
}

// replaceable returns the directory on the way to another one in which others than root
// could put something else; empty: there is none.
func replaceable(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return dir
	}

	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil || !onlyRoots(info) {
			return dir
		}

		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
