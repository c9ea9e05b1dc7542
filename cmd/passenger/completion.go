package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
)

// completionTimeout bounds the wait after the tab key.
const completionTimeout = 2 * time.Second

// completeInstances completes names of instances.
func completeInstances(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}

	var names []string
	for _, i := range instancedir.List(instancedir.Registries(os.Getenv)).Instances {
		names = append(names, fmt.Sprintf("%s\tPID %d, %s", i.Name, i.Properties.WatchdogPID,
			i.Properties.ServerSoftware))
	}

	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeApps completes something of the applications of the instance.
func completeApps(which *selection, value func(admin.App) string,
	otherwise cobra.ShellCompDirective,
) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		var values []string
		for _, app := range visibleApps(which) {
			values = append(values, admin.Printable(value(app)))
		}

		return values, otherwise
	}
}

// completePIDs completes ids of processes.
func completePIDs(which *selection) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var pids []string
		if len(args) == 0 {
			for _, app := range visibleApps(which) {
				for _, pid := range app.PIDs {
					pids = append(pids, fmt.Sprintf("%d\t%s", pid, admin.Printable(app.Name)))
				}
			}
		}

		return pids, cobra.ShellCompDirectiveNoFileComp
	}
}

// visibleApps returns nil on error, which a completion cannot show.
func visibleApps(which *selection) []admin.App {
	instance, err := which.choose(instancedir.List(instancedir.Registries(os.Getenv)))
	if err != nil {
		return nil
	}

	c, err := client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount)
	if err != nil {
		return nil
	}

	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	apps, err := admin.Apps(ctx, c)
	if err != nil {
		return nil
	}

	return apps
}
