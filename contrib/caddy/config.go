package passengercaddy

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// Config is the configuration of a site's application. Only Root is required. Placeholders that do
// not depend on a request, such as {env.SECRET}, are replaced.
type Config struct {
	// Root is the application's directory. Each restart resolves its links again.
	Root string `json:"root,omitempty"`
	// Name is the name in the log and the status; empty means Root.
	Name string `json:"name,omitempty"`
	// Type is rack, wsgi, asgi, node, meteor or php; empty means that it is detected.
	Type string `json:"type,omitempty"`
	// StartupFile is relative to Root; empty means that of the type.
	StartupFile string `json:"startup_file,omitempty"`
	// Command is a program with its arguments, for an application without a type.
	Command []string `json:"command,omitempty"`
	// Environment is production, development and so on; empty means production.
	Environment string `json:"environment,omitempty"`
	// Env are environment variables, and EnvFiles are files with further ones, relative to Root.
	Env      map[string]string `json:"env,omitempty"`
	EnvFiles []string          `json:"env_files,omitempty"`
	// RequestEnv are variables for each request, with placeholders that depend on it. An empty
	// variable is left out.
	RequestEnv map[string]string `json:"request_env,omitempty"`
	// User and Group are used if Caddy runs as root; empty means the owner of the startup file.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
	// BaseURI is the path that the application is mounted at.
	BaseURI string `json:"base_uri,omitempty"`
	// Ruby, Python and NodeJS are the interpreters.
	Ruby   string `json:"ruby,omitempty"`
	Python string `json:"python,omitempty"`
	NodeJS string `json:"nodejs,omitempty"`
	// ASGIServer is auto, uvicorn or hypercorn; empty means auto, the first that the application's Python has.
	ASGIServer string `json:"asgi_server,omitempty"`
	// PHPServer is auto, fpm, cgi or a program, and empty means auto; PHPIni are settings of PHP, as NAME=VALUE.
	PHPServer string   `json:"php_server,omitempty"`
	PHPIni    []string `json:"php_ini,omitempty"`
	// SpawnMethod is smart or direct; empty means that of the type.
	SpawnMethod string `json:"spawn_method,omitempty"`
	// Threads is the number of requests that a process of Ruby or Python (WSGI), or php-fpm, serves at once; zero
	// means 1.
	Threads int `json:"threads,omitempty"`
	// Concurrency is the number of requests that a process gets at once, whatever it reports
	// itself.
	Concurrency int `json:"concurrency,omitempty"`
	// StartTimeout limits the start of a process; zero means 90 s.
	StartTimeout caddy.Duration `json:"start_timeout,omitempty"`

	// MinProcesses are kept from the start of Caddy on; zero means that the first request starts
	// one.
	MinProcesses int `json:"min_processes,omitempty"`
	// MaxProcesses limits the processes; zero means that only max_pool_size does.
	MaxProcesses int `json:"max_processes,omitempty"`
	// MaxRequests is the number of requests after which a process is replaced; zero means never.
	MaxRequests int `json:"max_requests,omitempty"`
	// MaxRequestTime is the time after which the process of a request is killed; zero means never.
	MaxRequestTime caddy.Duration `json:"max_request_time,omitempty"`
	// MaxQueueSize limits the requests that wait for a process; zero means 100, a negative value no
	// limit. MaxQueueTime limits their wait; zero means no limit.
	MaxQueueSize int            `json:"max_queue_size,omitempty"`
	MaxQueueTime caddy.Duration `json:"max_queue_time,omitempty"`
	// MemoryLimit is the memory, in bytes, above which a process is replaced; zero means no limit.
	MemoryLimit int64 `json:"memory_limit,omitempty"`

	// HealthPath is requested from a new process before it gets other requests. HealthStatus are
	// the statuses that pass; empty means below 400.
	HealthPath   string `json:"health_path,omitempty"`
	HealthStatus string `json:"health_status,omitempty"`
	// RestartDir is the directory of restart.txt, relative to Root; empty means tmp.
	RestartDir string `json:"restart_dir,omitempty"`

	// MaxRequestBody limits the body of a request, in bytes; zero means no limit.
	MaxRequestBody int64 `json:"max_request_body,omitempty"`
	// StreamRequests forwards bodies as they come, without a buffer.
	StreamRequests bool `json:"stream_requests,omitempty"`
	// StickySessions routes the requests of a client to the process that served its first one, by a
	// cookie of the name StickyCookie.
	StickySessions bool   `json:"sticky_sessions,omitempty"`
	StickyCookie   string `json:"sticky_cookie,omitempty"`
	// UnlimitedConcurrencyPaths are prefixes of paths with long requests, such as WebSockets, which
	// do not count against the concurrency.
	UnlimitedConcurrencyPaths []string `json:"unlimited_concurrency_paths,omitempty"`
	// ErrorDetails is auto, on or off; empty means auto, which shows details in development.
	ErrorDetails string `json:"error_details,omitempty"`
	// DisableCache switches off the cache, which keeps responses that allow it for seconds.
	DisableCache bool `json:"disable_cache,omitempty"`
}

// describe names the site in errors.
func describe(c *Config) string {
	return cmp.Or(c.Name, c.Root, "a site without a root")
}

// replacePlaceholders replaces the placeholders that do not depend on a request.
func (c *Config) replacePlaceholders() error {
	err := replaceTexts(map[string]*string{
		"root":          &c.Root,
		"name":          &c.Name,
		"type":          &c.Type,
		"startup_file":  &c.StartupFile,
		"environment":   &c.Environment,
		"user":          &c.User,
		"group":         &c.Group,
		"base_uri":      &c.BaseURI,
		"ruby":          &c.Ruby,
		"python":        &c.Python,
		"nodejs":        &c.NodeJS,
		"asgi_server":   &c.ASGIServer,
		"php_server":    &c.PHPServer,
		"spawn_method":  &c.SpawnMethod,
		"health_path":   &c.HealthPath,
		"health_status": &c.HealthStatus,
		"restart_dir":   &c.RestartDir,
		"sticky_cookie": &c.StickyCookie,
		"error_details": &c.ErrorDetails,
	})
	if err != nil {
		return err
	}

	for option, list := range map[string][]string{
		"command":                     c.Command,
		"env_files":                   c.EnvFiles,
		"php_ini":                     c.PHPIni,
		"unlimited_concurrency_paths": c.UnlimitedConcurrencyPaths,
	} {
		for i := range list {
			if err := replaceTexts(map[string]*string{option: &list[i]}); err != nil {
				return err
			}
		}
	}

	for name, value := range c.Env {
		if err := replaceTexts(map[string]*string{"env " + name: &value}); err != nil {
			return err
		}

		c.Env[name] = value
	}

	return nil
}

// replaceTexts replaces the placeholders in the texts of options.
func replaceTexts(texts map[string]*string) error {
	repl := caddy.NewReplacer()

	for option, text := range texts {
		got, err := repl.ReplaceOrErr(*text, false, true)
		if err != nil {
			return fmt.Errorf("%s %q: %w: use a placeholder that does not depend on a request, such as {env.NAME}",
				option, *text, err)
		}

		*text = got
	}

	return nil
}

// handlerConfig returns the configuration for package handler, or an error for what is wrong.
func (c *Config) handlerConfig() (handler.Config, error) {
	if c.Root == "" {
		return handler.Config{}, errors.New("there is no root: say which directory has the application, as in " +
			"passenger /srv/shop")
	}

	root, err := filepath.Abs(c.Root)
	if err != nil {
		return handler.Config{}, fmt.Errorf("root %q: %w", c.Root, err)
	}

	details, ok := errorDetails[c.ErrorDetails]
	if !ok {
		return handler.Config{}, fmt.Errorf("error_details is %q: use auto, on or off", c.ErrorDetails)
	}

	// The values come with each request.
	if err := handler.Env(c.RequestEnv).Validate(); err != nil {
		return handler.Config{}, fmt.Errorf("request_env: %w", err)
	}

	if c.MaxRequestBody < 0 || c.MemoryLimit < 0 {
		return handler.Config{}, fmt.Errorf("max_request_body and memory_limit are %d and %d: they must be 0 (no "+
			"limit) or more",
			c.MaxRequestBody, c.MemoryLimit)
	}

	cfg := handler.Config{
		Options:                   c.options(root),
		MaxRequestBody:            c.MaxRequestBody,
		StreamRequests:            c.StreamRequests,
		StickySessions:            handler.StickySessions{Enabled: c.StickySessions, CookieName: c.StickyCookie},
		UnlimitedConcurrencyPaths: c.UnlimitedConcurrencyPaths,
		ErrorDetails:              details,
		DisableTurbocache:         c.DisableCache,
	}
	if err := cfg.Options.Validate(); err != nil {
		return cfg, inOurWords(err)
	}

	return cfg, inOurWords(cfg.Validate())
}

var errorDetails = map[string]handler.ErrorDetails{
	"":     handler.DetailsInDevelopment,
	"auto": handler.DetailsInDevelopment,
	"on":   handler.DetailsAlways,
	"off":  handler.DetailsNever,
}

func (c *Config) options(root string) passenger.Options {
	return passenger.Options{
		App: spawner.App{
			Root:         root,
			GroupName:    c.Name,
			Type:         c.Type,
			StartupFile:  c.StartupFile,
			StartCommand: c.Command,
			Environment:  c.Environment,
			Env:          c.Env,
			EnvFiles:     c.EnvFiles,
			User:         c.User,
			Group:        c.Group,
			BaseURI:      c.BaseURI,
			Ruby:         c.Ruby,
			Python:       c.Python,
			NodeJS:       c.NodeJS,
			ASGIServer:   c.ASGIServer,
			PHPServer:    c.PHPServer,
			PHPIni:       c.PHPIni,
			SpawnMethod:  c.SpawnMethod,
			ThreadCount:  c.Threads,
			StartTimeout: time.Duration(c.StartTimeout),
			HealthPath:   c.HealthPath,
			HealthStatus: c.HealthStatus,
		},
		MinProcesses:        c.MinProcesses,
		MaxProcesses:        c.MaxProcesses,
		MaxRequests:         c.MaxRequests,
		MaxRequestTime:      time.Duration(c.MaxRequestTime),
		MaxRequestQueueSize: c.MaxQueueSize,
		MaxRequestQueueTime: time.Duration(c.MaxQueueTime),
		MemoryLimit:         c.MemoryLimit,
		RestartDir:          c.RestartDir,

		ForceMaxConcurrentRequestsPerProcess: c.Concurrency,
	}
}

// options are the names of options for the fields of the library.
var options = map[string]string{
	"MinProcesses":              "min_processes",
	"MaxProcesses":              "max_processes",
	"RestartDir":                "restart_dir",
	"MaxRequestBody":            "max_request_body",
	"UnlimitedConcurrencyPaths": "unlimited_concurrency_paths",
	"StickySessions.CookieName": "sticky_cookie",
	"MaxPoolSize":               "max_pool_size",
}

// field finds names of fields where the library's errors have them, and not in the values they
// quote.
var field = regexp.MustCompile(`(^|; |is above )[A-Z][A-Za-z.]+`)

// inOurWords replaces the names of fields by those of options, and joins the lines of an error.
func inOurWords(err error) error {
	if err == nil {
		return nil
	}

	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	text = field.ReplaceAllStringFunc(text, func(match string) string {
		before := match[:strings.LastIndexByte(match, ' ')+1]
		return before + cmp.Or(options[match[len(before):]], match[len(before):])
	})

	return &configError{text, err}
}

type configError struct {
	text string
	err  error
}

func (e *configError) Error() string { return e.text }
func (e *configError) Unwrap() error { return e.err }
