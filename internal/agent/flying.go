package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/trustedpath"
	"github.com/gopassenger/passenger/spawner"
)

// Flying is the configuration that only a server for many applications has. The fields of
// Config about an application are defaults for its requests.
type Flying struct {
	// SocketMode is the mode of the socket file, in octal digits.
	SocketMode string
	// PasswordFile has the password that web servers must know; empty means the socket file's
	// name with ".password" behind. It is made if it is missing.
	PasswordFile string
	// UserSwitching lets root run each application as its own user, else all of them as
	// DefaultUser.
	UserSwitching bool
	DefaultUser   string
	DefaultGroup  string
	// StatThrottleRate is in seconds.
	StatThrottleRate int
	// MaxInstancesPerApp bounds the processes of each application; zero means that only the
	// pool's size does.
	MaxInstancesPerApp int
	// Password is what PasswordFile has; Start reads it.
	Password string
}

const (
	passwordSuffix    = ".password"
	defaultSocketMode = "0666"
	// maxSocketDirs is how many names for a directory may be taken.
	maxSocketDirs = 100
	// processSocket is the longest path that spawner and loaders give a socket
	// below their directory, whose own name has at most 16 bytes, and maxSocketPath
	// the longest there may be.
	processSocket = len("/apps.s/12345678/") + 16
	maxSocketPath = 107
)

// DefaultFlyingConfig is DefaultConfig for many applications, each of which is forgotten
// when it gets no more requests.
func DefaultFlyingConfig() Config {
	c := Config{Flying: &Flying{}}
	c.setDefaults()

	return c
}

// Requested is what only a web server says of an application, with its requests.
type Requested struct {
	// DocumentRoot is in the application's directory, which has no other name then.
	DocumentRoot string
	// GroupName is what tools show; empty means the directory and the environment.
	GroupName string
	// AppUser and AppGroup are who the application runs as; empty means the owner of its startup file.
	AppUser, AppGroup string
}

// limit sets what is the pool's to do.
func (f *Flying) limit(o *passenger.Options) {
	if limit := f.MaxInstancesPerApp; limit > 0 && (o.MaxProcesses == 0 || o.MaxProcesses > limit) {
		o.MaxProcesses = limit
	}

	o.StatThrottleRate = orUnlimited(time.Duration(f.StatThrottleRate) * time.Second)
}

// validate finds the faults of Flying, besides those of Config.
func (f *Flying) validate(c *Config) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.SocketFile == "" {
		fault("the socket file is missing: name one with --socket-file")
	} else if !filepath.IsAbs(c.SocketFile) {
		fault("socket_file is %q: it must be an absolute path", c.SocketFile)
	}

	if _, err := f.socketMode(); err != nil {
		errs = append(errs, err)
	}

	// Another user cannot switch users, and the default ones need not exist.
	if os.Geteuid() == 0 {
		if _, err := user.Lookup(f.DefaultUser); err != nil {
			fault("default_user: %w: name one that 'getent passwd' shows", err)
		}

		if _, err := user.LookupGroup(f.DefaultGroup); f.DefaultGroup != "" && err != nil {
			fault("default_group: %w: name one that 'getent group' shows", err)
		}
	}

	return errors.Join(errs...)
}

func (f *Flying) socketMode() (os.FileMode, error) {
	mode, err := strconv.ParseUint(f.SocketMode, 8, 16)
	// No other bit means anything for a socket.
	if err != nil || mode&^0o666 != 0 {
		return 0, fmt.Errorf("socket_mode is %q: use octal digits that let read and write, such as 0660", f.SocketMode)
	}

	return os.FileMode(mode), nil
}

// listen opens the socket. As root, no other user must be able to replace it, who would
// get the password.
func (f *Flying) listen(ctx context.Context, path string) (socket, error) {
	if err := checkClosed(filepath.Dir(path)); err != nil {
		return nil, err
	}

	mode, err := f.socketMode()
	if err != nil {
		return nil, err
	}

	// The file has its mode from the beginning, and never that of another one.
	// Nothing else is made meanwhile: the server has just begun to start.
	before := syscall.Umask(int(^mode & 0o777))
	defer syscall.Umask(before)

	return listenUnix(ctx, path)
}

// checkClosed makes sure, for root, that only root can change what is in dir, or
// put something else in its place.
func checkClosed(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}

	if err := trustedpath.CheckClosedDirectory(dir, 0); err != nil {
		return fmt.Errorf("cannot use the directory %s: %w: choose one that belongs to root, with all that leads "+
			"to it, and that no other user can write to, such as one in /run", dir, err)
	}

	return nil
}

// spawner is how processes of many applications are started.
func (f *Flying) spawner() spawner.Config {
	policy := spawner.UserOfApp
	if !f.UserSwitching {
		policy = spawner.DefaultUserOnly
	}

	return spawner.Config{
		Users:        policy,
		DefaultUser:  f.DefaultUser,
		DefaultGroup: f.DefaultGroup,
		Version:      passenger.Version,
	}
}

// switchesUsers reports whether processes run as users of their own.
func (c *Config) switchesUsers() bool {
	return c.Flying != nil && c.Flying.UserSwitching && os.Geteuid() == 0
}

// instanceDir is what the instance directory says of the server.
func (c *Config) instanceDir() instancedir.Config {
	dir := instancedir.Config{
		Registry:      c.InstanceRegistryDir,
		Version:       passenger.Version,
		UID:           os.Geteuid(),
		GID:           os.Getegid(),
		UserSwitching: c.switchesUsers(),
	}
	if c.Flying != nil {
		dir.IntegrationMode, dir.ServerSoftware = "flying", "Flying Passenger/"+passenger.Version
	} else {
		dir.IntegrationMode, dir.ServerSoftware, dir.StandaloneEngine = "standalone", "gopassenger/"+passenger.Version,
			"builtin"

		// The applications of other users are not public.
		if len(c.Apps) == 0 || !dir.UserSwitching {
			c.each(func(app *Config) {
				if !slices.Contains(dir.AppRoots, app.Dir) {
					dir.AppRoots = append(dir.AppRoots, app.Dir)
				}
			})
		}
	}

	return dir
}

// appSockets returns the directory for what the core makes for processes: the
// instance directory, whose apps.s is for that. Where all users may make files in there,
// it is a directory of the core's own in there: another user could have made a file of a
// known name.
func (c *Config) appSockets(instance *instancedir.Dir) (string, error) {
	if !c.switchesUsers() {
		return instance.Path(), checkSocketPath(instance.Path())
	}

	var dir string

	err := fs.ErrExist
	for range maxSocketDirs {
		// It is short since the paths of sockets have to be.
		dir = filepath.Join(instance.AppSockets(), rand.Text()[:3])
		if err = os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
			break
		}
	}

	if err != nil {
		return "", fmt.Errorf("cannot make a directory for the applications' sockets: %w", err)
	}

	if err := checkSocketPath(dir); err != nil {
		return "", err
	}

	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0) //nolint:gosec // G304: made here
	if err != nil {
		return "", err
	}

	// Users may pass through to the sockets of their processes, and see no others.
	return dir, errors.Join(f.Chmod(0o711), f.Close())
}

func checkSocketPath(dir string) error {
	if n := len(dir) + processSocket; n > maxSocketPath {
		return fmt.Errorf("the path of the instance directory, in %s, is too long by %d bytes for the sockets of "+
			"applications: choose a shorter one with --instance-registry-dir", dir, n-maxSocketPath)
	}

	return nil
}

// prepare reads the password. On c's log are the lines by which operators know
// Flying Passenger.
func (f *Flying) prepare(c *Config, log logr.Logger) (err error) {
	log.Info("Starting Flying Passenger " + passenger.Version)
	path := f.PasswordFile
	if path == "" {
		path = c.SocketFile + passwordSuffix
	}

	var made bool
	if f.Password, made, err = loadPassword(path, "--password-file"); err != nil {
		return err
	}

	if made {
		log.Info("made a password for the web server's configuration", "file", path)
	}

	log.Info("Starting PassengerAgent...")

	return nil
}

func (*Flying) serving(socket string, log logr.Logger) {
	log.Info("PassengerAgent started on PID " + strconv.Itoa(os.Getpid()))
	log.Info("PassengerAgent initialized properly")
	log.Info("Flying Passenger up and listening on " + socket + "!")
}
