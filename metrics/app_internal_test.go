package metrics

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
)

func TestApplicationsOfANameAreOneAndWhatIsUnknownCountsAsNothing(t *testing.T) {
	var counts, twice passenger.Counts
	fill(reflect.ValueOf(&counts).Elem(), 1)
	fill(reflect.ValueOf(&twice).Elem(), 2)

	s := &passenger.Snapshot{Groups: []passenger.GroupSnapshot{
		{Name: "shop\xff", MinProcesses: 1, MaxProcesses: 2, Counts: counts, Processes: []passenger.ProcessSnapshot{
			{State: passenger.ProcessEnabled, Sessions: 2, Concurrency: 4, LongSessions: 1, Metrics: procstat.Process{
				CPU: procstat.Known(150.0), PrivateDirty: procstat.Known[int64](100), Swap: procstat.Known[int64](20),
			}},
			{State: passenger.ProcessDetached, Sessions: 1},
		}},
		{Name: "shop\xfe", MinProcesses: 2, Restarting: true, Counts: counts, Processes: []passenger.ProcessSnapshot{
			{State: passenger.ProcessEnabled, Metrics: procstat.Process{RSS: procstat.Known[int64](3)}},
		}},
	}}
	apps := sum(s, []Requests{{AppName: "only requests", Begun: 1}})
	require.Len(t, apps, 2)
	require.Equal(t, &App{Name: "only requests", requests: Requests{Begun: 1}, hasRequests: true}, apps[0])
	require.Equal(t, &App{
		Name:         "shop\ufffd",
		byState:      [...]int{2, 0, 0, 1},
		sessions:     3,
		longSessions: 1,
		slots:        4,
		taken:        2,
		endless:      true,
		counts:       twice,
		restarting:   true,
		memory:       123,
		cpu:          1.5,
		minProcesses: 3,
		maxProcesses: 2,
		unlimited:    true,
	}, apps[1])
}

func TestEachFamilyHasANameAndATextOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range AppFamilies() {
		require.False(t, seen[f.Name] || seen[f.Help], f.Name)
		require.Equal(t, f.Kind == Counter, strings.HasSuffix(f.Name, "_total"), f.Name)
		require.Equal(t, f.Kind == Histogram, f.histogram != nil, f.Name)
		require.NotEqual(t, f.histogram == nil, f.samples == nil, f.Name)
		seen[f.Name], seen[f.Help] = true, true
	}

	for _, f := range PoolFamilies() {
		require.False(t, seen[f.Name] || seen[f.Help], f.Name)
		seen[f.Name], seen[f.Help] = true, true
	}

	require.Equal(t, []string{"none", "2xx", "9xx", "9xx"},
		[]string{ClassOf(0), ClassOf(204), ClassOf(999), ClassOf(4711)})
}

// fill sets all numbers of a structure.
func fill(v reflect.Value, n uint64) {
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Struct {
			fill(f, n)
		} else {
			f.SetUint(n)
		}
	}
}
