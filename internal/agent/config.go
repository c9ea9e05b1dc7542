package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// Config is what a server for one application is made of. The keys are those
// of Passengerfile.json.
type Config struct {
	// Dir is the application's directory, absolute.
	Dir string `koanf:"-"`

	Address    string `koanf:"address"`
	Port       int    `koanf:"port"`
	SocketFile string `koanf:"socket_file"`
	// HTTP2Cleartext lets clients speak HTTP/2 without TLS.
	HTTP2Cleartext bool `koanf:"http2_cleartext"`

	Environment  string            `koanf:"environment"`
	AppType      string            `koanf:"app_type"`
	StartupFile  string            `koanf:"startup_file"`
	StartCommand []string          `koanf:"start_command"`
	EnvVars      map[string]string `koanf:"envvars"`
	Ruby         string            `koanf:"ruby"`
	Python       string            `koanf:"python"`
	NodeJS       string            `koanf:"nodejs"`
	StartTimeout int               `koanf:"start_timeout"`

	Health `koanf:",squash"`

	SpawnMethod       string   `koanf:"spawn_method"`
	ThreadCount       int      `koanf:"thread_count"`
	EnvFiles          []string `koanf:"env_files"`
	LoadShellEnv      bool     `koanf:"load_shell_envvars"`
	FileLimit         int      `koanf:"app_file_descriptor_ulimit"`
	MeteorAppSettings string   `koanf:"meteor_app_settings"`
	// PassengerRoot and RubyLibDir are for the original's loader of Ruby as a start
	// command; empty: ours.
	PassengerRoot string `koanf:"passenger_root"`
	RubyLibDir    string `koanf:"ruby_libdir"`
	// MaxPreloaderIdleTime is in seconds; 0: for ever.
	MaxPreloaderIdleTime int `koanf:"max_preloader_idle_time"`

	MaxPoolSize         int `koanf:"max_pool_size"`
	MinInstances        int `koanf:"min_instances"`
	MaxRequestQueueSize int `koanf:"max_request_queue_size"`

	Requests `koanf:",squash"`
	TLS      `koanf:",squash"`

	Processes `koanf:",squash"`

	Connections `koanf:",squash"`

	Transactions `koanf:",squash"`

	Logs `koanf:",squash"`

	Privileges `koanf:",squash"`

	StickySessions         bool   `koanf:"sticky_sessions"`
	StickyCookieName       string `koanf:"sticky_sessions_cookie_name"`
	StickyCookieAttributes string `koanf:"sticky_sessions_cookie_attributes"`
	// FriendlyErrorPages is auto, true or false; empty: auto.
	FriendlyErrorPages string `koanf:"friendly_error_pages"`
	StaticFilesDir     string `koanf:"static_files_dir"`
	// StaticCacheControl is the header of static files without a fingerprint in their name; empty: they have none.
	StaticCacheControl string `koanf:"static_cache_control"`
	// StaticImmutable lets clients keep files with a fingerprint in their name for good.
	StaticImmutable bool `koanf:"static_immutable"`
	// StaticCacheSize is how many bytes of texts that were compressed are kept; 0: none are compressed.
	StaticCacheSize int64 `koanf:"static_cache_size"`
	LogLevel        int   `koanf:"log_level"`
	// LogFile and PIDFile may be empty: standard error, and none.
	LogFile string `koanf:"log_file"`
	PIDFile string `koanf:"pid_file"`
	// ErrorReportDir gets a file for each start that failed; empty: none.
	ErrorReportDir string `koanf:"error_report_dir"`
	// User is whom Become makes this process one of; empty: nobody else.
	User string `koanf:"user"`
	// opened is what Become has opened already; nil: nothing.
	opened *openedSockets `koanf:"-"`
	// Flying is nil where there is one application.
	Flying *Flying `koanf:"-"`
	// OnStartFailure is what becomes of the server when an application does not
	// start: serve, which empty stands for, or exit.
	OnStartFailure string `koanf:"on_start_failure"`
	// DrainDelay is how many seconds a server serves on that is to end, and is
	// not ready any more.
	DrainDelay int `koanf:"drain_delay"`
	// HeartbeatTimeout is after how many seconds without an answer a core is
	// killed and replaced; 0: never.
	HeartbeatTimeout int `koanf:"core_heartbeat_timeout"`
	// MetricsAddress is where everybody may ask for figures and whether the
	// server is ready; empty: nowhere.
	MetricsAddress string `koanf:"metrics_address"`
	// Apps are several applications that take the place of the one in Dir;
	// BaseURI is the path of one of them.
	Apps    []HostedApp `koanf:"-"`
	BaseURI string      `koanf:"-"`
	// Daemonize is for the command line.
	Daemonize bool `koanf:"daemonize"`
	// InstanceRegistryDir is where the instance directory is made; empty:
	// package instancedir's choice.
	InstanceRegistryDir string `koanf:"instance_registry_dir"`
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
	return Config{
		Address:             anyAddress,
		Port:                3000,
		StartTimeout:        int(spawner.DefaultStartTimeout / time.Second),
		MaxPoolSize:         passenger.DefaultMaxPoolSize,
		MinInstances:        1,
		MaxRequestQueueSize: passenger.DefaultMaxRequestQueueSize,

		MaxPreloaderIdleTime: int(passenger.DefaultMaxPreloaderIdleTime / time.Second),

		Requests: defaultRequests(),
		Processes: Processes{
			RollingRestarts: true, PoolIdleTime: int(passenger.DefaultPoolIdleTime / time.Second),
			MaxUnanswered: passenger.DefaultMaxUnanswered,
		},
		StaticImmutable: true,
		StaticCacheSize: defaultStaticCache,

		Health: Health{HealthTimeout: int(spawner.DefaultHealthTimeout / time.Second)},

		LogLevel: 3,
		Logs:     Logs{MaxOutputRate: spawner.DefaultMaxOutputRate},
	}
}

// Validate reports every fault of c, joined.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Port < 0 || c.Port > 65535 {
		fault("port %d does not exist: use one from 0 (any free one) to 65535", c.Port)
	}

	if c.MaxPoolSize < 1 {
		fault("max_pool_size is %d: it must be at least 1", c.MaxPoolSize)
	}

	if c.MinInstances < 0 {
		fault("min_instances is %d: it must be 0 or more", c.MinInstances)
	}

	if c.MaxPoolSize >= 1 && c.MinInstances > c.MaxPoolSize {
		fault("min_instances is %d, above max_pool_size, which is %d: lower the one or raise the other", c.MinInstances,
			c.MaxPoolSize)
	}

	if c.MaxInstances > 0 && c.MinInstances > c.MaxInstances {
		fault("min_instances is %d, above max_instances, which is %d: lower the one or raise the other", c.MinInstances,
			c.MaxInstances)
	}

	if c.MaxRequestQueueSize < 0 {
		fault("max_request_queue_size is %d: it must be 0 (no limit) or more", c.MaxRequestQueueSize)
	}

	for _, number := range []struct {
		key   string
		value int
	}{
		{"thread_count", c.ThreadCount},
		{"app_file_descriptor_ulimit", c.FileLimit},
		{"max_preloader_idle_time", c.MaxPreloaderIdleTime},
		{"drain_delay", c.DrainDelay},
		{"core_heartbeat_timeout", c.HeartbeatTimeout},
	} {
		if number.value < 0 {
			fault("%s is %d: it must be 0 or more", number.key, number.value)
		}
	}

	if _, ok := errorDetails[strings.ToLower(c.FriendlyErrorPages)]; !ok {
		fault("friendly_error_pages is %q: use auto, true or false", c.FriendlyErrorPages)
	}

	requests := c.handler()
	errs = append(errs, byKey(requests.Validate()))
	if c.StartTimeout < 1 {
		fault("start_timeout is %d: it must be at least 1 second", c.StartTimeout)
	}

	if c.LogLevel < 0 || c.LogLevel > maxLogLevel {
		fault("log_level is %d: it must be from 0 (only fatal errors) to %d (everything)", c.LogLevel, maxLogLevel)
	}

	errs = append(errs, checkCacheControl(c.StaticCacheControl), checkStaticCacheSize(c.StaticCacheSize))
	errs = append(errs, c.Health.validate()...)
	errs = append(errs, c.checkOnStartFailure())
	errs = append(errs, c.Requests.validate()...)
	errs = append(errs, c.checkSendfile(), c.checkProxyProtocol())
	errs = append(errs, c.TLS.validate()...)
	errs = append(errs, c.Processes.validate()...)
	errs = append(errs, c.Connections.validate()...)
	errs = append(errs, c.Transactions.validate())
	errs = append(errs, c.Logs.validate()...)
	errs = append(errs, c.validateReports(), c.validatePrivileges())
	_, err := c.newHooks("", logr.Discard())

	errs = append(errs, err)
	switch {
	case c.Flying != nil:
		errs = append(errs, c.Flying.validate(c))
	case c.Apps != nil:
		errs = append(errs, c.validateApps()...)
	default:
		errs = append(errs, c.checkApp())
	}

	return errors.Join(errs...)
}

// checkApp makes sure that there is something to run.
func (c *Config) checkApp() error {
	info, err := os.Stat(c.Dir) //nolint:gosec // G703: the operator names it
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the directory %s does not exist: name the application's directory", c.Dir)
	case err != nil:
		return fmt.Errorf("the directory %s cannot be used: %w", c.Dir, err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory: name the application's directory", c.Dir)
	}

	app := c.options().App
	if err := app.Validate(); err != nil {
		return err
	}

	config := c.spawner()
	err = spawner.Check(&config, app)
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		return fmt.Errorf("%s: %s", e.Summary, e.Advice)
	}

	return err
}

var errorDetails = map[string]handler.ErrorDetails{
	"": handler.DetailsInDevelopment, "auto": handler.DetailsInDevelopment,
	"true": handler.DetailsAlways, "yes": handler.DetailsAlways, "on": handler.DetailsAlways,
	"1":     handler.DetailsAlways,
	"false": handler.DetailsNever, "no": handler.DetailsNever, "off": handler.DetailsNever, "0": handler.DetailsNever,
}

// spawner is how processes are started: as whoever started the server.
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
		GroupName:       c.Dir + " (" + c.Environment + ")",
		Type:            c.AppType,
		StartupFile:     c.StartupFile,
		StartCommand:    c.StartCommand,
		Environment:     c.Environment,
		Env:             c.EnvVars,
		Ruby:            c.Ruby,
		Python:          c.Python,
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

	return options
}

// publicDir is where files lie that need no application.
func (c *Config) publicDir() string {
	if c.StaticFilesDir != "" {
		return c.StaticFilesDir
	}

	return filepath.Join(c.Dir, "public")
}

// hostPort is a TCP address to listen on.
func (c *Config) hostPort(port int) string {
	host := c.Address
	if host == "localhost" {
		host = "127.0.0.1"
	}

	return net.JoinHostPort(host, strconv.Itoa(port))
}
