package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// shownValue is the value of an option with the place that it came from.
type shownValue struct {
	Value  any    `json:"value"`
	Source string `json:"source"`

	key string
}

// shownConfig is a configuration for people and programs.
type shownConfig struct {
	Options map[string]shownValue `json:"options"`
	Apps    []shownApp            `json:"apps,omitempty"`

	values []shownValue
}

// shownApp is one of several applications, with the options that are not defaults.
type shownApp struct {
	Dir     string                `json:"dir"`
	Options map[string]shownValue `json:"options"`

	values []shownValue
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
			err = shown.print(cmd.OutOrStdout())
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
		if f.Shorthand != "" && flags.ShorthandLookup(f.Shorthand) != nil {
			f.Shorthand = ""
		}

		flags.AddFlag(f)
	})
}

func showConfig(cfg *agent.Config, scope options.Scope) *shownConfig {
	shown := &shownConfig{values: showValues(cfg, scope)}
	shown.Options = byKey(shown.values)

	for i := range cfg.Apps {
		app := shownApp{Dir: cfg.Apps[i].Config.Dir}
		for _, v := range showValues(cfg.Apps[i].Config, scope|options.App) {
			if v.Source != defaultSource {
				app.values = append(app.values, v)
			}
		}

		app.Options = byKey(app.values)
		shown.Apps = append(shown.Apps, app)
	}

	return shown
}

const defaultSource = "default"

func showValues(cfg *agent.Config, scope options.Scope) (values []shownValue) {
	for _, o := range agent.OptionsIn(scope) {
		if o.StandsForOthers() {
			continue
		}

		v := shownValue{key: o.Key, Value: o.Value(cfg), Source: defaultSource}
		if source := cfg.Sources[o.Key]; source != "" {
			v.Source = source
		}

		if secrets, ok := v.Value.(map[string]string); ok && o.Secret {
			names := map[string]string{}
			for name := range secrets {
				names[name] = "(not shown)"
			}

			v.Value = names
		}

		values = append(values, v)
	}

	return values
}

func byKey(values []shownValue) map[string]shownValue {
	named := map[string]shownValue{}
	for _, v := range values {
		named[v.key] = v
	}

	return named
}

func (s *shownConfig) print(w io.Writer) error {
	if err := printValues(w, s.values); err != nil {
		return err
	}

	for _, app := range s.Apps {
		fmt.Fprintf(w, "\n%s:\n", app.Dir)
		if err := printValues(w, app.values); err != nil {
			return err
		}
	}

	return nil
}

func printValues(w io.Writer, values []shownValue) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range values {
		text, isText := v.Value.(string)
		if !isText {
			encoded, err := json.Marshal(v.Value)
			if err != nil {
				return err
			}

			if text = string(encoded); text == "null" {
				text = ""
			}
		}

		fmt.Fprintf(columns, "%s\t%s\t%s\n", v.key, text, v.Source)
	}

	return columns.Flush()
}
