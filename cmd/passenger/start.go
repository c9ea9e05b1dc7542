package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/sysmem"
)

const startHelp = `Start serves the web application in a directory, by default the current one.

What is in the directory says what kind of application it is and how it is started:
Ruby (Rack, Rails), Python (Django, Flask, FastAPI and others), Node.js (Express, Next.js
and others), Meteor, Go, Deno, Bun or a Procfile; 'passenger detect' shows it, with the
interpreter that .ruby-version, .nvmrc and the like choose. Name any other program with
--start-command: it serves HTTP on 127.0.0.1 and the port in the environment variable
PORT, or speaks the spawn protocol, as Go programs with the package loaders/goapp do.

Options come from these places; later ones count more:
  ~/.passenger/standalone/config.json
  Passengerfile.json (or passenger-standalone.json) in the application's directory
  environment variables: PASSENGER_PORT for --port and so on
  the command line

Files in the application's directory "public" are served without the application. The
first Ctrl-C or SIGTERM lets running requests finish, a second one ends everything at
once. 'passenger config --show' prints each option and where it came from.`

const gcPercent = 400

// tuneRuntime sets what the environment does not.
func tuneRuntime() {
	if os.Getenv("GOGC") == "" {
		// Requests leave garbage and little else: fewer collections cost a few
		// megabytes.
		debug.SetGCPercent(gcPercent)
	}

	if os.Getenv("GOMEMLIMIT") == "" {
		// The other half is the applications', and buffers' that are no garbage. Above the limit the garbage is
		// collected at once.
		debug.SetMemoryLimit(sysmem.Total() / 2)
	}

	if os.Getenv("GOMAXPROCS") == "" {
		// The other half is the applications': they do most of the work, and
		// threads of ours that look for something to do get in their way.
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

func newStartCommand(signals chan os.Signal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start [directory]",
		Short: "Serve an application",
		Long:  startHelp,
		Example: "  passenger start\n  passenger start /srv/shop --environment production --port 8080\n" +
			"  passenger start --start-command 'php -S 127.0.0.1:$PORT -t public'",
		Args: named(atMostOneArgument("directory")),
	}
	addStartFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l := newLoader(cmd, options.Start)
		return start(cmd, l.warningAfter(func() (agent.Config, error) { return l.loadChecked(args) }), signals)
	}

	return cmd
}

// complete returns what load does, with what follows from it.
func complete(load func() (agent.Config, error)) (agent.Config, error) {
	cfg, err := load()
	if err != nil {
		return cfg, err
	}

	// The server in the background has no other place for its log, and is found by its pid file.
	if cfg.Daemonize {
		if cfg.LogFile == "" {
			cfg.LogFile = cfg.DefaultLogFile()
		}

		if cfg.PIDFile == "" {
			cfg.PIDFile = cfg.DefaultPIDFile()
		}
	}

	return cfg, cfg.ReadEnvironment(os.Getenv)
}

// start serves with the configuration that load returns until a signal comes, in
// the background if that says so.
func start(cmd *cobra.Command, load func() (agent.Config, error), signals chan os.Signal) error {
	outliveReaders()
	endByQuit(signals)
	ctx, out, errOut := cmd.Context(), serverOutput(cmd), cmd.ErrOrStderr()
	reconfigure := func() (agent.Config, error) { return complete(load) }
	loaded, err := reconfigure()
	if err != nil {
		return err
	}

	cfg := &loaded
	// After the configuration was read, in which paths may be relative: the reporter changes the directory.
	report, err := newReporter()
	if err != nil {
		return err
	}

	if cfg.Daemonize && report == nil {
		// A fault must show here, and not in the log of a server that has ended.
		if err := cfg.Validate(); err != nil {
			return err
		}

		return inBackground(ctx, cfg, signals, out, errOut)
	}

	r := &running{
		cfg:        cfg,
		signals:    signals,
		report:     report,
		out:        out,
		errOut:     errOut,
		onTerminal: hasTerminal(),
	}

	ports, err := cfg.Become(ctx)
	if err != nil {
		return r.notStarted(err)
	}

	if r.instance, err = agent.Start(ctx, *cfg, ports, reconfigure); err != nil {
		return r.notStarted(err)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.serveSignals(ctx)

	return r.run(ctx, cancel)
}

// outliveReaders keeps SIGPIPE from ending this program when the reader of its log has
// gone, as a pager or a log service that is restarted: the log loses lines then. Children
// have the default, which signal.Ignore would take from them. Tools are to end by it.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// endByQuit makes SIGQUIT one of the signals that end the server, as with nginx, unicorn and php-fpm, where Go would
// print what each goroutine does and lose requests. The core, which the watchdog asks in this way what it does, and the
// tools keep that.
func endByQuit(signals chan os.Signal) {
	if signals != nil && !signal.Ignored(syscall.SIGQUIT) {
		signal.Notify(signals, syscall.SIGQUIT)
	}
}

// serveSignals does what signals ask for that do not end the server: SIGCHLD, which
// means that there are children to wait for, and SIGUSR1, to open the log files again.
// For those that mean something to other servers, it says what to do instead.
func (r *running) serveSignals(ctx context.Context) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	// A terminal sends them to a program in its background, which it is to stop.
	if !r.onTerminal {
		signal.Notify(signals, syscall.SIGTTIN, syscall.SIGTTOU)
	}

	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGUSR1:
				// An error was logged.
				_ = r.instance.ReopenLogs()
			case syscall.SIGUSR2:
				r.say("SIGUSR2 does nothing here: 'passenger restart-app' restarts applications, 'passenger reload' " +
					"takes over another configuration or version of this program")
			case syscall.SIGTTIN, syscall.SIGTTOU:
				r.say(signalName(s) + " does nothing here: the number of processes is that of the options " +
					"min_instances and max_pool_size, which 'passenger reload' reads again")
			}

			r.instance.Reap()
		case <-ctx.Done():
			return
		}
	}
}

func signalName(s os.Signal) string {
	number, _ := s.(syscall.Signal)
	return unix.SignalName(number)
}

// stopCommand is how a server in the background is ended, from any directory.
func stopCommand(cfg *agent.Config) string {
	// The command has neither the files nor the flags that this server has.
	registry := ""
	if cfg.InstanceRegistryDir != "" {
		registry = " --instance-registry-dir " + cfg.InstanceRegistryDir
	}

	switch {
	case cfg.PIDFile != cfg.DefaultPIDFile():
		return "passenger stop --pid-file " + cfg.PIDFile + registry
	case cfg.SocketFile != "":
		return "passenger stop " + cfg.Dir + " --socket " + cfg.SocketFile + registry
	}

	return fmt.Sprintf("passenger stop %s --port %d", cfg.Dir, cfg.Port) + registry
}

// banner tells where the server is.
func banner(cfg *agent.Config, urls []string) string {
	if cfg.Flying != nil {
		return flyingBanner(cfg)
	}

	const width = 79
	title := " Passenger web server started "
	left := (width - len(title)) / 2
	var b strings.Builder
	fmt.Fprintln(&b, strings.Repeat("=", left)+title+strings.Repeat("=", width-left-len(title)))
	if cfg.PIDFile != "" {
		fmt.Fprintf(&b, "PID file:            %s\n", cfg.PIDFile)
	}

	if cfg.LogFile != "" {
		fmt.Fprintf(&b, "Log file:            %s\n", cfg.LogFile)
	}

	if len(cfg.Apps) == 0 {
		fmt.Fprintf(&b, "Application:         %s\n", cfg.Dir)
	}

	for _, app := range cfg.Apps {
		fmt.Fprintf(&b, "Application:         %s, for %s\n", app.Config.Dir, app.Addresses())
	}

	fmt.Fprintf(&b, "Environment:         %s\n", cfg.Environment)
	fmt.Fprintf(&b, "Accessible via:      %s\n\n", strings.Join(urls, ", "))
	if cfg.Daemonize {
		fmt.Fprintf(&b, "Serving in the background: '%s' ends it.\n", stopCommand(cfg))
	} else {
		fmt.Fprintln(&b, "You can stop it by pressing Ctrl-C.")
	}

	fmt.Fprintln(&b, strings.Repeat("=", width))

	// The name of a directory may have anything in it.
	return printable.Text(b.String())
}
