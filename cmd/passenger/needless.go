package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// needlessCommands are those of the original's passenger-config by which images and installers make its parts.
var needlessCommands = []string{
	"build-native-support",
	"compile-agent",
	"compile-nginx-engine",
	"download-agent",
	"download-nginx-engine",
	"install-agent",
	"install-standalone-runtime",
}

// newNeedlessCommand succeeds, so that an installation that was written for the original does.
func newNeedlessCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:    name,
		Short:  "Do nothing: there is nothing to install",
		Hidden: true,
		// --auto, --force and the like choose how to do nothing.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Nothing to do for %s: this version of Passenger is one binary, "+
				"which has all of its parts. This line can be removed.\n", name)

			return err
		},
	}
}
