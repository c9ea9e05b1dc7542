package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// findOption returns the option of a scope that has this key; nil means none.
func findOption(scope options.Scope, key string) *options.Option {
	for _, o := range agent.OptionsIn(scope) {
		if slices.Contains(o.Keys(), key) {
			return &o.Option
		}
	}

	return nil
}

// addFlags adds the flags of all options of a scope.
func addFlags(flags *pflag.FlagSet, scope options.Scope) {
	flags.SortFlags = false
	for _, o := range agent.OptionsIn(scope) {
		o.AddFlag(flags, scope)
	}
}

func addStartFlags(flags *pflag.FlagSet) {
	addFlags(flags, options.Start)

	for i := range foreignOptions {
		foreignOptions[i].AddFlag(flags, options.Start)
	}
}

// addServerFlags adds the flags of start that say which server is meant.
func addServerFlags(flags *pflag.FlagSet, keys []string) {
	flags.SortFlags = false
	for _, key := range keys {
		o := findOption(options.Start, key)
		o.AddFlag(flags, options.Start)
		// They are too few for groups.
		flags.Lookup(o.FlagName()).Annotations = nil
	}
}
