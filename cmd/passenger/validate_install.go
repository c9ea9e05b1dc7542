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

const validateHelp = `Validate-install checks whether this host has what applications need: interpreters, a
registry for instances, limits, features of the kernel. It starts an application of each
installed language on the loopback interface, sends it a request, and ends it.

Status 0: everything is fine. 1: there are errors. 2: there are warnings. 9: it could not
look.

With --json it prints {"verdict", "results"}; each result has group, name, verdict (ok,
warning, error or skipped), detail and advice.`

// validation is how it is shown.
type validation struct {
	asJSON, noColours, noSummary, noApps bool
	results                              []admin.Result
}

func (t tools) newValidateInstallCommand() *cobra.Command {
	v := &validation{}
	cmd := &cobra.Command{
		Use:     "validate-install",
		Short:   "Check whether this host has what applications need",
		Long:    validateHelp,
		Example: "  passenger-config validate-install\n  passenger-config validate-install --json | jq -r .verdict",
		Args:    noArguments,
	}
	f := cmd.Flags()
	f.BoolVar(&v.asJSON, "json", false, "print JSON")
	f.BoolVar(&v.noColours, "no-colors", false, "never show colors")
	f.BoolVar(&v.noSummary, "no-summary", false, "leave out the summary")
	f.BoolVar(&v.noApps, "no-apps", false, "start no applications")

	// It never asks anything, and there is no Apache module.
	f.Bool("auto", false, "")
	f.Bool("no-validate-passenger", false, "")
	f.Bool("invoked-from-installer", false, "")
	f.Bool("validate-apache2", false, "")
	f.String("apxs2-path", "", "")

	for _, name := range []string{
		"validate-apache2", "apxs2-path", "auto", "no-validate-passenger",
		"invoked-from-installer",
	} {
		_ = f.MarkHidden(name) // it is there
	}

	cmd.RunE = t.run(v.run)

	return cmd
}

func (v *validation) run(ctx context.Context, cmd *cobra.Command, _ []string) error {
	program, err := os.Executable()
	if err != nil {
		return exit(9, "ERROR: this program does not know its own file: %v", err)
	}

	host := admin.Host{
		Program:  program,
		Getenv:   os.Getenv,
		Registry: instancedir.DefaultRegistry(os.Getenv),
		Buffers:  os.TempDir(),
		NoApps:   v.noApps,
	}
	w := cmd.OutOrStdout()
	paint := painter(terminal.Colours(w, false, os.Getenv) && !v.noColours)
	if cmd.Flags().Changed("validate-apache2") || cmd.Flags().Changed("apxs2-path") {
		fmt.Fprintln(cmd.ErrOrStderr(), "There is no Apache module to validate: a stock Apache reaches this version "+
			"of Passenger by HTTP or SCGI.")
	}

	group := ""
	err = host.Check(ctx, func(string) {}, func(r admin.Result) {
		v.results = append(v.results, r)
		if v.asJSON {
			return
		}

		if r.Group != group {
			group = r.Group
			fmt.Fprintf(w, "\n%s\n", paint(terminal.Bold, group))
		}

		fmt.Fprintln(w, line(r, paint))
	})
	if err != nil {
		return err
	}

	return v.finish(cmd, paint)
}

// painter colours texts, or does not.
func painter(colours bool) func(colour, text string) string {
	return func(colour, text string) string {
		if !colours {
			return text
		}

		return colour + text + terminal.Reset
	}
}

var marks = map[admin.Verdict]struct{ colour, mark string }{
	admin.OK:      {terminal.Green, "✓"},
	admin.Warning: {terminal.Yellow, "!"},
	admin.Failed:  {terminal.Red, "✗"},
	admin.Skipped: {"", "-"},
}

func line(r admin.Result, paint func(colour, text string) string) string {
	m := marks[r.Verdict]
	text := fmt.Sprintf(" %s %s", paint(m.colour, m.mark), r.Name)
	if r.Detail != "" {
		text += ": " + strings.ReplaceAll(admin.PrintableText(r.Detail), "\n", "\n     ")
	}

	if r.Advice != "" {
		text += "\n   " + paint(terminal.Bold, "What to do: ") + r.Advice
	}

	return text
}

func (v *validation) count(verdict admin.Verdict) (n int) {
	for i := range v.results {
		if v.results[i].Verdict == verdict {
			n++
		}
	}

	return n
}

func (v *validation) finish(cmd *cobra.Command, paint func(colour, text string) string) error {
	failures, warnings := v.count(admin.Failed), v.count(admin.Warning)

	verdict, status := admin.OK, 0
	switch {
	case failures > 0:
		verdict, status = admin.Failed, 1
	case warnings > 0:
		verdict, status = admin.Warning, 2
	}

	if v.asJSON {
		err := printJSON(cmd.OutOrStdout(), struct {
			Verdict admin.Verdict  `json:"verdict"`
			Results []admin.Result `json:"results"`
		}{verdict, v.results})
		if err != nil {
			return exit(9, "ERROR: %v", err)
		}
	} else if !v.noSummary {
		text := "Everything looks good."
		if status != 0 {
			text = fmt.Sprintf("%d errors, %d warnings.", failures, warnings)
		}

		fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", paint(marks[verdict].colour, text))
	}

	if status == 0 {
		return nil
	}

	return &exitError{status: status}
}
