package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/terminal"
)

const logsHelp = `Logs shows the end of an instance's log, wherever its file is. With an application, by
its directory or the name that passenger-status shows, it shows what is about that one
only: the application's own log file (app_log_file), or its lines in the server's log.

With --follow it shows further lines as they are written, until Ctrl-C, also after
something like logrotate has moved the file.

If the log is no file, as under systemd, the command says where it is, and exits with 1.`

const (
	defaultLogLines = 100
	allLogLines     = "all"
)

// logs says which lines to show.
type logs struct {
	which  selection
	follow bool
	lines  string
	// patience is how long the core may take, where the watchdog knows the log, too.
	patience time.Duration
}

func (t tools) newLogsCommand() *cobra.Command {
	l := &logs{patience: promptly}
	cmd := &cobra.Command{
		Use:     "logs [application]",
		Short:   "Show the log of an instance or an application",
		Long:    logsHelp,
		Example: "  passenger logs\n  passenger logs -f /srv/shop\n  passenger logs -n all --instance u3Ofg9Qa",
		Args:    atMostOneArgument("application"),
		ValidArgsFunction: completeApps(&l.which, func(a admin.App) string { return a.Root },
			cobra.ShellCompDirectiveDefault),
	}
	l.which.addFlags(cmd)
	cmd.Flags().BoolVarP(&l.follow, "follow", "f", false, "show further lines as they are written")
	cmd.Flags().StringVarP(&l.lines, "lines", "n", strconv.Itoa(defaultLogLines),
		"the `number` of lines to show first, or all")
	cmd.RunE = t.run(l.run)

	return cmd
}

// logSettings are what an instance tells of its logs.
type logSettings struct {
	LogFile string         `json:"log_file"`
	AppLogs []agent.AppLog `json:"app_logs"`
}

func (l *logs) run(ctx context.Context, cmd *cobra.Command, args []string) error {
	lines, err := l.wantedLines()
	if err != nil {
		return err
	}

	instance, err := l.find(cmd, args)
	if err != nil {
		return err
	}

	var settings *logSettings
	if len(args) > 0 {
		settings, err = l.ask(ctx, instance)
	} else {
		settings, err = l.askAny(ctx, cmd, instance)
	}

	if err != nil {
		return explain(instance, err)
	}

	tail := &logTail{
		path:   settings.LogFile,
		lines:  lines,
		follow: l.follow,
		out:    cmd.OutOrStdout(),
	}
	if len(args) > 0 {
		app, err := chooseAppLog(settings.AppLogs, args[0])
		if err != nil {
			return err
		}

		if app.File != "" {
			tail.path = app.File
		} else {
			tail.only = &appFilter{app: app}
		}
	} else {
		tellAppLogs(cmd, settings.AppLogs)
	}

	if tail.path, err = logPath(instance, tail.path, l.follow); err != nil {
		return err
	}

	// A terminal must not be commanded by what an application has printed; a program gets the log as it is.
	if terminal.Is(cmd.OutOrStdout()) {
		tail.show = admin.PrintableText
		if terminal.Colours(cmd.OutOrStdout(), false, os.Getenv) {
			tail.show = admin.ColouredText
		}
	}

	return tail.run(ctx)
}

// wantedLines returns the number of lines; -1 means all.
func (l *logs) wantedLines() (int, error) {
	if l.lines == allLogLines {
		return -1, nil
	}

	n, err := strconv.Atoi(l.lines)
	if err != nil || n < 0 {
		return 0, exit(1, "ERROR: the number of lines is '%s': it must be 0 or more, or all.", admin.Printable(l.lines))
	}

	return n, nil
}

// find returns the instance that serves the application, or is meant otherwise.
func (l *logs) find(cmd *cobra.Command, args []string) (*instancedir.Instance, error) {
	if len(args) > 0 {
		return l.which.findServing(cmd, args[0])
	}

	if l.which.name == "" {
		found, err := l.which.findAll(cmd)
		if err != nil {
			return nil, err
		}

		if len(found) == 1 {
			return &found[0], nil
		}
	}

	return l.which.find(cmd)
}

// ask asks the core, which knows the applications.
func (l *logs) ask(ctx context.Context, instance *instancedir.Instance) (*logSettings, error) {
	return l.askAgent(ctx, instance, instancedir.CoreAPI, callTimeout)
}

// askAny asks the watchdog, too, if the core does not respond promptly: the log says why a core hangs, or is started
// again and again.
func (l *logs) askAny(ctx context.Context, cmd *cobra.Command, instance *instancedir.Instance) (*logSettings, error) {
	settings, err := l.askAgent(ctx, instance, instancedir.CoreAPI, l.patience)
	if err == nil || ctx.Err() != nil {
		return settings, err
	}

	settings, watchdogErr := l.askAgent(ctx, instance, instancedir.WatchdogAPI, callTimeout)
	if watchdogErr != nil {
		return nil, err
	}

	fmt.Fprintf(cmd.ErrOrStderr(), "*** WARNING: the instance %s does not say which applications have logs of their "+
		"own: %s\n", instance.Name, admin.Printable(err.Error()))

	return settings, nil
}

func (*logs) askAgent(ctx context.Context, instance *instancedir.Instance, socket string, limit time.Duration) (
	*logSettings, error,
) {
	c, err := client(instance, socket, instancedir.ReadOnlyAccount)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := c.Get(ctx, "/config.json")
	if err != nil {
		return nil, err
	}

	settings := &logSettings{}
	if err := json.Unmarshal(body, settings); err != nil {
		return nil, exit(1, "*** ERROR: the instance %s does not tell where its log is: %s", instance.Name,
			admin.Printable(err.Error()))
	}

	return settings, nil
}

// chooseAppLog returns the application of that name.
func chooseAppLog(all []agent.AppLog, name string) (*agent.AppLog, error) {
	path, err := admin.NewAppPath(name)
	if err != nil {
		return nil, err
	}

	// A whole name is clear, even if it is also the directory of several.
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}

	named, above, beginning := []agent.AppLog{}, []agent.AppLog{}, []agent.AppLog{}
	for _, a := range all {
		switch {
		case a.Short == name:
			named = append(named, a)
		case path.IsIn(a.Root):
			// The directory itself, or else the nearest one above the path.
			if len(above) > 0 && len(a.Root) > len(above[0].Root) {
				above = nil
			}

			if len(above) == 0 || len(a.Root) == len(above[0].Root) {
				above = append(above, a)
			}
		case len(path.Match([]admin.App{{Name: a.Name, Root: a.Root}})) > 0:
			beginning = append(beginning, a)
		}
	}

	// A name may also be that of a directory within another application, and a directory the beginning of another one.
	found := named
	for _, others := range [][]agent.AppLog{above, beginning} {
		if len(found) == 0 {
			found = others
		}
	}

	// Flying may know several configurations of one.
	found = slices.CompactFunc(found, func(a, b agent.AppLog) bool { return a == b })
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, exit(1, "ERROR: there is no application '%s'. %s", admin.Printable(name), namesOf(all))
	}

	return nil, exit(1, "ERROR: '%s' may be several applications: name one as it is here. %s", admin.Printable(name),
		namesOf(found))
}

func namesOf(all []agent.AppLog) string {
	if len(all) == 0 {
		return "The instance knows none yet: an application of Flying Passenger is known from its first request on."
	}

	var b strings.Builder
	b.WriteString("The instance has:")

	for _, a := range all {
		b.WriteString("\n  " + admin.Printable(a.Name))
	}

	return b.String()
}

// tellAppLogs says what the server's log does not have.
func tellAppLogs(cmd *cobra.Command, all []agent.AppLog) {
	for _, a := range all {
		if a.File != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "The output of %s is in %s: '%s %s' shows it.\n",
				admin.Printable(a.Name), admin.Printable(a.File), cmd.CommandPath(), admin.Printable(a.Root))
		}
	}
}

// logPath returns the file of a log: the one that the path names, which may be empty for standard error, or the one
// that the standard file it names goes to. Otherwise it says what else that is.
func logPath(instance *instancedir.Instance, path string, follow bool) (string, error) {
	fd := agent.StandardFile(path)
	if path == "" {
		fd = standardError
	} else if fd == 0 {
		return path, nil
	}

	name := "standard output"
	if fd == standardError {
		name = "standard error"
	}

	proc := filepath.Join("/proc", strconv.Itoa(instance.Properties.WatchdogPID))
	target, err := os.Readlink(filepath.Join(proc, "fd", strconv.Itoa(fd)))
	if info, statErr := os.Stat(target); err == nil && statErr == nil && filepath.IsAbs(target) &&
		info.Mode().IsRegular() {
		return target, nil
	}

	const what = "ERROR: the log of the instance %s is no file: it goes to %s, "
	switch {
	case err != nil:
		return "", exit(1, what+"and whose that is cannot be seen (%s). Try again with 'sudo'.", instance.Name,
			name, admin.Printable(err.Error()))
	case strings.HasPrefix(target, "/dev/"):
		return "", exit(1, what+"which is %s. To have a file, start the server with --log-file.", instance.Name,
			name, admin.Printable(target))
	}

	if unit, user := unitOf(proc); unit != "" {
		flags := ""
		if user {
			flags += "--user "
		}

		if follow {
			flags += "-f "
		}

		return "", exit(1, what+"which systemd keeps: 'journalctl %s-u %s' shows it.", instance.Name, name, flags,
			unit)
	}

	return "", exit(1, what+"which another program reads: ask that one, as by 'docker logs' or 'kubectl logs'. "+
		"To have a file, start the server with --log-file.", instance.Name, name)
}

// standardError is the descriptor of standard error.
const standardError = 2

// unitOf returns the service of systemd that a process is of.
func unitOf(proc string) (unit string, user bool) {
	groups, err := fs.ReadFile(os.DirFS(proc), "cgroup")
	if err != nil {
		return "", false
	}

	for line := range strings.Lines(string(groups)) {
		_, path, _ := strings.Cut(line, "::")
		for part := range strings.SplitSeq(strings.TrimSpace(path), "/") {
			if strings.HasPrefix(part, "user@") {
				user = true
				continue
			}

			if strings.HasSuffix(part, ".service") {
				unit = admin.Printable(part)
			}
		}
	}

	return unit, user && unit != ""
}
