package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
)

func (t tools) newReloadCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Reload the configuration of an instance",
		Long: `Reload lets an instance read its configuration again: the files, with the environment
and the command line that it was started with. A new core boots processes of each
application that has some. When all of them serve, it takes the requests; the old core
finishes those that it has, so none is lost and none waits for a boot. If the
configuration is wrong or an application does not start, nothing changes: the old
processes keep serving, reload says why, and its exit status is 1. If the file of this program
was replaced by another version, the new core runs that one.

With --force the new core serves as soon as each application has started or failed. Those that
have failed have error pages; the log and 'passenger status --show=errors' say why.

Addresses, sockets, log and pid files, users, hooks and the records of requests
are fixed until the instance is restarted.`,
		Example: "  passenger reload\n  passenger-config reload --instance 8mWQ1Lxd\n  passenger reload --pid $MAINPID",
		Args:    noArguments,
	}
	which.addFlags(cmd)
	which.addIgnoreFlag(cmd)
	pid := cmd.Flags().String("pid", "", "the `id` of a process of the instance")
	force := cmd.Flags().Bool("force", false, "reload also if applications do not start")
	cmd.MarkFlagsMutuallyExclusive("instance", "pid")
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		if *pid != "" {
			which.name, which.byPID = *pid, true
		}

		instance, err := which.find(cmd)
		if instance == nil {
			return err
		}

		return reload(ctx, cmd, instance, *force)
	})

	return cmd
}

func reload(ctx context.Context, cmd *cobra.Command, instance *instancedir.Instance, force bool) error {
	c, err := client(instance, instancedir.WatchdogAPI, instancedir.FullAccount)
	if err != nil {
		return err
	}

	// The server bounds it, by what its applications may take to start.
	_, err = c.Post(ctx, "/reload.json", map[string]bool{"force": force})
	if e, ok := errors.AsType[*apiserver.StatusError](err); ok && e.Message != "" {
		said := exit(1, "*** ERROR: %s is not reloaded: %s", admin.Product, admin.PrintableText(e.Message))
		fmt.Fprintln(cmd.ErrOrStderr(), said)

		// The core that still serves has got the failed starts.
		if core, err := client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount); err == nil {
			printFailures(ctx, cmd, core, e.Message)
		}

		return errSaid
	}

	if err != nil {
		return explain(instance, err)
	}

	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s serves with its configuration as it is now\n", admin.Product)

	return err
}
