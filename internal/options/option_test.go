package options_test

import (
	"math"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/options"
)

func TestFaultsOfValuesSayWhatThereMayBe(t *testing.T) {
	never := options.Limits{Set: true, Max: options.MaxNumber, Zero: "never"}
	share := options.Limits{Set: true, Max: 1, AboveMin: true}
	port := options.Limits{Set: true, Max: 65535, Zero: "any free one"}

	for _, test := range []struct {
		limits options.Limits
		values []string
		value  any
		want   string
	}{
		{limits: never, value: 0},
		{limits: never, value: int64(1 << 40)},
		{limits: never, value: -1, want: "x is -1: it must be 0 (never) or more"},
		{limits: share, value: 1.0},
		{limits: share, value: 0.0, want: "x is 0: it must be above 0 and at most 1"},
		{limits: share, value: math.NaN(), want: "x is NaN: it must be above 0 and at most 1"},
		{limits: port, value: 65536, want: "x is 65536: it must be from 0 (any free one) to 65535"},
		{value: -1},
		{values: []string{"a", "b", "c"}, value: ""},
		{values: []string{"a", "b", "c"}, value: "b"},
		{values: []string{"a", "b", "c"}, value: "d", want: `x is "d": it must be a, b or c`},
	} {
		o := options.Option{Key: "x", Limits: test.limits, Values: test.values}

		err := o.Check(test.value)
		if test.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, test.want)
		}
	}
}

func TestValuesAreConvertedToTheTypeOfTheField(t *testing.T) {
	for _, test := range []struct {
		kind options.Kind
		raw  any
		want any
	}{
		{options.Int, " 7 ", 7},
		{options.Int, 7.0, 7},
		{options.Int64, 5e9, int64(5_000_000_000)},
		{options.Float, "0.5", 0.5},
		{options.Bool, "on", true},
		{options.Switch, true, "true"},
		{options.Switch, "off", "false"},
		{options.Switch, "AUTO", "auto"},
		{options.Path, "a/../b", "/dir/b"},
		{options.Output, "-", "-"},
		{options.Paths, []any{"-a", "/b"}, []string{"-/dir/a", "/b"}},
		{options.PathMap, map[string]any{"/x": "y"}, map[string]string{"/x": "/dir/y"}},
		{
			options.Map,
			map[string]any{"LIMIT": 1e6, "BIG": 12345678901.0, "SHARE": 0.25, "ON": true, "TEXT": "1e6"},
			map[string]string{"LIMIT": "1000000", "BIG": "12345678901", "SHARE": "0.25", "ON": "true", "TEXT": "1e6"},
		},
		{options.Hooks, "hook_a=./b;c hook_d=e", map[string]string{"hook_a": "/dir/b;c", "hook_d": "e"}},
		{options.Command, "a 'b c'", []string{"a", "b c"}},
	} {
		o := options.Option{Key: "x", Kind: test.kind}
		value, err := o.Convert(test.raw, "/dir")
		require.NoError(t, err)
		require.Equal(t, test.want, value)
	}

	for kind, raw := range map[options.Kind]any{
		options.Int: 5e9, options.Int64: 1.5, options.Float: true, options.Bool: "maybe", options.Switch: "maybe",
		options.Text: 1.0, options.List: 1.0, options.Map: "a", options.Command: "'",
	} {
		o := options.Option{Key: "x", Kind: kind}
		_, err := o.Convert(raw, "/dir")
		require.ErrorContains(t, err, "x ", "%v", raw)
	}
}

func TestParametersKeepRelativePaths(t *testing.T) {
	for kind, want := range map[options.Kind]any{options.Path: "b", options.Paths: []string{"a/../b"}} {
		o := options.Option{Key: "x", Kind: kind}
		value, err := o.ConvertParam("a/../b")
		require.NoError(t, err)
		require.Equal(t, want, value)
	}

	o := options.Option{Key: "x", Kind: options.AbsolutePath}
	_, err := o.ConvertParam("a")
	require.EqualError(t, err, `x is "a": it must be an absolute path`)
}

func TestFlagsAndDocumentsShowTheSame(t *testing.T) {
	o := options.Option{
		Key:     "max_things",
		Aliases: []string{"things"},
		Short:   "t",
		Kind:    options.Int,
		Scopes:  options.Start | options.Request,
		Help:    "the maximum `number` of things",
		Detail:  "See [things](things.md).",
		Default: 6,
		Limits:  options.Limits{Set: true, Max: options.MaxNumber, Zero: "no limit"},
	}

	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.AddFlag(flags, options.Start)
	require.Equal(t, "the maximum `number` of things; 0 means no limit (default 6)", flags.Lookup("max-things").Usage)
	require.Equal(t, "| `max_things`, `things` | `-t`, `--max-things` | `6` | "+
		"the maximum number of things; 0 means no limit. See [things](things.md). |\n", o.Row(options.Start))
	require.Equal(t, "| `max_things`, `things` | `6` | the maximum number of things; 0 means no limit |\n",
		o.Row(options.Request))
	require.Equal(t, "See things.", options.Plain(o.Detail))

	require.NoError(t, flags.Parse([]string{"-t", "7"}))
	given, err := o.Given(flags)
	require.NoError(t, err)
	require.Equal(t, "7", given)
}
