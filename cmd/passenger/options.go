package main

import (
	"fmt"
	"slices"

	"github.com/gopassenger/passenger/internal/agent"
)

var defaults = agent.DefaultConfig()

var startOptions = slices.Concat(processOptions, requestOptions)

var processOptions = []option{
	{key: "address", flag: "address", short: "a", usage: "the `host` to listen on (default " + defaults.Address + ")"},
	{
		key: "port", flag: "port", short: "p", kind: kindInt,
		usage: fmt.Sprintf("the TCP `port` to listen on, 0 for any free one (default %d)", defaults.Port),
	},
	{
		key: "socket_file", aliases: []string{"socket"}, flag: "socket", short: "S", kind: kindPath,
		usage: "listen on a Unix socket `file` instead",
	},
	{
		key: "ssl", flag: "ssl", kind: kindBool,
		usage: "serve HTTPS instead of HTTP, or beside it on --ssl-port, with HTTP/2 (default false)",
	},
	{
		key: "ssl_certificate", flag: "ssl-certificate", kind: kindPath,
		usage: "the `file` with the TLS certificate and those that vouch for it, in PEM; it is read again when it " +
			"changes",
	},
	{
		key: "ssl_certificate_key", flag: "ssl-certificate-key", kind: kindPath,
		usage: "the `file` with the certificate's private key, in PEM",
	},
	{
		key: "ssl_port", flag: "ssl-port", kind: kindInt,
		usage: "the TCP `port` for HTTPS, beside HTTP on --port (default: HTTPS only)",
	},
	{
		key: "http2_cleartext", flag: "http2-cleartext", kind: kindBool,
		usage: "take HTTP/2 without TLS too, from a proxy that speaks it (default false)",
	},
	{
		key: "environment", flag: "environment", short: "e",
		usage: "the application's environment `name` (default $RAILS_ENV, $RACK_ENV, $NODE_ENV, $PASSENGER_APP_ENV, " +
			"or development)",
	},
	{key: "app_type", flag: "app-type", usage: "the `kind` of application: rack, wsgi, node or meteor (default: " +
		"what the startup file tells)"},
	{
		key: "startup_file", flag: "startup-file",
		usage: "the application's main `file`, relative to its directory (default: that of its kind)",
	},
	{
		key: "rackup", flag: "rackup", short: "R",
		usage: "the startup `file` of a Ruby application, in the place of config.ru",
	},
	{
		key: "start_command", aliases: []string{"app_start_command"}, flag: "start-command", also: "app-start-command",
		kind: kindCommand, usage: "start the application by this `command`: a program that serves HTTP on 127.0.0.1 " +
			"and $PORT, or speaks the spawn protocol",
	},
	{
		key: "health_path", flag: "health-path",
		usage: "the `path` that each new process has to answer before it gets requests",
	},
	{
		key: "health_status", flag: "health-status", kind: kindStatus,
		usage: "the `statuses` that are well, as 200-299,401 (default: below 400)",
	},
	{
		key: "health_timeout", flag: "health-timeout", kind: kindInt,
		usage: fmt.Sprintf("how many `seconds` one health check may take (default %d)", defaults.HealthTimeout),
	},
	{key: "health_host", flag: "health-host", usage: "the `Host` of health checks and warm-ups (default localhost)"},
	{
		key: "warmup_paths", flag: "warmup-path", also: "warmup-paths", kind: kindList,
		usage: "a `path` to ask each new process for; may be repeated",
	},
	{
		key: "warmup_required", flag: "warmup-required", kind: kindBool,
		usage: "fail a start whose warm-up request fails (default false)",
	},
	{
		key: "spawn_method", flag: "spawn-method",
		usage: "the `method` to start processes: smart, by a preloader that is forked, or direct (default smart for " +
			"rack, else direct)",
	},
	{
		key: "thread_count", flag: "thread-count", kind: kindInt,
		usage: "the `number` of requests that a process of kind rack or wsgi serves at once (default 1)",
	},
	{
		key: "start_timeout", flag: "start-timeout", kind: kindInt,
		usage: fmt.Sprintf("how many `seconds` a start may take (default %d)", defaults.StartTimeout),
	},
	{
		key: "envvars", flag: "envvar", kind: kindMap,
		usage: "set an environment variable, as `NAME=VALUE`; may be given more than once",
	},
	{
		key: "env_files", flag: "env-file", kind: kindPaths,
		usage: "read environment variables from a `file` at each start; may be given more than once, and be missing " +
			"if a dash is in front",
	},
	{
		key: "load_shell_envvars", flag: "load-shell-envvars", kind: kindBool,
		usage: "start processes by the login shell of their user, with what its profile sets (default false)",
	},
	{
		key: "app_file_descriptor_ulimit", flag: "app-file-descriptor-ulimit", kind: kindInt,
		usage: "the `number` of files that a process may have open (default: as the server)",
	},
	{key: "ruby", flag: "ruby", usage: "the Ruby `interpreter` (default ruby)"},
	{key: "python", flag: "python", usage: "the Python `interpreter` (default that of the application's venv or " +
		".venv, else python3)"},
	{key: "nodejs", flag: "nodejs", usage: "the Node.js `interpreter` (default node)"},
	{
		key: "meteor_app_settings", flag: "meteor-app-settings", kind: kindPath,
		usage: "the `file` with the settings of a Meteor application",
	},
	{
		key: "passenger_root", flag: "passenger-root", kind: kindPath,
		usage: "the original's root or locations.ini `file`, for its Ruby loader",
	},
	{
		key: "ruby_libdir", flag: "ruby-libdir", kind: kindPath,
		usage: "the `directory` of the original's libraries, for its Ruby loader",
	},
	{
		key: "friendly_error_pages", flag: "friendly-error-pages", bare: true,
		usage: "`whether` error pages show details: true, false, or auto, in the environment development only " +
			"(default auto)",
	},
	{
		key: "no_friendly_error_pages", flag: "no-friendly-error-pages", kind: kindBool,
		usage: "the same as --friendly-error-pages=false",
	},
	{
		key: "custom_error_page", flag: "custom-error-page", kind: kindPath,
		usage: "the HTML `file` that is shown of errors instead of a page of the server's own, where details are " +
			"not shown",
	},
	{
		key: "static_cache_control", flag: "static-cache-control", kind: kindString,
		usage: "Cache-Control `value` of static files without a fingerprint",
	},
	{
		key: "static_immutable", flag: "static-immutable", kind: kindBool,
		usage: "static files with a fingerprint are immutable (default true)",
	},
	{
		key: "static_cache_size", flag: "static-cache-size", kind: kindInt,
		usage: fmt.Sprintf("the most `bytes` of compressed static files to keep, 0 for no compression (default %d)",
			defaults.StaticCacheSize),
	},
	{
		key: "error_report_dir", flag: "error-report-dir", kind: kindPath,
		usage: "a `directory` for a report of each failed start, passenger-error-ID.html",
	},
	{
		key: "static_files_dir", flag: "static-files-dir", kind: kindPath,
		usage: "the `directory` of files to serve without the application (default: public in its directory)",
	},
	{
		key: "max_pool_size", flag: "max-pool-size", kind: kindInt,
		usage: fmt.Sprintf("the largest `number` of processes (default %d)", defaults.MaxPoolSize),
	},
	{
		key: "min_instances", flag: "min-instances", kind: kindInt,
		usage: fmt.Sprintf("the `number` of processes that are there at all times (default %d)",
			defaults.MinInstances),
	},
	{
		key: "max_instances", flag: "max-instances", kind: kindInt,
		usage: "the largest `number` of processes of one application (default 0: as --max-pool-size)",
	},
	{
		key: "pool_idle_time", flag: "pool-idle-time", kind: kindInt,
		usage: fmt.Sprintf("after how many `seconds` an idle process beyond --min-instances is stopped, 0 for never "+
			"(default %d)", defaults.PoolIdleTime),
	},
	{
		key: "max_requests", flag: "max-requests", kind: kindInt,
		usage: "after how many `requests` a process is replaced, 0 for never (default 0)",
	},
	{
		key: "max_requests_jitter", flag: "max-requests-jitter", kind: kindFloat,
		usage: "the `share`, 0 to 1, by which --max-requests varies (default 0)",
	},
	{
		key: "max_unanswered_requests", flag: "max-unanswered-requests", kind: kindInt,
		usage: fmt.Sprintf("after how many `requests` in a row without a response a process is replaced, 0 for "+
			"never (default %d)", defaults.MaxUnanswered),
	},
	{
		key: "memory_limit", flag: "memory-limit", kind: kindInt,
		usage: "above how many `MB` of memory of its own a process is replaced when it has finished its requests, 0 " +
			"for no limit (default 0)",
	},
	{
		key: "hard_memory_limit", flag: "hard-memory-limit", kind: kindInt,
		usage: "above how many `MB` it is killed, 0 for no limit (default 0)",
	},
	{
		key: "restart_dir", flag: "restart-dir",
		usage: "the `directory` of restart.txt and always_restart.txt, relative to the application's (default tmp)",
	},
	{
		key: "rolling_restarts", flag: "rolling-restarts", kind: kindBool,
		usage: "restart processes one after the other, and keep the old ones if a new one does not start " +
			"(default true)",
	},
	{
		key: "ctls", flag: "ctl", also: "ctls", kind: kindHooks,
		usage: "run a program for an event, as `hook_NAME=PROGRAM`; may be given more than once",
	},
	{
		key: "max_preloader_idle_time", flag: "max-preloader-idle-time", kind: kindInt,
		usage: fmt.Sprintf("after how many `seconds` without a start a preloader is stopped, 0 for never (default %d)",
			defaults.MaxPreloaderIdleTime),
	},
}
