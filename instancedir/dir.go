package instancedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/filelock"
)

// ErrRemoved is returned by methods of a Dir that was removed or closed.
var ErrRemoved = errors.New("the instance directory was removed")

// Dir is the directory of the instance that we are. Its methods may be called
// concurrently.
type Dir struct {
	registry, dir directory
	// name is in the registry, instance is in the properties.
	name, instance string
	id             fileID
	lock           *os.File

	readOnlyPassword, fullPassword string

	// mu makes sure that the directories are open when they are used.
	mu     sync.Mutex
	closed bool
	// entries are those that must always be there.
	entries map[string]fileID
}

// Inherit takes over the directory at path, which Create made, in an agent that
// got its lock file from the watchdog: it can look after it, and remove it, when
// the watchdog is gone. If there is no error, Dir owns lock from then on, and no
// program that is started here gets it by accident.
func Inherit(path string, lock *os.File) (*Dir, error) {
	d, err := inherit(path, lock)
	if err != nil {
		return nil, fmt.Errorf("cannot take over the instance directory %s: %w", path, err)
	}

	return d, nil
}

func inherit(path string, lock *os.File) (_ *Dir, err error) {
	registry, err := openRegistry(filepath.Dir(path))
	if err != nil {
		return nil, err
	}

	d := &Dir{registry: registry, name: filepath.Base(path), lock: lock}
	defer func() {
		if err == nil {
			return
		}

		_ = registry.Close()
		if d.dir.File != nil {
			_ = d.dir.Close()
		}
	}()
	if !isInstanceName(d.name) {
		return nil, fmt.Errorf("the name of an instance directory begins with %q", prefix)
	}

	if d.dir, err = registry.openDirectory(d.name); err != nil {
		return nil, err
	}

	var own, held unix.Stat_t
	if err := errors.Join(unix.Fstat(d.dir.FD(), &own), unix.Fstat(int(lock.Fd()), &held)); err != nil {
		return nil, err
	}

	d.id = idOf(&own)
	there, err := d.dir.Lstat(lockName)
	if err != nil {
		return nil, err
	}

	if idOf(there) != idOf(&held) {
		return nil, fmt.Errorf("%s is the lock of another one", lock.Name())
	}

	// flock(2): the lock belongs to the open file, so that the one that the watchdog has is ours, too.
	if locked, err := filelock.Try(lock, filelock.Exclusive); err != nil || !locked {
		return nil, errors.Join(errors.New("another process holds its lock"), err)
	}

	_, _ = filelock.Try(d.dir.File, filelock.Exclusive) // the watchdog has it as long as it lives
	unix.CloseOnExec(int(lock.Fd()))
	if d.readOnlyPassword, err = readPassword(d.dir, readOnlyPasswordName); err != nil {
		return nil, err
	}

	if d.fullPassword, err = readPassword(d.dir, fullPasswordName); err != nil {
		return nil, err
	}

	return d, d.remember()
}

// remember notes what is there now, and who the instance is.
func (d *Dir) remember() error {
	content, err := d.dir.read(propertiesName, maxProperties)
	if err != nil {
		return err
	}

	properties, err := parseProperties(content)
	if err != nil {
		return err
	}

	d.instance = properties.Name

	d.entries = map[string]fileID{}
	for _, name := range []string{
		lockName, propertiesName, readOnlyPasswordName, fullPasswordName, agentSocketsName,
		appSocketsName, finalizedName,
	} {
		st, err := d.dir.Lstat(name)
		// The agents start before the creation is finished.
		if name == finalizedName && errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err != nil {
			return err
		}

		d.entries[name] = idOf(st)
	}

	return nil
}

// Path returns where it is; it is absolute and has no links.
func (d *Dir) Path() string { return filepath.Join(d.registry.Name(), d.name) }

// Name returns the name of the instance.
func (d *Dir) Name() string { return d.instance }

// Socket returns the path for a socket of an agent, as CoreAPI.
func (d *Dir) Socket(name string) string { return filepath.Join(d.Path(), agentSocketsName, name) }

// AppSockets returns the path of the directory for the sockets of applications.
func (d *Dir) AppSockets() string { return filepath.Join(d.Path(), appSocketsName) }

// ReadOnlyPassword returns the password of ReadOnlyAccount.
func (d *Dir) ReadOnlyPassword() string { return d.readOnlyPassword }

// FullPassword returns the password of FullAccount.
func (d *Dir) FullPassword() string { return d.fullPassword }

// LockFile returns the file whose lock shows that the instance lives. A process
// that gets it when it is started, as one of exec.Cmd's ExtraFiles, holds the lock
// as well: it is free when all have closed it. It must not be closed or unlocked
// here.
func (d *Dir) LockFile() *os.File { return d.lock }

// WritePID notes the process of an agent, as Core, in place of an earlier one.
// That of the watchdog is there already, being that of who called Create.
func (d *Dir) WritePID(agent string, pid int) error {
	if agent == "" || strings.Trim(agent, "abcdefghijklmnopqrstuvwxyz_") != "" || pid <= 0 {
		return fmt.Errorf("cannot note process %d of the agent %q: a name has small letters and '_', and a process "+
			"a positive number", pid, agent)
	}

	return d.do(func() error {
		return d.dir.replace(pidName(agent), []byte(strconv.Itoa(pid)), mine(0o644))
	})
}

// SetAppRoots notes the directories of the applications, in the place of those of Config.
func (d *Dir) SetAppRoots(roots []string) error {
	return d.do(func() error {
		// Not in a directory that has taken its place.
		if err := d.check(); err != nil {
			return err
		}

		p, err := readProperties(d.dir)
		if err != nil {
			return err
		}

		p.AppRoots = shown(roots)

		content, err := encodeProperties(&p)
		if err != nil {
			return err
		}

		return errors.Join(d.dir.replace(propertiesName, content, mine(0o644)), d.remember())
	})
}

func pidName(agent string) string { return agent + ".pid" }

// Finalize makes tools show the instance. It comes after everything else, and
// once more does nothing.
func (d *Dir) Finalize() error {
	return d.do(func() error {
		if err := d.check(); err != nil {
			return err
		}

		err := d.dir.create(finalizedName, nil, mine(0o644))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}

		return d.remember()
	})
}

func (d *Dir) do(what func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrRemoved
	}

	return what()
}

// Close gives the directory up, but does not remove it. The lock is free then if
// no other process has the file. Once more does nothing.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.close()
}

func (d *Dir) close() error {
	if d.closed {
		return nil
	}

	d.closed = true

	return errors.Join(d.dir.Close(), d.registry.Close(), d.closeLock())
}

func (d *Dir) closeLock() error {
	if d.lock == nil {
		return nil
	}

	return d.lock.Close()
}

// Remove removes the directory with everything in it and closes it. If it is not
// the one at Path any more, its content is removed, and what is at Path stays. It
// may be called again after an error, and after success does nothing.
func (d *Dir) Remove() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}

	if err := d.remove(); err != nil {
		return fmt.Errorf("cannot remove the instance directory %s: %w", d.Path(), err)
	}

	return d.close()
}

func (d *Dir) remove() error {
	return removeInstance(d.registry, d.dir, d.name, d.id)
}
