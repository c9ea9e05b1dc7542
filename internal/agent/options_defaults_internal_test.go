package agent

import (
	"reflect"
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
