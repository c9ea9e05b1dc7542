package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
)

func (t tools) newListInstancesCommand() *cobra.Command {
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "list-instances",
		Short: "List running instances",
		Long: "List-instances lists the instances that run on this host, with the directories that\n" +
			"they serve and the addresses they listen on. With --json it prints an\n" +
			"array of what their properties.json says, each with the path of its directory\n" +
			"in instance_dir.path. Standard error names directories that cannot be used, and why, as of\n" +
			"an instance of another version.",
		Example: "  passenger-config list-instances\n  passenger list-instances --json",
		Args:    noArguments,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing when there are none")
	cmd.RunE = t.run(func(_ context.Context, cmd *cobra.Command, _ []string) error {
		listing := listInstances(cmd)
		for _, line := range notLookedAt(listing) {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}

		w, instances := cmd.OutOrStdout(), listing.Instances
		if asJSON {
			all := make([]instancedir.Properties, 0, len(instances))
			for i := range instances {
				all = append(all, instances[i].Properties)
			}

			return printJSON(w, all)
		}

		if len(instances) == 0 {
			if !quiet {
				fmt.Fprintf(w, "There are no %s instances running.\n", admin.Product)
			}

			return nil
		}

		printInstances(w, instances)

		return nil
	})

	return cmd
}
