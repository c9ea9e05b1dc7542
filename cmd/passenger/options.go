package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
)

type kind uint8

const (
	kindString kind = iota
	kindInt
	kindFloat
	kindPath    // relative to where it was written
	kindOutput  // a path, or - for standard output
	kindPaths   // a list of paths, with a dash in front of those that may be missing
	kindPathMap // NAME=PATH
	kindHooks   // NAME=PROGRAM, and several programs with semicolons between
	kindCommand // for a shell, if it needs one
	kindMap     // NAME=VALUE
	kindList    // texts
	kindBool
	kindStatus  // statuses of HTTP: a text, a number, or a list of them
	kindForeign // of Passenger's, and without a meaning here
)

// option is one of start's options, in a file, in the environment and on the
// command line.
type option struct {
	key     string // in files; in the environment with PASSENGER_ in front
	aliases []string
	flag    string
	// also is another name of the flag, which Passenger has.
	also  string
	short string
	kind  kind
	// bare: the flag needs no value, and has one only behind an equals sign.
	bare  bool
	usage string
}

var defaults = agent.DefaultConfig()

var startOptions = []option{
	{key: "address", flag: "address", short: "a", usage: "the `host` to listen on (default " + defaults.Address + ")"},
	{key: "port", flag: "port", short: "p", kind: kindInt, usage: fmt.Sprintf("the TCP `port` to listen on, 0 for any free one (default %d)", defaults.Port)},
	{key: "socket_file", aliases: []string{"socket"}, flag: "socket", short: "S", kind: kindPath, usage: "listen on a Unix socket `file` instead"},
	{key: "ssl", flag: "ssl", kind: kindBool, usage: "serve HTTPS instead of HTTP, or beside it on --ssl-port, with HTTP/2 (default false)"},
	{key: "ssl_certificate", flag: "ssl-certificate", kind: kindPath, usage: "the `file` with the TLS certificate and those that vouch for it, in PEM; it is read again when it changes"},
	{key: "ssl_certificate_key", flag: "ssl-certificate-key", kind: kindPath, usage: "the `file` with the certificate's private key, in PEM"},
	{key: "ssl_port", flag: "ssl-port", kind: kindInt, usage: "the TCP `port` for HTTPS, beside HTTP on --port (default: HTTPS only)"},
	{key: "http2_cleartext", flag: "http2-cleartext", kind: kindBool, usage: "take HTTP/2 without TLS too, from a proxy that speaks it (default false)"},
	{key: "environment", flag: "environment", short: "e", usage: "the application's environment `name` (default $RAILS_ENV, $RACK_ENV, $NODE_ENV, $PASSENGER_APP_ENV, or development)"},
	{key: "app_type", flag: "app-type", usage: "the `kind` of application: rack, wsgi, node or meteor (default: what the startup file tells)"},
	{key: "startup_file", flag: "startup-file", usage: "the application's main `file`, relative to its directory (default: that of its kind)"},
	{key: "rackup", flag: "rackup", short: "R", usage: "the startup `file` of a Ruby application, in the place of config.ru"},
	{key: "start_command", aliases: []string{"app_start_command"}, flag: "start-command", also: "app-start-command", kind: kindCommand, usage: "start the application by this `command`: a program that serves HTTP on 127.0.0.1 and $PORT, or speaks the spawn protocol"},
	{key: "health_path", flag: "health-path", usage: "the `path` that each new process has to answer before it gets requests"},
	{key: "health_status", flag: "health-status", kind: kindStatus, usage: "the `statuses` that are well, as 200-299,401 (default: below 400)"},
	{key: "health_timeout", flag: "health-timeout", kind: kindInt, usage: fmt.Sprintf("how many `seconds` one health check may take (default %d)", defaults.HealthTimeout)},
	{key: "health_host", flag: "health-host", usage: "the `Host` of health checks and warm-ups (default localhost)"},
	{key: "warmup_paths", flag: "warmup-path", also: "warmup-paths", kind: kindList, usage: "a `path` to ask each new process for; may be repeated"},
	{key: "warmup_required", flag: "warmup-required", kind: kindBool, usage: "fail a start whose warm-up request fails (default false)"},
	{key: "spawn_method", flag: "spawn-method", usage: "the `method` to start processes: smart, by a preloader that is forked, or direct (default smart for rack, else direct)"},
	{key: "thread_count", flag: "thread-count", kind: kindInt, usage: "the `number` of requests that a process of kind rack or wsgi serves at once (default 1)"},
	{key: "start_timeout", flag: "start-timeout", kind: kindInt, usage: fmt.Sprintf("how many `seconds` a start may take (default %d)", defaults.StartTimeout)},
	{key: "envvars", flag: "envvar", kind: kindMap, usage: "set an environment variable, as `NAME=VALUE`; may be given more than once"},
	{key: "env_files", flag: "env-file", kind: kindPaths, usage: "read environment variables from a `file` at each start; may be given more than once, and be missing if a dash is in front"},
	{key: "load_shell_envvars", flag: "load-shell-envvars", kind: kindBool, usage: "start processes by the login shell of their user, with what its profile sets (default false)"},
	{key: "app_file_descriptor_ulimit", flag: "app-file-descriptor-ulimit", kind: kindInt, usage: "the `number` of files that a process may have open (default: as the server)"},
	{key: "ruby", flag: "ruby", usage: "the Ruby `interpreter` (default ruby)"},
	{key: "python", flag: "python", usage: "the Python `interpreter` (default that of the application's venv or .venv, else python3)"},
	{key: "nodejs", flag: "nodejs", usage: "the Node.js `interpreter` (default node)"},
	{key: "meteor_app_settings", flag: "meteor-app-settings", kind: kindPath, usage: "the `file` with the settings of a Meteor application"},
	{key: "passenger_root", flag: "passenger-root", kind: kindPath, usage: "the original's root or locations.ini `file`, for its Ruby loader"},
	{key: "ruby_libdir", flag: "ruby-libdir", kind: kindPath, usage: "the `directory` of the original's libraries, for its Ruby loader"},
	{key: "friendly_error_pages", flag: "friendly-error-pages", bare: true, usage: "`whether` error pages show details: true, false, or auto, in the environment development only (default auto)"},
	{key: "no_friendly_error_pages", flag: "no-friendly-error-pages", kind: kindBool, usage: "the same as --friendly-error-pages=false"},
	{key: "custom_error_page", flag: "custom-error-page", kind: kindPath, usage: "the HTML `file` that is shown of errors instead of a page of the server's own, where details are not shown"},
	{key: "static_cache_control", flag: "static-cache-control", kind: kindString, usage: "Cache-Control `value` of static files without a fingerprint"},
	{key: "static_immutable", flag: "static-immutable", kind: kindBool, usage: "static files with a fingerprint are immutable (default true)"},
	{key: "static_cache_size", flag: "static-cache-size", kind: kindInt, usage: fmt.Sprintf("the most `bytes` of compressed static files to keep, 0 for no compression (default %d)", defaults.StaticCacheSize)},
	{key: "error_report_dir", flag: "error-report-dir", kind: kindPath, usage: "a `directory` for a report of each failed start, passenger-error-ID.html"},
	{key: "static_files_dir", flag: "static-files-dir", kind: kindPath, usage: "the `directory` of files to serve without the application (default: public in its directory)"},
	{key: "max_pool_size", flag: "max-pool-size", kind: kindInt, usage: fmt.Sprintf("the largest `number` of processes (default %d)", defaults.MaxPoolSize)},
	{key: "min_instances", flag: "min-instances", kind: kindInt, usage: fmt.Sprintf("the `number` of processes that are there at all times (default %d)", defaults.MinInstances)},
	{key: "max_instances", flag: "max-instances", kind: kindInt, usage: "the largest `number` of processes of one application (default 0: as --max-pool-size)"},
	{key: "pool_idle_time", flag: "pool-idle-time", kind: kindInt, usage: fmt.Sprintf("after how many `seconds` an idle process beyond --min-instances is stopped, 0 for never (default %d)", defaults.PoolIdleTime)},
	{key: "max_requests", flag: "max-requests", kind: kindInt, usage: "after how many `requests` a process is replaced, 0 for never (default 0)"},
	{key: "max_requests_jitter", flag: "max-requests-jitter", kind: kindFloat, usage: "the `share`, 0 to 1, by which --max-requests varies (default 0)"},
	{key: "max_unanswered_requests", flag: "max-unanswered-requests", kind: kindInt, usage: fmt.Sprintf("after how many `requests` in a row without a response a process is replaced, 0 for never (default %d)", defaults.MaxUnanswered)},
	{key: "memory_limit", flag: "memory-limit", kind: kindInt, usage: "above how many `MB` of memory of its own a process is replaced when it has finished its requests, 0 for no limit (default 0)"},
	{key: "hard_memory_limit", flag: "hard-memory-limit", kind: kindInt, usage: "above how many `MB` it is killed, 0 for no limit (default 0)"},
	{key: "restart_dir", flag: "restart-dir", usage: "the `directory` of restart.txt and always_restart.txt, relative to the application's (default tmp)"},
	{key: "rolling_restarts", flag: "rolling-restarts", kind: kindBool, usage: "restart processes one after the other, and keep the old ones if a new one does not start (default true)"},
	{key: "ctls", flag: "ctl", also: "ctls", kind: kindHooks, usage: "run a program for an event, as `hook_NAME=PROGRAM`; may be given more than once"},
	{key: "max_preloader_idle_time", flag: "max-preloader-idle-time", kind: kindInt, usage: fmt.Sprintf("after how many `seconds` without a start a preloader is stopped, 0 for never (default %d)", defaults.MaxPreloaderIdleTime)},
	{key: "max_header_size", flag: "max-header-size", kind: kindInt, usage: fmt.Sprintf("the largest head of a request, in `bytes` (default %d)", defaults.MaxHeaderSize)},
	{key: "max_header_field_size", flag: "max-header-field-size", kind: kindInt, usage: fmt.Sprintf("the largest header field of a request, in `bytes` (default %d)", defaults.MaxHeaderFieldSize)},
	{key: "max_target_size", flag: "max-target-size", kind: kindInt, usage: fmt.Sprintf("the longest path and query of a request, in `bytes` (default %d)", defaults.MaxTargetSize)},
	{key: "max_response_header_size", flag: "max-response-header-size", kind: kindInt, usage: fmt.Sprintf("the largest head of a response, in `bytes` (default %d)", defaults.MaxResponseHeaderSize)},
	{key: "max_queue_share", flag: "max-queue-share", kind: kindFloat, usage: fmt.Sprintf("the `share` of the queue that one connection of HTTP/2 may have, 1 for all of it (default %v)", defaults.MaxQueueShare)},
	{key: "max_connections", flag: "max-connections", kind: kindInt, usage: "the largest `number` of connections of clients, 0 for three quarters of the limit of open files (default 0)"},
	{key: "max_connections_per_client", flag: "max-connections-per-client", kind: kindInt, usage: "the largest `number` of connections of one client that have sent no whole request, 0 for a quarter of --max-connections (default 0)"},
	{key: "max_request_queue_size", flag: "max-request-queue-size", kind: kindInt, usage: fmt.Sprintf("the largest `number` of requests that wait for a process, 0 for no limit (default %d)", defaults.MaxRequestQueueSize)},
	{key: "request_buffering", flag: "request-buffering", kind: kindBool, usage: "read the whole body of a request before a process gets it (default true)"},
	{key: "max_request_body_size", flag: "max-request-body-size", kind: kindInt, usage: "the largest body of a request, in `bytes`, 0 for no limit (default 0)"},
	{key: "response_buffer_high_watermark", flag: "response-buffer-high-watermark", kind: kindInt, usage: fmt.Sprintf("how many `bytes` of an answer are kept for a client that reads slowly, 0 for no limit (default %d)", defaults.ResponseBufferLimit)},
	{key: "max_buffer_size", flag: "max-buffer-size", kind: kindInt, usage: "the most `bytes` of buffered requests and responses together (default -1: a share)"},
	{key: "data_buffer_dir", flag: "data-buffer-dir", kind: kindPath, usage: "the `directory` for what of requests and answers does not fit into memory (default $TMPDIR or /tmp)"},
	{key: "client_header_timeout", flag: "client-header-timeout", kind: kindInt, usage: fmt.Sprintf("how many `seconds` a client may take for the head of a request (default %d)", defaults.ClientHeaderTimeout)},
	{key: "client_timeout", flag: "client-timeout", kind: kindInt, usage: fmt.Sprintf("how many `seconds` a client may take for a body, or an answer, besides one for each --client-min-rate bytes, 0 for no limit (default %d)", defaults.ClientTimeout)},
	{key: "client_min_rate", flag: "client-min-rate", kind: kindInt, usage: fmt.Sprintf("how many `bytes` a second a client has to send or read after that, 0 for no limit (default %d)", defaults.ClientMinRate)},
	{key: "client_stall_timeout", flag: "client-stall-timeout", kind: kindInt, usage: fmt.Sprintf("the most `seconds` between two reads of a body or two writes of a response, 0 for no limit (default %d)", defaults.ClientStallTimeout)},
	{key: "keepalive_timeout", flag: "keepalive-timeout", kind: kindInt, usage: fmt.Sprintf("after how many `seconds` an idle connection of a client is closed (default %d)", defaults.KeepAliveTimeout)},
	{key: "max_request_time", flag: "max-request-time", kind: kindInt, usage: "after how many `seconds` a request is given up and its process killed, 0 for never (default 0)"},
	{key: "max_request_queue_time", flag: "max-request-queue-time", kind: kindInt, usage: "how many `seconds` a request may wait for a process, 0 for no limit (default 0)"},
	{key: "request_queue_overflow_status_code", flag: "request-queue-overflow-status-code", kind: kindInt, usage: "the `status` of requests that are refused as too many wait (default 503)"},
	{key: "request_queue_timeout_status_code", flag: "request-queue-timeout-status-code", kind: kindInt, usage: "the `status` of requests that have waited for too long (default 504)"},
	{key: "spawn_exception_status_code", flag: "spawn-exception-status-code", kind: kindInt, usage: "the `status` of requests whose process does not start (default 500)"},
	{key: "force_max_concurrent_requests_per_process", flag: "force-max-concurrent-requests-per-process", kind: kindInt, usage: "the `number` of requests that a process takes at once, 0 for no limit (default -1: what it says)"},
	{key: "unlimited_concurrency_paths", flag: "unlimited-concurrency-path", kind: kindList, usage: "a `path` for WebSockets or event streams, which go to a process of their own without a limit; may be given more than once"},
	{key: "disable_turbocaching", flag: "disable-turbocaching", kind: kindBool, usage: "the same as --turbocaching=false"},
	{key: "turbocaching", flag: "turbocaching", kind: kindBool, usage: "keep answers for a moment that allow it (default true)"},
	{key: "vary_turbocache_by_cookie", flag: "vary-turbocache-by-cookie", usage: "the `name` of a cookie whose value makes it another answer"},
	{key: "abort_websockets_on_process_shutdown", flag: "abort-websockets-on-process-shutdown", kind: kindBool, usage: "end the WebSockets of a process that is replaced; else it lives until they end (default true)"},
	{key: "no_abort_websockets_on_process_shutdown", flag: "no-abort-websockets-on-process-shutdown", kind: kindBool, usage: "the same as --abort-websockets-on-process-shutdown=false"},
	{key: "sendfile_roots", flag: "sendfile-root", kind: kindPaths, usage: "a `directory` of files that the application may have sent by X-Sendfile; may be given more than once"},
	{key: "accel_redirect", flag: "accel-redirect", kind: kindPathMap, usage: "a path and a directory, as `PATH=DIRECTORY`, of files that it may have sent by X-Accel-Redirect; may be given more than once"},
	{key: "sendfile", flag: "sendfile", usage: "`who` sends files that the application names: auto, self, proxy"},
	{key: "trusted_proxies", flag: "trusted-proxy", kind: kindList, usage: "an `address` or prefix of a proxy that says who the client is; repeatable"},
	{key: "trusted_headers", flag: "trusted-header", kind: kindList, usage: "one more `header` to believe of trusted proxies; repeatable"},
	{key: "proxy_protocol", flag: "proxy-protocol", kind: kindList, usage: "an `address` or prefix of proxies with PROXY protocol; repeatable"},
	{key: "show_version_in_header", flag: "show-version-in-header", kind: kindBool, usage: "answer with X-Powered-By (default true)"},
	{key: "access_log", flag: "access-log", kind: kindOutput, usage: "a `file` that gets a line of JSON for each request, - for standard output"},
	{key: "sticky_sessions", flag: "sticky-sessions", kind: kindBool, usage: "send the requests of a client to the process that had its earlier ones (default false)"},
	{key: "sticky_sessions_cookie_name", flag: "sticky-sessions-cookie-name", usage: "the `name` of the cookie for that (default " + agent.DefaultStickyCookieName + ")"},
	{key: "sticky_sessions_cookie_attributes", flag: "sticky-sessions-cookie-attributes", usage: "the `attributes` of that cookie (default SameSite=Lax, and Secure by HTTPS)"},
	{key: "on_start_failure", flag: "on-start-failure", usage: "when an application does not start, `serve` error pages or exit (default serve)"},
	{key: "drain_delay", flag: "drain-delay", kind: kindInt, usage: "how many `seconds` to serve on when the server is to end, while /readyz tells load balancers that it is not ready (default 0)"},
	{key: "transaction_log", flag: "transaction-log", kind: kindPath, usage: "a `file` that gets a line of JSON for each request, spawn, process and restart, from a process of its own"},
	{key: "otlp_endpoint", flag: "otlp-endpoint", usage: "the `URL` of an OpenTelemetry collector that gets the same as traces, such as http://127.0.0.1:4318; $OTEL_EXPORTER_OTLP_HEADERS has headers for it"},
	{key: "core_heartbeat_timeout", flag: "core-heartbeat-timeout", kind: kindInt, usage: "after how many `seconds` without an answer a core that hangs is killed and replaced, 0 for never (default 0)"},
	{key: "metrics_address", flag: "metrics-address", usage: "a `host:port` where everybody may ask for /metrics (Prometheus), /livez and /readyz (default: nowhere)"},
	{key: "user", flag: "user", usage: "as root, become this `user` when the ports are open, and before anything else; the application runs as it, too"},
	{key: "no_new_privileges", flag: "no-new-privileges", kind: kindBool, usage: "setuid programs give applications no rights (default false)"},
	{key: "kept_capabilities", flag: "kept-capability", also: "kept-capabilities", kind: kindList, usage: "a further `capability` for hooks and applications; may be repeated"},
	{key: "syscall_filter", flag: "syscall-filter", kind: kindBool, usage: "deny system calls that manage the system (default false)"},
	{key: "daemonize", flag: "daemonize", short: "d", kind: kindBool, usage: "serve in the background, and return when it serves (default false)"},
	{key: "pid_file", flag: "pid-file", kind: kindPath, usage: "a `file` with the server's process id (default: none; in the background passenger.PORT.pid in the application's tmp/pids, or else in its directory)"},
	{key: "log_file", flag: "log-file", kind: kindPath, usage: "a `file` for what the server and the application print, opened anew on SIGUSR1 (default: standard error; in the background passenger.PORT.log in the application's log, or else in its directory)"},
	{key: "log_format", flag: "log-format", usage: "the `form` of the log: text, plain or json (default text on a terminal)"},
	{key: "app_log_file", flag: "app-log-file", kind: kindPath, usage: "a `file` for what the application prints (default: the log)"},
	{key: "max_output_rate", flag: "max-output-rate", kind: kindInt, usage: fmt.Sprintf("logged output of a process, in `bytes` a second (default %d)", defaults.MaxOutputRate)},
	{key: "request_log", flag: "request-log", bare: true, usage: "a line for each request: true, false or `auto` (default auto)"},
	{key: "instance_registry_dir", flag: "instance-registry-dir", kind: kindPath, usage: "the `directory` in which tools find this server (default $PASSENGER_INSTANCE_REGISTRY_DIR, /run/passenger-instreg as root, $TMPDIR or /tmp)"},
	{key: "log_level", flag: "log-level", kind: kindInt, usage: fmt.Sprintf("how much to log, a `number` from 0 (fatal errors only) to 7 (default %d)", defaults.LogLevel)},
}

func findOption(options []option, key string) (option, bool) {
	i := slices.IndexFunc(options, func(o option) bool { return o.key == key || slices.Contains(o.aliases, key) })
	if i < 0 {
		return option{}, false
	}
	return options[i], true
}

func addStartFlags(flags *pflag.FlagSet) {
	addFlags(flags, startOptions)
	addFlags(flags, foreignOptions)
}

// addServerFlags adds those that say which server is meant.
func addServerFlags(flags *pflag.FlagSet) {
	addFlags(flags, optionsOf(startOptions, append([]string{"instance_registry_dir"}, serverFileKeys...)))
}

// optionsOf returns those that have these keys.
func optionsOf(options []option, keys []string) []option {
	named := make([]option, 0, len(keys))
	for _, key := range keys {
		o, _ := findOption(options, key)
		named = append(named, o)
	}
	return named
}

func addFlags(flags *pflag.FlagSet, options []option) {
	flags.SortFlags = false
	for i := range options {
		o := &options[i]
		o.addFlag(flags, o.flag, o.short)
		if o.also != "" {
			o.addFlag(flags, o.also, "")
			flags.Lookup(o.also).Hidden = true
		}
	}
}

func (o *option) addFlag(flags *pflag.FlagSet, name, short string) {
	switch o.kind {
	case kindMap, kindList, kindPaths, kindPathMap, kindHooks:
		flags.StringArrayP(name, short, nil, o.usage)
	case kindBool:
		flags.BoolP(name, short, false, o.usage)
	case kindString, kindInt, kindFloat, kindPath, kindOutput, kindCommand, kindStatus, kindForeign:
		flags.StringP(name, short, "", o.usage)
	}
	flags.Lookup(name).Hidden = o.kind == kindForeign
	if o.bare {
		flags.Lookup(name).NoOptDefVal = "true"
	}
}

// given is the value that a flag of the option has got, by either of its names.
func (o *option) given(flags *pflag.FlagSet) (raw any, err error) {
	for _, name := range []string{o.flag, o.also} {
		f := flags.Lookup(name)
		if f == nil || !f.Changed { // not every command has all of them
			continue
		}
		if raw != nil {
			return nil, fmt.Errorf("--%s and --%s are both given, which are the same option: use one or the other", o.flag, o.also)
		}
		raw = f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			raw = list.GetSlice()
		}
	}
	return raw, nil
}

// convert checks a value and brings it into the form of agent.Config.
// Relative paths are below dir, or the working directory if that is empty.
func (o *option) convert(raw any, dir string) (any, error) {
	switch o.kind {
	case kindInt:
		return o.toInt(raw)
	case kindFloat:
		return o.toFloat(raw)
	case kindCommand:
		return o.toCommand(raw)
	case kindMap:
		return o.toMap(raw)
	case kindList:
		return o.toList(raw)
	case kindPaths:
		return o.toPaths(raw, dir)
	case kindPathMap:
		return o.toPathMap(raw, dir)
	case kindHooks:
		return o.toHooks(raw, dir)
	case kindBool:
		return o.toBool(raw)
	case kindStatus:
		return o.toStatus(raw)
	case kindString, kindPath, kindOutput, kindForeign:
	}
	if isTrue, ok := raw.(bool); ok && o.bare {
		return strconv.FormatBool(isTrue), nil
	}
	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a text, not %v", o.key, raw)
	}

	switch {
	case o.kind == kindPath, o.kind == kindOutput && s != standardOutput:
		return o.toPath(s, dir)
	}
	return s, nil
}
