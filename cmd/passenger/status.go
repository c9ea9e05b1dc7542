package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/terminal"
)

const statusHelp = `Status shows what an instance does. On a terminal it is a table of the applications, with
the last minute's requests a second and the time that 95 of 100 requests do not exceed.
Elsewhere, and for passenger-status, it is the pool as Passenger shows it. With --show:

  pool            the applications, their processes and the requests that wait
  server          the requests in progress; requests is the same, with --json for programs
  backtraces      the stack of each goroutine of the core
  xml, json       the pool, for programs, as Passenger shows it
  errors          the last failed starts, each with its reason, traceback, output and
                  advice; with --json for programs
  snapshot        all that is known of the pool, as JSON

A user who is neither root nor the user of the instance sees only the applications that
run as that user. With the addresses and passwords of processes, which --verbose shows,
one can ask a process directly: keep them secret.

Of several instances it shows the one that serves the current directory, or else all.
The forms for programs, and --watch, need a single one.

The status is 1 if there is no instance or no single one, and 2 if one does not respond
or refuses to.

With --port, --socket or --pid-file, status says whether a server runs that was started
with the same option for the application in the directory, the argument or the current
one. The exit status is 0 either way.

The server remembers the last 20 failed starts, whatever has started since.
The fields of --show=json are those of GET /pool.json, and those of --show=snapshot
those of passenger.Snapshot.`

// status says what to show, and how.
type status struct {
	which                             selection
	show                              string
	asJSON, noHeader, colour, verbose bool
	watch                             bool

	// serves adds a line to the header that the original does not have.
	serves   bool
	interval time.Duration
	// table shows a table of the applications, live one that is looked at again and again.
	table, live bool
	// order is an admin.OverviewOrder, which keys change.
	order   atomic.Int32
	width   int
	unicode bool
}

// newStatusCommand returns the command of that name, which may be a program.
func (t tools) newStatusCommand(name string) *cobra.Command {
	s := &status{serves: name != "passenger-status", watch: name == topName}
	s.order.Store(int32(admin.ByName))
	cmd := &cobra.Command{
		Use:   name + " [instance]",
		Short: "Show what an instance does",
		Long:  statusHelp,
		Example: "  sudo passenger-status\n  passenger status d7Y2MA3f --verbose\n  passenger-status " +
			"--show=snapshot | jq '.groups[].name'\n  passenger status --watch\n  passenger status --show=errors",
		Args:              atMostOneArgument("instance"),
		ValidArgsFunction: completeInstances,
	}
	f := cmd.Flags()
	f.StringVar(&s.show, "show", "pool",
		"`what`: pool, server, requests, errors, backtraces, xml, json, snapshot")
	f.BoolVar(&s.asJSON, "json", false, "print JSON: of the pool, or of what --show names")
	f.BoolVar(&s.noHeader, "no-header", false, "leave out the version, the time and the name of the instance")
	f.BoolVar(&s.colour, "force-colors", false, "show colors even if the output is no terminal")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "show more, secrets included")
	f.BoolVar(&s.which.byPID, "pid-identifier", false,
		"take the argument for the PID of a watchdog, core or web server")
	f.StringVar(&s.which.name, "instance", "", "the `name` of the instance, or its beginning, as the argument")
	f.BoolVarP(&s.watch, "watch", "w", s.watch,
		"show it again and again, as top; on a terminal, q leaves")
	f.DurationVar(&s.interval, "interval", time.Second, "the `duration` between two views of --watch, as 500ms")
	_ = cmd.RegisterFlagCompletionFunc("instance", completeInstances) // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("show",
		cobra.FixedCompletions([]string{
			"pool", "server", "requests", "errors", "backtraces", "xml", "json", "snapshot",
		}, cobra.ShellCompDirectiveNoFileComp))
	if name == "status" {
		addServerFlags(f, serverFileKeys)
	}

	cmd.RunE = t.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if namesServer(cmd) {
			return showServer(ctx, cmd, args)
		}

		if len(args) == 1 {
			s.which.name = args[0]
		}

		return s.run(ctx, cmd)
	})

	return cmd
}

func (s *status) run(ctx context.Context, cmd *cobra.Command) error {
	view, known := statusViews[s.show]
	switch {
	case !known:
		return exit(1, "Invalid argument for --show.")
	case s.asJSON && view.jsonPath == "":
		return exit(1, "ERROR: --show=%s has no form in JSON: leave out --json, or choose another view.", s.show)
	}

	const least = 50 * time.Millisecond
	if s.interval < least {
		return exit(1, "ERROR: the interval %v is too short: the least is %v.", s.interval, least)
	}

	s.chooseTable(cmd)
	s.colour = terminal.Colours(cmd.OutOrStdout(), s.colour, os.Getenv)
	instances, err := s.which.findAll(cmd)
	if err != nil {
		return err
	}

	if len(instances) > 1 && (s.watch || s.view().plain) {
		s.which.printSeveral(cmd, &instancedir.AmbiguousError{Instances: instances})
		return errSaid
	}

	if s.watch {
		// An instance of the current directory stays the one that is watched.
		if s.which.name == "" && len(servingAt(instances, ".")) == 1 {
			s.which.name = instances[0].Name
		}

		return s.runWatch(ctx, cmd, &instances[0])
	}

	if len(instances) > 1 {
		return s.showAll(ctx, cmd, instances)
	}

	text, err := s.text(ctx, &instances[0])
	// With an error, there may be a part of the text.
	if _, werr := io.WriteString(cmd.OutOrStdout(), text); err == nil {
		err = werr
	}

	return err
}

// promptly is how long an instance may take to be shown before those that come after it.
const promptly = time.Second

// showAll shows one instance after the other. All are asked at once, and those that do not respond promptly come last:
// one that hangs keeps no other from being shown. It makes the status.
func (s *status) showAll(ctx context.Context, cmd *cobra.Command, instances []instancedir.Instance) error {
	s.serves = true

	texts := make([]chan instanceText, len(instances))
	for i := range instances {
		texts[i] = make(chan instanceText, 1)
		go func() {
			text, err := s.text(ctx, &instances[i])
			texts[i] <- instanceText{instances[i].Name, text, err}
		}()
	}

	patience, cancel := context.WithTimeout(ctx, promptly)
	defer cancel()

	shown := shownInstances{cmd: cmd}

	var late []<-chan instanceText
	for _, text := range texts {
		select {
		case t := <-text:
			shown.add(ctx, t)
			continue
		case <-patience.Done():
		}

		// It may have come while an instance before it was waited for.
		select {
		case t := <-text:
			shown.add(ctx, t)
		default:
			late = append(late, text)
		}
	}

	for _, text := range late {
		shown.add(ctx, <-text)
	}

	return shown.end()
}

// instanceText is what is shown of one instance of several.
type instanceText struct {
	name, text string
	err        error
}

// shownInstances prints texts with an empty line between them.
type shownInstances struct {
	cmd       *cobra.Command
	separator string
	// failed reports whether an instance could not be shown. err is why nothing more can be.
	failed bool
	err    error
}

func (s *shownInstances) add(ctx context.Context, t instanceText) {
	if s.err != nil {
		return
	}

	if s.err = ctx.Err(); s.err != nil {
		return
	}

	if _, s.err = io.WriteString(s.cmd.OutOrStdout(), s.separator+t.text); s.err != nil {
		return
	}

	s.separator = "\n"
	if t.err != nil {
		s.failed = true
		fmt.Fprintf(s.cmd.ErrOrStderr(), "Instance %s: %v\n", t.name, t.err)
	}
}

func (s *shownInstances) end() error {
	if s.err == nil && s.failed {
		return exit(2, "Not all instances could be shown.")
	}

	return s.err
}

// statusView is how one thing is got and shown.
type statusView struct {
	socket, path string
	// plain is without a header.
	plain  bool
	format func(s *status, body []byte) string
	// jsonPath has it as JSON, with --json; empty means that nothing has.
	jsonPath string
}

const (
	serverPath   = "/server.json"
	poolPath     = "/pool.json"
	snapshotPath = "/pool.json?form=snapshot"
)

var statusViews = map[string]statusView{
	"pool":       {instancedir.CoreAPI, "/pool.txt", false, (*status).formatText, poolPath},
	"server":     {instancedir.CoreAPI, serverPath, false, (*status).formatJSON, serverPath},
	"requests":   {instancedir.CoreAPI, serverPath, false, (*status).formatJSON, serverPath},
	"backtraces": {instancedir.CoreAPI, "/backtraces.txt", false, (*status).formatBacktraces, ""},
	"errors":     {instancedir.CoreAPI, "/pool/errors.txt", false, (*status).formatText, "/pool/errors.json"},
	"xml":        {instancedir.CoreAPI, "/pool.xml", true, (*status).formatText, ""},
	"json":       {instancedir.CoreAPI, poolPath, true, (*status).formatJSON, poolPath},
	"snapshot":   {instancedir.CoreAPI, snapshotPath, true, (*status).formatJSON, snapshotPath},
}

func (s *status) view() statusView {
	view := statusViews[s.show]
	if s.asJSON {
		return statusView{view.socket, view.jsonPath, true, (*status).formatJSON, view.jsonPath}
	}

	return view
}

// text is all that there is to show. With an error, it may be a part.
func (s *status) text(ctx context.Context, instance *instancedir.Instance) (string, error) {
	if s.table {
		return s.tableText(ctx, instance)
	}

	view := s.view()
	body, err := s.fetch(ctx, instance, view)
	if err != nil {
		// Programs would take the sentence for what they asked for.
		if isEmptyPool(err) && !view.plain {
			return s.header(instance, view) + noApplications, nil
		}

		return "", s.explain(instance, err)
	}

	text := view.format(s, body)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}

	return s.header(instance, view) + text, nil
}

const noApplications = admin.Product + " is currently not serving any applications.\n"

// isEmptyPool reports whether err means that there is nothing to be shown to any user.
func isEmptyPool(err error) bool {
	e, ok := errors.AsType[*apiserver.UnauthorizedError](err)
	return ok && e.PoolEmpty
}

func (s *status) fetch(ctx context.Context, instance *instancedir.Instance, view statusView) ([]byte, error) {
	c, err := client(instance, view.socket, instancedir.ReadOnlyAccount)
	if err == nil && s.verbose {
		// Who may read this one may see secrets.
		c, err = client(instance, view.socket, instancedir.FullAccount)
	}

	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	query := fmt.Sprintf("verbose=%t&colorize=%t&secrets=%t", s.verbose, s.colour, s.verbose)
	if strings.Contains(view.path, "?") {
		return c.Get(ctx, view.path+"&"+query)
	}

	return c.Get(ctx, view.path+"?"+query)
}

func (s *status) header(instance *instancedir.Instance, view statusView) string {
	if s.noHeader || view.plain {
		return ""
	}

	serves := ""
	if text := servedBy(&instance.Properties); s.serves && text != "" {
		serves = "Serves  : " + text + "\n"
	}

	return fmt.Sprintf("Version : %s\nDate    : %s\nInstance: %s (%s)\n%s\n", agent.Version, now(), instance.Name,
		instance.Properties.ServerSoftware, serves)
}

// now is the time as tools show it.
func now() string { return time.Now().Format("2006-01-02 15:04:05 -0700") }

func (s *status) explain(instance *instancedir.Instance, err error) error {
	if _, ok := errors.AsType[*apiserver.UnauthorizedError](err); ok {
		return exit(2, "*** ERROR: You are not authorized to query the status for this %s instance. Please try "+
			"again with 'sudo'.", admin.Product)
	}

	if e, ok := errors.AsType[*apiserver.StatusError](err); ok {
		return exit(2, "*** An error occurred.\n%d %s: %s", e.Status, http.StatusText(e.Status), said(e))
	}

	err = explain(instance, err)
	if e, ok := errors.AsType[*exitError](err); ok {
		return &exitError{status: 2, text: e.text}
	}

	return err
}

func (s *status) formatText(body []byte) string {
	if s.colour {
		return admin.ColouredText(string(body))
	}

	return admin.PrintableText(string(body))
}

func (s *status) formatJSON(body []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return admin.PrintableText(string(body)) // as the server has it
	}

	return string(printable.JSON(b.Bytes()))
}

func (s *status) formatBacktraces(body []byte) string {
	text := admin.PrintableText(string(body))
	if !s.colour {
		return text
	}

	threadLine := regexp.MustCompile(`(?m)^((?:Thread '|goroutine \d+ \[).*:?)$`)
	functionName := regexp.MustCompile(`(?m)^([\w./*()-]+)(\(.*\))$|( in ')([^']+)(')`)
	text = functionName.ReplaceAllString(text, "$3"+terminal.Bold+"$1$4"+terminal.Reset+"$2$5")

	return threadLine.ReplaceAllString(text, terminal.Heading+"$1"+terminal.Reset)
}
