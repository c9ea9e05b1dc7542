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

func (t tools) newReopenLogsCommand() *cobra.Command {
	var which selection
	var ignoreMissing bool
	cmd := &cobra.Command{
		Use:   "reopen-logs",
		Short: "Reopen the log files of an instance",
		Long: "Reopen-logs lets an instance open its log files again by their names, after something\n" +
			"like logrotate has moved them.",
		Example: "  mv /var/log/shop.log /var/log/shop.log.1 && passenger-config reopen-logs",
		Args:    noArguments,
	}
	which.addFlags(cmd)
	which.addIgnoreFlag(cmd)
	cmd.Flags().BoolVar(&ignoreMissing, "ignore-logs-not-available", false,
		"exit successfully if the instance has no log file")
	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		instance, err := which.find(cmd)
		if instance == nil {
			return err
		}

		for _, agent := range []struct{ socket, path, name string }{
			{instancedir.WatchdogAPI, "/reopen_logs.json", "watchdog"},
			{instancedir.CoreAPI, "/reinherit_logs.json", "core"},
		} {
			fmt.Fprintf(cmd.OutOrStdout(), "Reopening logs for %s %s\n", admin.Product, agent.name)
			c, err := client(instance, agent.socket, instancedir.FullAccount)
			if err != nil {
				return err
			}

			if err := reopenLogs(ctx, c, agent.path); err != nil && (!ignoreMissing || !hasNoLog(err)) {
				return explain(instance, err)
			}
		}

		fmt.Fprintln(cmd.OutOrStdout(), "All done")

		return nil
	})

	return cmd
}

func reopenLogs(ctx context.Context, c *apiserver.Client, path string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.Post(ctx, path, nil)

	return err
}

// hasNoLog reports whether the agent writes to its standard error, and would not know how to
// open that.
func hasNoLog(err error) bool {
	e, ok := errors.AsType[*apiserver.StatusError](err)
	return ok && e.Code == "NO_LOG_FILE"
}
