package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkPlace makes sure that only the owner of a file and root can have put it
// where it is, because the owner decides which user an application runs as: a user who
// could, by a link, a rename or a directory of their own around it, would have their
// program run as another user. The directories from the application's to the file count.
// The sticky bit is no excuse: whoever can add a file to the directory can add one that
// the program loads. private is the owner's own group, which may write; -1: there is none.
// doubt says what is not as safe as it could be, and in use by many.
func checkPlace(root, file string, info fs.FileInfo, private int) (doubt, err error) {
	uid := statOf(info).Uid
	refuse := func(format string, args ...any) error {
		return &fault{problem: unsafePlace, subject: file, err: fmt.Errorf(format, args...)}
	}

	defer func() {
		if doubt != nil {
			doubt = fmt.Errorf("another user may have a say in what the application's user runs: %w", doubt)
		}
	}()

	for _, dir := range directoriesTo(root, file, info) {
		of, err := os.Stat(dir)
		if err != nil {
			return nil, startupFault(file, err)
		}

		switch owner := statOf(of).Uid; {
		case owner != 0 && owner != uid:
			return nil, refuse("its directory %s belongs to the user with ID %d, and it to the one with ID %d", dir,
				owner, uid)
		case of.Mode().Perm()&0o002 != 0:
			return nil, refuse("everybody can write to the directory %s", dir)
		case of.Mode().Perm()&0o020 != 0 && int(statOf(of).Gid) != private:
			doubt = fmt.Errorf("the group with ID %d can write to the directory %s (chmod g-w)", statOf(of).Gid, dir)
		}
	}

	if !info.Mode().IsRegular() {
		return doubt, nil
	}

	if info.Mode().Perm()&0o002 != 0 {
		return nil, refuse("everybody can write to it")
	}

	if info.Mode().Perm()&0o020 != 0 && int(statOf(info).Gid) != private {
		doubt = errors.Join(doubt, fmt.Errorf("the group with ID %d can write to %s (chmod g-w)", statOf(info).Gid,
			file))
	}

	if statOf(info).Nlink == 1 {
		return doubt, nil
	}

	// Where a group can write, one of its members may have made the link.
	if doubt != nil {
		return nil, refuse("it has other names as well (hard links), and %w", doubt)
	}

	return fmt.Errorf("%s has other names as well (hard links): copy it", file), nil
}

// directoriesTo are the directories from root down to a file; one that is outside of root
// has just its own. The file itself is the last if it is a directory.
func directoriesTo(root, file string, info fs.FileInfo) (dirs []string) {
	if info.IsDir() {
		return []string{file}
	}

	root = filepath.Clean(root)
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if !strings.HasPrefix(dir, root+string(filepath.Separator)) {
			return dirs
		}
	}
}
