package spawner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/randtext"
	"github.com/gopassenger/passenger/internal/rmtree"
	"github.com/gopassenger/passenger/internal/trustedpath"
	"github.com/gopassenger/passenger/loaderproto"
)

// socketDirNameLength is small because the paths of Unix sockets are.
const socketDirNameLength = 8

// socketDir is the directory for the sockets of one process. Each has its own,
// so that whatever a process leaves there goes with it.
type socketDir struct {
	parent *os.Root
	name   string
	path   string
}

// newSocketDir makes a directory that belongs to id.
func (d *privateDir) newSocketDir(id *identity) (*socketDir, error) {
	for {
		name := d.copy.mark() + randtext.Alphanumeric(socketDirNameLength-markLength)
		err := d.root.Mkdir(name, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}

		if err != nil {
			return nil, err
		}

		dir := &socketDir{parent: d.root, name: name, path: filepath.Join(d.sockets, name)}
		if err := dir.giveTo(id.uid, id.gid); err != nil {
			return nil, errors.Join(err, dir.remove())
		}

		return dir, nil
	}
}

// giveTo makes a user the only one who can use the directory, whatever the
// umask and whatever is at its path by now.
func (d *socketDir) giveTo(uid, gid int) error {
	f, err := d.parent.OpenFile(d.name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}

	// The mode is the owner's to change, for root too, which is not to need CAP_FOWNER.
	return errors.Join(f.Chown(os.Geteuid(), os.Getegid()), f.Chmod(0o700), f.Chown(uid, gid), f.Close())
}

// write makes a file in the directory, which belongs to id.
func (d *socketDir) write(name, content string, id *identity) error {
	f, err := d.create(name, os.O_WRONLY, id)
	if err != nil {
		return err
	}

	_, err = f.WriteString(content)

	return errors.Join(err, f.Close())
}

// create makes an empty file in the directory, which belongs to id, and opens it.
func (d *socketDir) create(name string, flag int, id *identity) (*os.File, error) {
	f, err := d.open(name, flag|os.O_CREATE|os.O_EXCL, id)
	if err != nil {
		return nil, err
	}

	if err := f.Chown(id.uid, id.gid); err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}

// open opens a file in the directory, which only its user may use: root need not have the right to use all files.
func (d *socketDir) open(name string, flag int, id *identity) (f *os.File, err error) {
	err = asFileUser(id.uid, func() (err error) {
		f, err = d.parent.OpenFile(filepath.Join(d.name, name), flag|syscall.O_NOFOLLOW, 0o600)
		return err
	})

	return f, err
}

// maxLeft is how many files of a process are removed at most, a directory counting twice:
// it may have made as many as it liked.
const maxLeft = 200_000

// remove takes the directory back first, so that no process makes anything in it
// while it is removed.
func (d *socketDir) remove() error {
	_ = d.giveTo(os.Geteuid(), os.Getegid()) // it may be gone

	parent, err := d.parent.OpenFile(".", os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}

	return errors.Join(rmtree.Remove(rmtree.Dir{File: parent}, d.name, maxLeft), parent.Close())
}

// check makes sure that only the process's user can have opened what it
// reports: Unix sockets directly in the directory, or TCP sockets of this
// host.
func (d *socketDir) check(sockets []loaderproto.Socket, owner *owner) error {
	for _, s := range sockets {
		if err := d.checkAddress(s.Address, owner); err != nil {
			return err
		}
	}

	return nil
}

func (d *socketDir) checkAddress(address loaderproto.Address, owner *owner) error {
	if address.Network != "tcp" {
		return d.checkFile(address.Addr, owner.uid)
	}

	if !isLoopback(address.Addr) {
		return fmt.Errorf("the socket %s is not on this host's loopback", address)
	}

	return owner.checkListener(address)
}

func (d *socketDir) checkFile(path string, uid int) error {
	if filepath.Dir(path) != d.path {
		return fmt.Errorf("the socket %s is not in the directory %s", path, d.path)
	}

	info, err := d.parent.Lstat(filepath.Join(d.name, filepath.Base(path)))
	if err != nil {
		return fmt.Errorf("the socket %s cannot be found: %w", path, err)
	}

	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket", path)
	}

	if trustedpath.Owner(info) != uid {
		return fmt.Errorf("the socket %s does not belong to user %d", path, uid)
	}

	return nil
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}

	ip := net.ParseIP(host)

	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// The waits between attempts to connect to a socket whose queue is full.
const (
	firstQueueWait = time.Millisecond
	lastQueueWait  = 50 * time.Millisecond
)

// dialUnix waits while the socket's queue is full, which makes connecting fail
// at once: the process is busy, and not broken. The file need not be open to others than
// the user uid.
func dialUnix(ctx context.Context, path string, uid int) (net.Conn, error) {
	var full error // what the last attempt found, which an attempt that ctx ends does not say
	for wait := firstQueueWait; ; wait = min(2*wait, lastQueueWait) {
		var conn net.Conn
		err := asFileUser(uid, func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path) // at once, so the thread stays
			return err
		})
		if !errors.Is(err, syscall.EAGAIN) {
			if err != nil && ctx.Err() != nil {
				err = errors.Join(err, full)
			}

			return conn, err
		}

		full = err

		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}
