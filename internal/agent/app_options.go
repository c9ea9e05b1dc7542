package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// appConfig is the configuration of one application of many: the server's, with
// what the web server says of this one.
type appConfig struct {
	Config

	groupName, documentRoot string
	user, group             string
	statThrottleRate        int
}

// newAppConfig reports every fault of options, joined. Nothing of the file system
// is looked at.
func newAppConfig(server *Config, options []appOption) (*appConfig, error) {
	c := &appConfig{Config: *server, statThrottleRate: server.Flying.StatThrottleRate}

	var errs []error
	for _, o := range options {
		set, ok := appSettings[o.name]
		if !ok {
			errs = append(errs, fmt.Errorf("there is no option %q", o.name))
			continue
		}

		if err := set(c, o.value); err != nil {
			errs = append(errs, fmt.Errorf("%s %w", o.name, err))
		}
	}

	if c.Dir == "" && c.documentRoot != "" {
		c.Dir = filepath.Dir(c.documentRoot)
	}

	if c.Dir == "" && len(errs) == 0 {
		errs = append(errs, errors.New("app_root is missing"))
	}

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	app := c.options().App

	return c, errors.Join(c.Validate(), app.Validate())
}

// options are those of the pool.
func (c *appConfig) options() passenger.Options {
	o := c.Config.options()
	if c.groupName != "" {
		o.App.GroupName = c.groupName
	}

	o.App.User, o.App.Group = c.user, c.group
	if limit := c.Flying.MaxInstancesPerApp; limit > 0 && (o.MaxProcesses == 0 || o.MaxProcesses > limit) {
		o.MaxProcesses = limit
	}

	o.StatThrottleRate = orUnlimited(time.Duration(c.statThrottleRate) * time.Second)

	return o
}

// handler is the configuration without its loggers.
func (c *appConfig) handler() handler.Config {
	h := c.Config.handler()
	h.Options = c.options()
	return h
}

// setting puts a value into a configuration. Its error follows the option's name.
type setting func(c *appConfig, value string) error

// appSettings are the options of an application, by their names in Passenger's
// documentation.
var appSettings = map[string]setting{
	"app_root":          absolute(func(c *appConfig) *string { return &c.Dir }),
	"document_root":     absolute(func(c *appConfig) *string { return &c.documentRoot }),
	"app_group_name":    text(func(c *appConfig) *string { return &c.groupName }),
	"app_env":           text(func(c *appConfig) *string { return &c.Environment }),
	"rails_env":         text(func(c *appConfig) *string { return &c.Environment }),
	"rack_env":          text(func(c *appConfig) *string { return &c.Environment }),
	"app_type":          text(func(c *appConfig) *string { return &c.AppType }),
	"startup_file":      text(func(c *appConfig) *string { return &c.StartupFile }),
	"app_start_command": startCommand,
	"start_command":     startCommand,
	"health_path":       text(func(c *appConfig) *string { return &c.HealthPath }),
	"health_status":     text(func(c *appConfig) *string { return &c.HealthStatus }),
	"health_timeout":    number(1, func(c *appConfig) *int { return &c.HealthTimeout }),
	"health_host":       text(func(c *appConfig) *string { return &c.HealthHost }),
	"warmup_paths":      texts(func(c *appConfig) *[]string { return &c.WarmupPaths }),
	"warmup_required":   flag(func(c *appConfig) *bool { return &c.WarmupRequired }),
	"base_uri":          baseURI,
	"restart_dir":       text(func(c *appConfig) *string { return &c.RestartDir }),
	"spawn_method":      text(func(c *appConfig) *string { return &c.SpawnMethod }),
	"ruby":              text(func(c *appConfig) *string { return &c.Ruby }),
	"python":            text(func(c *appConfig) *string { return &c.Python }),
	"nodejs":            text(func(c *appConfig) *string { return &c.NodeJS }),

	"meteor_app_settings": text(func(c *appConfig) *string { return &c.MeteorAppSettings }),
	"passenger_root":      text(func(c *appConfig) *string { return &c.PassengerRoot }),
	"ruby_libdir":         text(func(c *appConfig) *string { return &c.RubyLibDir }),
	"user":                text(func(c *appConfig) *string { return &c.user }),
	"group":               text(func(c *appConfig) *string { return &c.group }),
	"app_log_file":        absolute(func(c *appConfig) *string { return &c.AppLogFile }),
	"max_output_rate":     number(0, func(c *appConfig) *int { return &c.MaxOutputRate }),
	"no_new_privileges":   noNewPrivileges,
	"load_shell_envvars":  flag(func(c *appConfig) *bool { return &c.LoadShellEnv }),
	"env_vars":            envVars,
	"env_files":           texts(func(c *appConfig) *[]string { return &c.EnvFiles }),
	"start_timeout":       number(1, func(c *appConfig) *int { return &c.StartTimeout }),
	"thread_count":        number(1, func(c *appConfig) *int { return &c.ThreadCount }),

	"app_file_descriptor_ulimit": number(1, func(c *appConfig) *int { return &c.FileLimit }),

	"min_instances":            number(0, func(c *appConfig) *int { return &c.MinInstances }),
	"max_instances":            number(0, func(c *appConfig) *int { return &c.MaxInstances }),
	"max_requests":             number(0, func(c *appConfig) *int { return &c.MaxRequests }),
	"max_requests_jitter":      share(func(c *appConfig) *float64 { return &c.MaxRequestsJitter }),
	"max_header_size":          number(leastHeader, func(c *appConfig) *int { return &c.MaxHeaderSize }),
	"max_header_field_size":    number(leastHeader, func(c *appConfig) *int { return &c.MaxHeaderFieldSize }),
	"max_target_size":          number(leastHeader, func(c *appConfig) *int { return &c.MaxTargetSize }),
	"max_response_header_size": number(leastHeader, func(c *appConfig) *int { return &c.MaxResponseHeaderSize }),
	"max_queue_share":          share(func(c *appConfig) *float64 { return &c.MaxQueueShare }),
	"max_unanswered_requests":  number(0, func(c *appConfig) *int { return &c.MaxUnanswered }),
	"max_preloader_idle_time":  number(0, func(c *appConfig) *int { return &c.MaxPreloaderIdleTime }),
	"max_request_queue_size":   number(0, func(c *appConfig) *int { return &c.MaxRequestQueueSize }),
	"max_request_queue_time":   number(0, func(c *appConfig) *int { return &c.MaxRequestQueueTime }),
	"max_request_time":         number(0, func(c *appConfig) *int { return &c.MaxRequestTime }),
	"memory_limit":             number(0, func(c *appConfig) *int { return &c.MemoryLimit }),
	"hard_memory_limit":        number(0, func(c *appConfig) *int { return &c.HardMemoryLimit }),
	"stat_throttle_rate":       number(0, func(c *appConfig) *int { return &c.statThrottleRate }),
	"rolling_restarts":         flag(func(c *appConfig) *bool { return &c.RollingRestarts }),

	"force_max_concurrent_requests_per_process": number(-1, func(c *appConfig) *int { return &c.ForceMaxConcurrency }),
	"unlimited_concurrency_paths": texts(func(c *appConfig) *[]string {
		return &c.UnlimitedConcurrencyPaths
	}),

	"request_buffering":              flag(func(c *appConfig) *bool { return &c.RequestBuffering }),
	"max_request_body_size":          size(func(c *appConfig) *int64 { return &c.MaxRequestBodySize }),
	"response_buffer_high_watermark": size(func(c *appConfig) *int64 { return &c.ResponseBufferLimit }),
	"friendly_error_pages":           text(func(c *appConfig) *string { return &c.FriendlyErrorPages }),
	"show_version_in_header":         flag(func(c *appConfig) *bool { return &c.ShowVersionInHeader }),

	"request_queue_overflow_status_code": number(400, func(c *appConfig) *int { return &c.QueueOverflowStatus }),
	"request_queue_timeout_status_code":  number(400, func(c *appConfig) *int { return &c.QueueTimeoutStatus }),
	"spawn_exception_status_code":        number(400, func(c *appConfig) *int { return &c.SpawnExceptionStatus }),

	"sticky_sessions":                   flag(func(c *appConfig) *bool { return &c.StickySessions }),
	"sticky_sessions_cookie_name":       text(func(c *appConfig) *string { return &c.StickyCookieName }),
	"sticky_sessions_cookie_attributes": text(func(c *appConfig) *string { return &c.StickyCookieAttributes }),
	"turbocaching":                      flag(func(c *appConfig) *bool { return &c.Turbocaching }),
	"vary_turbocache_by_cookie":         text(func(c *appConfig) *string { return &c.VaryTurbocacheByCookie }),

	"abort_websockets_on_process_shutdown": flag(func(c *appConfig) *bool { return &c.AbortWebSockets }),

	"trusted_headers": texts(func(c *appConfig) *[]string { return &c.TrustedHeaders }),

	"sendfile":       text(func(c *appConfig) *string { return &c.Sendfile }),
	"sendfile_roots": texts(func(c *appConfig) *[]string { return &c.SendfileRoots }),
	"accel_redirect": func(c *appConfig, value string) error {
		if json.Unmarshal([]byte(value), &c.AccelRedirect) != nil {
			return errors.New("must be a JSON object of paths and directories")
		}

		return nil
	},
}

func text(field func(*appConfig) *string) setting {
	return func(c *appConfig, value string) error {
		*field(c) = value
		return nil
	}
}

func absolute(field func(*appConfig) *string) setting {
	return func(c *appConfig, value string) error {
		if !filepath.IsAbs(value) {
			return fmt.Errorf("is %q: it must be an absolute path", value)
		}

		*field(c) = filepath.Clean(value)

		return nil
	}
}

func share(field func(*appConfig) *float64) setting {
	return func(c *appConfig, value string) error {
		share, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("is %q: it must be a share from 0 to 1", value)
		}

		*field(c) = share

		return nil
	}
}

const maxNumber = 1<<31 - 1

func number(least int, field func(*appConfig) *int) setting {
	return func(c *appConfig, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > maxNumber {
			return fmt.Errorf("is %q: it must be a whole number from %d on", value, least)
		}

		*field(c) = n

		return nil
	}
}

func size(field func(*appConfig) *int64) setting {
	return func(c *appConfig, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("is %q: it must be a number of bytes", value)
		}

		*field(c) = n

		return nil
	}
}

func flag(field func(*appConfig) *bool) setting {
	return func(c *appConfig, value string) error {
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			*field(c) = true
		case "off", "false", "no", "0":
			*field(c) = false
		default:
			return fmt.Errorf("is %q: it must be on or off", value)
		}

		return nil
	}
}

// texts are separated by blanks, or in a JSON array.
func texts(field func(*appConfig) *[]string) setting {
	return func(c *appConfig, value string) error {
		var list []string
		if !strings.HasPrefix(value, "[") {
			list = strings.Fields(value)
		} else if json.Unmarshal([]byte(value), &list) != nil {
			return errors.New("must be a JSON array of texts")
		}

		*field(c) = list

		return nil
	}
}

// startCommand is a command for a shell, or the words of one without.
func startCommand(c *appConfig, value string) error {
	if !strings.HasPrefix(value, "[") {
		var err error
		c.StartCommand, err = ParseCommand(value)
		return err
	}

	if json.Unmarshal([]byte(value), &c.StartCommand) != nil || len(c.StartCommand) == 0 {
		return errors.New("must be a command, or a JSON array of its words")
	}

	return nil
}

// baseURI takes "/" for none.
func baseURI(c *appConfig, value string) error {
	if !strings.HasPrefix(value, "/") {
		return fmt.Errorf("is %q: it must begin with a slash", value)
	}

	c.BaseURI = strings.TrimRight(value, "/")

	return nil
}

var errEnvVars = errors.New("must be a JSON object of names and values, or names and values with a NUL behind each " +
	"as Base64")

// envVars says nothing of what is in it, which may be secret.
func envVars(c *appConfig, value string) error {
	c.EnvVars = map[string]string{}
	if strings.HasPrefix(value, "{") {
		if json.Unmarshal([]byte(value), &c.EnvVars) != nil {
			return errEnvVars
		}

		return nil
	}

	decoded, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return errEnvVars
	}

	parts := strings.Split(strings.TrimSuffix(string(decoded), "\x00"), "\x00")
	if len(parts)%2 != 0 {
		return errEnvVars
	}

	for i := 0; i < len(parts); i += 2 {
		c.EnvVars[parts[i]] = parts[i+1]
	}

	return nil
}
