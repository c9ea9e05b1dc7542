package passengerprometheus

import (
	"reflect"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/stretchr/testify/require"
)

func TestApplicationsOfANameAreOneAndWhatIsUnknownCountsAsNothing(t *testing.T) {
	var counts, twice passenger.Counts
	fill(reflect.ValueOf(&counts).Elem(), 1)
	fill(reflect.ValueOf(&twice).Elem(), 2)
	twice.Exits = 0 // no metric has it

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
	apps := figuresOf(s, map[string]*requestFigures{"only requests": {begun: 1}})
	require.Len(t, apps, 2)
	require.Equal(t, &appFigures{
		byState:      map[passenger.ProcessState]int{passenger.ProcessEnabled: 2, passenger.ProcessDetached: 1},
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
	}, apps["shop\ufffd"])
	require.Empty(t, apps["only requests"].byState)
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
