// Package trustedpath decides whether another user could change what a path leads to.
//
// The rule: root, and the one user that the caller trusts, may own what is on the way. The way is every directory from
// the root directory down, every symbolic link that is followed, and the directories that those lead through.
//
//   - A directory belongs to a trusted user. No other user can write to it, unless it has the sticky bit, with which
//     only the owner of an entry can rename or remove it.
//   - A symbolic link belongs to a trusted user.
//   - A file belongs to a trusted user, and no other can write to it.
//   - In a directory with the sticky bit, links and files have one name: another user may have made the second.
//
// Write permission of a group counts as that of others if only root is trusted. Another user's group may write: many
// systems give each user a group of their own, and a umask to go with it.
//
// What cannot be found out is denied.
package trustedpath

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is the number of symbolic links that the kernel follows on one way.
const maxLinks = 40

// CheckDirectory returns the path of a directory without links. The error is not nil if others than root and the user
// with the ID uid could replace what is in it.
func CheckDirectory(path string, uid int) (string, error) {
	real, st, err := follow(path, uid)
	if err == nil && !is(st, unix.S_IFDIR) {
		err = fmt.Errorf("%s is not a directory", path)
	}

	return real, err
}

// CheckClosedDirectory is CheckDirectory for a name that is still to be made: the sticky bit is no excuse, because it
// lets others make the name first.
func CheckClosedDirectory(path string, uid int) error {
	real, err := CheckDirectory(path, uid)
	if err != nil {
		return err
	}

	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: real, Err: err}
	}

	if writable(&st, uid) {
		return replaceable(real, uid, fmt.Sprintf("it has the mode %04o", permissions(&st)))
	}

	return nil
}

// CheckFile returns an error if others than root and the user with the ID uid could change a file or replace it.
func CheckFile(path string, uid int) error {
	_, _, err := follow(path, uid)
	return err
}

// CheckOpen applies the rule to an open file or directory alone, whatever leads to it.
func CheckOpen(f *os.File, uid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}

	return check(f.Name(), &st, uid)
}

// Owner returns the ID of the user that a file belongs to, or -1, which is no user's, if the system does not say.
func Owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}

	return -1
}

// follow checks each step of the way to path, and returns where it ends.
func follow(path string, uid int) (real string, st *unix.Stat_t, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}

	parts, links := split(path), 0

	// here is the directory that the next part is in.
	here := new(unix.Stat_t)
	for len(parts) > 0 {
		next := filepath.Join(real, parts[0])
		if parts[0] == root {
			next = root
		}

		parts = parts[1:]

		st = new(unix.Stat_t)
		if err := unix.Lstat(next, st); err != nil {
			return "", nil, &fs.PathError{Op: "lstat", Path: next, Err: err}
		}

		if err := check(next, st, uid); err != nil {
			return "", nil, err
		}

		// With the sticky bit, others cannot replace a name, but they can have made it: as one more of root's file.
		if st.Nlink > 1 && !is(st, unix.S_IFDIR) && writable(here, uid) {
			return "", nil, fmt.Errorf("%s has other names as well, which %s may have made", next, others(uid))
		}

		if !is(st, unix.S_IFLNK) {
			real, here = next, st
			continue
		}

		if links++; links > maxLinks {
			return "", nil, &fs.PathError{Op: "follow", Path: path, Err: unix.ELOOP}
		}

		target, err := os.Readlink(next)
		if err != nil {
			return "", nil, err
		}

		parts = append(split(target), parts...)
	}

	return real, st, nil
}

// root is the first part of an absolute path.
const root = string(filepath.Separator)

func split(path string) []string {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == filepath.Separator })
	if filepath.IsAbs(path) {
		return append([]string{root}, parts...)
	}

	return parts
}

// check applies the rule to what path itself is.
func check(path string, st *unix.Stat_t, uid int) error {
	owned := st.Uid == 0 || int64(st.Uid) == int64(uid)
	foreign := fmt.Sprintf("belongs to another user than %s (user ID %d)", trusted(uid), st.Uid)

	switch {
	case is(st, unix.S_IFDIR) && !owned:
		return replaceable(path, uid, "it "+foreign)
	case is(st, unix.S_IFDIR) && writable(st, uid) && permissions(st)&unix.S_ISVTX == 0:
		return replaceable(path, uid, fmt.Sprintf("it has the mode %04o", permissions(st)))
	case !owned:
		return fmt.Errorf("%s %s", path, foreign)
	case is(st, unix.S_IFDIR), is(st, unix.S_IFLNK):
		return nil
	case writable(st, uid):
		return fmt.Errorf("%s can write to %s, it has the mode %04o", others(uid), path, permissions(st))
	}

	return nil
}

func replaceable(dir string, uid int, reason string) error {
	return fmt.Errorf("%s could replace what is in the directory %s: %s", others(uid), dir, reason)
}

func others(uid int) string { return "others than " + trusted(uid) }

func trusted(uid int) string {
	if uid == 0 {
		return "root"
	}

	return fmt.Sprintf("root and the user with ID %d", uid)
}

// writable reports whether the permissions let others write.
func writable(st *unix.Stat_t, uid int) bool {
	forbidden := uint32(0o002)
	if uid == 0 {
		forbidden = 0o022
	}

	return permissions(st)&forbidden != 0
}

//nolint:unconvert,nolintlint // 16 bits elsewhere
func permissions(st *unix.Stat_t) uint32 { return uint32(st.Mode) & 0o7777 }

//nolint:unconvert,nolintlint // 16 bits elsewhere
func is(st *unix.Stat_t, kind uint32) bool { return uint32(st.Mode)&unix.S_IFMT == kind }
