package bench

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// BenchmarkRollingRestart restarts an application of n played processes;
// its time for each of them stays the same.
func BenchmarkRollingRestart(b *testing.B) {
	for _, processes := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("processes=%d", processes), func(b *testing.B) {
			pool, opts := newPool(b, 1, processes)
			for b.Loop() {
				if err := pool.Restart(context.Background(), opts[0].App.Root, passenger.RestartOptions{}); err != nil {
					b.Fatal(err)
				}
			}

			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*processes), "µs/process")
		})
	}
}

// BenchmarkIdleGroups tells what an application costs that has no process.
func BenchmarkIdleGroups(b *testing.B) {
	const groups = 10_000
	for b.Loop() {
		factory := spawnertest.New(spawnertest.Script{})
		pool, err := passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory})
		if err != nil {
			b.Fatal(err)
		}

		before := heap()

		for i := range groups {
			o := passenger.Options{App: spawner.App{Root: fmt.Sprintf("/apps/app-%d", i)}}
			s, err := pool.Get(context.Background(), &o)
			if err != nil {
				b.Fatal(err)
			}

			s.Close(passenger.Discard)
		}

		b.ReportMetric(float64(heap()-before)/groups, "B/group")
		runtime.KeepAlive(pool)
		b.StopTimer()
		if err := pool.Close(); err != nil {
			b.Fatal(err)
		}

		b.StartTimer()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return int64(m.HeapAlloc)
}
