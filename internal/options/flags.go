package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// maxHelp is the greatest length of a line of help behind its flag.
const maxHelp = 70

// AddFlag adds the flags of the option. Their annotation GroupAnnotation is the title that help shows
// them under.
func (o *Option) AddFlag(flags *pflag.FlagSet, scope Scope) {
	o.addFlag(flags, scope, o.FlagName(), o.Short)
	if o.OtherFlag != "" {
		o.addFlag(flags, scope, o.OtherFlag, "")
		flags.Lookup(o.OtherFlag).Hidden = true
	}
}

// GroupAnnotation and DetailAnnotation are annotations of flags.
const (
	GroupAnnotation  = "group"
	DetailAnnotation = "detail"
)

func (o *Option) addFlag(flags *pflag.FlagSet, scope Scope, name, short string) {
	help := o.flagHelp(scope)
	switch o.Kind {
	case Map, List, Paths, PathMap, Hooks:
		// A value may have commas, which a flag of another kind would take for separators.
		flags.StringArrayP(name, short, nil, help)
	case Bool:
		// A Boolean of pflag takes fewer words than files and variables do.
		f := flags.VarPF(new(boolean), name, short, help)
		f.NoOptDefVal = "true"
	case Text, Int, Int64, Float, Path, AbsolutePath, Output, Command, Switch, Statuses, Object,
		Foreign:
		// Convert reads numbers, too, so that a flag and a file have the same messages.
		flags.StringP(name, short, "", help)
	}

	f := flags.Lookup(name)
	f.Hidden = o.Kind == Foreign
	f.Annotations = map[string][]string{GroupAnnotation: {o.title()}, DetailAnnotation: {o.Detail}}
	// Without a value, --name means on.
	if o.Bare || o.Kind == Switch {
		f.NoOptDefVal = on
	}
}

// boolean is the value of a flag that is true without one. It is read like that of a variable or a file.
type boolean string

func (b *boolean) Set(text string) error {
	*b = boolean(text)
	return nil
}

func (b *boolean) String() string { return string(*b) }

// Type is the name by which help leaves out the value.
func (*boolean) Type() string { return "bool" }

// EverydayGroup is the title of the options that most servers need.
const EverydayGroup = "Everyday"

func (o *Option) title() string {
	if o.Everyday {
		return EverydayGroup
	}

	return o.Group
}

// flagHelp has the default where there is room for it.
func (o *Option) flagHelp(scope Scope) string {
	help := o.meaning()

	text := strings.ReplaceAll(o.DefaultIn(scope), "`", "")
	if text == "" || text == "false" || text == "0" {
		return help
	}

	if whole := help + " (default " + text + ")"; len(whole) <= maxHelp {
		return whole
	}

	return help
}

// meaning is the help with what 0 means.
func (o *Option) meaning() string {
	if o.Limits.Zero == "" {
		return o.Help
	}

	return o.Help + "; 0 means " + o.Limits.Zero
}

// DefaultIn is the default as documents show it, in Markdown.
func (o *Option) DefaultIn(scope Scope) string {
	value := o.Default
	switch {
	case scope != Start && o.FlyingDefault != nil:
		value = o.FlyingDefault
	case o.DefaultText != "":
		return o.DefaultText
	}

	switch {
	case value != nil:
		return fmt.Sprint(value)
	case o.Kind == Bool:
		return "false"
	case slices.Contains([]Kind{Int, Int64, Float}, o.Kind) && o.Limits.Min == 0:
		return "0"
	}

	return ""
}

// Given is the value that a flag of the option has got, by either of its names; nil means none.
func (o *Option) Given(flags *pflag.FlagSet) (raw any, err error) {
	for _, name := range []string{o.FlagName(), o.OtherFlag} {
		f := flags.Lookup(name)
		// A command may have some of the options only.
		if f == nil || !f.Changed {
			continue
		}

		if raw != nil {
			return nil, fmt.Errorf("--%s and --%s are the same option: use one or the other", o.FlagName(), o.OtherFlag)
		}

		raw = f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			raw = list.GetSlice()
		}
	}

	return raw, nil
}
