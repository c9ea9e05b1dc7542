package agent

import (
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/options"
)

var limitOptions = func() []Option {
	return []Option{
		option("max_connections", server, func(c *Config) any { return &c.MaxConnections },
			"the maximum `number` of clients' connections", from(0, "a share"),
			detail("The share is three quarters of the limit of open files (`LimitNOFILE`, `ulimit -n`), so that the "+
				"rest is there for connections to applications and for starting processes. Beyond the maximum, a "+
				"connection without a request is closed for a new one, or else the new one.")),
		option("max_connections_per_client", server, func(c *Config) any { return &c.MaxConnectionsPerClient },
			"the maximum `number` of one client's connections", from(0, "a share"),
			detail("Of those that have not sent a whole request yet. A client is an IPv4 address, 64 bits of an IPv6 "+
				"address, or a user on a Unix socket. The share is a quarter of `max_connections`. The oldest "+
				"connection is closed for a new one. Root and the server's own user have no such limit on a Unix "+
				"socket.")),
		option("max_request_queue_size", everywhere, func(c *Config) any { return &c.MaxRequestQueueSize },
			"the maximum `number` of requests that wait", from(0, "no limit"),
			byDefault(passenger.DefaultMaxRequestQueueSize),
			detail("The response to others is 503.")),
		option("max_request_queue_time", everywhere, func(c *Config) any { return &c.MaxRequestQueueTime },
			"`seconds` that a request may wait for a process", from(0, "no limit"),
			detail("Then the response is 504.")),
		option("max_queue_share", everywhere, func(c *Config) any { return &c.MaxQueueShare },
			"the `share` of the queue for one client connection, up to 1",
			limits(options.Limits{Max: 1, AboveMin: true}), byDefault(handler.DefaultMaxQueueShare),
			detail("This matters with HTTP/2; the response to other requests is 503. 1 means all of "+
				"`max_request_queue_size`.")),
		option("max_request_time", everywhere, func(c *Config) any { return &c.MaxRequestTime },
			"`seconds` that a request may take", from(0, "no limit"),
			detail("Then the process is killed, even if the client has left, and the response is 504.")),
		option("max_request_body_size", everywhere, func(c *Config) any { return &c.MaxRequestBodySize },
			"the maximum `bytes` of a request's body", from(0, "no limit"),
			detail("The room for [buffers](configuration.md#buffers) bounds it as well. The response to more is 413.")),
		option("max_header_size", everywhere, func(c *Config) any { return &c.MaxHeaderSize },
			"the maximum `bytes` of a request's head", between(minHead, maxHead), byDefault(handler.DefaultMaxHeader),
			detail("The response to more is 431. Applications that speak the session protocol (Ruby, Python) take 128 "+
				"KiB with the environment. Under Flying, none takes more than the daemon.")),
		option("max_header_field_size", everywhere, func(c *Config) any { return &c.MaxHeaderFieldSize },
			"the maximum `bytes` of a request's header field", between(minHead, maxHead),
			byDefault(handler.DefaultMaxHeaderField),
			detail("Name and value: tickets of Kerberos and tokens in cookies are long. No more than "+
				"`max_header_size`. The response to more is 431.")),
		option("max_target_size", everywhere, func(c *Config) any { return &c.MaxTargetSize },
			"the maximum `bytes` of path and query", between(minHead, maxHead),
			byDefault(handler.DefaultMaxHeaderField),
			detail("The response to more is 414.")),
		option("max_response_header_size", everywhere, func(c *Config) any { return &c.MaxResponseHeaderSize },
			"the maximum `bytes` of a response's head", between(minHead, maxHead),
			byDefault(handler.DefaultMaxResponseHead),
			detail("A client gets 502 for more.")),
		option("response_buffer_high_watermark", everywhere, func(c *Config) any { return &c.ResponseBufferLimit },
			"`bytes` of a response kept for a slow client", from(0, "no limit"),
			byDefault(handler.DefaultMaxResponseBuffer),
			detail("So that its process is free. Event streams and responses with `X-Accel-Buffering: no` are never "+
				"kept.")),
		option("max_buffer_size", server, func(c *Config) any { return &c.MaxBufferSize },
			"the maximum `bytes` of all buffers; -1: a share", byDefault(-1), read((*Config).buffers),
			detail("The [buffers](configuration.md#buffers) of all requests and responses, in memory and on disk, at "+
				"least 1048576. The share is a quarter of the free space, and a quarter of the memory.")),
		option("memory_limit", everywhere, func(c *Config) any { return &c.MemoryLimit },
			"`MB` of memory until a process is replaced", from(0, "no limit"),
			detail("Its own, with all that it has started. It finishes its requests first. The last old process of a "+
				"rolling restart stays until a new one serves.")),
		option("hard_memory_limit", everywhere, func(c *Config) any { return &c.HardMemoryLimit },
			"`MB` of memory until a process is killed", from(0, "no limit"),
			detail("As `memory_limit`.")),
		option("app_file_descriptor_ulimit", everywhere, func(c *Config) any { return &c.FileLimit },
			"the `number` of files that a process may have open", from(0, ""), shownDefault("as the server")),
	}
}

var restartOptions = func() []Option {
	return []Option{
		option("rolling_restarts", everywhere, func(c *Config) any { return &c.RollingRestarts },
			"restart processes one after the other", byDefault(true),
			detail("The old processes stay if a new one does not start. `false`: old processes end before new ones "+
				"start.")),
		option("restart_dir", perRequest, func(c *Config) any { return &c.RestartDir },
			"the `directory` of restart.txt and always_restart.txt", shownDefault("`tmp`"),
			detail("Relative to the application's directory.")),
		option("stat_throttle_rate", flyingApps, func(c *Config) any { return &c.Flying.StatThrottleRate },
			"`seconds` between two looks for restart.txt", from(0, ""),
			byDefault(seconds(passenger.DefaultStatThrottleRate))),
		option("max_requests", everywhere, func(c *Config) any { return &c.MaxRequests },
			"`requests` until a process is replaced", from(0, "never")),
		option("max_requests_jitter", perRequest, func(c *Config) any { return &c.MaxRequestsJitter },
			"the `share`, 0 to 1, by which max_requests varies", between(0, 1),
			detail("Processes are replaced earlier, at random, so that not all are at once: with `0.2`, after 80 to "+
				"100 % of `max_requests`.")),
		option("max_unanswered_requests", everywhere, func(c *Config) any { return &c.MaxUnanswered },
			"`requests` without a response until a process is replaced", from(0, "never"),
			byDefault(passenger.DefaultMaxUnanswered),
			detail("In a row, and without its first byte: the connection was closed, or the time was up. A process "+
				"that takes no connection is replaced at once. A response of any status counts as one, and so does "+
				"none that a client did not wait for.")),
		option("abort_websockets_on_process_shutdown", everywhere, func(c *Config) any { return &c.AbortWebSockets },
			"end the WebSockets of a process that is replaced", byDefault(true),
			detail("`false`: the process lives until they end, and the restart does not wait for it. When the server "+
				"ends, they do in any case.")),
		standIn("no_abort_websockets_on_process_shutdown", options.Bool, perApp,
			"the same as --abort-websockets-on-process-shutdown=false",
			opposite("abort_websockets_on_process_shutdown")),
	}
}

var requestOptions = func() []Option {
	return []Option{
		option("request_buffering", everywhere, func(c *Config) any { return &c.RequestBuffering },
			"read a request's whole body before a process gets it", byDefault(true),
			detail("So a slow client holds none, and a body without a length gets one. Large ones are kept in "+
				"[files without a name](configuration.md#buffers). `false`: a body of any length reaches the process "+
				"as it comes, and the client keeps the process for as long as it sends.")),
		option("data_buffer_dir", perAppOrAll, func(c *Config) any { return &c.DataBufferDir },
			"the `directory` for bodies that do not fit into memory", as(options.Path),
			shownDefault("`$TMPDIR`, `/tmp`")),
		option("request_queue_overflow_status_code", everywhere, func(c *Config) any { return &c.QueueOverflowStatus },
			"the `status` where too many requests wait", shownDefault("`503`")),
		option("request_queue_timeout_status_code", everywhere, func(c *Config) any { return &c.QueueTimeoutStatus },
			"the `status` of a request that has waited too long", shownDefault("`504`")),
		option("spawn_exception_status_code", everywhere, func(c *Config) any { return &c.SpawnExceptionStatus },
			"the `status` where no process starts", shownDefault("`500`")),
		option("turbocaching", everywhere, func(c *Config) any { return &c.Turbocaching },
			"the cache for responses that allow it", byDefault(true),
			detail("See [turbocache](configuration.md#turbocache).")),
		standIn("disable_turbocaching", options.Bool, perApp, "the same as --turbocaching=false",
			opposite("turbocaching")),
		option("vary_turbocache_by_cookie", perRequest, func(c *Config) any { return &c.VaryTurbocacheByCookie },
			"the `cookie` by which cached responses vary",
			detail("No other one does, see [turbocache](configuration.md#turbocache).")),
		option("sendfile", everywhere, func(c *Config) any { return &c.Sendfile },
			"the `server` that sends the application's files: auto, self, proxy",
			oneOf(sendfileAuto, sendfileSelf, sendfileProxy),
			shownDefault("`auto`"),
			detail("`self` means by the next two options. `proxy` is the server in front, which gets the headers. "+
				"`auto` is `self`, or for [Flying](flying.md) without these options `proxy`.")),
		option("sendfile_roots", perRequest, func(c *Config) any { return &c.SendfileRoots },
			"a `directory` of files sent by X-Sendfile; repeatable", as(options.Paths), flag("sendfile-root"),
			detail("See [files that the application sends](configuration.md#files-that-the-application-sends).")),
		option("accel_redirect", perRequest, func(c *Config) any { return &c.AccelRedirect },
			"a directory for X-Accel-Redirect, as `PATH=DIRECTORY`; repeatable", as(options.PathMap),
			detail("Directories by the paths that stand for them. In a file an object.")),
		option("sticky_sessions", perRequest, func(c *Config) any { return &c.StickySessions },
			"one process for all requests of a client",
			detail("While it lives.")),
		option("sticky_sessions_cookie_name", perRequest, func(c *Config) any { return &c.StickyCookieName },
			"the `name` of the cookie of sticky sessions", shownDefault("`"+handler.DefaultStickyCookieName+"`"),
			detail("With `_unlimited` behind it that for `unlimited_concurrency_paths`, whose processes are others. "+
				"Applications at one path of a host, on several ports, need a name each: browsers send a cookie to "+
				"[all ports](configuration.md#sticky-sessions).")),
		option("sticky_sessions_cookie_attributes", perRequest,
			func(c *Config) any { return &c.StickyCookieAttributes },
			"the `attributes` of that cookie", shownDefault("`SameSite=Lax`, and `Secure` by HTTPS"),
			detail("What follows its value and path.")),
		option("show_version_in_header", everywhere, func(c *Config) any { return &c.ShowVersionInHeader },
			"responses with X-Powered-By", byDefault(true)),
		option("static_cache_control", perApp, func(c *Config) any { return &c.StaticCacheControl },
			"the Cache-Control `value` of static files", checked((*Config).checkCacheControl),
			detail("Of files whose name has no fingerprint, such as `public, max-age=3600`.")),
		option("static_immutable", perApp, func(c *Config) any { return &c.StaticImmutable },
			"immutable static files where names have a fingerprint", byDefault(true),
			detail("They are sent with `public, max-age=31536000, immutable`.")),
		option("static_cache_size", startOnly, func(c *Config) any { return &c.StaticCacheSize },
			"`bytes` of compressed static files to keep", byDefault(defaultStaticCache),
			checked((*Config).checkStaticCacheSize),
			detail("In [memory](configuration.md#static-files), at least 1048576; 0 means that the server compresses "+
				"none.")),
	}
}
