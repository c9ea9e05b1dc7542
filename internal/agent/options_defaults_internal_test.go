package agent

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/options"
)

// An option that only web servers set has the same default under Flying as under start.
func TestEachOptionHasItsDefaultWhereItMayBeSet(t *testing.T) {
	start, flying := DefaultConfig(), DefaultFlyingConfig()
	checked := 0

	for _, group := range Groups() {
		for i := range group.Options {
			o := &group.Options[i]
			if o.field == nil || o.Default == nil && o.FlyingDefault == nil {
				continue
			}

			for _, c := range []*Config{&start, &flying} {
				want := o.Default
				in := o.In(options.Start) || o.In(options.App)
				if c.Flying != nil {
					in = o.In(options.Flying) || o.In(options.Request)
					if o.FlyingDefault != nil {
						want = o.FlyingDefault
					}
				}

				if !in || want == nil {
					continue
				}

				got := reflect.ValueOf(o.Value(c))
				require.Equal(t, reflect.ValueOf(want).Convert(got.Type()).Interface(), got.Interface(), o.Key)
				checked++
			}
		}
	}

	require.Greater(t, checked, 60)
}

// What is out of the range of an option is not told again in the words of the package that the
// option is for: each line is about an option by its key.
func TestNumberOutOfItsRangeIsToldByItsKey(t *testing.T) {
	all := withField(options.Start)
	checked := 0

	for _, o := range all {
		if !o.Limits.Set {
			continue
		}

		c := DefaultConfig()
		c.Dir, c.StartCommand = t.TempDir(), []string{"/bin/sh"}

		field := reflect.ValueOf(o.field(&c)).Elem()
		below := reflect.ValueOf(o.Limits.Min - 1)
		if !below.CanConvert(field.Type()) {
			continue
		}

		field.Set(below.Convert(field.Type()))
		err := c.Validate()
		require.ErrorContains(t, err, o.Key)
		checked++

		for line := range strings.Lines(err.Error()) {
			first, _, _ := strings.Cut(line, " ")
			require.True(t, slices.ContainsFunc(all, func(o *Option) bool { return o.Key == strings.Trim(first, ":") }),
				"%s: %s", o.Key, line)
		}
	}

	require.Greater(t, checked, 25)
}
