package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/internal/printable"
)

// shownOption is an option with its value and the place that it came from.
type shownOption struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// shownConfig is a configuration for people and programs. Apps have the options that are no defaults.
type shownConfig struct {
	Dir     string        `json:"dir,omitempty"`
	Options []shownOption `json:"options"`
	Apps    []shownConfig `json:"apps,omitempty"`
}

// addShowFlags lets config show the configuration of start or Flying, whose flags it takes.
func (t tools) addShowFlags(config *cobra.Command) {
	var show, asJSON, flying bool
	flags := config.Flags()
	flags.BoolVar(&show, "show", false, "print each option of start, and where it came from")
	flags.BoolVar(&flying, "flying", false, "with --show, print the options of flying")
	flags.BoolVar(&asJSON, "json", false, "with --show, print JSON")
	addHiddenFlags(flags, newFlyingCommand("flying", t.signals).Flags())
	addHiddenFlags(flags, newStartCommand(t.signals).Flags())

	withoutShow, withoutArgs := config.RunE, config.Args
	config.Args = func(cmd *cobra.Command, args []string) error {
		if show && len(args) <= 1 {
			return nil
		}

		return withoutArgs(cmd, args)
	}
	config.RunE = func(cmd *cobra.Command, args []string) error {
		if !show {
			return withoutShow(cmd, args)
		}

		l := newLoader(cmd, options.Start)
		load := func() (agent.Config, error) { return l.load(args) }
		if flying {
			l.scope, load = options.Flying, l.loadFlying
		}

		cfg, err := load()
		if err != nil {
			return err
		}

		shown := showConfig(&cfg, l.scope)
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), shown)
		} else {
			err = shown.print(printable.TextWriter(cmd.OutOrStdout()))
		}

		if err != nil {
			return err
		}

		return cfg.Validate()
	}
}

// addHiddenFlags adds the flags of another command, without those that are there already.
func addHiddenFlags(flags, others *pflag.FlagSet) {
	others.VisitAll(func(f *pflag.Flag) {
		if flags.Lookup(f.Name) != nil {
			return
		}

		f.Hidden = true
		// The letter belongs to another flag here.
		if f.Shorthand != "" && flags.ShorthandLookup(f.Shorthand) != nil {
			f.Shorthand = ""
		}

		flags.AddFlag(f)
	})
}

const defaultSource = "default"

func showConfig(cfg *agent.Config, scope options.Scope) *shownConfig {
	shown := &shownConfig{Dir: cfg.Dir, Options: showOptions(cfg, scope)}

	for i := range cfg.Apps {
		app := showConfig(cfg.Apps[i].Config, scope|options.App)
		app.Options = slices.DeleteFunc(app.Options, func(o shownOption) bool { return o.Source == defaultSource })
		shown.Apps = append(shown.Apps, *app)
	}

	return shown
}

func showOptions(cfg *agent.Config, scope options.Scope) (shown []shownOption) {
	for _, o := range agent.OptionsIn(scope) {
		if o.StandsForOthers() {
			continue
		}

		value := o.Value(cfg)
		if secrets, ok := value.(map[string]string); ok && o.Secret {
			hidden := map[string]string{}
			for name := range secrets {
				hidden[name] = "(not shown)"
			}

			value = hidden
		}

		if secrets, ok := value.(interface{ WithoutSecrets() any }); ok {
			value = secrets.WithoutSecrets()
		}

		shown = append(shown, shownOption{o.Key, value, cmp.Or(cfg.Sources[o.Key], defaultSource)})
	}

	return shown
}

// print writes a line for each option, for people.
func (s *shownConfig) print(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range s.Options {
		text, isText := o.Value.(string)
		if !isText {
			encoded, err := json.Marshal(o.Value)
			if err != nil {
				return err
			}

			// A list that is not set is null in JSON.
			text = strings.TrimPrefix(string(encoded), "null")
		}

		fmt.Fprintf(columns, "%s\t%s\t%s\n", o.Key, text, o.Source)
	}

	err := columns.Flush()

	for i := range s.Apps {
		fmt.Fprintf(w, "\n%s:\n", s.Apps[i].Dir)
		err = errors.Join(err, s.Apps[i].print(w))
	}

	return err
}
