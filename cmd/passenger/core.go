package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// newCoreCommand is what the watchdog starts.
func newCoreCommand(signals <-chan os.Signal) *cobra.Command {
	return newAgentCommand(agent.CoreCommand, "Serve for a watchdog, which starts this command",
		func(cmd *cobra.Command, parent *watchdog.Parent) error {
			tuneRuntime()
			return agent.RunCore(cmd.Context(), parent, signals)
		})
}

// newRouterCommand is what the watchdog starts if transactions are wanted.
func newRouterCommand(signals <-chan os.Signal) *cobra.Command {
	return newAgentCommand(agent.RouterCommand, "Pass transactions on for a watchdog, which starts this command",
		func(cmd *cobra.Command, parent *watchdog.Parent) error {
			return agent.RunRouter(cmd.Context(), parent, signals)
		})
}

func newAgentCommand(name, short string, run func(*cobra.Command, *watchdog.Parent) error) *cobra.Command {
	return &cobra.Command{
		Use:    name,
		Short:  short,
		Hidden: true,
		Args:   named(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			outliveReaders()
			parent, err := watchdog.Attach()
			if err != nil {
				return err
			}

			err = run(cmd, parent)
			if _, logged := errors.AsType[*agent.LoggedError](err); logged {
				return errSaid
			}

			return err
		},
	}
}
