package spawner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/defaultlog"
	"github.com/gopassenger/passenger/internal/inherit"
)

// Defaults of [Config].
const (
	DefaultShutdownTimeout = 60 * time.Second
	DefaultTermDelay       = 10 * time.Second
	DefaultVersion         = "0.0.0"
)

// ErrClosed is the cause of errors after a factory's Close.
var ErrClosed = errors.New("the spawner factory is closed")

// Config configures [New]. The zero value is usable.
type Config struct {
	// Dir is an existing directory for the processes' sockets and our loader
	// scripts that no other user can write to. Its path must leave room for the
	// names of Unix sockets. As root, all of the path must belong to root, and
	// the users that processes run as must be able to pass it. Empty means a temporary directory, made
	// when it is first needed and removed by Close.
	Dir string
	// Logger gets failures, and what the processes print. The zero value passes on
	// failures, warnings and what they print to stderr to slog.Default. Lines are
	// logged beside the process's work: a sink that cannot keep up loses lines, and
	// gets the number of them.
	Logger logr.Logger
	// OutputPrefix makes the message for a printed line
	// "App 123 stdout: line"; without it the message is the line. The fields
	// app, pid and stream are there either way.
	OutputPrefix bool
	// Output is called for each process that has started, and returns what takes the lines
	// that it prints; nil, as a function or what it returns: Logger.
	Output func(app *App) Output
	// Witness makes the processes what Witness says: their loaders are offered to show backtraces, and what they
	// printed last is kept in memory.
	Witness bool
	// TermDelay is how long after the request to stop, the end of its stdin,
	// a process and its process group get SIGTERM; zero means DefaultTermDelay.
	TermDelay time.Duration
	// ShutdownTimeout is how long after the request to stop they get SIGKILL;
	// zero means DefaultShutdownTimeout.
	ShutdownTimeout time.Duration
	// Users decides the user that processes run as when this program is root.
	Users UserPolicy
	// DefaultUser and DefaultGroup are for applications whose user and group
	// cannot be used; empty means the constant DefaultUser, and the primary group of
	// the default user. They may be root only if they say so.
	DefaultUser, DefaultGroup string
	// Version is our version for loaders; empty means DefaultVersion.
	Version string
}

// Validate reports every fault of c, joined. Each error begins with the name of its
// field. It does not look at the file system.
func (c *Config) Validate() error {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}

	if c.Dir != "" && (!filepath.IsAbs(c.Dir) || filepath.Clean(c.Dir) != c.Dir) {
		fault("Dir", "the spawner's directory %q is not a clean absolute path: name it as /run/shop", c.Dir)
	}

	if c.TermDelay < 0 {
		fault("TermDelay", "the delay %s before SIGTERM is negative: use 0 for %s, or more", c.TermDelay,
			DefaultTermDelay)
	}

	if c.ShutdownTimeout < 0 {
		fault("ShutdownTimeout", "the shutdown time-out %s is negative: use 0 for %s, or more",
			c.ShutdownTimeout, DefaultShutdownTimeout)
	}

	if c.Users > SameUser {
		fault("Users", "unknown user policy %d: use UserOfApp, DefaultUserOnly or SameUser", c.Users)
	}

	for _, text := range []struct{ field, what, value string }{
		{"Dir", "directory", c.Dir},
		{"DefaultUser", "default user", c.DefaultUser},
		{"DefaultGroup", "default group", c.DefaultGroup},
		{"Version", "version", c.Version},
	} {
		if strings.ContainsAny(text.value, "\r\n\x00") {
			fault(text.field, "the spawner's %s %q holds a line break or NUL: leave it out", text.what, text.value)
		}
	}

	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.TermDelay == 0 {
		c.TermDelay = DefaultTermDelay
	}

	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = DefaultShutdownTimeout
	}

	if c.Version == "" {
		c.Version = DefaultVersion
	}

	if c.DefaultUser == "" {
		c.DefaultUser = DefaultUser
	}

	c.Logger = defaultlog.Or(c.Logger)
}

// New returns the factory of real processes. The error is that of [Config.Validate].
//
// Before its first process starts, every descriptor of this program above
// stderr is set to close on exec where the system can do that (Linux 5.11):
// what it was started with, by a shell or a service manager, is not for
// applications.
func New(config Config) (Factory, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}

	f := &factory{config: config}
	f.config.setDefaults()
	f.guards.log = f.config.Logger
	f.identifier = newIdentifier(&f.config)

	return f, nil
}

type factory struct {
	config     Config
	identifier *identifier
	ports      portRange
	guards     guards

	mu     sync.Mutex
	closed bool
	dir    *privateDir
	// told are the lines that are logged once.
	told map[string]bool
}

// maxTold bounds the lines that are known to have been logged.
const maxTold = 1024

// isNew reports whether a line was not logged before.
func (f *factory) isNew(text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told[text] {
		return false
	}

	// Forgetting all of them costs a repeated line now and then, and no order has to be kept.
	if f.told == nil || len(f.told) >= maxTold {
		f.told = map[string]bool{}
	}

	f.told[text] = true

	return true
}

func (f *factory) NewSpawner(app App) (Spawner, error) {
	if err := app.Validate(); err != nil {
		return nil, err
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}

	app = app.Clone()
	app.setDefaults()
	if app.SpawnMethod != DirectSpawning {
		return &smart{factory: f, app: app, turn: make(chan struct{}, 1)}, nil
	}

	return &direct{factory: f, app: app}, nil
}

// privateDir returns the directory, which the first caller makes.
func (f *factory) privateDir() (*privateDir, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}

	if f.dir == nil {
		dir, err := openPrivateDir(f.config.Dir, f.identifier.switches())
		if err != nil {
			return nil, err
		}

		f.dir = dir
		// The first process is about to start.
		inherit.CloseFiles()

		// What stays takes space, and keeps no application from starting.
		if err := dir.removeLeft(); err != nil {
			f.config.Logger.Error(err, "cannot remove what another program has left behind", "dir", dir.path)
		}
	}

	return f.dir, nil
}

func (f *factory) Close() error {
	// Without the lock, as it waits for shells to end.
	f.guards.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	dir := f.dir
	f.dir = nil
	if dir == nil {
		return nil
	}

	return dir.remove()
}

// canceled returns how ctx ended, with its cause if that says more, or nil
// if it has not ended.
func canceled(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}

	return fmt.Errorf("%w: %w", err, cause)
}
