package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/pflag"
)

type kind uint8

const (
	kindString kind = iota
	kindInt
	kindFloat
	kindPath    // relative to where it was written
	kindOutput  // a path, or - for standard output
	kindPaths   // a list of paths, with a dash in front of those that may be missing
	kindPathMap // NAME=PATH
	kindHooks   // NAME=PROGRAM, and several programs with semicolons between
	kindCommand // for a shell, if it needs one
	kindMap     // NAME=VALUE
	kindList    // texts
	kindBool
	kindStatus  // statuses of HTTP: a text, a number, or a list of them
	kindForeign // of Passenger's, and without a meaning here
)

// option is one of start's options, in a file, in the environment and on the
// command line.
type option struct {
	key     string // in files; in the environment with PASSENGER_ in front
	aliases []string
	flag    string
	// also is another name of the flag, which Passenger has.
	also  string
	short string
	kind  kind
	// bare: the flag needs no value, and has one only behind an equals sign.
	bare  bool
	usage string
}

func findOption(options []option, key string) (option, bool) {
	i := slices.IndexFunc(options, func(o option) bool { return o.key == key || slices.Contains(o.aliases, key) })
	if i < 0 {
		return option{}, false
	}

	return options[i], true
}

func addStartFlags(flags *pflag.FlagSet) {
	addFlags(flags, startOptions)
	addFlags(flags, foreignOptions)
}

// addServerFlags adds those that say which server is meant.
func addServerFlags(flags *pflag.FlagSet) {
	addFlags(flags, optionsOf(startOptions, append([]string{"instance_registry_dir"}, serverFileKeys...)))
}

// optionsOf returns those that have these keys.
func optionsOf(options []option, keys []string) []option {
	named := make([]option, 0, len(keys))
	for _, key := range keys {
		o, _ := findOption(options, key)
		named = append(named, o)
	}

	return named
}

func addFlags(flags *pflag.FlagSet, options []option) {
	flags.SortFlags = false
	for i := range options {
		o := &options[i]
		o.addFlag(flags, o.flag, o.short)
		if o.also != "" {
			o.addFlag(flags, o.also, "")
			flags.Lookup(o.also).Hidden = true
		}
	}
}

func (o *option) addFlag(flags *pflag.FlagSet, name, short string) {
	switch o.kind {
	case kindMap, kindList, kindPaths, kindPathMap, kindHooks:
		flags.StringArrayP(name, short, nil, o.usage)
	case kindBool:
		flags.BoolP(name, short, false, o.usage)
	case kindString, kindInt, kindFloat, kindPath, kindOutput, kindCommand, kindStatus, kindForeign:
		flags.StringP(name, short, "", o.usage)
	}

	flags.Lookup(name).Hidden = o.kind == kindForeign
	if o.bare {
		flags.Lookup(name).NoOptDefVal = "true"
	}
}

// given is the value that a flag of the option has got, by either of its names.
func (o *option) given(flags *pflag.FlagSet) (raw any, err error) {
	for _, name := range []string{o.flag, o.also} {
		f := flags.Lookup(name)
		if f == nil || !f.Changed { // not every command has all of them
			continue
		}

		if raw != nil {
			return nil, fmt.Errorf("--%s and --%s are both given, which are the same option: use one or the other",
				o.flag, o.also)
		}

		raw = f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			raw = list.GetSlice()
		}
	}

	return raw, nil
}

// convert checks a value and brings it into the form of agent.Config.
// Relative paths are below dir, or the working directory if that is empty.
func (o *option) convert(raw any, dir string) (any, error) {
	switch o.kind {
	case kindInt:
		return o.toInt(raw)
	case kindFloat:
		return o.toFloat(raw)
	case kindCommand:
		return o.toCommand(raw)
	case kindMap:
		return o.toMap(raw)
	case kindList:
		return o.toList(raw)
	case kindPaths:
		return o.toPaths(raw, dir)
	case kindPathMap:
		return o.toPathMap(raw, dir)
	case kindHooks:
		return o.toHooks(raw, dir)
	case kindBool:
		return o.toBool(raw)
	case kindStatus:
		return o.toStatus(raw)
	case kindString, kindPath, kindOutput, kindForeign:
	}

	if isTrue, ok := raw.(bool); ok && o.bare {
		return strconv.FormatBool(isTrue), nil
	}

	s, ok := raw.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a text, not %v", o.key, raw)
	}

	switch {
	case o.kind == kindPath, o.kind == kindOutput && s != standardOutput:
		return o.toPath(s, dir)
	}

	return s, nil
}
