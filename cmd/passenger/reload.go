package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
)

// reloadTime is how long a new core may take until it serves.
const reloadTime = 90 * time.Second

func (t tools) newReloadCommand() *cobra.Command {
	var which selection
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let an instance read its configuration anew",
		Long: `Reload lets an instance read its configuration anew: the files, with the environment
and the command line that it was started with. A new core with new processes serves
from then on; the old one answers the requests that it has, so none is lost. If the
configuration is wrong, all stays as it is, and reload says why.

Addresses, sockets, log and pid files, users, hooks and what is recorded of requests
are fixed until the instance is restarted.`,
		Example: "  passenger reload\n  passenger-config reload --instance 8mWQ1Lxd",
		Args:    noArguments,
	}
	which.addFlags(cmd)
	which.addIgnoreFlag(cmd)
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		instance, err := which.find(cmd)
		if instance == nil {
			return err
		}
		c, err := client(instance, instancedir.WatchdogAPI, instancedir.FullAccount)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, reloadTime)
		defer cancel()
		if _, err := c.Post(ctx, "/reload.json", nil); err != nil {
			return explain(instance, err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s serves with its configuration as it is now\n", admin.Product)
		return err
	})
	return cmd
}
