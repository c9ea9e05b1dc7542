package agent

import (
	"errors"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/spawner"
)

var applicationOptions = func() []Option {
	return []Option{
		option("app_root", requestOnly, func(c *Config) any { return &c.Dir },
			"the application's `directory`", as(options.AbsolutePath),
			shownDefault("the parent of `document_root`"),
			detail("Absolute; needed unless `document_root` is set.")),
		option("document_root", requestOnly, func(c *Config) any { return &c.DocumentRoot },
			"the public `directory`, in the application's", as(options.AbsolutePath),
			detail("Absolute; only for `app_root`.")),
		option("app_group_name", requestOnly, func(c *Config) any { return &c.GroupName },
			"the `name` that tools show", shownDefault("`app_root` and the environment in parentheses"),
			detail("Applications of different roots, users or environments never share processes, whatever their "+
				"name.")),
		option("base_uri", requestOnly, func(c *Config) any { return &c.BaseURI },
			"the `path` that the application is below", shownDefault("`/`"),
			detail("The response to a path outside is 404.")),
		option("environment", everywhere, func(c *Config) any { return &c.Environment },
			"the application's environment `name`", short("e"), params("app_env", "rails_env", "rack_env"), everyday,
			shownDefault("`RAILS_ENV`, `RACK_ENV`, `NODE_ENV`, `PASSENGER_APP_ENV`, else `development`"),
			inFlying(spawner.DefaultEnvironment), checked(checkEnvironment)),
		option("app_type", perRequest, func(c *Config) any { return &c.AppType },
			"the `type`: rack, wsgi, asgi, node, meteor or php", everyday, shownDefault("detected"),
			detail("It is detected by the end of the name of `startup_file` (`.ru`, `.py`, `.js`, `.cjs`, `.mjs`, "+
				"`.php`), one of Python by what is in it; else by [what is there](frameworks.md#detection).")),
		option("startup_file", perRequest, func(c *Config) any { return &c.StartupFile },
			"the main `file`, relative to the application's directory",
			shownDefault("[what is there](frameworks.md#detection)"),
			detail("Of Python it may be a module and what is called in it, as `mysite.wsgi:application` or "+
				"`shop.factory:create_app()`.")),
		standIn("rackup", options.Text, perApp, "the startup `file` of a Ruby application", short("R"),
			shownDefault("`config.ru`"),
			detail("It sets `startup_file`, and `app_type` to `rack`.")),
		option("start_command", perRequest, func(c *Config) any { return &c.StartCommand },
			"the `command` that starts any other program", as(options.Command), alias("app_start_command"),
			otherFlag("app-start-command"), everyday, checked((*Config).checkStartCommand),
			detail("A [shell command](configuration.md#start-commands) or a list of words. The program serves HTTP on "+
				"127.0.0.1 and the port in the environment variable `PORT` (`$PORT` in the command stands for it), or "+
				"speaks the [spawn handshake](loader-protocol.md).")),
		option("envvars", perRequest, func(c *Config) any { return &c.EnvVars },
			"an environment variable, as `NAME=VALUE`; repeatable", flag("envvar"), params("env_vars"), secretValue,
			detail("In a file an object.")),
		option("env_files", perRequest, func(c *Config) any { return &c.EnvFiles },
			"a `file` of environment variables; repeatable", as(options.Paths), flag("env-file"),
			detail("Read at each start; later files count more, and `envvars` most. A dash in front allows a file to "+
				"be missing. Lines are [`NAME=VALUE`](configuration.md#environment-files); nothing is expanded.")),
		option("load_shell_envvars", everywhere, func(c *Config) any { return &c.LoadShellEnv },
			"start by the user's login shell, with its profile", inFlying(true),
			detail("If that shell is bash, zsh or ksh.")),
		option("ruby", everywhere, func(c *Config) any { return &c.Ruby },
			"the Ruby `interpreter`", shownDefault("the version that the application asks for, else `ruby`"),
			detail("A name in the application's `PATH`, or a path, relative to its directory. See "+
				"[interpreters](frameworks.md#interpreters).")),
		option("python", everywhere, func(c *Config) any { return &c.Python },
			"the Python `interpreter`",
			shownDefault("the application's `venv` or `.venv`, else the version that it asks for, else `python3`"),
			detail("A virtual environment that is there and cannot be used is an error, unless this is set.")),
		option("asgi_server", everywhere, func(c *Config) any { return &c.ASGIServer },
			"the `server` of an ASGI application: auto, uvicorn or hypercorn", oneOf(spawner.ASGIServers()...),
			shownDefault("`auto`"),
			detail("Its Python has to have it; auto takes the first that is there.")),
		option("nodejs", everywhere, func(c *Config) any { return &c.NodeJS },
			"the Node.js `interpreter`", shownDefault("the version that the application asks for, else `node`"),
			detail("As `ruby`.")),
		option("php_server", everywhere, func(c *Config) any { return &c.PHPServer },
			"the PHP `server`: auto, fpm, cgi or a program", shownDefault("`auto`"),
			detail("`cgi` is php-cgi, one process for one request at a time, and `fpm` is php-fpm, whose children "+
				"share the cache of compiled scripts. `auto` is `cgi`, or `fpm` with a `thread_count` above 1; the "+
				"other one where there is only that. A program is a name, as `php-fpm8.3`, or a path.")),
		option("php_ini", perRequest, func(c *Config) any { return &c.PHPIni },
			"a setting of PHP, as `NAME=VALUE`; repeatable",
			detail("As PHP takes it by `-d`. It counts more than php.ini, and less than a `.user.ini`. In a file a "+
				"list.")),
		option("front_controller", perRequest, func(c *Config) any { return &c.FrontController },
			"serve PHP paths without a script by index.php", byDefault(true),
			detail("By the `startup_file`, or the index.php of the document root. Off: they are not found. See "+
				"[PHP](apps/php.md).")),
		option("meteor_app_settings", perRequest, func(c *Config) any { return &c.MeteorAppSettings },
			"the `file` with the settings of a Meteor application", as(options.Path)),
		option("static_files_dir", perApp, func(c *Config) any { return &c.StaticFilesDir },
			"the `directory` of static files", as(options.Path),
			shownDefault("`public` in the application's directory; the document root of PHP"),
			detail("Served without the application. A file beside with `.br`, `.zst` or `.gz` at the end of its name, "+
				"and not older, goes to clients that accept that coding; other texts from 1 KiB to 4 MiB go out in "+
				"gzip, which the server [compresses once](configuration.md#static-files).")),
		option("friendly_error_pages", everywhere, func(c *Config) any { return &c.FriendlyErrorPages },
			"`when` error pages show details: auto, true or false", as(options.Switch), shownDefault("`auto`"),
			detail("`auto` is `true` in the environment `development` only. A value on the command line follows an "+
				"equals sign. See [error pages](error-pages.md).")),
		standIn("no_friendly_error_pages", options.Bool, perApp, "the same as --friendly-error-pages=false",
			opposite("friendly_error_pages")),
		option("custom_error_page", perApp, func(c *Config) any { return &c.CustomErrorPage },
			"the HTML `file` shown where error pages have no details", as(options.Path), read((*Config).errorPage),
			detail("At most 1 MiB, for browsers, and for errors from status 500 on. It is read at the start, and by "+
				"`passenger reload`.")),
	}
}

var processOptions = func() []Option {
	return []Option{
		option("max_pool_size", server, func(c *Config) any { return &c.MaxPoolSize },
			"the maximum `number` of processes", from(1, ""), byDefault(passenger.DefaultMaxPoolSize), everyday,
			detail("Of all applications together.")),
		option("min_instances", everywhere, func(c *Config) any { return &c.MinInstances },
			"the `number` of processes kept at all times", from(0, ""), byDefault(1), inFlying(0), everyday,
			detail("In Flying once the application was asked for, and where the original has 1: with 0, an "+
				"application without requests is forgotten, also one that was removed.")),
		option("max_instances", perRequest, func(c *Config) any { return &c.MaxInstances },
			"the maximum `number` of processes of one application", from(0, "no limit"),
			detail("Where several applications share the pool. No less than `min_instances`.")),
		option("max_instances_per_app", flyingOnly, func(c *Config) any { return &c.Flying.MaxInstancesPerApp },
			"the maximum `number` of processes of each application", from(0, "no limit")),
		option("pool_idle_time", server, func(c *Config) any { return &c.PoolIdleTime },
			"`seconds` until an idle process is stopped", from(0, "never"),
			byDefault(seconds(passenger.DefaultPoolIdleTime)),
			detail("Of the processes beyond `min_instances`. Flying forgets the application after as many seconds "+
				"again.")),
		option("spawn_method", perRequest, func(c *Config) any { return &c.SpawnMethod },
			"the `method` of starting processes: smart or direct", shownDefault("`smart` for `rack`, else `direct`"),
			detail("See [how processes are started](configuration.md#how-processes-are-started).")),
		option("thread_count", everywhere, func(c *Config) any { return &c.ThreadCount },
			"the `number` of threads of a rack or wsgi process", from(0, ""), shownDefault("`1`"),
			detail("Each serves one request at a time. Of type php, the number of children of a process.")),
		option("start_timeout", everywhere, func(c *Config) any { return &c.StartTimeout },
			"`seconds` that a process may take to start", from(1, ""), byDefault(seconds(spawner.DefaultStartTimeout))),
		option("max_preloader_idle_time", everywhere, func(c *Config) any { return &c.MaxPreloaderIdleTime },
			"`seconds` until an idle preloader is stopped", from(0, "never"),
			byDefault(seconds(passenger.DefaultMaxPreloaderIdleTime)),
			detail("Counted from its last start of a process.")),
		option("on_start_failure", startOnly, func(c *Config) any { return &c.OnStartFailure },
			"what follows a failed first start: `serve` or exit", oneOf(serveOnFailure, exitOnFailure),
			shownDefault("`serve`"),
			detail("`serve` error pages until the application starts, or `exit`. See [when a start is "+
				"over](operations.md#when-a-start-is-over).")),
		option("health_path", perRequest, func(c *Config) any { return &c.HealthPath },
			"the `path` that a new process must respond to",
			detail("Before the process gets requests; see [health "+
				"checks](configuration.md#health-checks-and-warm-up).")),
		option("health_status", perRequest, func(c *Config) any { return &c.HealthStatus },
			"the `statuses` of a healthy response", as(options.Statuses), shownDefault("below 400"),
			detail("One, a range, or several with commas between, as `200-299,401`; in a file also a number, or a "+
				"list.")),
		option("health_timeout", perRequest, func(c *Config) any { return &c.HealthTimeout },
			"`seconds` that a health check may take", from(1, ""), byDefault(seconds(spawner.DefaultHealthTimeout)),
			detail("`start_timeout` bounds it as well.")),
		option("health_host", perRequest, func(c *Config) any { return &c.HealthHost },
			"the `Host` of health checks and warm-up requests",
			shownDefault("the first of the application's `hosts`, else `localhost`")),
		option("warmup_paths", perRequest, func(c *Config) any { return &c.WarmupPaths },
			"a `path` to request of each new process; repeatable", flag("warmup-path"), otherFlag("warmup-paths"),
			detail("Once, before the process gets requests. In a file a list.")),
		option("warmup_required", perRequest, func(c *Config) any { return &c.WarmupRequired },
			"fail a start whose warm-up request fails",
			detail("One without a response, or with a status of 400 or more.")),
		option("force_max_concurrent_requests_per_process", perRequest,
			func(c *Config) any { return &c.ForceMaxConcurrency },
			"the `number` of requests that a process gets at once", otherFlag("concurrency"), from(-1, "no limit"),
			byDefault(-1),
			detail("-1 means what the process says. Of a program by a start command it is not known, and there is no "+
				"limit; `php -S`, `plackup` and `wsgiref` take one at a time.")),
		option("unlimited_concurrency_paths", perRequest, func(c *Config) any { return &c.UnlimitedConcurrencyPaths },
			"a `path` of WebSockets or event streams; repeatable", flag("unlimited-concurrency-path"),
			detail("By default those of a framework that is known to use them. Its requests go to processes of their "+
				"own, a group with ` (unlimited concurrency)` in its name, that take any number at once. `none` turns "+
				"the default off. See [WebSockets](frameworks.md#websockets).")),
	}
}

// checkEnvironment finds an empty one that was given: applications would take production for it, against the default.
func checkEnvironment(c *Config) error {
	if _, given := c.Sources["environment"]; given && c.Environment == "" {
		return errors.New("environment is empty: leave it out for its default, or name one, as production")
	}

	return nil
}
