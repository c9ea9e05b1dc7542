package main

import (
	"fmt"

	"github.com/gopassenger/passenger/internal/agent"
)

var requestOptions = []option{
	{
		key: "max_header_size", flag: "max-header-size", kind: kindInt,
		usage: fmt.Sprintf("the largest head of a request, in `bytes` (default %d)", defaults.MaxHeaderSize),
	},
	{
		key: "max_header_field_size", flag: "max-header-field-size", kind: kindInt,
		usage: fmt.Sprintf("the largest header field of a request, in `bytes` (default %d)",
			defaults.MaxHeaderFieldSize),
	},
	{
		key: "max_target_size", flag: "max-target-size", kind: kindInt,
		usage: fmt.Sprintf("the longest path and query of a request, in `bytes` (default %d)", defaults.MaxTargetSize),
	},
	{
		key: "max_response_header_size", flag: "max-response-header-size", kind: kindInt,
		usage: fmt.Sprintf("the largest head of a response, in `bytes` (default %d)", defaults.MaxResponseHeaderSize),
	},
	{
		key: "max_queue_share", flag: "max-queue-share", kind: kindFloat,
		usage: fmt.Sprintf("the `share` of the queue that one connection of HTTP/2 may have, 1 for all of it "+
			"(default %v)", defaults.MaxQueueShare),
	},
	{
		key: "max_connections", flag: "max-connections", kind: kindInt,
		usage: "the largest `number` of connections of clients, 0 for three quarters of the limit of open files " +
			"(default 0)",
	},
	{
		key: "max_connections_per_client", flag: "max-connections-per-client", kind: kindInt,
		usage: "the largest `number` of connections of one client that have sent no whole request, 0 for a quarter " +
			"of --max-connections (default 0)",
	},
	{
		key: "max_request_queue_size", flag: "max-request-queue-size", kind: kindInt,
		usage: fmt.Sprintf("the largest `number` of requests that wait for a process, 0 for no limit (default %d)",
			defaults.MaxRequestQueueSize),
	},
	{
		key: "request_buffering", flag: "request-buffering", kind: kindBool,
		usage: "read the whole body of a request before a process gets it (default true)",
	},
	{
		key: "max_request_body_size", flag: "max-request-body-size", kind: kindInt,
		usage: "the largest body of a request, in `bytes`, 0 for no limit (default 0)",
	},
	{
		key: "response_buffer_high_watermark", flag: "response-buffer-high-watermark", kind: kindInt,
		usage: fmt.Sprintf("how many `bytes` of an answer are kept for a client that reads slowly, 0 for no limit "+
			"(default %d)", defaults.ResponseBufferLimit),
	},
	{
		key: "max_buffer_size", flag: "max-buffer-size", kind: kindInt,
		usage: "the most `bytes` of buffered requests and responses together (default -1: a share)",
	},
	{
		key: "data_buffer_dir", flag: "data-buffer-dir", kind: kindPath,
		usage: "the `directory` for what of requests and answers does not fit into memory (default $TMPDIR or /tmp)",
	},
	{
		key: "client_header_timeout", flag: "client-header-timeout", kind: kindInt,
		usage: fmt.Sprintf("how many `seconds` a client may take for the head of a request (default %d)",
			defaults.ClientHeaderTimeout),
	},
	{
		key: "client_timeout", flag: "client-timeout", kind: kindInt,
		usage: fmt.Sprintf("how many `seconds` a client may take for a body, or an answer, besides one for each "+
			"--client-min-rate bytes, 0 for no limit (default %d)", defaults.ClientTimeout),
	},
	{
		key: "client_min_rate", flag: "client-min-rate", kind: kindInt,
		usage: fmt.Sprintf("how many `bytes` a second a client has to send or read after that, 0 for no limit "+
			"(default %d)", defaults.ClientMinRate),
	},
	{
		key: "client_stall_timeout", flag: "client-stall-timeout", kind: kindInt,
		usage: fmt.Sprintf("the most `seconds` between two reads of a body or two writes of a response, 0 for no "+
			"limit (default %d)", defaults.ClientStallTimeout),
	},
	{
		key: "keepalive_timeout", flag: "keepalive-timeout", kind: kindInt,
		usage: fmt.Sprintf("after how many `seconds` an idle connection of a client is closed (default %d)",
			defaults.KeepAliveTimeout),
	},
	{
		key: "max_request_time", flag: "max-request-time", kind: kindInt,
		usage: "after how many `seconds` a request is given up and its process killed, 0 for never (default 0)",
	},
	{
		key: "max_request_queue_time", flag: "max-request-queue-time", kind: kindInt,
		usage: "how many `seconds` a request may wait for a process, 0 for no limit (default 0)",
	},
	{
		key: "request_queue_overflow_status_code", flag: "request-queue-overflow-status-code", kind: kindInt,
		usage: "the `status` of requests that are refused as too many wait (default 503)",
	},
	{
		key: "request_queue_timeout_status_code", flag: "request-queue-timeout-status-code", kind: kindInt,
		usage: "the `status` of requests that have waited for too long (default 504)",
	},
	{
		key: "spawn_exception_status_code", flag: "spawn-exception-status-code", kind: kindInt,
		usage: "the `status` of requests whose process does not start (default 500)",
	},
	{
		key: "force_max_concurrent_requests_per_process", flag: "force-max-concurrent-requests-per-process",
		kind:  kindInt,
		usage: "the `number` of requests that a process takes at once, 0 for no limit (default -1: what it says)",
	},
	{
		key: "unlimited_concurrency_paths", flag: "unlimited-concurrency-path", kind: kindList,
		usage: "a `path` for WebSockets or event streams, which go to a process of their own without a limit; may " +
			"be given more than once",
	},
	{
		key: "disable_turbocaching", flag: "disable-turbocaching", kind: kindBool,
		usage: "the same as --turbocaching=false",
	},
	{
		key: "turbocaching", flag: "turbocaching", kind: kindBool,
		usage: "keep answers for a moment that allow it (default true)",
	},
	{
		key: "vary_turbocache_by_cookie", flag: "vary-turbocache-by-cookie",
		usage: "the `name` of a cookie whose value makes it another answer",
	},
	{
		key: "abort_websockets_on_process_shutdown", flag: "abort-websockets-on-process-shutdown", kind: kindBool,
		usage: "end the WebSockets of a process that is replaced; else it lives until they end (default true)",
	},
	{
		key: "no_abort_websockets_on_process_shutdown", flag: "no-abort-websockets-on-process-shutdown", kind: kindBool,
		usage: "the same as --abort-websockets-on-process-shutdown=false",
	},
	{
		key: "sendfile_roots", flag: "sendfile-root", kind: kindPaths,
		usage: "a `directory` of files that the application may have sent by X-Sendfile; may be given more than once",
	},
	{
		key: "accel_redirect", flag: "accel-redirect", kind: kindPathMap,
		usage: "a path and a directory, as `PATH=DIRECTORY`, of files that it may have sent by X-Accel-Redirect; " +
			"may be given more than once",
	},
	{key: "sendfile", flag: "sendfile", usage: "`who` sends files that the application names: auto, self, proxy"},
	{
		key: "trusted_proxies", flag: "trusted-proxy", kind: kindList,
		usage: "an `address` or prefix of a proxy that says who the client is; repeatable",
	},
	{
		key: "trusted_headers", flag: "trusted-header", kind: kindList,
		usage: "one more `header` to believe of trusted proxies; repeatable",
	},
	{
		key: "proxy_protocol", flag: "proxy-protocol", kind: kindList,
		usage: "an `address` or prefix of proxies with PROXY protocol; repeatable",
	},
	{
		key: "show_version_in_header", flag: "show-version-in-header", kind: kindBool,
		usage: "answer with X-Powered-By (default true)",
	},
	{
		key: "access_log", flag: "access-log", kind: kindOutput,
		usage: "a `file` that gets a line of JSON for each request, - for standard output",
	},
	{
		key: "sticky_sessions", flag: "sticky-sessions", kind: kindBool,
		usage: "send the requests of a client to the process that had its earlier ones (default false)",
	},
	{
		key: "sticky_sessions_cookie_name", flag: "sticky-sessions-cookie-name",
		usage: "the `name` of the cookie for that (default " + agent.DefaultStickyCookieName + ")",
	},
	{
		key: "sticky_sessions_cookie_attributes", flag: "sticky-sessions-cookie-attributes",
		usage: "the `attributes` of that cookie (default SameSite=Lax, and Secure by HTTPS)",
	},
	{
		key: "on_start_failure", flag: "on-start-failure",
		usage: "when an application does not start, `serve` error pages or exit (default serve)",
	},
	{
		key: "drain_delay", flag: "drain-delay", kind: kindInt,
		usage: "how many `seconds` to serve on when the server is to end, while /readyz tells load balancers that " +
			"it is not ready (default 0)",
	},
	{
		key: "transaction_log", flag: "transaction-log", kind: kindPath,
		usage: "a `file` that gets a line of JSON for each request, spawn, process and restart, from a process of " +
			"its own",
	},
	{
		key: "otlp_endpoint", flag: "otlp-endpoint",
		usage: "the `URL` of an OpenTelemetry collector that gets the same as traces, such as " +
			"http://127.0.0.1:4318; $OTEL_EXPORTER_OTLP_HEADERS has headers for it",
	},
	{
		key: "core_heartbeat_timeout", flag: "core-heartbeat-timeout", kind: kindInt,
		usage: "after how many `seconds` without an answer a core that hangs is killed and replaced, 0 for never " +
			"(default 0)",
	},
	{
		key: "metrics_address", flag: "metrics-address",
		usage: "a `host:port` where everybody may ask for /metrics (Prometheus), /livez and /readyz (default: nowhere)",
	},
	{key: "user", flag: "user", usage: "as root, become this `user` when the ports are open, and before anything " +
		"else; the application runs as it, too"},
	{
		key: "no_new_privileges", flag: "no-new-privileges", kind: kindBool,
		usage: "setuid programs give applications no rights (default false)",
	},
	{
		key: "kept_capabilities", flag: "kept-capability", also: "kept-capabilities", kind: kindList,
		usage: "a further `capability` for hooks and applications; may be repeated",
	},
	{
		key: "syscall_filter", flag: "syscall-filter", kind: kindBool,
		usage: "deny system calls that manage the system (default false)",
	},
	{
		key: "daemonize", flag: "daemonize", short: "d", kind: kindBool,
		usage: "serve in the background, and return when it serves (default false)",
	},
	{
		key: "pid_file", flag: "pid-file", kind: kindPath,
		usage: "a `file` with the server's process id (default: none; in the background passenger.PORT.pid in the " +
			"application's tmp/pids, or else in its directory)",
	},
	{
		key: "log_file", flag: "log-file", kind: kindPath,
		usage: "a `file` for what the server and the application print, opened anew on SIGUSR1 (default: standard " +
			"error; in the background passenger.PORT.log in the application's log, or else in its directory)",
	},
	{
		key: "log_format", flag: "log-format",
		usage: "the `form` of the log: text, plain or json (default text on a terminal)",
	},
	{
		key: "app_log_file", flag: "app-log-file", kind: kindPath,
		usage: "a `file` for what the application prints (default: the log)",
	},
	{
		key: "max_output_rate", flag: "max-output-rate", kind: kindInt,
		usage: fmt.Sprintf("logged output of a process, in `bytes` a second (default %d)", defaults.MaxOutputRate),
	},
	{
		key: "request_log", flag: "request-log", bare: true,
		usage: "a line for each request: true, false or `auto` (default auto)",
	},
	{
		key: "instance_registry_dir", flag: "instance-registry-dir", kind: kindPath,
		usage: "the `directory` in which tools find this server (default $PASSENGER_INSTANCE_REGISTRY_DIR, " +
			"/run/passenger-instreg as root, $TMPDIR or /tmp)",
	},
	{
		key: "log_level", flag: "log-level", kind: kindInt,
		usage: fmt.Sprintf("how much to log, a `number` from 0 (fatal errors only) to 7 (default %d)",
			defaults.LogLevel),
	},
}
