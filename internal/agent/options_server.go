package agent

import (
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/spawner"
)

var networkOptions = func() []Option {
	return []Option{
		option("address", startOnly, func(c *Config) any { return &c.Address },
			"the `host` to listen on", short("a"), byDefault(anyAddress), fixed, everyday,
			checked((*Config).checkAddress),
			detail("A name stands for all of its addresses on this machine: `localhost` is 127.0.0.1 and `::1`.")),
		option("port", startOnly, func(c *Config) any { return &c.Port },
			"the TCP `port` to listen on", short("p"), portRange("any free one"), byDefault(3000), fixed, everyday),
		option("socket_file", startOnly, func(c *Config) any { return &c.SocketFile },
			"the Unix socket `file` to listen on instead", as(options.Path), alias("socket"), flag("socket"),
			short("S"),
			fixed),
		option("socket_file", flyingOnly, func(c *Config) any { return &c.SocketFile },
			"the Unix socket `file` to listen on; needed", as(options.Path), short("S"), fixed, everyday),
		option("socket_mode", flyingOnly, func(c *Config) any { return &c.Flying.SocketMode },
			"the `mode` of the socket file, in octal digits", byDefault(defaultSocketMode), fixed),
		option("http2_cleartext", server, func(c *Config) any { return &c.HTTP2Cleartext },
			"HTTP/2 without TLS",
			detail("By prior knowledge (the preface `PRI * HTTP/2.0`), beside HTTP/1.1: for a proxy that speaks it to "+
				"its servers. While it is off, the response to such a client is 505.")),
		option("http_server", server, func(c *Config) any { return &c.HTTPServer },
			"the `server` of simple requests: front or standard", oneOf(frontServer, standardServer),
			byDefault(frontServer),
			detail("`front` serves requests of HTTP/1.1 without TLS that have no body, or a small one. It leaves the "+
				"others to Go's own server, which serves all with `standard`, and elsewhere than on Linux.")),
		option("trusted_proxies", perAppOrAll, func(c *Config) any { return &c.TrustedProxies },
			"an `address` or prefix of proxies that name the client; repeatable", flag("trusted-proxy"),
			read((*Config).proxies),
			detail("See [behind a proxy](configuration.md#behind-a-proxy). Peers on a Unix socket are always "+
				"trusted.")),
		option("trusted_headers", everywhere, func(c *Config) any { return &c.TrustedHeaders },
			"another `header` to believe of these proxies; repeatable", flag("trusted-header"),
			detail("Such as `X-Forwarded-Host`.")),
		option("proxy_protocol", startOnly, func(c *Config) any { return &c.ProxyProtocol },
			"an `address` or prefix of proxies with PROXY protocol; repeatable", checked((*Config).checkProxyProtocol),
			detail("`unix` means all that connect to the socket file. See [behind a "+
				"proxy](configuration.md#behind-a-proxy).")),
		option("client_header_timeout", server, func(c *Config) any { return &c.ClientHeaderTimeout },
			"`seconds` that a client may take for a request's head", from(1, ""), byDefault(30),
			detail("Counted from connecting, or from the request before.")),
		option("client_timeout", perAppOrAll, func(c *Config) any { return &c.ClientTimeout },
			"`seconds` a client may take for a body or response", from(0, "no limit"),
			byDefault(seconds(handler.DefaultClientGrace)),
			detail("One more second for each `client_min_rate` bytes. Then the response is 408, or the connection is "+
				"closed.")),
		option("client_min_rate", perAppOrAll, func(c *Config) any { return &c.ClientMinRate },
			"`bytes` a second that a client must send or read", from(0, "no limit"),
			byDefault(handler.DefaultMinClientRate),
			detail("After `client_timeout`.")),
		option("client_stall_timeout", perAppOrAll, func(c *Config) any { return &c.ClientStallTimeout },
			"`seconds` between two reads or two writes of a client", from(0, "no limit"),
			byDefault(seconds(handler.DefaultClientStallTimeout)),
			detail("Of a request's body and of a response (32 KiB each; up to 128 KiB that are written at once have "+
				"the time of their pieces), also of a streamed body and a static file, whatever `client_timeout` and "+
				"`client_min_rate` leave. Then the response is 408, or it breaks off.")),
		option("keepalive_timeout", server, func(c *Config) any { return &c.KeepAliveTimeout },
			"`seconds` until a client's idle connection is closed", from(1, ""), byDefault(75)),
	}
}

func portRange(zero string) func(*Option) {
	return limits(options.Limits{Max: 65535, Zero: zero})
}

var tlsOptions = func() []Option {
	return []Option{
		option("ssl", startOnly, func(c *Config) any { return &c.SSL },
			"HTTPS instead of HTTP, with HTTP/2", fixed,
			detail("TLS 1.2 or later.")),
		option("ssl_certificate", startOnly, func(c *Config) any { return &c.SSLCertificate },
			"the `file` with the certificate and its chain, in PEM", as(options.Path),
			detail("Read again when it changes.")),
		option("ssl_certificate_key", startOnly, func(c *Config) any { return &c.SSLKey },
			"the `file` with the certificate's private key, in PEM", as(options.Path),
			detail("Read again when it changes.")),
		option("ssl_port", startOnly, func(c *Config) any { return &c.SSLPort },
			"the TCP `port` for HTTPS, beside HTTP on port", portRange("HTTPS only"), fixed),
	}
}

var logOptions = func() []Option {
	return []Option{
		option("log_file", server, func(c *Config) any { return &c.LogFile },
			"the `file` of the log; -: standard output", as(options.Output), fixed, everyday,
			shownDefault("standard error; in the background `passenger.PORT.log`"),
			detail("`/dev/stdout` and `/dev/stderr` are the server's. In the background in the application's `log`, "+
				"or else in its directory; Flying in the background needs the option. SIGUSR1 opens the file again.")),
		option("log_level", server, func(c *Config) any { return &c.LogLevel },
			"the `level` of the log, up to 7", limits(options.Limits{Max: maxLogLevel, Zero: "only fatal errors"}),
			byDefault(3)),
		option("log_format", server, func(c *Config) any { return &c.LogFormat },
			"the `form` of the log: text, plain or json", oneOf("text", "plain", "json"), fixed,
			shownDefault("`text` where the log is a terminal, else `plain`"),
			detail("`text` is for people, `plain` has keys and values, `json` an object on each line; see "+
				"[logs](operations.md#logs).")),
		option("app_log_file", everywhere, func(c *Config) any { return &c.AppLogFile },
			"the `file` for the output of the application", as(options.Path), checked((*Config).checkAppLogFile),
			shownDefault("the server's log"),
			detail("Absolute in Flying. The server writes it with its own rights, so it refuses a file that a tenant "+
				"could replace. See [logs](operations.md#logs).")),
		option("max_output_rate", everywhere, func(c *Config) any { return &c.MaxOutputRate },
			"`bytes` a second of a process's output to log", from(0, "no limit"),
			byDefault(spawner.DefaultMaxOutputRate),
			detail("After four seconds' worth at once; the rest is dropped and counted.")),
		option("request_log", startOnly, func(c *Config) any { return &c.RequestLog },
			"`when` to print a line for each request: auto, true or false", as(options.Switch), shownDefault("`auto`"),
			detail("`auto` is `true` in the environment `development` on a terminal. A value on the command line "+
				"follows an equals sign.")),
		option("access_log", server, func(c *Config) any { return &c.AccessLog },
			"the `file` for a line of JSON per request; -: standard output", as(options.Output),
			detail("See [access log](configuration.md#access-log).")),
		option("transaction_log", startOnly, func(c *Config) any { return &c.TransactionLog },
			"the `file` for transactions, as lines of JSON", as(options.Path), fixed,
			detail("One for each request, spawn, process and restart; see "+
				"[transactions](operations.md#transactions).")),
		option("otlp_endpoint", startOnly, func(c *Config) any { return &c.OTLPEndpoint },
			"the `URL` of an OpenTelemetry collector for transactions", fixed,
			detail("Such as `http://127.0.0.1:4318`. The environment variable `OTEL_EXPORTER_OTLP_HEADERS` has "+
				"headers for it. See [traces](traces.md).")),
		option("transaction_sample_rate", startOnly, func(c *Config) any { return &c.TransactionSampleRate },
			"the `share`, 0 to 1, of traces begun here that are sampled", between(0, 1), byDefault(1.), fixed,
			detail("Of others their beginning decides. The collector gets no request of the rest; the file of "+
				"`transaction_log` gets all.")),
		option("error_report_dir", server, func(c *Config) any { return &c.ErrorReportDir },
			"the `directory` for reports of failed starts", as(options.Path), checked((*Config).validateReports),
			detail("It must exist, belong to the server's user, and be writable for no other. A "+
				"[report](error-pages.md#report-files) is `passenger-error-ID.html`.")),
		option("incident_dir", server, func(c *Config) any { return &c.IncidentDir },
			"the `directory` for incidents", as(options.Path), checked((*Config).validateIncidents),
			shownDefault("in the instance directory"),
			detail("It must exist, belong to the server's user, be writable for no other, and be no link. The last 50 "+
				"[incidents](incidents.md) are kept there. Those in the instance directory go with the server.")),
		option("incidents", server, func(c *Config) any { return &c.Incidents },
			"record what processes do before they are killed", byDefault(true),
			detail("[Incidents](incidents.md) are also of processes that ended by themselves, and of requests that "+
				"were given up. A process that is to be killed lives for up to two seconds more.")),
	}
}

var securityOptions = func() []Option {
	return []Option{
		option("user", server, func(c *Config) any { return &c.User },
			"the `user` to become when started as root", fixed, everyday,
			detail("When the TCP ports are open, and before all else. The user needs the right to make the log, the "+
				"pid file, a Unix socket and the instance directory. Of root's session nothing stays in the "+
				"environment (`SUDO_*`, `SSH_*`, `XDG_*`, `DBUS_*`, `MAIL`, `OLDPWD`, `SHELL`), and `HOME`, `USER` "+
				"and `LOGNAME` are the user's.")),
		option("user", requestOnly, func(c *Config) any { return &c.AppUser },
			"the `user` that the application runs as", shownDefault("the owner of the startup file"),
			detail("As root only, see [users](flying.md#the-user-of-an-application).")),
		option("group", requestOnly, func(c *Config) any { return &c.AppGroup },
			"the `group` that the application runs as", shownDefault("the user's"),
			detail("As root only. `!STARTUP_FILE!` is the group of the startup file.")),
		option("user_switching", flyingOnly, func(c *Config) any { return &c.Flying.UserSwitching },
			"as root, run each application as its own user", byDefault(true),
			detail("Else all run as `default_user`.")),
		standIn("no_user_switching", options.Bool, flyingOnly, "the same as --user-switching=false",
			opposite("user_switching")),
		option("default_user", flyingOnly, func(c *Config) any { return &c.Flying.DefaultUser },
			"the `user` of applications that would run as root", byDefault(spawner.DefaultUser)),
		option("default_group", flyingOnly, func(c *Config) any { return &c.Flying.DefaultGroup },
			"the `group` of these applications", shownDefault("that user's")),
		option("password_file", flyingOnly, func(c *Config) any { return &c.Flying.PasswordFile },
			"the `file` with the password of web servers", as(options.Path), fixed,
			shownDefault("the socket file and `.password`"),
			detail("Made if it is missing.")),
		option("no_new_privileges", everywhere, func(c *Config) any { return &c.NoNewPrivileges },
			"no rights for applications by setuid programs", fixed,
			detail("Such as `sudo` and `sendmail`. An application cannot have it off where the daemon has it on. See "+
				"[privileges](privileges.md#setuid-programs-of-applications).")),
		option("kept_capabilities", server, func(c *Config) any { return &c.KeptCapabilities },
			"a further `capability` of hooks and applications; repeatable", flag("kept-capability"),
			otherFlag("kept-capabilities"), fixed, read((*Config).kept),
			shownDefault("as root what [containers have](privileges.md#capabilities)"),
			detail("Of Linux, as `CAP_NET_RAW`, beside those that the server uses; or `all`, or `none`. For "+
				"applications that run as root.")),
		option("syscall_filter", server, func(c *Config) any { return &c.SyscallFilter },
			"no system calls that manage the system", fixed, checked((*Config).checkSyscallFilter),
			detail("Neither for the server nor for applications, see [system calls](privileges.md#system-calls). "+
				"Without root it needs `no_new_privileges`.")),
	}
}

var advancedOptions = func() []Option {
	return []Option{
		option("daemonize", server, func(c *Config) any { return &c.Daemonize },
			"serve in the background, and return when it serves", short("d"), fixed, everyday,
			detail("See [in the background](operations.md#in-the-background).")),
		option("pid_file", server, func(c *Config) any { return &c.PIDFile },
			"the `file` with the server's process ID", as(options.Path), fixed,
			shownDefault("none; in the background `passenger.PORT.pid`"),
			detail("In the background in the application's `tmp/pids`, or else in its directory; in Flying the socket "+
				"file and `.pid`.")),
		option("instance_registry_dir", server, func(c *Config) any { return &c.InstanceRegistryDir },
			"the `directory` where tools find the server", as(options.Path), fixed,
			shownDefault("`PASSENGER_INSTANCE_REGISTRY_DIR`, `/run/passenger-instreg` for root, `TMPDIR`, `/tmp`"),
			detail("See [the instance directory](operations.md#the-instance-directory).")),
		option("ctls", server, func(c *Config) any { return &c.Ctls },
			"a program to run for an event, as `hook_NAME=PROGRAM`; repeatable", as(options.Hooks), flag("ctl"),
			otherFlag("ctls"), fixed,
			detail("Several programs have semicolons between. In a file an object, or the original's list of "+
				"`\"NAME=VALUE\"`; in `PASSENGER_CTLS` these with blanks between, or JSON. See "+
				"[hooks](operations.md#hooks).")),
		option("metrics_address", server, func(c *Config) any { return &c.MetricsAddress },
			"the `host:port` of /metrics, /livez and /readyz", fixed,
			detail("For all who can reach it; see [figures and health](operations.md#figures-and-health).")),
		option("metrics_exclude", everywhere, func(c *Config) any { return &c.MetricsExclude },
			"a `path` whose requests metrics leave out; repeatable",
			detail("Of durations, times in the queue and responses, with all paths below it: health checks, for "+
				"instance. In a file a list.")),
		option("metrics_native_histograms", server, func(c *Config) any { return &c.MetricsNativeHistograms },
			"Prometheus's native histograms beside the classic ones",
			detail("For scrapers that ask for protobuf, as Prometheus does if it is configured for them: their "+
				"buckets are within 9 %.")),
		option("dashboard", server, func(c *Config) any { return &c.Dashboard.Dashboard },
			"/dashboard on metrics_address, a page with live figures", checked((*Config).checkDashboard),
			detail("On another address than loopback it needs `dashboard_password_file`. See "+
				"[dashboard](dashboard.md).")),
		option("dashboard_password_file", server, func(c *Config) any { return &c.DashboardPasswordFile },
			"the `file` with the password of the account dashboard", as(options.Path),
			detail("Made if it is missing. With it, the page is shown only for a password.")),
		option("drain_delay", server, func(c *Config) any { return &c.DrainDelay },
			"`seconds` to keep serving when asked to end", from(0, ""), fixed,
			detail("Meanwhile `/readyz` says that the server is not ready.")),
		option("core_heartbeat_timeout", startOnly, func(c *Config) any { return &c.HeartbeatTimeout },
			"`seconds` until a core that hangs is replaced", from(0, "never"), fixed,
			detail("The core is killed, with its goroutines in the log. No less than 10, or a busy machine is taken "+
				"for a hang.")),
		option("passenger_root", perRequest, func(c *Config) any { return &c.PassengerRoot },
			"the root or locations.ini `file` of the original", as(options.Path), shownDefault("ours"),
			detail("For [its loader as a start command](from-passenger.md#the-originals-loaders).")),
		option("ruby_libdir", perRequest, func(c *Config) any { return &c.RubyLibDir },
			"the `directory` of the original's Ruby libraries", as(options.Path), shownDefault("ours"),
			detail("As `passenger_root`.")),
	}
}
