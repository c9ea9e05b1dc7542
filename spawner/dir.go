package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

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
	// own: path itself was made here.
	own     bool
	loaders string
	sockets string
	// root is sockets, held open so that nothing is looked up or removed
	// anywhere else.
	root *os.Root
}

func openPrivateDir(path string) (_ *privateDir, err error) {
	d := &privateDir{path: path}
	if path == "" {
		// Not TempDir's own path: it may be a link, and loaders report
		// sockets by the path they were told.
		temp, err := filepath.EvalSymlinks(os.TempDir())
		if err != nil {
			return nil, err
		}
		if d.path, err = os.MkdirTemp(temp, "passenger."); err != nil {
			return nil, err
		}
		d.own = true
	}
	defer func() {
		if err != nil {
			_ = d.remove()
		}
	}()
	d.sockets = filepath.Join(d.path, socketDirName)
	if len(d.sockets)+len("/")+socketDirNameLength+len("/")+minSocketName >= loaderproto.UnixPathMax {
		return nil, &fs.PathError{Op: "use", Path: d.path, Err: errPathTooLong}
	}
	if d.loaders, err = os.MkdirTemp(d.path, "loaders."); err != nil {
		return nil, err
	}
	if err := extract(loaders.FS, d.loaders); err != nil {
		return nil, fmt.Errorf("cannot extract the loaders: %w", err)
	}
	if err := os.Mkdir(d.sockets, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := checkPrivate(d.sockets); err != nil {
		return nil, err
	}
	d.root, err = os.OpenRoot(d.sockets)
	return d, err
}

// checkPrivate makes sure that a directory that was there before is ours.
func checkPrivate(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return &fs.PathError{Op: "use", Path: path, Err: errors.New("not a directory that only we can write to")}
	}
	return nil
}

// extract copies files to dir, which must be empty.
func extract(files fs.FS, dir string) error {
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
			return root.Mkdir(path, 0o700)
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
		return errors.Join(err, f.Close())
	})
}

func (d *privateDir) remove() error {
	var errs []error
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	if d.own {
		return errors.Join(append(errs, os.RemoveAll(d.path))...)
	}
	if d.loaders != "" {
		errs = append(errs, os.RemoveAll(d.loaders))
	}
	if d.root != nil {
		// Another factory may use it as well.
		if err := os.Remove(d.sockets); !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
