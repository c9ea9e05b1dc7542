package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
)

const startHelp = `Start serves the web application in a directory, the current one by default.

What kind of application it is shows by its startup file: config.ru (Ruby, Rack),
passenger_wsgi.py (Python, WSGI), app.js (Node.js) or .meteor (Meteor). Any other
program is started with --start-command: it serves HTTP on 127.0.0.1 and the port
in the environment variable PORT, or speaks the spawn protocol, as Go programs do
that use the package loaders/goapp.

Options come from, later ones counting more:
  ~/.passenger/standalone/config.json
  Passengerfile.json (or passenger-standalone.json) in the application's directory
  environment variables: PASSENGER_PORT for --port and so on
  the command line

Files in the application's directory "public" are served without the
application. The first Ctrl-C or SIGTERM lets running requests finish, a second
one ends everything at once.`

const gcPercent = 400

// tuneRuntime sets what the environment does not.
func tuneRuntime() {
	if os.Getenv("GOGC") == "" {
		// Requests leave garbage and little else: fewer collections cost a few
		// megabytes.
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// The other half is the applications': they do most of the work, and
		// threads of ours that look for something to do get in their way.
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

func newStartCommand(signals <-chan os.Signal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start [directory]",
		Short: "Serve an application",
		Long:  startHelp,
		Example: "  passenger start\n  passenger start /srv/shop --environment production --port 8080\n" +
			"  passenger start --start-command 'php -S 127.0.0.1:$PORT -t public'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%d directories were given: start serves one application", len(args))
			}
			return nil
		},
	}
	addStartFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "."
		if len(args) == 1 {
			dir = args[0]
		}
		dir, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		l := loader{dir: dir, flags: cmd.Flags(), getenv: os.Getenv, warn: func(s string) {
			fmt.Fprintf(cmd.ErrOrStderr(), "passenger: warning: %s\n", s)
		}}
		cfg, err := l.load()
		if err != nil {
			return err
		}
		return start(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr(), signals)
	}
	return cmd
}

// start serves until a signal comes.
func start(ctx context.Context, cfg agent.Config, out, errOut io.Writer, signals <-chan os.Signal) error {
	instance, err := agent.Start(ctx, cfg, agent.NewLogger(errOut, cfg.LogLevel))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go reapOrphans(ctx, instance)
	printBanner(out, cfg, instance.URL())
	var failure error
	select {
	case <-signals:
	case failure = <-instance.Ended():
	}
	if failure == nil {
		fmt.Fprintln(out, "Stopping: running requests may finish. Press Ctrl-C again to stop at once.")
	} else {
		fmt.Fprintf(errOut, "passenger: the server cannot go on: %v\n", failure)
	}
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := instance.Shutdown(ctx); err != nil {
		return fmt.Errorf("the shutdown was forced: %w", err)
	}
	if failure != nil {
		return failure
	}
	fmt.Fprintln(out, "Stopped.")
	return nil
}

// reapOrphans waits for what processes of ours have left behind and nobody else
// waits for.
func reapOrphans(ctx context.Context, instance *agent.Instance) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		select {
		case <-ended:
			instance.Reap()
		case <-ctx.Done():
			return
		}
	}
}

func printBanner(w io.Writer, cfg agent.Config, url string) {
	const width = 79
	title := " Passenger web server started "
	left := (width - len(title)) / 2
	fmt.Fprintln(w, strings.Repeat("=", left)+title+strings.Repeat("=", width-left-len(title)))
	fmt.Fprintf(w, "Application:         %s\n", cfg.Dir)
	fmt.Fprintf(w, "Environment:         %s\n", cfg.Environment)
	fmt.Fprintf(w, "Accessible via:      %s\n\n", url)
	fmt.Fprintln(w, "You can stop it by pressing Ctrl-C.")
	fmt.Fprintln(w, strings.Repeat("=", width))
}
