package agent

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links may lead to a file, as in Linux itself.
const maxLinks = 40

// publicDir is the directory of static files while one request is served.
type publicDir struct {
	fd   int
	path string
}

// openPublic opens the directory rel of a release; an empty rel is the release's directory itself. A link in rel
// that leads out of the release is followed only as walker.follow allows, and for root each link on the whole way:
// whoever owns the link to the release could let it lead to what only root may read.
func openPublic(root, rel string) (*publicDir, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	path := joined(root, rel)

	if os.Geteuid() == 0 {
		fd, err := openFromTop(path, flags)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}

		return &publicDir{fd: fd, path: path}, nil
	}

	if !strings.Contains(rel, "/") {
		// The flag is about the last part of a path only, so that a longer one takes the way below.
		noLink := flags
		if rel != "" {
			noLink |= unix.O_NOFOLLOW
		}

		if fd, err := unix.Open(path, noLink, 0); err == nil {
			return &publicDir{fd: fd, path: path}, nil
		} else if rel == "" {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}

	dir, err := unix.Open(root, flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)

	fd, err := openBeneath(dir, rel, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}

	return &publicDir{fd: fd, path: path}, nil
}

// openFromTop opens a directory, and follows links as a walker does.
func openFromTop(path string, flags int) (int, error) {
	top, err := unix.Open("/", flags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)

	w, err := newWalker(top, path)
	if err != nil {
		return -1, err
	}
	defer w.close()

	return w.walk(flags)
}

func (d *publicDir) close() { _ = unix.Close(d.fd) } // nothing was written

// has reports whether there may be a file of this name: open says whether it can be served.
func (d *publicDir) has(name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(d.fd, name, &st, 0) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// open opens a regular file, and never waits for what is something else.
//
// Errors: errForeignLink, errNotAFile, and those of the system.
func (d *publicDir) open(name string) (*openedFile, error) {
	fd, err := openBeneath(d.fd, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}

	f, err := newOpenedFile(fd, joined(d.path, name))
	if err != nil {
		return nil, err
	}

	if err := d.checkHardLinks(name, f); err != nil {
		_ = f.Close()
		return nil, err
	}

	return f, nil
}

// mayBeForeign reports whether a user could have made the name of a file of another user, which matters to root only.
func mayBeForeign(f *openedFile) bool { return f.stat.Nlink > 1 && os.Geteuid() == 0 }

// checkHardLinks refuses, for root, a file that a user has only linked into their directory and that belongs to
// another user.
func (d *publicDir) checkHardLinks(name string, f *openedFile) error {
	if !mayBeForeign(f) {
		return nil
	}

	w, err := newWalker(d.fd, name)
	if err != nil {
		return err
	}
	defer w.close()

	// The kernel has not told in which directory the name is, so all links are walked once more.
	again, err := w.walk(unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(again)

	var parent unix.Stat_t
	if err := unix.Fstat(w.dir, &parent); err != nil {
		return err
	}

	// The owner of the directory may have made the name, which only root and the owner of the file have the right to.
	if parent.Uid != 0 && parent.Uid != f.stat.Uid {
		return errForeignLink
	}

	return nil
}

// openBeneath opens name below dir. The kernel does it at once where no link leads out of dir.
func openBeneath(dir int, name string, flags int) (int, error) {
	how := flags | unix.O_CLOEXEC
	// For O_PATH, openat2 refuses all but three flags. Without these, a named pipe would wait for its writer.
	if flags&unix.O_PATH == 0 {
		how |= unix.O_NONBLOCK | unix.O_NOCTTY
	}

	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags: uint64(how), //nolint:gosec // G115: flags are few
		// What is below /proc/PID/fd looks like a link, and leads anywhere without one.
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case err == nil:
		return fd, nil

	// A link leads out, something was renamed meanwhile, or the kernel or a sandbox has no openat2.
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOSYS),
		errors.Is(err, unix.EPERM):
	default:
		return -1, err
	}

	w, err := newWalker(dir, name)
	if err != nil {
		return -1, err
	}
	defer w.close()

	return w.walk(flags)
}

// walker resolves a path component by component on descriptors, so that what was checked is what is opened.
type walker struct {
	// dir is the directory that has been reached.
	dir   int
	parts []string
	// open are the links whose targets have not been reached, and followed counts all.
	open     []walkedLink
	followed int
}

// walkedLink is one whose target is reached when that many parts are left.
type walkedLink struct {
	uid   uint32
	roots bool
	left  int
}

func newWalker(dir int, name string) (*walker, error) {
	fd, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}

	return &walker{dir: fd, parts: pathParts(name)}, nil
}

func (w *walker) close() { _ = unix.Close(w.dir) } // nothing was written

func (w *walker) enter(dir int) {
	w.close()
	w.dir = dir
}

// pathParts leaves out what changes nothing.
func pathParts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" || part == "." })
}

// walk returns what the path leads to, opened with flags.
func (w *walker) walk(flags int) (int, error) {
	for len(w.parts) > 0 {
		part := w.parts[0]
		w.parts = w.parts[1:]

		// With O_PATH nothing happens to what is opened, be it a device or a pipe.
		fd, err := unix.Openat(w.dir, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}

		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}

		kind := st.Mode & unix.S_IFMT
		switch {
		case kind == unix.S_IFLNK:
			// Readlinkat takes the link's own descriptor, so that the link cannot be replaced between the two steps.
			err = w.follow(fd, &st)
			_ = unix.Close(fd)
			if err != nil {
				return -1, err
			}

			continue
		case w.reached(&st) != nil:
			_ = unix.Close(fd)
			return -1, errForeignLink
		case kind == unix.S_IFDIR:
			w.enter(fd)
			continue
		}

		_ = unix.Close(fd)
		if len(w.parts) > 0 {
			return -1, unix.ENOTDIR
		}

		if kind != unix.S_IFREG || flags&unix.O_DIRECTORY != 0 {
			return -1, errNotAFile
		}

		return w.openSame(part, flags, &st)
	}

	if flags&unix.O_DIRECTORY == 0 {
		return -1, errNotAFile
	}

	return unix.FcntlInt(uintptr(w.dir), unix.F_DUPFD_CLOEXEC, 0)
}

// follow puts a link's target in front of the rest of the path.
func (w *walker) follow(fd int, st *unix.Stat_t) error {
	if w.followed++; w.followed > maxLinks {
		return unix.ELOOP
	}

	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", target)
	if err != nil {
		return err
	}

	// A user could have made a hard link to a link of root's.
	w.open = append(w.open, walkedLink{uid: st.Uid, roots: st.Uid == 0 && st.Nlink == 1, left: len(w.parts)})
	parts := pathParts(string(target[:n]))
	w.parts = slices.Concat(parts, w.parts)

	// What it leads to must still belong to the owner of the link, wherever that is.
	if n > 0 && target[0] == '/' {
		top, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}

		w.enter(top)
	}

	if len(parts) > 0 {
		return nil
	}

	// A target such as / has no parts, by which walk would come to check it.
	var dir unix.Stat_t
	if err := unix.Fstat(w.dir, &dir); err != nil {
		return err
	}

	return w.reached(&dir)
}

// reached checks the links that have led here: each belongs to root, or to the user that this does.
func (w *walker) reached(st *unix.Stat_t) error {
	for len(w.open) > 0 && w.open[len(w.open)-1].left >= len(w.parts) {
		link := w.open[len(w.open)-1]
		w.open = w.open[:len(w.open)-1]
		if !link.roots && link.uid != st.Uid {
			return errForeignLink
		}
	}

	return nil
}

// openSame opens the file that was checked, or nothing.
func (w *walker) openSame(part string, flags int, checked *unix.Stat_t) (int, error) {
	fd, err := unix.Openat(w.dir, part, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}

	var st unix.Stat_t
	// It was replaced since it was checked, perhaps by a file that the checks would refuse.
	if err = unix.Fstat(fd, &st); err == nil && (st.Dev != checked.Dev || st.Ino != checked.Ino) {
		err = unix.EAGAIN
	}

	// The files of /proc have no contents of their own: they show the server to whoever may link to them.
	var system unix.Statfs_t
	if err == nil {
		err = unix.Fstatfs(fd, &system)
	}

	if err == nil && (system.Type == unix.PROC_SUPER_MAGIC || system.Type == unix.SYSFS_MAGIC) {
		err = errNotAFile
	}

	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}

	return fd, nil
}
