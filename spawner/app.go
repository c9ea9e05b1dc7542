package spawner

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/urlpath"
)

// Defaults of [App].
const (
	DefaultEnvironment  = "production"
	DefaultStartTimeout = 90 * time.Second
	DefaultRuby         = "ruby"
	DefaultPython       = "python3"
	DefaultNodeJS       = "node"
	DefaultMeteor       = "meteor"
)

// maxLogLevel is the finest of App.LogLevel.
const maxLogLevel = 7

// App says what to run. The zero value of every field but Root is usable. What it is
// passed on to keeps a copy.
type App struct {
	// Root is the application's directory.
	Root string
	// GroupName is what the application is called; empty means Root.
	GroupName string
	// Type is rack, wsgi, asgi, node, meteor or php, or empty: StartCommand counts if there is one,
	// else StartupFile, and else what [Detect] finds in Root.
	Type string
	// StartupFile is the file to load, relative to Root; empty means the type's. For types wsgi and asgi it
	// may be a module of Python and what is called in it, as "mysite.wsgi:application" or
	// "shop.factory:create_app()".
	StartupFile string
	// StartCommand is a program with its arguments, for what there is no type
	// for; it counts when Type is empty. A program that speaks the spawn
	// handshake itself (see docs/loader-protocol.md and package goapp) is ready
	// when it says so. Any other serves HTTP on 127.0.0.1 and the port in the
	// environment variable PORT, for which $PORT and ${PORT} in the arguments
	// stand too, and is ready when it accepts connections there. One whose arguments
	// have $SOCKET or ${SOCKET} serves on the Unix socket that this stands for.
	StartCommand []string
	// HealthPath is what each new process is asked for, through its own socket,
	// before it gets requests: path and query, BaseURI included. A start whose
	// process does not respond with a status of HealthStatus within
	// HealthTimeout has failed. A program without the handshake that takes no
	// connections yet, or responds with 503, is asked again until StartTimeout is
	// over. Empty means no health check.
	HealthPath string
	// HealthStatus are the statuses that are well, such as "200" or
	// "200-299,401"; empty means all below 400.
	HealthStatus string
	// HealthTimeout bounds one health check; zero means DefaultHealthTimeout.
	// StartTimeout bounds it as well.
	HealthTimeout time.Duration
	// HealthHost is the Host of health checks and warm-up requests, for
	// applications that serve certain hosts only; empty means DefaultHealthHost.
	HealthHost string
	// WarmupPaths are asked for once each, in their order, after the health
	// check and before a process gets requests. What fails is logged. What is
	// left of StartTimeout bounds them.
	WarmupPaths []string
	// WarmupRequired makes a start fail if a warm-up request has no response,
	// or one with a status of 400 or more.
	WarmupRequired bool
	// SpawnMethod is "smart", by which a preloader loads the application once
	// and forks its processes, "direct", or empty: smart for rack, direct for
	// the other types. Types without a preloader are started directly.
	SpawnMethod string
	// Environment is production, development and so on; empty means
	// DefaultEnvironment.
	Environment string
	// BaseURI is where the application is mounted; empty means "/". Characters that
	// URLs write with escapes may be written with them or without: "/café" and
	// "/caf%C3%A9" are the same. The application gets it with escapes.
	BaseURI string
	// Env is added to the process's environment and wins over ours and
	// EnvFiles.
	Env map[string]string
	// EnvFiles are files with environment variables, relative to Root, read at
	// each start with the rights of the application's user; later ones count
	// more. A file whose name has a dash in front may be missing. The syntax
	// is that of systemd's EnvironmentFile: NAME=VALUE lines, quotes, lines of
	// comment with # or ;, and nothing is expanded. As in dotenv, a # after a
	// blank or a closing quote begins a comment, too.
	EnvFiles []string
	// LoadShellEnv starts the process by the login shell of its user, if that
	// is bash, zsh or ksh, so that it has the environment which their profile
	// makes. What is set here counts more.
	LoadShellEnv bool
	// FileLimit is the process's limit on open files (RLIMIT_NOFILE); zero
	// means ours.
	FileLimit uint64
	// NoNewPrivileges is true if programs with the setuid or setgid bit, such as sudo, give
	// the application no rights of others when it executes them.
	NoNewPrivileges bool
	// Umask is the process's, in octal digits; empty means ours.
	Umask string
	// ThreadCount is how many requests a process of type rack or wsgi serves
	// at once, each in a thread, or one of type php, each in a child; zero means 1.
	ThreadCount int
	// Ruby, Python and NodeJS are the interpreters, names that are looked up
	// in the application's PATH or paths. Empty means the version that a file in
	// Root asks for, such as .ruby-version, or else the default; with Python, the
	// application's virtual environment comes first, if it has one in venv or .venv.
	Ruby, Python, NodeJS string
	// ASGIServer is the server that an application of type asgi is served by, one of ASGIServers; empty
	// means the first of them that its Python has.
	ASGIServer string
	// Meteor is the tool that runs an application of type meteor which is not
	// bundled, in the same way; MeteorSettings is a file with its settings,
	// relative to Root.
	Meteor, MeteorSettings string
	// PHPServer is what runs an application of type php: "cgi" for php-cgi, "fpm" for php-fpm, or the name or path of
	// one of them, as "php-fpm8.3". "auto" or empty: php-cgi, which is one process, or php-fpm, whose children
	// share the cache of compiled scripts, for a ThreadCount above 1; the other one where there is only that.
	PHPServer string
	// PHPIni are settings of PHP, as "memory_limit=256M", in the form of its option -d. They count more than those of
	// php.ini and less than those of a .user.ini.
	PHPIni []string
	// SlowRequestTime is the time that requests are limited to. It counts if Config.Witness is true: php-fpm notes the
	// backtrace of a request that takes so long, or a little less, and Node.js has a thread that shows backtraces.
	// Zero means neither.
	SlowRequestTime time.Duration
	// NoFrontController is true if paths without a script of their own are not found, rather than the startup file's
	// to serve. It is for type php: see [FindScripts].
	NoFrontController bool
	// PassengerRoot and RubyLibDir are sent to loaders as passenger_root and ruby_libdir:
	// where the original's own libraries are, for its loader of Ruby as a start command.
	// Empty means ours.
	PassengerRoot, RubyLibDir string
	// User and Group are who to run as, names or numbers; see UserPolicy and
	// GroupOfStartupFile.
	User, Group string
	// StartTimeout bounds a start up to the first request; zero means
	// DefaultStartTimeout.
	StartTimeout time.Duration
	// LogLevel is sent to the loader: 0 (critical) to 7 (finest).
	LogLevel int
	// LogFile is for Config.Output: the file that gets what the processes print; empty
	// means none of the application's own.
	LogFile string
	// MaxOutputRate is how many bytes a second of what each process prints are logged,
	// after four seconds' worth at once; what is beyond that is dropped and counted, and
	// read slowly. Zero means DefaultMaxOutputRate, a negative value no limit.
	MaxOutputRate int64
}

// The spawn methods.
const (
	SmartSpawning  = "smart"
	DirectSpawning = "direct"
)

// setDefaults fills in what is left to the defaults, but for the type and what
// depends on it or on the application's files.
func (a *App) setDefaults() {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&a.GroupName, a.Root},
		{&a.Environment, DefaultEnvironment},
		{&a.Meteor, DefaultMeteor},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}

	if base, err := urlpath.Parse(a.BaseURI); err == nil { // Validate has told
		a.BaseURI = cmp.Or(string(base), "/")
	}

	if a.StartTimeout == 0 {
		a.StartTimeout = DefaultStartTimeout
	}
}

// Clone returns a copy that shares no map and no slice with a.
func (a *App) Clone() App {
	c := *a
	c.StartCommand = slices.Clone(a.StartCommand)
	c.WarmupPaths = slices.Clone(a.WarmupPaths)
	c.Env = maps.Clone(a.Env)
	c.EnvFiles = slices.Clone(a.EnvFiles)
	c.PHPIni = slices.Clone(a.PHPIni)

	return c
}

// Name returns the group's name.
func (a *App) Name() string {
	if a.GroupName != "" {
		return a.GroupName
	}

	return a.Root
}

// Validate reports every fault of a, joined.
func (a *App) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if a.Root == "" {
		fault("the app root is missing: set App.Root to the application's directory")
	} else if !filepath.IsAbs(a.Root) {
		fault("the app root %q is not an absolute path: use filepath.Abs, or write it from the root on", a.Root)
	}

	if a.Type != "" && !slices.ContainsFunc(appTypes, func(t AppType) bool { return t.Name == a.Type }) {
		fault("unknown app type %q: use one of %s, or a start command", a.Type, typeNames())
	}

	if a.ASGIServer != "" && !slices.Contains(ASGIServers(), a.ASGIServer) {
		fault("unknown ASGI server %q: use one of %s", a.ASGIServer, strings.Join(ASGIServers(), ", "))
	}

	if a.StartTimeout < 0 {
		fault("the start time-out %s is negative: use 0 for %s, or more", a.StartTimeout, DefaultStartTimeout)
	}

	a.validateLines(fault)

	if _, err := urlpath.Parse(a.BaseURI); err != nil {
		fault("the base URI %w", err)
	}

	errs = append(errs, a.validateHealth()...)

	errs = append(errs, a.validatePHP()...)
	switch a.SpawnMethod {
	case "", SmartSpawning, DirectSpawning:
	default:
		fault("unknown spawn method %q: use smart or direct", a.SpawnMethod)
	}

	if n, err := strconv.ParseUint(a.Umask, 8, 16); a.Umask != "" && (err != nil || n > 0o777) {
		fault("the umask %q is not three octal digits such as 022", a.Umask)
	}

	if a.LogLevel < 0 || a.LogLevel > maxLogLevel {
		fault("the log level %d does not exist: use 0 to %d", a.LogLevel, maxLogLevel)
	}

	if a.ThreadCount < 0 {
		fault("the thread count %d is negative: use 0 for 1, or more", a.ThreadCount)
	}

	a.validateEnv(fault)

	return errors.Join(errs...)
}

// validateLines looks at what the handshake sends as a line, which has no escapes.
func (a *App) validateLines(fault func(format string, args ...any)) {
	for _, s := range [][2]string{
		{"group name", a.GroupName},
		{"root", a.Root},
		{"startup file", a.StartupFile},
		{"environment", a.Environment},
		{"base URI", a.BaseURI},
		{"user", a.User},
		{"group", a.Group},
		{"ruby", a.Ruby},
		{"python", a.Python},
		{"nodejs", a.NodeJS},
		{"meteor", a.Meteor},
		{"log file", a.LogFile},
		{"meteor settings", a.MeteorSettings},
		{"PHP server", a.PHPServer},
		{"passenger root", a.PassengerRoot},
		{"ruby libdir", a.RubyLibDir},
	} {
		if strings.ContainsAny(s[1], "\r\n\x00") {
			fault("the app's %s %q holds a line break or NUL: leave it out", s[0], s[1])
		}
	}

	for i, arg := range a.StartCommand {
		// The handshake sends the arguments in one line, with tabs between.
		if strings.ContainsAny(arg, "\t\r\n\x00") {
			fault("the start command's argument %q holds a tab, line break or NUL: leave it out", arg)
		}

		if i == 0 && arg == "" {
			fault("the start command begins with an empty string: begin it with a program")
		}
	}
}

func (a *App) validateEnv(fault func(format string, args ...any)) {
	for _, f := range a.EnvFiles {
		if strings.TrimPrefix(f, "-") == "" || strings.ContainsRune(f, 0) {
			fault("the environment file %q has no usable name: name a file, or leave it out", f)
		}
	}

	// Sorted, so that the error of one configuration is always the same.
	for _, k := range slices.Sorted(maps.Keys(a.Env)) {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(a.Env[k], 0) {
			fault("the environment variable %q cannot be set: its name is empty or has a =, or there is a NUL", k)
		}
	}
}
