package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man directory",
		Short:  "Write the manual pages into a directory",
		Hidden: true,
		Args:   oneArgument("directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			pages := manPages()
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // G301: manual pages are public
				return err
			}

			for name, page := range pages {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(page), //nolint:gosec // G306: as above
					0o644); err != nil {
					return err
				}
			}

			return nil
		},
	}
}

// manPages are those of all commands that are not hidden, by the names of their
// files. The commands of passenger-config have the pages of those of passenger.
func manPages() map[string]string {
	//nolint:gosec // G101: names of files
	pages := map[string]string{"flying-passenger.1": ".so man1/passenger-flying.1\n"}
	var add func(*cobra.Command)
	add = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()

		pages[manName(c)+".1"] = manPage(c)
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
				continue
			}

			if c.Name() == "config" {
				pages["passenger-config-"+sub.Name()+".1"] = ".so man1/passenger-" + sub.Name() + ".1\n"
				continue
			}

			add(sub)
		}
	}
	add(newCommand())

	return pages
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage is the page of a command, for troff's macros man.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	title := manName(c)
	fmt.Fprintf(&b, ".TH \"%s\" \"1\" \"\" \"gopassenger %s\" \"Passenger\"\n", strings.ToUpper(title), agent.Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", troff(title), troff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", troff(strings.TrimSuffix(c.UseLine(), " [flags]")+optionsWord(c)))
	if about := c.Long; about != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", troff(about))
	}

	for i, group := range groupFlags(c.Flags()) {
		if i == 0 {
			b.WriteString(".SH OPTIONS\n")
		}

		if group.title != otherFlags {
			fmt.Fprintf(&b, ".SS %s\n", group.title)
		}

		group.flags.VisitAll(func(f *pflag.Flag) { b.WriteString(manFlag(f)) })
	}

	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", troff(c.Example))
	}

	if related := related(c); len(related) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", troff(strings.Join(related, ", ")))
	}

	return b.String()
}

func optionsWord(c *cobra.Command) string {
	if c.Flags().HasAvailableFlags() {
		return " [options]"
	}

	return ""
}

// manFlag shows a flag as --help does, with its details.
func manFlag(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}

	if value != "" {
		name += " " + value
	}

	switch f.DefValue {
	case "", "false", "0", "[]":
	default:
		usage += " (default " + f.DefValue + ")"
	}

	if detail := strings.Join(f.Annotations[options.DetailAnnotation], ""); detail != "" {
		usage += ". " + options.Plain(detail)
	}

	return fmt.Sprintf(".TP\n.B %s\n%s\n", troff(name), troff(usage))
}

func related(c *cobra.Command) (names []string) {
	if c.HasParent() {
		names = append(names, manName(c.Parent())+"(1)")
	}

	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			names = append(names, manName(sub)+"(1)")
		}
	}

	return names
}

var troffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`)

// troff escapes what means something to troff, and lines that begin like its
// requests.
func troff(s string) string {
	lines := strings.Split(troffEscapes.Replace(s), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}

	return strings.Join(lines, "\n")
}
