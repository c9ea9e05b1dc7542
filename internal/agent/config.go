package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/companion"
	"github.com/gopassenger/passenger/spawner"
)

// Config is what a server for one application is made of. Groups has the options that set it.
type Config struct {
	// Sources are the places that values came from, by the keys of the options, for messages. A value
	// without one is the default.
	Sources map[string]string `json:"-"`

	// Dir is the application's directory, absolute.
	Dir string
	// ConfigFiles are the files that values may have come from.
	ConfigFiles []string

	Address    string
	Port       int
	SocketFile string
	// HTTP2Cleartext lets clients speak HTTP/2 without TLS.
	HTTP2Cleartext bool
	// HTTPServer is frontServer or standardServer.
	HTTPServer string

	Environment  string
	AppType      string
	StartupFile  string
	StartCommand []string
	EnvVars      map[string]string
	Ruby         string
	Python       string
	ASGIServer   string
	NodeJS       string
	// PHPServer, PHPIni and FrontController are for PHP.
	PHPServer       string
	PHPIni          []string
	FrontController bool
	StartTimeout    int

	Health

	SpawnMethod       string
	ThreadCount       int
	EnvFiles          []string
	LoadShellEnv      bool
	FileLimit         int
	MeteorAppSettings string
	// PassengerRoot and RubyLibDir are for the original's loader of Ruby as a start command;
	// empty means ours.
	PassengerRoot string
	RubyLibDir    string
	// MaxPreloaderIdleTime is in seconds; zero means for ever.
	MaxPreloaderIdleTime int

	// Companions are programs that run beside the application, and ProcfileCompanions is true if lines of its Procfile
	// are some.
	Companions         companion.Specs
	ProcfileCompanions bool

	MaxPoolSize         int
	MinInstances        int
	MaxRequestQueueSize int

	Requests
	TLS

	Processes

	Connections

	Transactions

	Logs

	Privileges

	StickySessions         bool
	StickyCookieName       string
	StickyCookieAttributes string
	// FriendlyErrorPages is auto, true or false; empty means auto.
	FriendlyErrorPages string
	StaticFilesDir     string
	// StaticCacheControl is the header of static files without a fingerprint in their name; empty means none.
	StaticCacheControl string
	// StaticImmutable lets clients keep files with a fingerprint in their name for good.
	StaticImmutable bool
	// StaticCacheSize bounds the bytes of compressed texts; zero means that none are compressed.
	StaticCacheSize int64
	LogLevel        int
	// LogFile may be empty, which means standard error, and PIDFile, which means none.
	LogFile string
	PIDFile string
	// ErrorReportDir gets a file for each failed start; empty means none.
	ErrorReportDir string
	// Incidents is true if incidents are recorded. IncidentDir gets a file for each; empty means that a directory in
	// the instance directory does.
	Incidents   bool
	IncidentDir string
	// User is the user that Become makes this process run as; empty means no other user.
	User string
	// Flying is nil where there is one application.
	Flying *Flying
	Requested
	// OnStartFailure is what the server does when an application does not start: serve or
	// exit; empty means serve.
	OnStartFailure string
	// DrainDelay is the number of seconds that a server still serves when it must end, while
	// it is no longer ready.
	DrainDelay int
	// HeartbeatTimeout is the number of seconds without a response after which a core is
	// killed and replaced; zero means never.
	HeartbeatTimeout int
	// MetricsAddress serves figures and readiness to all; empty means no address.
	MetricsAddress string
	// MetricsNativeHistograms adds finer buckets for scrapers that ask for protobuf.
	MetricsNativeHistograms bool

	Dashboard
	// Apps are several applications that take the place of the one in Dir;
	// BaseURI is the path of one of them.
	Apps    []HostedApp
	BaseURI string
	// Daemonize is for the command line.
	Daemonize bool
	// InstanceRegistryDir is where the instance directory is made; empty means the choice of
	// package instancedir.
	InstanceRegistryDir string
}

// Version is that of the server.
var Version = passenger.Version

const (
	// DefaultStickyCookieName is what Config.StickyCookieName stands for if it
	// is empty.
	DefaultStickyCookieName = handler.DefaultStickyCookieName

	anyAddress  = "0.0.0.0"
	maxLogLevel = 7
)

// DefaultConfig returns what counts where nothing else is configured. Dir and
// Environment are left to the caller.
func DefaultConfig() Config {
	var c Config
	c.setDefaults()

	return c
}

// Validate reports every fault of c, joined, with the place that the value came from.
func (c *Config) Validate() error {
	outside := c.checkOptions()
	errs := slices.Concat(outside, c.checkInstances())
	errs = append(errs, c.checkHeads()...)

	// Their own rules have the packages that the options are for.
	requests := c.handler()
	errs = append(errs, byKey(requests.Validate()), c.Transactions.validate())
	errs = append(errs, c.checkSendfile())
	errs = append(errs, c.checkTwice()...)
	errs = append(errs, c.TLS.validate()...)

	// Only the names are checked here: the core makes the hooks, with its instance directory.
	_, err := c.newHooks("", logr.Discard())
	errs = append(errs, err)

	switch {
	case c.Flying != nil:
		errs = append(errs, c.Flying.validate(c))
	// An empty list is not nil, and an error.
	case c.Apps != nil:
		errs = append(errs, c.validateApps()...)
	default:
		_, err := c.interpreters(len(outside) > 0)
		errs = append(errs, err)
	}

	return c.withSources(errors.Join(errs...))
}

// checkInstances finds minimums above maximums.
func (c *Config) checkInstances() (errs []error) {
	for _, limit := range []struct {
		key string
		max int
	}{
		{"max_pool_size", c.MaxPoolSize},
		{"max_instances", c.MaxInstances},
	} {
		if limit.max > 0 && c.MinInstances > limit.max {
			errs = append(errs, fmt.Errorf("min_instances is %d, above %s, which is %d: lower the one or raise "+
				"the other", c.MinInstances, limit.key, limit.max))
		}
	}

	return errs
}

// checkDir makes sure that the application's directory can be used.
func (c *Config) checkDir() error {
	info, err := os.Stat(c.Dir) //nolint:gosec // G703: the operator names it
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the directory %s does not exist: name the application's directory%s", c.Dir,
			startupFileHint(c.Dir))
	case err != nil:
		return fmt.Errorf("the directory %s cannot be used: %w", c.Dir, err)
	case !info.IsDir():
		return NotADirectory(c.Dir)
	}

	// The core and the tools hear of it in JSON, which has no other bytes, and a process by lines.
	switch fault := "the path of the application's directory %q %s: give the directory another name"; {
	case !utf8.ValidString(c.Dir):
		return fmt.Errorf(fault, c.Dir, "is not UTF-8")
	case strings.ContainsAny(c.Dir, "\r\n"):
		return fmt.Errorf(fault, c.Dir, "has a line break")
	}

	return nil
}

// interpreters returns those that the application would be started with, or what keeps it from being started. The rules
// of the application's own are about the same values as those of the options, and do not count where one of these is
// broken.
func (c *Config) interpreters(broken bool) ([]spawner.Interpreter, error) {
	if err := c.checkDir(); err != nil {
		return nil, err
	}

	app := c.options().App
	if err := app.Validate(); err != nil && !broken {
		return nil, byAppKey(err)
	}

	config := c.spawner()

	found, err := spawner.Interpreters(&config, app)
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		return nil, fmt.Errorf("%s: %s", e.Summary, e.Advice)
	}

	return found, err
}

// errorDetails are the meanings of friendly_error_pages.
var errorDetails = map[string]handler.ErrorDetails{
	"":      handler.DetailsInDevelopment,
	"auto":  handler.DetailsInDevelopment,
	"true":  handler.DetailsAlways,
	"false": handler.DetailsNever,
}

// spawner is how processes are started: as the user that started the server.
func (c *Config) spawner() spawner.Config {
	if c.Flying != nil {
		return c.Flying.spawner()
	}

	return spawner.Config{Users: spawner.SameUser, Version: passenger.Version}
}

// options are those of the pool and the handler.
func (c *Config) options() passenger.Options {
	queue := c.MaxRequestQueueSize
	if queue == 0 {
		queue = passenger.Unlimited
	}

	app := spawner.App{
		Root:            c.Dir,
		BaseURI:         c.BaseURI,
		GroupName:       cmp.Or(c.GroupName, c.Dir+" ("+c.Environment+")"),
		User:            c.AppUser,
		Group:           c.AppGroup,
		Type:            c.AppType,
		StartupFile:     c.StartupFile,
		StartCommand:    c.StartCommand,
		Environment:     c.Environment,
		Env:             c.EnvVars,
		Ruby:            c.Ruby,
		Python:          c.Python,
		ASGIServer:      c.ASGIServer,
		NodeJS:          c.NodeJS,
		StartTimeout:    time.Duration(c.StartTimeout) * time.Second,
		LogLevel:        c.LogLevel,
		SpawnMethod:     c.SpawnMethod,
		ThreadCount:     c.ThreadCount,
		EnvFiles:        c.EnvFiles,
		LoadShellEnv:    c.LoadShellEnv,
		FileLimit:       uint64(max(c.FileLimit, 0)),
		NoNewPrivileges: c.NoNewPrivileges,
		MeteorSettings:  c.MeteorAppSettings,
		PassengerRoot:   c.PassengerRoot,
		RubyLibDir:      c.RubyLibDir,
	}
	c.ask(&app)
	c.applyPHP(&app)
	c.applyLogs(&app)
	preloaderIdle := time.Duration(c.MaxPreloaderIdleTime) * time.Second
	if preloaderIdle == 0 {
		preloaderIdle = passenger.Unlimited
	}

	options := passenger.Options{
		App:                  app,
		MinProcesses:         c.MinInstances,
		MaxRequestQueueSize:  queue,
		MaxPreloaderIdleTime: preloaderIdle,
	}
	c.Requests.limit(&options)
	c.Processes.limit(&options)
	if c.Flying != nil {
		c.Flying.limit(&options)
	}

	return options
}

// publicDir is where files lie that need no application.
func (c *Config) publicDir() string {
	if c.StaticFilesDir != "" {
		return c.StaticFilesDir
	}

	if scripts := c.scripts(); scripts != nil {
		return scripts.Directory()
	}

	return filepath.Join(c.Dir, "public")
}

// hostPort is a TCP address to listen on.
func (c *Config) hostPort(port int) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(port))
}
