package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/internal/printable"
)

// callTimeout bounds the time that an instance may take to respond.
const callTimeout = 30 * time.Second

// tools are the commands for operators.
type tools struct{ signals chan os.Signal }

// programs are the names by which this binary is another program than passenger.
func (t tools) programs() map[string]func() *cobra.Command {
	return map[string]func() *cobra.Command{
		"passenger-status":       func() *cobra.Command { return t.newStatusCommand("passenger-status") },
		"passenger-memory-stats": func() *cobra.Command { return t.newMemoryStatsCommand("passenger-memory-stats") },
		"passenger-config":       t.newConfigProgram,
		"flying-passenger":       func() *cobra.Command { return newFlyingProgram(t.signals) },
	}
}

// newProgram returns the command line of the program that is called name, for arguments.
func newProgram(name string, args []string, signals chan os.Signal) *cobra.Command {
	create := tools{signals}.programs()[name]
	if create == nil {
		return newRoot(needed(tools{signals}.all(), args))
	}

	c := create()
	c.Version = agent.Version
	prepare(c)

	return c
}

// prepare does what all programs have in common.
func prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetVersionTemplate("gopassenger {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = invalidFlag(invalid)
		}

		return fmt.Errorf("%w%s: '%s --help' lists the options", err, nearestFlag(c, err), c.CommandPath())
	})
}

// commandsElsewhere are commands by the names that people try, of other servers and of service managers.
var commandsElsewhere = map[string][]string{
	"run":              {"start"},
	"serve":            {"start"},
	"server":           {"start"},
	"up":               {"start"},
	"restart":          {"restart-app", "reload"},
	"kill":             {"stop"},
	"down":             {"stop"},
	"shutdown":         {"stop"},
	"ps":               {"status"},
	"list":             {"list-instances"},
	"ls":               {"list-instances"},
	"info":             {"status", "about"},
	"log":              {"logs"},
	"tail":             {"logs"},
	"doctor":           {"validate-install"},
	"passenger-config": {"config"},
	"passenger-status": {"status"},
	"memory":           {"memory-stats"},
	"version":          {"about"},
	"scale":            {"config"},
	"monit":            {"top"},
}

// unknownCommand says of the error for an unknown command what to do, in one line.
func unknownCommand(program *cobra.Command, err error) error {
	rest, ok := strings.CutPrefix(err.Error(), "unknown command ")
	if !ok {
		return err
	}

	quoted, quoteErr := strconv.QuotedPrefix(rest)
	name, unquoteErr := strconv.Unquote(quoted)
	if quoteErr != nil || unquoteErr != nil {
		return err
	}

	meant, known := commandsElsewhere[name]
	if !known {
		meant = program.SuggestionsFor(name)
	}

	asked := ""
	if len(meant) > 0 {
		asked = " (" + question(meant) + ")"
	}

	return fmt.Errorf("there is no command %q%s: '%s --help' lists the commands", name, asked, program.CommandPath())
}

// invalidFlag says what the value of a flag must be.
func invalidFlag(e *pflag.InvalidValueError) error {
	kinds := map[string]string{
		"bool":     "true or false",
		"duration": "a time with its unit, such as 500ms or 2s",
		"int":      "a whole number",
	}

	f := e.GetFlag()
	if kind := kinds[f.Value.Type()]; kind != "" {
		return fmt.Errorf("--%s is %q: it must be %s", f.Name, e.GetValue(), kind)
	}

	return e
}

// nearestFlag asks whether a flag was meant that nearly has the name of an unknown one, or has that elsewhere.
func nearestFlag(c *cobra.Command, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return ""
	}

	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, strings.ReplaceAll(f.Name, "-", "_")) })

	// The key of files is another name of a flag.
	flags := map[string]string{}
	for _, o := range agent.OptionsIn(options.Start) {
		if c.Flags().Lookup(o.FlagName()) != nil && !slices.Contains(known, o.Key) {
			known = append(known, o.Key)
			flags[o.Key] = o.FlagName()
		}
	}

	meant := meantOptions(unknown.GetSpecifiedName(), known)
	for i, name := range meant {
		if flag, other := flags[name]; other {
			name = flag
		}

		meant[i] = "--" + strings.ReplaceAll(name, "_", "-")
	}

	if len(meant) == 0 {
		return ""
	}

	return " (" + question(meant) + ")"
}

// command is a command of passenger, which is made when it is needed.
type command struct {
	name   string
	create func() *cobra.Command
}

// all returns the commands of passenger.
func (t tools) all() []command {
	return append([]command{
		{"start", func() *cobra.Command { return newStartCommand(t.signals) }},
		{"flying", func() *cobra.Command { return newFlyingCommand("flying", t.signals) }},
		{"stop", t.newStopCommand},
		{agent.CoreCommand, func() *cobra.Command { return newCoreCommand(t.signals) }},
		{agent.RouterCommand, func() *cobra.Command { return newRouterCommand(t.signals) }},
		{"status", func() *cobra.Command { return t.newStatusCommand("status") }},
		{"top", t.newTopCommand},
		{"explain", t.newExplainCommand},
		{"logs", t.newLogsCommand},
		{"dashboard", t.newDashboardCommand},
		{"incidents", t.newIncidentsCommand},
		{"backtraces", t.newBacktracesCommand},
		{"memory-stats", func() *cobra.Command { return t.newMemoryStatsCommand("memory-stats") }},
		{"config", t.newConfigCommand},
		{"detect", t.newDetectCommand},
		{"man", newManCommand},
	}, t.shared()...)
}

// needed returns the command that arguments begin with, and all commands if they begin with none: the flags of all take
// longer to make than all else at the start of a core.
func needed(all []command, args []string) []command {
	// The version needs no command.
	if len(args) == 1 && args[0] == "--version" {
		return nil
	}

	for i, c := range all {
		if len(args) > 0 && c.name == args[0] {
			return all[i : i+1]
		}
	}

	return all
}

// shared returns the commands that are called the same in passenger and passenger-config.
func (t tools) shared() []command {
	return []command{
		{"restart-app", t.newRestartAppCommand},
		{"detach-process", t.newDetachProcessCommand},
		{"list-instances", t.newListInstancesCommand},
		{"reopen-logs", t.newReopenLogsCommand},
		{"reload", t.newReloadCommand},
		{"api-call", t.newAPICallCommand},
		{"system-metrics", t.newSystemMetricsCommand},
		{"validate-install", t.newValidateInstallCommand},
		{"about", newAboutCommand},
	}
}

func (t tools) newConfigProgram() *cobra.Command {
	c := t.newConfigCommand()
	c.Use = "passenger-config"
	return c
}

// newConfigCommand is passenger-config, as a program or a command.
func (t tools) newConfigCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration, and manage running instances",
		Long: "Config has the commands of passenger-config, which are commands of passenger as well.\n\n" +
			"With --show it prints each option that 'passenger start' with the same arguments would have,\n" +
			"its value, and the file, variable or flag that the value came from; --flying is for\n" +
			"'passenger flying'. Values of environment variables are not shown. A configuration that\n" +
			"cannot be used is an error, after the values.",
		Example: "  passenger-config restart-app /srv/shop\n  passenger config list-instances --json\n" +
			"  passenger config --show /srv/shop --port 8080",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}

			return fmt.Errorf("there is no command %q: '%s --help' lists the commands", args[0], c.CommandPath())
		},
	}
	for _, shared := range t.shared() {
		c.AddCommand(shared.create())
	}

	for _, name := range needlessCommands {
		c.AddCommand(newNeedlessCommand(name))
	}

	addAboutFlags(c)
	t.addShowFlags(c)

	return c
}

// run returns what runs f until a signal comes.
func (t tools) run(f func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command,
	[]string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithCancelCause(cmd.Context())
		defer cancel(nil)
		go func() {
			select {
			case sig := <-t.signals:
				// A second one ends a tool whose output is not read.
				signal.Reset(syscall.SIGINT, syscall.SIGTERM)
				status := 1
				if number, ok := sig.(syscall.Signal); ok {
					// As shells say it.
					status = 128 + int(number)
				}

				cancel(&exitError{status: status})
			case <-ctx.Done():
			}
		}()

		err := f(ctx, cmd, args)
		// The error is that of a call that was interrupted, and says less than the signal.
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}

		return err
	}
}

// checkedOutput keeps the first error of a write, which those who print do not look at.
type checkedOutput struct {
	io.Writer

	err error
}

func (o *checkedOutput) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}

	return n, err
}

// serverOutput returns the standard output of a server, which serves also when its banner cannot be written.
func serverOutput(cmd *cobra.Command) io.Writer {
	if out, ok := cmd.OutOrStdout().(*checkedOutput); ok {
		return out.Writer
	}

	return cmd.OutOrStdout()
}

// printJSON prints a value on lines that people can read.
func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(printable.JSONWriter(w))
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")

	return e.Encode(value)
}
