package main

import (
	"bytes"
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/terminal"
)

const (
	// topLogLines is how many lines of the log the live table has, and topLogWindow how much of the log's end is read
	// for them.
	topLogLines  = 5
	topLogWindow = 64 << 10
)

// topName is the name of the command that is status --watch.
const topName = "top"

// newTopCommand is status --watch.
func (t tools) newTopCommand() *cobra.Command {
	cmd := t.newStatusCommand(topName)
	cmd.Short = "Watch the applications of an instance"
	cmd.Long = `Top shows the applications of an instance, again and again: processes, requests a second,
the time that 95 of 100 requests do not exceed, memory and CPU with all that the processes
have started, requests of late, and the end of the log.

The keys n, r, l, m, c and p sort by name, requests, p95, memory, CPU and busy processes;
arrow keys scroll, q leaves. It needs a terminal; elsewhere it is 'passenger status --watch'.`

	cmd.Example = "  passenger top\n  passenger top d7Y2MA3f --interval 5s"
	for _, name := range []string{"show", "json", "watch", "verbose", "pid-identifier"} {
		_ = cmd.Flags().MarkHidden(name) // they are there
	}

	return cmd
}

// chooseTable decides whether to show a table: to people who have not asked for something else.
func (s *status) chooseTable(cmd *cobra.Command) {
	out := cmd.OutOrStdout()
	if !s.serves || !terminal.Is(out) || s.asJSON || s.verbose || cmd.Flags().Changed("show") ||
		os.Getenv("TERM") == "dumb" {
		return
	}

	s.table, s.live = true, s.watch
	s.unicode = hasUnicode(os.Getenv)
	s.width = terminal.Width(out)
}

// hasUnicode reports whether the locale says that a terminal shows UTF-8.
func hasUnicode(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := getenv(name); value != "" {
			value = strings.ToUpper(value)
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}

	return false
}

// tableText is the table of an instance.
func (s *status) tableText(ctx context.Context, instance *instancedir.Instance) (string, error) {
	c, err := client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount)
	if err != nil {
		return "", err
	}

	asking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	o, err := admin.GetOverview(asking, c, instance.Properties.Addresses, s.live)
	if err != nil {
		return s.failedTable(instance, err)
	}

	o.Sort(admin.OverviewOrder(s.order.Load()))
	style := admin.TableStyle{
		Width:   s.width,
		Colour:  s.colour,
		Unicode: s.unicode,
		Live:    s.live,
	}

	var lines []string
	if s.live {
		lines = append(lines, instance.Name+"  "+o.Headline(), "")
	}

	if len(o.Apps) == 0 {
		lines = append(lines, "No application has been asked for yet.")
	} else {
		lines = append(lines, o.Table(style)...)
	}

	if s.live {
		lines = append(lines, s.endOfLog(asking, instance)...)
		return strings.Join(lines, "\n") + "\n", nil
	}

	return s.header(instance, statusView{}) + strings.Join(lines, "\n") + "\n", nil
}

func (s *status) failedTable(instance *instancedir.Instance, err error) (string, error) {
	if isEmptyPool(err) {
		return s.header(instance, statusView{}) + noApplications, nil
	}

	return "", s.explain(instance, err)
}

// endOfLog are the last lines of the instance's log, if it is a file that may be read.
func (s *status) endOfLog(ctx context.Context, instance *instancedir.Instance) []string {
	settings, err := (&logs{}).ask(ctx, instance)
	if err != nil {
		// Not every user may see the settings.
		return nil
	}

	path, err := logPath(instance, settings.LogFile, false)
	if err != nil {
		return nil
	}

	var b bytes.Buffer
	tail := &logTail{
		path:   path,
		lines:  topLogLines,
		window: topLogWindow,
		out:    &b,
	}
	if err := tail.run(ctx); err != nil || b.Len() == 0 {
		return nil
	}

	lines := []string{"", s.bold("THE END OF THE LOG")}
	for line := range strings.Lines(admin.PrintableText(b.String())) {
		lines = append(lines, admin.ShortLogLine(strings.TrimRight(line, "\n")))
	}

	return lines
}

func (s *status) bold(text string) string {
	if !s.colour {
		return text
	}

	return terminal.Bold + text + terminal.Reset
}
