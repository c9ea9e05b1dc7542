package instancedir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// directory is open, so that what its path leads to later does not matter.
type directory struct{ *os.File }

// fileID tells a file from all others, for as long as it exists.
type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID {
	return fileID{dev: uint64(st.Dev), ino: st.Ino} //nolint:gosec,unconvert,nolintlint // G115: only compared; of another type elsewhere
}

func fileType(st *unix.Stat_t) uint32 { return uint32(st.Mode) & unix.S_IFMT } //nolint:unconvert,nolintlint // 16 bits elsewhere

func permissions(st *unix.Stat_t) uint32 { return uint32(st.Mode) & 0o7777 } //nolint:unconvert,nolintlint // 16 bits elsewhere

// openDirectory opens what path is. What leads to it may be links, it may not.
func openDirectory(path string) (directory, error) {
	return openDirectoryAt(unix.AT_FDCWD, path, path)
}

func openDirectoryAt(at int, name, path string) (directory, error) {
	fd, err := openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return directory{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return directory{os.NewFile(uintptr(fd), path)}, nil
}

// openat follows no link, waits for nobody at a FIFO and takes no terminal.
func openat(at int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (d directory) fd() int { return int(d.Fd()) }

func (d directory) path(name string) string { return filepath.Join(d.Name(), name) }

func (d directory) fault(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.path(name), Err: err}
}

func (d directory) openDirectory(name string) (directory, error) {
	return openDirectoryAt(d.fd(), name, d.path(name))
}

// openOwnDirectory opens a directory of ours that we may have no right to read,
// after which we have it: a umask can take it from a new one.
func (d directory) openOwnDirectory(name string) (directory, error) {
	sub, err := d.openDirectory(name)
	if !errors.Is(err, fs.ErrPermission) {
		return sub, err
	}
	if unix.Fchmodat(d.fd(), name, 0o700, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return sub, err
	}
	return d.openDirectory(name)
}

func (d directory) open(name string, flags int, mode uint32) (*os.File, error) {
	fd, err := openat(d.fd(), name, flags, mode)
	if err != nil {
		return nil, d.fault("open", name, err)
	}
	return os.NewFile(uintptr(fd), d.path(name)), nil
}

// stat is of name itself if that is a link.
func (d directory) stat(name string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	return &st, d.fault("stat", name, unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW))
}

func (d directory) mkdir(name string) error {
	return d.fault("mkdir", name, unix.Mkdirat(d.fd(), name, 0o700))
}

func (d directory) unlink(name string) error {
	return d.fault("remove", name, unix.Unlinkat(d.fd(), name, 0))
}

func (d directory) rmdir(name string) error {
	return d.fault("remove", name, unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR))
}

func (d directory) rename(from string, to directory, as string) error {
	return d.fault("rename", from, unix.Renameat(d.fd(), from, to.fd(), as))
}

// touch sets the times of name itself to now.
func (d directory) touch(name string) error {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return d.fault("touch", name, unix.UtimesNanoAt(d.fd(), name, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW))
}

// batch is how many names are read at a time: others can make very many.
const batch = 512

// each calls do with the names of the entries there are, until it fails. It may
// miss some when do removes others.
func (d directory) each(do func(name string) error) error {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		names, err := d.Readdirnames(batch)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// read returns what the regular file name has, if that is at most limit bytes.
func (d directory) read(name string, limit int64) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, d.fault("read", name, errors.New("it is not a regular file"))
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, d.fault("read", name, fmt.Errorf("it has more than %d bytes", limit))
	}
	return content, nil
}

// ownership is whom a new file belongs to and what they may do.
type ownership struct {
	mode     os.FileMode
	uid, gid int
}

func mine(mode os.FileMode) ownership {
	return ownership{mode: mode, uid: os.Geteuid(), gid: os.Getegid()}
}

// give does what the umask, or a directory with a default ACL or the setgid bit,
// could have spoiled.
func (o ownership) give(f *os.File) error {
	return errors.Join(f.Chown(o.uid, o.gid), f.Chmod(o.mode))
}

// create makes a file that must not be there yet. Nothing is left of it when that
// fails.
func (d directory) create(name string, content []byte, to ownership) (err error) {
	f, err := d.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = d.unlink(name)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return to.give(f)
}

// replace makes a file that appears with its whole content, in place of one that
// may be there.
func (d directory) replace(name string, content []byte, to ownership) error {
	temporary := "." + name + "." + randomName(suffixLength)
	if err := d.create(temporary, content, to); err != nil {
		return err
	}
	if err := d.rename(temporary, d, name); err != nil {
		return errors.Join(err, d.unlink(temporary))
	}
	return nil
}

// createDirectory makes a directory that must not be there yet.
func (d directory) createDirectory(name string, to ownership) error {
	if err := d.mkdir(name); err != nil {
		return err
	}
	sub, err := d.openOwnDirectory(name)
	if err != nil {
		return err
	}
	return errors.Join(to.give(sub.File), sub.Close())
}
