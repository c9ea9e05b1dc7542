package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/agent"
)

// stopTime is how long a server may take to end until stop gives up.
const stopTime = 25 * time.Second

func (t tools) newStopCommand() *cobra.Command {
	var ignoreMissing bool
	cmd := &cobra.Command{
		Use:   "stop [directory]",
		Short: "Stop a server that was started in the background",
		Long: `Stop ends the server of the application in a directory, by default the current one, that
was started with --daemonize or --pid-file. Running requests may finish. It returns when
the server has ended, or after 25 seconds with an error.`,
		Example: "  passenger stop\n  passenger stop /srv/shop --port 8080",
		Args:    named(atMostOneArgument("instance")),
	}
	addServerFlags(cmd.Flags(), append([]string{"instance_registry_dir"}, serverFileKeys...))
	cmd.Flags().BoolVarP(&ignoreMissing, "ignore-pid-not-found", "i", false,
		"exit successfully if there is no pid file")
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		cfg, err := loadConfig(cmd, args)
		if err != nil {
			return err
		}

		server, path, err := findServer(ctx, &cfg)
		if errors.Is(err, fs.ErrNotExist) && ignoreMissing {
			return nil
		}

		if err != nil {
			return err
		}

		defer server.Close()
		if !server.Alive {
			return fmt.Errorf("the server is not running, according to the pid file %s: it was left behind and can "+
				"be removed", path)
		}

		return stop(ctx, &cfg, server, stopTime)
	})

	return cmd
}

// stop asks the server's watchdog to end, once it can be asked: a server that starts cannot yet, and one that ends
// cannot any more. The pid file may be another user's: no process is signalled by it.
func stop(ctx context.Context, cfg *agent.Config, server *agent.RunningServer, patience time.Duration) error {
	// The two ends of ctx have different messages.
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	again := time.NewTicker(stopInterval)
	defer again.Stop()

	ended := server.Ended()

	var unasked error // why it could not be asked
	for asked := false; ; {
		if !asked && ctx.Err() == nil {
			err := askToEnd(ctx, cfg, server.PID)
			if err != nil && ctx.Err() == nil && !startsOrEnds(err) {
				return err
			}

			asked, unasked = err == nil, err
		}

		select {
		case <-ended:
			return nil
		case <-again.C:
		case <-ctx.Done():
			if interrupted.Err() != nil {
				return fmt.Errorf("interrupted while the server with PID %d had not ended", server.PID)
			}

			if isUnknown(unasked) {
				return fmt.Errorf("the server with PID %d runs and cannot be asked to end: no instance in %s is its: "+
					"name its directory with --instance-registry-dir, or end it with 'kill %d'", server.PID,
					strings.Join(registriesOf(cfg), ", "), server.PID)
			}

			return fmt.Errorf("the server with PID %d has not ended within %s: it may still have requests; wait for "+
				"them, or end it at once with 'kill %d', or else SIGKILL", server.PID, patience, server.PID)
		}
	}
}

// stopInterval is the time between two attempts to ask.
const stopInterval = 200 * time.Millisecond

func askToEnd(ctx context.Context, cfg *agent.Config, pid int) error {
	instance, err := instancedir.List(registriesOf(cfg)).SelectPID(pid)
	if err != nil {
		return err
	}

	client := &apiserver.Client{Socket: instance.Socket(instancedir.WatchdogAPI)}
	if client.Password, err = instance.FullPassword(); err == nil {
		client.Name = instancedir.FullAccount
	}

	_, err = client.Post(ctx, "/shutdown.json", nil)

	return err
}

// isUnknown reports whether no instance is that of a server.
func isUnknown(err error) bool {
	_, none := errors.AsType[*instancedir.NotFoundError](err)
	return none || errors.Is(err, instancedir.ErrNoneRunning)
}

// startsOrEnds reports whether a server could not be asked because it does not take calls yet, or any more.
func startsOrEnds(err error) bool {
	if isUnknown(err) {
		return true
	}

	errno, ok := errors.AsType[syscall.Errno](err)

	return ok && slices.Contains(goneErrors, errno) || errors.Is(err, io.EOF)
}
