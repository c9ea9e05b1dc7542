package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/watchdog"
)

// newCoreCommand is what the watchdog starts.
func newCoreCommand(signals <-chan os.Signal) *cobra.Command {
	return &cobra.Command{
		Use:    agent.CoreCommand,
		Short:  "Serve for a watchdog, which starts this command",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parent, err := watchdog.Attach()
			if err != nil {
				return err
			}
			tuneRuntime()
			return agent.RunCore(cmd.Context(), parent, signals)
		},
	}
}
