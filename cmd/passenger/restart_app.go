package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/terminal"
)

const restartHelp = `Restart-app restarts applications of an instance: those whose directory begins with a
path, so that /srv/shop is also the beginning of /srv/shop2; "." is the current
directory. Where links lead to the directory, any of its names will do: the link, the
directory behind it, and with or without a slash at the end. With --name it is the one
whose group has exactly that name. Without either, a terminal shows a menu.

By default an application is restarted as it is configured. A rolling restart replaces
one process after the other, so that some serve at all times. A blocking one starts new
processes when the old ones are about to end; requests wait for that long.

With --wait the command ends when new processes serve: all of them in a rolling restart,
the first in a blocking one. It reports how many were replaced, and why if they do not
start. Ctrl-C ends the wait, and not the restart.

With --json it prints an array of {"name", "restarted", "error"}, where the last is
missing if there was none.`

// restartApp says which application to restart, and how.
type restartApp struct {
	which                   selection
	name                    string
	rolling, blocking, wait bool
	ignoreMissing, asJSON   bool
}

func (t tools) newRestartAppCommand() *cobra.Command {
	r := &restartApp{}
	cmd := &cobra.Command{
		Use:   "restart-app [path]",
		Short: "Restart applications",
		Long:  restartHelp,
		Example: "  passenger-config restart-app /srv/shop\n  passenger-config restart-app . --rolling-restart " +
			"--wait\n  passenger-config restart-app --name '/srv/shop (production)'",
		Args: atMostOneArgument("path"),
		ValidArgsFunction: completeApps(&r.which, func(a admin.App) string { return a.Root },
			cobra.ShellCompDirectiveDefault),
	}
	r.which.addFlags(cmd)
	r.which.addIgnoreFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&r.name, "name", "", "the `name` of the application's group, as passenger-status shows it")
	f.BoolVar(&r.rolling, "rolling-restart", false, "replace one process after the other")
	f.BoolVar(&r.blocking, "blocking-restart", false, "replace all processes at once")
	f.BoolVar(&r.wait, "wait", false, "wait until new processes serve")
	f.BoolVar(&r.ignoreMissing, "ignore-app-not-running", false, "exit successfully if there is no such application")
	f.BoolVar(&r.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("rolling-restart", "blocking-restart")

	// the flag is there
	_ = cmd.RegisterFlagCompletionFunc("name", completeApps(&r.which, func(a admin.App) string { return a.Name },
		cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = t.run(r.run)

	return cmd
}

func (r *restartApp) run(ctx context.Context, cmd *cobra.Command, args []string) error {
	in, out, terminals := terminalsOf(cmd)

	byMenu := len(args) == 0 && !cmd.Flags().Changed("name")
	switch {
	case len(args) == 1 && cmd.Flags().Changed("name"):
		return exit(1, "You've passed an app path prefix as well as --name. Please use one of them. See '%s --help' "+
			"for more information.", cmd.CommandPath())
	case len(args) == 1 && args[0] == "":
		// It may be that of a variable that is not set, and would be taken for the current directory.
		return exit(1, "The app path prefix is empty. To restart all applications, pass /.")
	case byMenu && !terminals:
		return exit(1, "Please pass either an app path prefix or an app group name. See '%s --help' for more "+
			"information.", cmd.CommandPath())
	}

	instance, err := r.find(ctx, cmd, args)
	if instance == nil {
		if err == nil && r.asJSON {
			return printJSON(cmd.OutOrStdout(), []restarted{})
		}

		return err
	}

	c, err := client(instance, instancedir.CoreAPI, instancedir.FullAccount)
	if err != nil {
		return err
	}

	apps, err := listApps(ctx, c)
	if err != nil {
		return explain(instance, err)
	}

	var names []string
	switch {
	case byMenu:
		if names, err = r.choose(ctx, admin.Names(apps), in, out); err != nil {
			return err
		}
	case len(args) == 0:
		names = admin.Names(admin.Named(apps, r.name))
	default:
		path, err := admin.NewAppPath(args[0])
		if err != nil {
			return err
		}

		names = admin.Names(path.Match(apps))
	}

	if len(names) == 0 {
		return r.none(cmd, args, apps)
	}

	return r.restart(ctx, cmd, instance, c, names)
}

// find returns the instance that was asked for, or of several the one that has an application at the path or serves it.
func (r *restartApp) find(ctx context.Context, cmd *cobra.Command, args []string) (*instancedir.Instance, error) {
	if len(args) == 1 && !r.which.isGiven() {
		if all := listInstances(cmd).Instances; len(all) > 1 {
			if having := havingApp(ctx, all, args[0]); len(having) == 1 {
				return &having[0], nil
			}
		}

		return r.which.findServing(cmd, args[0])
	}

	return r.which.find(cmd)
}

// havingApp returns those of root's and this user's own instances that have an application at a path. Those of others
// could say so of any.
func havingApp(ctx context.Context, all []instancedir.Instance, path string) (having []instancedir.Instance) {
	prefix, err := admin.NewAppPath(path)
	if err != nil {
		return nil
	}

	for i := range all {
		if all[i].UID != 0 && all[i].UID != os.Geteuid() {
			continue
		}

		c, err := client(&all[i], instancedir.CoreAPI, instancedir.ReadOnlyAccount)
		if err != nil {
			continue // it cannot be asked, nor told to restart
		}

		asking, cancel := context.WithTimeout(ctx, 2*promptly)
		apps, err := admin.Apps(asking, c)

		cancel()

		if err == nil && len(prefix.Match(apps)) > 0 {
			having = append(having, all[i])
		}
	}

	return having
}

func listApps(ctx context.Context, c *apiserver.Client) ([]admin.App, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return admin.AllApps(ctx, c)
}

// terminalsOf returns input and output, if both are terminals.
func terminalsOf(cmd *cobra.Command) (in, out *os.File, ok bool) {
	in, inOK := cmd.InOrStdin().(*os.File)
	out, outOK := cmd.OutOrStdout().(*os.File)
	return in, out, inOK && outOK && terminal.Is(in) && terminal.Is(out)
}

// choose is the menu.
func (r *restartApp) choose(ctx context.Context, names []string, in, out *os.File) ([]string, error) {
	if len(names) == 0 {
		return nil, exit(1, "%s is currently not serving any applications.", admin.Product)
	}

	m := terminal.Menu{
		Title: "Please select the application to restart.",
		Plain: os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "",
	}
	for _, name := range names {
		m.Items = append(m.Items, admin.Printable(name))
	}

	chosen, err := m.Choose(ctx, in, out)
	if errors.Is(err, terminal.ErrCancelled) {
		return nil, exit(1, "Nothing is restarted.")
	}

	if err != nil {
		return nil, err
	}

	return []string{names[chosen]}, nil
}

func (r *restartApp) none(cmd *cobra.Command, args []string, apps []admin.App) error {
	text := fmt.Sprintf("There is no %s-served application running with the app group name '%s'.", admin.Product,
		admin.Printable(r.name))
	near := admin.NearName(apps, r.name)
	if len(args) == 1 {
		path, err := admin.NewAppPath(args[0])
		if err != nil {
			return err
		}

		text = fmt.Sprintf("There are no %s-served applications running whose paths begin with '%s'.", admin.Product,
			admin.Printable(path.Path))
		near = path.Near(apps)
	}

	if r.asJSON {
		if err := printJSON(cmd.OutOrStdout(), []restarted{}); err != nil {
			return err
		}
	}

	for _, a := range near {
		text += "\nDid you mean " + appLine(a) + "?"
	}

	if r.ignoreMissing {
		fmt.Fprintln(cmd.ErrOrStderr(), text)
		return nil
	}

	if len(apps) == 0 {
		return exit(1, "%s\nThe instance serves no applications.", text)
	}

	text += "\nThese applications are running:"
	for _, a := range apps {
		text += "\n  " + appLine(a)
	}

	return exit(1, "%s", text)
}

// appLine is an application's name, with its directory where the name does not say it.
func appLine(a admin.App) string {
	if strings.HasPrefix(a.Name, a.Root) {
		return admin.Printable(a.Name)
	}

	return fmt.Sprintf("%s in %s", admin.Printable(a.Name), admin.Printable(a.Root))
}

// restarted is how it ended.
type restarted struct {
	Name      string `json:"name"`
	Restarted bool   `json:"restarted"`
	Error     string `json:"error,omitempty"`
}

func (r *restartApp) restart(ctx context.Context, cmd *cobra.Command, instance *instancedir.Instance,
	c *apiserver.Client, names []string,
) error {
	var results []restarted
	for _, name := range names {
		result, err := r.restartOne(ctx, cmd, c, name)
		// Ctrl-C ends the wait, and the applications behind this one stay as they are.
		if ctx.Err() != nil {
			return ctx.Err()
		}

		line := restarted{Name: name, Restarted: err == nil}
		if err != nil {
			err = r.explain(instance, name, result, err)
			line.Error = err.Error()
			if !r.asJSON {
				fmt.Fprintln(cmd.ErrOrStderr(), err)
				printFailures(ctx, cmd, c, err.Error())
			}
		}

		results = append(results, line)
	}

	if r.asJSON {
		if err := printJSON(cmd.OutOrStdout(), results); err != nil {
			return err
		}
	}

	if slices.ContainsFunc(results, func(r restarted) bool { return !r.Restarted }) {
		return errSaid
	}

	return nil
}

// printFailures shows the failed starts whole whose ids are in a text: what the application said, and where.
func printFailures(ctx context.Context, cmd *cobra.Command, c *apiserver.Client, text string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if whole := admin.FailuresNamedIn(ctx, c, text); whole != "" {
		fmt.Fprint(cmd.ErrOrStderr(), "\n"+admin.PrintableText(whole))
	}
}

// errGone is why an application is not restarted that was there just now.
var errGone = errors.New("it has gone")

func (r *restartApp) restartOne(ctx context.Context, cmd *cobra.Command, c *apiserver.Client,
	name string,
) (*admin.RestartResult, error) {
	if !r.asJSON {
		fmt.Fprintf(cmd.OutOrStdout(), "Restarting %s\n", admin.Printable(name))
	}

	order := admin.Restart{
		Client:   c,
		Name:     name,
		Rolling:  r.rolling,
		Blocking: r.blocking,
		Wait:     r.wait,
	}
	var progress terminal.Progress
	// A wait takes as long as new processes take to start, which only the server knows.
	if !r.wait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	} else if _, out, ok := terminalsOf(cmd); ok && !r.asJSON {
		progress.Out = out
		order.Progress = progress.Show
	}

	found, err := order.Do(ctx)
	progress.Clear()
	if err == nil && !found {
		err = errGone
	}

	if err == nil && r.wait && !r.asJSON {
		fmt.Fprintf(cmd.OutOrStdout(), "Restarted %s: %s\n", admin.Printable(name), order.Result)
	}

	return order.Result, err
}

// explain tells why an application was not restarted, or not wholly; result may be nil.
func (r *restartApp) explain(instance *instancedir.Instance, name string, result *admin.RestartResult,
	err error,
) error {
	e, ok := errors.AsType[*apiserver.StatusError](err)
	switch {
	case errors.Is(err, errGone):
		return exit(1, "*** ERROR: %s was not restarted: the instance does not serve it any more.",
			admin.Printable(name))
	case errors.Is(err, admin.ErrCannotWait):
		return exit(1, "*** ERROR: %s was not restarted: %v.", admin.Printable(name), admin.ErrCannotWait)
	case ok && e.Code == "RESTART_INTERRUPTED":
		return exit(1, "*** ERROR: the restart of %s was interrupted: %s. 'passenger status' shows what serves.",
			admin.Printable(name), admin.PrintableText(e.Message))
	case ok && r.wait && e.Message != "" && result != nil && result.Replaced > 0:
		return exit(1, "*** ERROR: %s has not enough new processes, %v: %s", admin.Printable(name), result,
			admin.PrintableText(e.Message))
	case ok && r.wait && e.Message != "":
		return exit(1, "*** ERROR: %s has no new processes: %s", admin.Printable(name), admin.PrintableText(e.Message))
	}

	return explain(instance, err)
}
