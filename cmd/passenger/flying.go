package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
)

const flyingHelp = `Flying serves many applications, for an nginx or Apache in front of it that can be
restarted while they go on. It listens on a Unix socket and takes SCGI and HTTP
there. Which application a request is for, and with what options, the web
server's configuration says with each request; an application is known from its
first request on. Requests without the password of the password file are refused.
That file is made, with a good password in it, if it is missing.

As root, each application runs as the owner of its startup file, and never as
root.

Options come from, later ones counting more:
  the file that --config-file names, a JSON object
  environment variables: PASSENGER_SOCKET_FILE for --socket-file and so on
  the command line

Those about applications count where the web server says nothing else. SIGINT or
SIGTERM lets running requests finish, a second one ends everything at once.
SIGUSR1 opens the log files anew.`

var flyingDefaults = agent.DefaultFlyingConfig()

// flyingOptions are those that are only here, and some of start's.
var flyingOptions = slices.Concat([]option{
	{
		key:   "socket_file",
		flag:  "socket-file",
		short: "S",
		kind:  kindPath,
		usage: "the Unix socket `file` to listen on; needed",
	},
	{
		key:   "socket_mode",
		flag:  "socket-mode",
		usage: "the `mode` of that file, in octal digits (default " + flyingDefaults.Flying.SocketMode + ")",
	},
	{
		key:  "password_file",
		flag: "password-file",
		kind: kindPath,
		usage: "the `file` with the password that web servers must know; it is made if it is missing (default: the " +
			"socket file's name and .password)",
	},
	{
		key:  "user",
		flag: "user",
		usage: "as root, become this `user` when the ports are open, and before anything else; all applications run " +
			"as it then",
	},
	{
		key:   "user_switching",
		flag:  "user-switching",
		kind:  kindBool,
		usage: "as root, run each application as its own user; else all of them run as the default user (default true)",
	},
	{
		key:   "default_user",
		flag:  "default-user",
		usage: "the `user` of applications that would run as root (default " + flyingDefaults.Flying.DefaultUser + ")",
	},
	{key: "default_group", flag: "default-group", usage: "the `group` of these (default: that user's)"},
	{
		key:  "pool_idle_time",
		flag: "pool-idle-time",
		kind: kindInt,
		usage: fmt.Sprintf("after how many `seconds` an idle process is stopped, and an application forgotten that "+
			"has none, 0 for never (default %d)", flyingDefaults.PoolIdleTime),
	},
	{
		key:   "max_instances_per_app",
		flag:  "max-instances-per-app",
		kind:  kindInt,
		usage: "the largest `number` of processes of each application, 0 for no limit but that of all (default 0)",
	},
	{
		key:  "stat_throttle_rate",
		flag: "stat-throttle-rate",
		kind: kindInt,
		usage: fmt.Sprintf("how many `seconds` pass between two looks for an application's restart.txt (default %d)",
			flyingDefaults.Flying.StatThrottleRate),
	},
	{
		key:  "min_instances",
		flag: "min-instances",
		kind: kindInt,
		usage: fmt.Sprintf("the `number` of processes of each application that are there at all times once it was "+
			"asked for; with 0, one that nobody asks for any more goes (default %d)", flyingDefaults.MinInstances),
	},
	{
		key:   "environment",
		flag:  "environment",
		short: "e",
		usage: "the environment `name` of applications (default " + flyingDefaults.Environment + ")",
	},
	{
		key:   "load_shell_envvars",
		flag:  "load-shell-envvars",
		kind:  kindBool,
		usage: "start processes by the login shell of their user, with what its profile sets (default true)",
	},
}, optionsOf(startOptions, []string{
	"max_pool_size", "max_preloader_idle_time", "max_request_queue_size", "start_timeout", "app_file_descriptor_ulimit",
	"max_requests", "max_unanswered_requests", "max_queue_share", "max_header_size", "max_header_field_size",
	"max_target_size", "max_response_header_size", "max_connections", "max_connections_per_client", "memory_limit",
	"hard_memory_limit", "rolling_restarts", "ctls",
	"ruby", "python", "nodejs", "friendly_error_pages", "thread_count",
	"request_buffering", "max_request_body_size", "response_buffer_high_watermark", "max_buffer_size",
	"data_buffer_dir",
	"client_header_timeout", "client_timeout", "client_min_rate", "client_stall_timeout", "keepalive_timeout",
	"http2_cleartext",
	"max_request_time", "max_request_queue_time",
	"request_queue_overflow_status_code", "request_queue_timeout_status_code", "spawn_exception_status_code",
	"turbocaching", "abort_websockets_on_process_shutdown", "trusted_proxies", "trusted_headers", "sendfile",
	"show_version_in_header", "access_log", "metrics_address", "drain_delay",
	"no_new_privileges", "kept_capabilities", "syscall_filter",
	"daemonize", "pid_file", "log_file", "log_format", "app_log_file", "max_output_rate", "log_level",
	"error_report_dir", "instance_registry_dir",
}))

const (
	configFileFlag      = "config-file"
	noUserSwitchingFlag = "no-user-switching"
)

// newFlyingCommand is flying-passenger, as a program or a command.
func newFlyingCommand(name string, signals <-chan os.Signal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: "Serve many applications for an nginx or Apache",
		Long:  flyingHelp,
		Example: "  passenger flying --socket-file /run/passenger/passenger.sock\n  flying-passenger --socket-file " +
			"/run/passenger/passenger.sock --daemonize --log-file /var/log/passenger.log",
		Args: cobra.NoArgs,
	}
	addFlags(cmd.Flags(), flyingOptions)
	cmd.Flags().String(configFileFlag, "", "a `file` with options, a JSON object")
	cmd.Flags().Bool(noUserSwitchingFlag, false, "the same as --user-switching=false")
	cmd.MarkFlagsMutuallyExclusive(noUserSwitchingFlag, "user-switching")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l := newLoader(cmd, flyingOptions)
		return start(cmd, l.loadFlying, signals)
	}

	return cmd
}

// newFlyingProgram also is what its watchdog starts.
func newFlyingProgram(signals <-chan os.Signal) *cobra.Command {
	cmd := newFlyingCommand("flying-passenger", signals)
	cmd.AddCommand(newCoreCommand(signals))
	return cmd
}

// flyingBanner is for whoever waits for a server in the background; the log has
// what others want to know.
func flyingBanner(cfg *agent.Config) string {
	if !cfg.Daemonize {
		return ""
	}

	return fmt.Sprintf("Flying Passenger serves in the background on %s. Its process id is in %s, its log is %s.\n",
		cfg.SocketFile, cfg.PIDFile, cfg.LogFile)
}

func (l *loader) loadFlying() (agent.Config, error) {
	cfg := agent.DefaultFlyingConfig()
	k, err := l.merge(l.namedFile, l.environment, l.commandLine)
	if err != nil {
		return cfg, err
	}

	if err := errors.Join(k.Unmarshal("", &cfg), k.Unmarshal("", cfg.Flying)); err != nil {
		return cfg, err
	}

	if off, err := l.flags.GetBool(noUserSwitchingFlag); err != nil || off {
		cfg.Flying.UserSwitching = false
	}

	if cfg.Daemonize && cfg.LogFile == "" {
		return cfg, errors.New("in the background nobody would see what is logged: name a file with --log-file")
	}

	if cfg.Daemonize && cfg.PIDFile == "" {
		cfg.PIDFile = cfg.SocketFile + ".pid"
	}

	return cfg, l.checkRoot(&cfg)
}

// namedFile reads the configuration file that the command line names.
func (l *loader) namedFile() (map[string]any, error) {
	path, err := l.flags.GetString(configFileFlag)
	if err != nil || path == "" {
		return nil, err
	}

	if !filepath.IsAbs(path) {
		path = filepath.Join(l.cwd, path)
	}

	values, err := l.file(path)
	if values == nil && err == nil {
		return nil, fmt.Errorf("there is no configuration file %s", path)
	}

	return values, err
}
