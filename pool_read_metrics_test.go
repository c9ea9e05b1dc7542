package passenger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestMetricsAreReadWhenTheyAreAskedForAndNotKnown(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		readings := 0
		known := true
		passenger.SetSampler(f.Pool, func(roots []procstat.Root) (map[int]passenger.ProcessMetrics, error) {
			readings++
			m := map[int]passenger.ProcessMetrics{}

			for _, root := range roots {
				m[root.PID] = passenger.ProcessMetrics{PID: root.PID, CPUTime: procstat.Known(time.Second)}
				if known {
					m[root.PID] = passenger.ProcessMetrics{
						PID:     root.PID,
						CPUTime: procstat.Known(time.Second),
						RSS:     procstat.Known[int64](5),
					}
				}
			}

			return m, nil
		})

		f.ReadMetrics()
		require.Zero(f, readings, "there is no process")
		f.get(options("a"))
		time.Sleep(3 * time.Second)
		f.ReadMetrics()
		f.ReadMetrics()
		require.Equal(f, 1, readings)
		m := f.group("a").Processes[0].Metrics
		require.Equal(f, procstat.Known[int64](5), m.RSS)
		require.Equal(f, procstat.Known(25.), m.CPU, "one of the four seconds of its life")

		time.Sleep(time.Hour)
		f.ReadMetrics()
		require.Equal(f, 1, readings, "all are known")

		known = false
		f.get(options("a"))
		f.ReadMetrics()
		f.ReadMetrics()
		synctest.Wait()
		require.Equal(f, 2, readings, "what cannot be known is not read again and again")
		time.Sleep(time.Second)
		f.ReadMetrics()
		require.Equal(f, 3, readings)
	})
}
