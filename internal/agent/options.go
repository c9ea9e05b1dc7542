package agent

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/options"
)

// Option is an option of a server, with the field of Config that has its value.
type Option struct {
	options.Option

	// field returns a pointer to the field; nil means that the option stands for others.
	field func(*Config) any
	// check finds what limits and values do not; nil means nothing.
	check func(*Config) error
}

// Group is a part of the table of options, as help and documents show it.
type Group struct {
	Title   string
	Options []Option
}

// Groups returns all options, the table that everything about an option comes from. It is made at the first call: most
// commands need none.
var Groups = sync.OnceValue(func() []Group {
	return makeGroups(
		Group{"Application", applicationOptions()},
		Group{"Network", networkOptions()},
		Group{"TLS", tlsOptions()},
		Group{"Processes", processOptions()},
		Group{"Companions", companionOptions()},
		Group{"Limits", limitOptions()},
		Group{"Restarts", restartOptions()},
		Group{"Requests", requestOptions()},
		Group{"Logs", logOptions()},
		Group{"Security", securityOptions()},
		Group{"Advanced", advancedOptions()},
	)
})

func makeGroups(groups ...Group) []Group {
	for _, g := range groups {
		for i := range g.Options {
			g.Options[i].Group = g.Title
		}
	}

	return groups
}

// OptionsIn returns the options that may be set in a scope.
func OptionsIn(scope options.Scope) (all []*Option) {
	for _, g := range Groups() {
		for i := range g.Options {
			if o := &g.Options[i]; o.In(scope) {
				all = append(all, o)
			}
		}
	}

	return all
}

// scope is where the options of the server come from.
func (c *Config) scope() options.Scope {
	if c.Flying != nil {
		return options.Flying
	}

	return options.Start
}

// withField returns the options of a scope that have a field.
func withField(scope options.Scope) []*Option {
	return slices.DeleteFunc(OptionsIn(scope), func(o *Option) bool { return o.field == nil })
}

// Where an option may be set.
const (
	startOnly   = options.Start
	flyingOnly  = options.Flying
	requestOnly = options.Request
	flyingApps  = options.Flying | options.Request
	server      = options.Start | options.Flying
	perApp      = options.Start | options.App
	perAppOrAll = perApp | options.Flying
	perRequest  = perApp | options.Request
	everywhere  = perRequest | options.Flying
)

// anyConfig is only looked at for the types of its fields; one for each option would take most of a start's memory.
var anyConfig = &Config{Flying: &Flying{}}

// option is a row of the table. help names the value in backquotes.
func option(
	key string, scopes options.Scope, field func(*Config) any, help string, features ...func(*Option),
) Option {
	o := Option{Option: options.Option{Key: key, Scopes: scopes, Help: help}, field: field}
	switch field(anyConfig).(type) {
	case *int:
		o.Kind = options.Int
	case *int64:
		o.Kind = options.Int64
	case *float64:
		o.Kind = options.Float
	case *bool:
		o.Kind = options.Bool
	case *[]string:
		o.Kind = options.List
	case *map[string]string:
		o.Kind = options.Map
	}

	for _, feature := range features {
		feature(&o)
	}

	return o
}

// standIn is a row for an option that sets others.
func standIn(key string, kind options.Kind, scopes options.Scope, help string, features ...func(*Option)) Option {
	o := Option{Option: options.Option{Key: key, Kind: kind, Scopes: scopes, Help: help}}
	for _, feature := range features {
		feature(&o)
	}

	return o
}

// Features of options.

func fixed(o *Option)       { o.Fixed = true }
func secretValue(o *Option) { o.Secret = true }

// parsed is for options whose value is an object in JSON.
func parsed[T any](parse func(raw any) (T, error)) func(*Option) {
	return func(o *Option) {
		o.Kind, o.Parse = options.Object, func(raw any) (any, error) { return parse(raw) }
	}
}

func everyday(o *Option) { o.Everyday = true }

func as(kind options.Kind) func(*Option)   { return func(o *Option) { o.Kind = kind } }
func alias(key string) func(*Option)       { return func(o *Option) { o.Aliases = []string{key} } }
func params(names ...string) func(*Option) { return func(o *Option) { o.Params = names } }
func flag(name string) func(*Option)       { return func(o *Option) { o.Flag = name } }
func otherFlag(name string) func(*Option)  { return func(o *Option) { o.OtherFlag = name } }
func short(letter string) func(*Option)    { return func(o *Option) { o.Short = letter } }
func detail(text string) func(*Option)     { return func(o *Option) { o.Detail = text } }
func byDefault(value any) func(*Option)    { return func(o *Option) { o.Default = value } }
func inFlying(value any) func(*Option)     { return func(o *Option) { o.FlyingDefault = value } }

func shownDefault(text string) func(*Option)      { return func(o *Option) { o.DefaultText = text } }
func oneOf(values ...string) func(*Option)        { return func(o *Option) { o.Values = values } }
func opposite(key string) func(*Option)           { return func(o *Option) { o.Opposite = key } }
func checked(f func(*Config) error) func(*Option) { return func(o *Option) { o.check = f } }

// read finds what parse finds, whose result is for later.
func read[T any](parse func(*Config) (T, error)) func(*Option) {
	return checked(func(c *Config) error {
		_, err := parse(c)
		return err
	})
}

// from bounds a number from below; zero is what 0 means, if that is something else than 0.
func from(minimum float64, zero string) func(*Option) {
	return limits(options.Limits{Min: minimum, Max: options.MaxNumber, Zero: zero})
}

func between(minimum, maximum float64) func(*Option) {
	return limits(options.Limits{Min: minimum, Max: maximum})
}

func limits(l options.Limits) func(*Option) {
	l.Set = true
	return func(o *Option) { o.Limits = l }
}

// setDefaults sets what counts where nothing else is configured.
func (c *Config) setDefaults() {
	all := withField(c.scope())
	if c.Flying != nil {
		// What only web servers may set, for an application, has a default, too.
		all = append(all, withField(options.Request)...)
	}

	for _, o := range all {
		value := o.Default
		if c.Flying != nil && o.FlyingDefault != nil {
			value = o.FlyingDefault
		}

		if value != nil {
			o.set(c, value)
		}
	}
}

// set puts a value into the field, which may have another type of number.
func (o *Option) set(c *Config, value any) {
	field := reflect.ValueOf(o.field(c)).Elem()
	field.Set(reflect.ValueOf(value).Convert(field.Type()))
}

// StandsForOthers reports whether the option has no value of its own, as it sets other options.
func (o *Option) StandsForOthers() bool { return o.field == nil }

// Value is what c has.
func (o *Option) Value(c *Config) any { return reflect.ValueOf(o.field(c)).Elem().Interface() }

// Setting is a value with the place that it came from.
type Setting struct {
	Value any
	// Source names a file, a variable of the environment or a flag.
	Source string
}

// Apply sets values, by their keys.
func (c *Config) Apply(values map[string]Setting) {
	c.Sources = make(map[string]string, len(values))
	for _, o := range withField(c.scope()) {
		if setting, ok := values[o.Key]; ok {
			o.set(c, setting.Value)
			c.Sources[o.Key] = setting.Source
		}
	}
}

// checkOptions finds what is wrong with each option by itself.
func (c *Config) checkOptions() (errs []error) {
	for _, o := range withField(c.scope()) {
		if err := o.checkIn(c); err != nil {
			errs = append(errs, err)
		}
	}

	return errs
}

// checkIn finds what is wrong with the value that c has.
func (o *Option) checkIn(c *Config) error {
	if err := o.Check(o.Value(c)); err != nil || o.check == nil {
		return err
	}

	return o.check(c)
}

// withSources puts in front of each fault the place that the value came from. A fault begins with the
// key of its option.
func (c *Config) withSources(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs := slices.Clone(joined.Unwrap())
		for i := range errs {
			errs[i] = c.withSources(errs[i])
		}

		return errors.Join(errs...)
	}

	if err == nil {
		return nil
	}

	// All faults begin with the key, and some have a colon behind it.
	key, _, _ := strings.Cut(err.Error(), " ")
	if source := c.Sources[strings.TrimSuffix(key, ":")]; source != "" {
		return fmt.Errorf("%s: %w", source, err)
	}

	return err
}
