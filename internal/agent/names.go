package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// handlerKeys are the keys by which the fields of a handler's configuration are set.
var handlerKeys = map[string]string{
	"TrustedProxies":                  "trusted_proxies",
	"TrustedHeaders":                  "trusted_headers",
	"VaryTurbocacheByCookie":          "vary_turbocache_by_cookie",
	"UnlimitedConcurrencyPaths":       "unlimited_concurrency_paths",
	"MetricsExclude":                  "metrics_exclude",
	"StickySessions.CookieName":       "sticky_sessions_cookie_name",
	"StickySessions.CookieAttributes": "sticky_sessions_cookie_attributes",
	"Sendfile.Roots":                  "sendfile_roots",
	"Sendfile.Accel":                  "accel_redirect",
	"QueueFullStatus":                 "request_queue_overflow_status_code",
	"QueueTimeoutStatus":              "request_queue_timeout_status_code",
	"SpawnErrorStatus":                "spawn_exception_status_code",
}

// appKeys are the keys of what the errors of an application begin with.
var appKeys = map[string]string{
	"unknown app type":         "app_type",
	"unknown ASGI server":      "asgi_server",
	"the app's environment":    "environment",
	"the app's startup file":   "startup_file",
	"the start command":        "start_command",
	"the base URI":             "base_uri",
	"the health path":          "health_path",
	"the health status":        "health_status",
	"the health host":          "health_host",
	"the warm-up path":         "warmup_paths",
	"the PHP setting":          "php_ini",
	"the PHP server":           "php_server",
	"the environment file":     "env_files",
	"the environment variable": "envvars",
}

// byAppKey has the errors of an application begin with the key that the user knows.
func byAppKey(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		for words, key := range appKeys {
			if err != nil && strings.HasPrefix(err.Error(), words+" ") {
				return fmt.Errorf("%s: %w", key, err)
			}
		}

		return err
	}

	errs := slices.Clone(joined.Unwrap())
	for i := range errs {
		errs[i] = byAppKey(errs[i])
	}

	return errors.Join(errs...)
}

// byKey has the errors of a handler's configuration begin with the key that the user
// knows, instead of the field.
func byKey(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs := joined.Unwrap()

		named := make([]error, len(errs))
		for i := range errs {
			named[i] = byKey(errs[i])
		}

		return errors.Join(named...)
	}

	if err == nil {
		return nil
	}

	field, reason, _ := strings.Cut(err.Error(), ": ")
	if key, ok := handlerKeys[field]; ok {
		return fmt.Errorf("%s: %s", key, reason)
	}

	return err
}

// DefaultPIDFile is where a server that runs in the background has its pid file.
func (c *Config) DefaultPIDFile() string {
	return filepath.Join(c.subdirectory("tmp", "pids"), c.fileName()+".pid")
}

// DefaultLogFile is where it has its log.
func (c *Config) DefaultLogFile() string {
	return filepath.Join(c.subdirectory("log"), c.fileName()+".log")
}

// fileName is different for each server of one application.
func (c *Config) fileName() string {
	if c.SocketFile != "" {
		return "passenger"
	}

	return "passenger." + strconv.Itoa(c.Port)
}

// subdirectory is one of the application's if it has that, or else its own.
func (c *Config) subdirectory(names ...string) string {
	dir := filepath.Join(append([]string{c.Dir}, names...)...)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return dir
	}

	return c.Dir
}
