package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

const flyingHelp = `Flying serves many applications behind an nginx or Apache, which can be restarted while
the applications run. It listens on a Unix socket, and takes SCGI and HTTP there. With
each request the web server says which application it is for, and with what options.
Requests without the password of the password file are refused; the file is made, with
a good password in it, if it is missing.

As root, each application runs as the owner of its startup file, and never as root.

Options come from these places; later ones count more:
  the file that --config-file names, a JSON object
  environment variables: PASSENGER_SOCKET_FILE for --socket-file and so on
  the command line

Options about applications count where the web server says nothing else. SIGINT or
SIGTERM lets running requests finish, a second one ends everything at once. SIGUSR1
opens the log files again.`

const configFileFlag = "config-file"

// newFlyingCommand is flying-passenger, as a program or a command.
func newFlyingCommand(name string, signals chan os.Signal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: "Serve many applications for an nginx or Apache",
		Long:  flyingHelp,
		Example: "  passenger flying --socket-file /run/passenger/passenger.sock\n  flying-passenger --socket-file " +
			"/run/passenger/passenger.sock --daemonize --log-file /var/log/passenger.log",
		Args: named(noArguments),
	}
	addFlags(cmd.Flags(), options.Flying)
	cmd.Flags().String(configFileFlag, "", "a `file` with options, a JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l := newLoader(cmd, options.Flying)
		return start(cmd, l.warningAfter(l.loadFlying), signals)
	}

	return cmd
}

// newFlyingProgram also is what its watchdog starts.
func newFlyingProgram(signals chan os.Signal) *cobra.Command {
	cmd := newFlyingCommand("flying-passenger", signals)
	cmd.AddCommand(newCoreCommand(signals))
	return cmd
}

// flyingBanner is for the user who waits for a server in the background; the log has
// the rest.
func flyingBanner(cfg *agent.Config) string {
	if !cfg.Daemonize {
		return ""
	}

	return fmt.Sprintf("Flying Passenger serves in the background on %s. Its process id is in %s, its log is %s.\n",
		cfg.SocketFile, cfg.PIDFile, cfg.LogFile)
}

func (l *loader) loadFlying() (agent.Config, error) {
	cfg := agent.DefaultFlyingConfig()
	values, err := merge(l.namedFile, l.environment, l.commandLine)
	if err != nil {
		return cfg, err
	}

	cfg.Apply(values)

	// There is no directory of an application that could have a log.
	if cfg.Daemonize && cfg.LogFile == "" {
		return cfg, errors.New("in the background Flying needs a log file: name it with --log-file")
	}

	if cfg.Daemonize && cfg.PIDFile == "" {
		cfg.PIDFile = cfg.SocketFile + ".pid"
	}

	return cfg, l.checkRoot(&cfg)
}

// namedFile reads the configuration file that the command line names.
func (l *loader) namedFile() (layer, error) {
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
