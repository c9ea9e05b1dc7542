package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/terminal"
)

const explainHelp = `Explain says what would become of a request that came to an application now, whether a
process would take it at once, or it would wait, or be refused, and why: processes and
their limits, the queue, the back-off after failed starts, a restart, a release that does
not start. Nothing changes by it.

The argument is the directory of the application, or the beginning of it; without one it
is the current directory. With --name it is the name of its group.

With --json it prints an array of {"app", "appRoot", "outcome", "reasons"}; outcome is
served, waits or refused. The status is 1 if there is no such application, and 0 whatever
the outcome is.`

// explanation says which application to explain, and how.
type explanation struct {
	which  selection
	name   string
	asJSON bool
}

func (t tools) newExplainCommand() *cobra.Command {
	e := &explanation{}
	cmd := &cobra.Command{
		Use:   "explain [path]",
		Short: "Say why the next request would wait or be refused",
		Long:  explainHelp,
		Example: "  passenger explain /srv/shop\n  passenger explain --name '/srv/shop (production)'\n" +
			"  passenger explain . --json | jq '.[].outcome'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && cmd.Flags().Changed("name") {
				return exit(1, "Please pass either a path or --name. See '%s --help' for more information.",
					cmd.CommandPath())
			}

			return atMostOneArgument("path")(cmd, args)
		},
		ValidArgsFunction: completeApps(&e.which, func(a admin.App) string { return a.Root },
			cobra.ShellCompDirectiveDefault),
	}
	e.which.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&e.name, "name", "", "the `name` of the application's group, as passenger-status shows it")
	f.BoolVar(&e.asJSON, "json", false, "print JSON")

	// the flag is there
	_ = cmd.RegisterFlagCompletionFunc("name", completeApps(&e.which, func(a admin.App) string { return a.Name },
		cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = t.run(e.run)

	return cmd
}

func (e *explanation) run(ctx context.Context, cmd *cobra.Command, args []string) error {
	find := e.which.find
	if !cmd.Flags().Changed("name") {
		find = func(cmd *cobra.Command) (*instancedir.Instance, error) {
			return e.which.findServing(cmd, append(args, ".")[0])
		}
	}

	instance, err := find(cmd)
	if instance == nil {
		return err
	}

	c, err := client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	apps, err := admin.Apps(ctx, c)
	if err != nil {
		return explain(instance, err)
	}

	chosen := admin.Named(apps, e.name)
	what := fmt.Sprintf("of the name %q", e.name)
	if !cmd.Flags().Changed("name") {
		path, err := admin.NewAppPath(append(args, ".")[0])
		if err != nil {
			return err
		}

		chosen, what = path.Match(apps), "whose directory begins with "+admin.Printable(path.Path)
	}

	if len(chosen) == 0 {
		return noAppToExplain(what, apps)
	}

	all, err := admin.Explain(ctx, c, admin.Names(chosen))
	if err != nil {
		return explain(instance, err)
	}

	if e.asJSON {
		return printJSON(cmd.OutOrStdout(), all)
	}

	colour := terminal.Colours(cmd.OutOrStdout(), false, os.Getenv)
	_, err = fmt.Fprint(cmd.OutOrStdout(), admin.ExplanationText(all, colour))

	return err
}

// noAppToExplain says what there is instead.
func noAppToExplain(what string, apps []admin.App) error {
	lines := []string{fmt.Sprintf("The instance has no application %s. If it is to serve one, its first request "+
		"starts a process.", what)}
	if len(apps) > 0 {
		lines = append(lines, "These applications are running:")
	}

	for _, a := range apps {
		lines = append(lines, "  "+appLine(a))
	}

	return exit(1, "%s", strings.Join(lines, "\n"))
}
