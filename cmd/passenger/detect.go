package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/internal/printable"
)

// newDetectCommand is the command that says what start would do.
func (t tools) newDetectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "detect [directory]",
		Short: "Show what application a directory has, and how it would be started",
		Long: "Detect shows what 'passenger start' with the same arguments takes the application in a directory\n" +
			"for, by what it was recognized, and what else it could be. It reads files and executes none.\n\n" +
			"With --json it prints {directory, configured, found: [{framework, type, startupFile,\n" +
			"startCommand, because}], interpreters: [{language, path, version, from, wanted, wantedBy,\n" +
			"warning}], problem}; the first one found counts. The exit status is 1 where no application is\n" +
			"recognized, or it could not be started.",
		Example: "  passenger detect\n  passenger detect /srv/shop --json",
		Args:    named(atMostOneArgument("directory")),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addHiddenFlags(cmd.Flags(), newStartCommand(t.signals).Flags())

	cmd.RunE = t.run(func(_ context.Context, cmd *cobra.Command, args []string) error {
		cfg, err := newLoader(cmd, options.Start).load(args)
		if err != nil {
			return err
		}

		found, err := cfg.Recognize()
		if err != nil {
			return err
		}

		if asJSON {
			err = printJSON(cmd.OutOrStdout(), found)
		} else {
			_, err = fmt.Fprint(cmd.OutOrStdout(), printable.Text(found.Text()))
		}

		if err == nil && found.Problem != "" {
			return errSaid
		}

		return err
	})

	return cmd
}
