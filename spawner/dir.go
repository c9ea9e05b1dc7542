package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/gopassenger/passenger/internal/rmtree"
	"github.com/gopassenger/passenger/internal/trustedpath"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

const (
	socketDirName = "apps.s"
	// minSocketName is the room that loaders need for the name of a socket.
	minSocketName = 16
)

var errPathTooLong = errors.New("the path is too long for Unix sockets")

// privateDir is the directory of a factory.
type privateDir struct {
	path string
	// own reports whether path itself was made here, ownSockets whether sockets was.
	own, ownSockets bool
	// loaders has a directory for each language that an application has needed.
	loaders string
	copy    *loadersCopy
	sockets string
	// shared reports whether processes run as other users, who have to get through.
	shared bool
	// root is sockets, held open so that nothing is looked up or removed
	// anywhere else.
	root *os.Root

	mu sync.Mutex
	// languages are those whose loaders have been written.
	languages map[string]bool
}

func openPrivateDir(path string, shared bool) (_ *privateDir, err error) {
	d := &privateDir{path: path, shared: shared}
	if path == "" {
		if err := d.makeTemporary(); err != nil {
			return nil, err
		}
	}

	if shared {
		if err := checkShared(d.path); err != nil {
			if d.own {
				// Not with what is in it: where others can write, its name may be of something of theirs by now.
				_ = os.Remove(d.path)
			}

			return nil, err
		}
	}

	defer func() {
		if err != nil {
			_ = d.remove()
		}
	}()

	if err := d.fill(); err != nil {
		return nil, err
	}

	return d, nil
}

// makeTemporary makes the directory itself.
func (d *privateDir) makeTemporary() error {
	// Not TempDir's own path: it may be a link, and loaders report
	// sockets by the path they were given.
	temp, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return err
	}

	if d.path, err = os.MkdirTemp(temp, "passenger-"); err != nil {
		return err
	}

	d.own = true
	if err := d.admit(d.path, 0o711); err != nil {
		return errors.Join(err, os.Remove(d.path))
	}

	return nil
}

// fill makes what is in the directory.
func (d *privateDir) fill() (err error) {
	d.sockets = filepath.Join(d.path, socketDirName)
	if len(d.sockets)+len("/")+socketDirNameLength+len("/")+minSocketName >= loaderproto.UnixPathMax {
		return &fs.PathError{Op: "use", Path: d.path, Err: errPathTooLong}
	}

	if d.copy, err = newLoadersCopy(d.path); err != nil {
		return err
	}

	d.loaders = d.copy.path
	if err := d.admit(d.loaders, 0o755); err != nil {
		return err
	}

	err = os.Mkdir(d.sockets, 0o700)
	if d.ownSockets = err == nil; err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}

	if err := checkPrivate(d.sockets); err != nil {
		return err
	}

	// No other user has to write to it or to list it: each process has a
	// directory of its own there.
	if err := d.admit(d.sockets, 0o711); err != nil {
		return err
	}

	d.root, err = os.OpenRoot(d.sockets)

	return err
}

// writeLoaders writes the loaders of languages, unless they are there. Those of all languages would take longer than
// anything else that the first start of a process has to wait for.
func (d *privateDir) writeLoaders(languages []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()

	for _, language := range languages {
		if d.languages[language] {
			continue
		}

		dir := filepath.Join(d.loaders, language)
		if err := d.writeLoadersOf(language, dir); err != nil {
			// The next attempt begins with an empty directory.
			return errors.Join(fmt.Errorf("cannot extract the loaders: %w", err), os.RemoveAll(dir))
		}

		if d.languages == nil {
			d.languages = map[string]bool{}
		}

		d.languages[language] = true
	}

	return nil
}

func (d *privateDir) writeLoadersOf(language, dir string) error {
	files, err := fs.Sub(loaders.FS, language)
	if err != nil {
		return err
	}

	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}

	if err := extract(files, dir, d.shared); err != nil {
		return err
	}

	return d.admit(dir, 0o755)
}

// admit gives a directory that was made here its mode, whatever the umask:
// other users are let in if there are any.
func (d *privateDir) admit(path string, shared os.FileMode) error {
	// By descriptor: what is put at the path meanwhile keeps its mode.
	f, err := openDirectory(path)
	if err != nil {
		return err
	}

	mode := os.FileMode(0o700)
	if d.shared {
		mode = shared
	}

	return errors.Join(f.Chmod(mode), f.Close())
}

// checkShared makes sure that only root can replace path or what leads to it, and that
// processes of other users get there.
func checkShared(path string) error {
	real, err := trustedpath.CheckDirectory(path, 0)
	// Loaders may resolve the links, and report sockets at other paths than those that they were given.
	if err == nil && real != filepath.Clean(path) {
		err = fmt.Errorf("it leads to %s: name that", real)
	}

	if err != nil {
		return &fs.PathError{Op: "use", Path: path, Err: err}
	}

	for dir := real; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}

		if info.Mode().Perm()&0o001 == 0 {
			return &fs.PathError{
				Op:   "use",
				Path: path,
				Err:  fmt.Errorf("processes of other users cannot pass %s: chmod o+x %s", dir, dir),
			}
		}
	}

	return nil
}

// checkPrivate makes sure that a directory that was there before is ours.
func checkPrivate(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}

	if !info.IsDir() || trustedpath.Owner(info) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return &fs.PathError{Op: "use", Path: path, Err: errors.New("not a directory that only we can write to")}
	}

	return nil
}

// extract copies files to dir, which must be empty. Others can read them if
// they are shared, whatever the umask.
func extract(files fs.FS, dir string, shared bool) error {
	dirMode, fileMode := fs.FileMode(0o700), fs.FileMode(0o600)
	if shared {
		dirMode, fileMode = 0o755, 0o644
	}

	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}

	defer func() { _ = root.Close() }()

	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || path == ".":
			return err
		case entry.IsDir():
			return errors.Join(root.Mkdir(path, 0o700), root.Chmod(path, dirMode))
		}

		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}

		f, err := root.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}

		_, err = f.Write(content)

		return errors.Join(err, f.Chmod(fileMode), f.Close()) //nolint:gosec // G122: of the open file
	})
}

// removeAll removes a directory in which applications may have made files.
func removeAll(path string) error {
	parent, err := rmtree.Open(filepath.Dir(path))
	if err != nil {
		return err
	}

	return errors.Join(rmtree.Remove(parent, filepath.Base(path), maxLeft), parent.Close())
}

func (d *privateDir) remove() error {
	var errs []error
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}

	if d.copy != nil {
		errs = append(errs, d.copy.remove())
	}

	if d.own {
		return errors.Join(append(errs, removeAll(d.path))...)
	}

	if d.ownSockets && d.root != nil {
		// Another factory may use it as well.
		if err := os.Remove(d.sockets); !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}

	return errors.Join(errs...)
}
