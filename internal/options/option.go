// Package options says what an option of a server is: where it may be set, what values it takes, and
// how flags, help and documents show it. The table of options itself is in package agent.
package options

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Option is a row of the table of options.
type Option struct {
	// Key is the name in files. Variables of the environment have it in capitals behind PASSENGER_.
	Key string
	// Aliases are other keys that mean the same.
	Aliases []string
	// Params are the names in requests of a web server; nil means the key and its aliases.
	Params []string
	// Flag is the name on the command line, OtherFlag a second one that help does not show, and Short
	// a letter. An empty Flag means the key with dashes.
	Flag, OtherFlag, Short string
	// Bare flags need no value.
	Bare   bool
	Kind   Kind
	Scopes Scope
	Group  string
	// Everyday options come first in help.
	Everyday bool
	// Help is a short noun phrase. The word in backquotes names the value.
	Help string
	// Detail is what help has no room for, in Markdown.
	Detail string
	// Default is nil for the zero value of the field. FlyingDefault is the one of Flying where that
	// differs. DefaultText is shown in the place of either.
	Default, FlyingDefault any
	DefaultText            string
	// Limits bound numbers.
	Limits Limits
	// Values are all that there are; nil means any.
	Values []string
	// Opposite is the key of the option that this one is the negation of.
	Opposite string
	// Fixed options take effect when the server starts, and not at a reload.
	Fixed bool
	// Secret values are not shown.
	Secret bool
	// Parse returns the value of an Object as the field has it. Its error begins with the key.
	Parse func(raw any) (any, error)
}

// Scope is a set of places that an option may be set in.
type Scope uint8

// The scopes.
const (
	// Start is "passenger start", with its files and its environment.
	Start Scope = 1 << iota
	// Flying is "passenger flying", with the same.
	Flying
	// App is one of several applications of "passenger start".
	App
	// Request is a request of a web server to Flying.
	Request
)

// Prefix begins the names of options in the environment, and of parameters by SCGI.
const Prefix = "PASSENGER_"

// In reports whether the option may be set in all of scopes.
func (o *Option) In(scopes Scope) bool { return o.Scopes&scopes == scopes }

// Keys are all names that the option has in files.
func (o *Option) Keys() []string { return append([]string{o.Key}, o.Aliases...) }

// ParamNames are all names that the option has in requests.
func (o *Option) ParamNames() []string {
	if o.Params != nil {
		return o.Params
	}

	return o.Keys()
}

// FlagName is the name on the command line.
func (o *Option) FlagName() string { return cmp.Or(o.Flag, strings.ReplaceAll(o.Key, "_", "-")) }

// Variable is the name of a key in the environment.
func Variable(key string) string { return Prefix + strings.ToUpper(key) }

// Limits are the values that a number may have. The zero value is for options that are no number, or
// that have a rule of their own.
type Limits struct {
	Set      bool
	Min, Max float64
	// AboveMin is true if Min itself is too little.
	AboveMin bool
	// Zero is what 0 means.
	Zero string
}

// Check returns an error that begins with the key if the value, of the type of the field, is not one
// of those that the option takes.
func (o *Option) Check(value any) error {
	var number float64
	switch v := value.(type) {
	case string:
		// An empty text stands for the default.
		if v == "" || o.Values == nil || slices.Contains(o.Values, v) {
			return nil
		}

		first, last := o.Values[:len(o.Values)-1], o.Values[len(o.Values)-1]

		return fmt.Errorf("%s is %q: it must be %s or %s", o.Key, v, strings.Join(first, ", "), last)
	case int:
		number = float64(v)
	case int64:
		number = float64(v)
	case float64:
		number = v
	default:
		return nil
	}

	l := &o.Limits
	// NaN is neither within the limits nor outside.
	if !l.Set || number >= l.Min && number <= l.Max && (!l.AboveMin || number > l.Min) {
		return nil
	}

	return fmt.Errorf("%s is %v: it must be %s", o.Key, value, l)
}

// String says which numbers there may be, as "from 0 (never) to 7".
func (l *Limits) String() string {
	least := fmt.Sprint(int64(l.Min))
	if l.Zero != "" && l.Min == 0 {
		least += " (" + l.Zero + ")"
	}

	switch {
	case l.Max >= MaxNumber:
		return least + " or more"
	case l.AboveMin:
		return fmt.Sprintf("above %s and at most %.0f", least, l.Max)
	}

	return fmt.Sprintf("from %s to %.0f", least, l.Max)
}
