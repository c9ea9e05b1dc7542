package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/agent"
)

// about is what there is to know of this program.
type about struct {
	Version    string   `json:"version"`
	Executable string   `json:"executable"`
	Go         string   `json:"go"`
	System     string   `json:"system"`
	Registry   string   `json:"registry"`
	Registries []string `json:"registries"`
}

// notHere are subcommands of the original's that ask for what only it has.
var notHere = []struct{ name, reason string }{
	{"root", "it is one binary, and has no directory of its own"},
	{"includedir", "it has no headers: stock web servers reach it by HTTP or SCGI"},
	{"nginx-addon-dir", "it has no nginx module: a stock nginx reaches it by HTTP or SCGI"},
	{"nginx-libs", "it has no nginx module: a stock nginx reaches it by HTTP or SCGI"},
	{"ruby-libdir", "its loader for Ruby is part of the binary"},
	{"resourcesdir", "all that it needs is part of the binary"},
	{"support-binaries-dir", "it is one binary"},
	{"make-locations-ini", "it is one binary, and has no locations to write down"},
	{"detect-apache2", "it has no Apache module: a stock Apache reaches it by HTTP or SCGI"},
	{"rubyext-compat-id", "it has no extension for Ruby"},
	{"cxx-compat-id", "it has no part in C++"},
}

func newAboutCommand() *cobra.Command {
	cmd := newAboutItself()
	cmd.AddCommand(&cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Args:    noArguments,
		Example: "  passenger-config about version",
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "gopassenger %s\n", agent.Version)
		},
	}, newRubyCommandCommand())

	for _, c := range []struct{ name, short, result string }{
		{"compiled", "Show whether everything is compiled", "yes"},
		{"custom-packaged", "Show whether it comes from a package with other paths", "no"},
		{"installed-from-release-package", "Show whether it comes from a package of the original's", "no"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:     c.name,
			Short:   c.short,
			Args:    noArguments,
			Example: "  passenger-config about " + c.name,
			RunE: func(cmd *cobra.Command, _ []string) error {
				fmt.Fprintln(cmd.OutOrStdout(), c.result)
				if c.result == "no" {
					return errSaid
				}

				return nil
			},
		})
	}

	for _, c := range notHere {
		cmd.AddCommand(&cobra.Command{
			Use:    c.name,
			Hidden: true,
			Short:  "Say that there is nothing of the kind: " + c.reason,
			RunE: func(*cobra.Command, []string) error {
				return exit(1, "This version of Passenger has no %s: %s.", c.name, c.reason)
			},
		})
	}

	return cmd
}

// newAboutItself returns the command about without its subcommands.
func newAboutItself() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "about",
		Short: "Show what this program is",
		Long: "About shows the version, and where instances are. With --json it prints {version,\n" +
			"executable, go, system, registry, registries}: registry is where new instances go, and\n" +
			"registries where they are looked for.\n\n" +
			"The subcommands are those of passenger-config about; those that ask for what one binary\n" +
			"does not have say so, with status 1.",
		Example: "  passenger-config about version\n  passenger about --json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := about{
				Version:    agent.Version,
				Go:         runtime.Version(),
				System:     runtime.GOOS + "/" + runtime.GOARCH,
				Registry:   instancedir.DefaultRegistry(os.Getenv),
				Registries: instancedir.Registries(os.Getenv),
			}
			// Empty means unknown.
			a.Executable, _ = os.Executable()
			w := cmd.OutOrStdout()
			if asJSON {
				return printJSON(w, a)
			}

			fmt.Fprintf(w, "Version    : gopassenger %s\nExecutable : %s\nBuilt with : %s for %s\nRegistry   : %s\n",
				a.Version, a.Executable, a.Go, a.System, a.Registry)

			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	return cmd
}

// addAboutFlags lets the subcommands of about be flags of passenger-config, as they
// were once.
func addAboutFlags(config *cobra.Command) {
	var about *cobra.Command
	for _, c := range config.Commands() {
		if c.Name() == "about" {
			about = c
		}
	}

	for _, c := range about.Commands() {
		// Cobra has --version itself.
		if c.Name() != "version" {
			config.Flags().Bool(c.Name(), false, c.Short)
			_ = config.Flags().MarkHidden(c.Name()) // it is there
		}
	}

	config.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, c := range about.Commands() {
			if f := cmd.Flags().Lookup(c.Name()); f != nil && f.Changed && c.RunE != nil {
				c.SetOut(cmd.OutOrStdout())
				return c.RunE(c, nil)
			}
		}

		return cmd.Help()
	}
}

func newRubyCommandCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "ruby-command",
		Short:   "Show which Ruby interpreter is used",
		Args:    noArguments,
		Example: "  passenger-config about ruby-command",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ruby, err := exec.LookPath("ruby")
			if err != nil {
				return exit(1, "There is no Ruby interpreter in PATH. 'passenger start --ruby FILE' names one.")
			}

			fmt.Fprintf(cmd.OutOrStdout(), "Command: %s\nTo start: passenger start --ruby %s\n", ruby, ruby)

			return nil
		},
	}
}
