package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/jackc/puddle/v2"
)

// inGoroutines runs op in n goroutines, op's argument counting them.
func inGoroutines(b *testing.B, n int, op func(b *testing.B, worker, i int)) {
	b.ReportAllocs()
	b.ResetTimer()

	var wg sync.WaitGroup
	for w := range n {
		ops := b.N / n
		if w < b.N%n {
			ops++
		}

		wg.Go(func() {
			for i := range ops {
				op(b, w, i)
			}
		})
	}

	wg.Wait()
}

// newPool returns a pool with idle processes in each of a number of
// groups, and the options of the groups.
func newPool(b *testing.B, groups, processes int) (*passenger.Pool, []passenger.Options) {
	b.Helper()
	return newPoolWith(b, passenger.Config{}, groups, processes)
}

func newPoolWith(b *testing.B, cfg passenger.Config, groups, processes int) (*passenger.Pool, []passenger.Options) {
	b.Helper()
	cfg.MaxPoolSize, cfg.Spawner = groups*processes, spawnertest.New(spawnertest.Script{Concurrency: 1})
	pool, err := passenger.New(cfg)
	if err != nil {
		b.Fatal(err)
	}

	b.Cleanup(func() { pool.Close() })

	opts := make([]passenger.Options, groups)
	for g := range opts {
		opts[g] = passenger.Options{
			App:                 spawner.App{Root: fmt.Sprintf("/apps/app-%d", g)},
			MaxRequestQueueSize: passenger.Unlimited,
		}

		sessions := make([]*passenger.Session, processes)
		for i := range sessions {
			if sessions[i], err = pool.Get(context.Background(), &opts[g]); err != nil {
				b.Fatal(err)
			}
		}

		for _, s := range sessions {
			s.Close(passenger.KeepAlive)
		}
	}

	return pool, opts
}

func BenchmarkGetClose(b *testing.B) {
	for _, goroutines := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("puddle/goroutines=%d", goroutines), func(b *testing.B) {
			pool, err := puddle.NewPool(&puddle.Config[int]{
				Constructor: func(context.Context) (int, error) { return 0, nil },
				Destructor:  func(int) {},
				MaxSize:     64,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer pool.Close()

			for range 64 {
				if err := pool.CreateResource(context.Background()); err != nil {
					b.Fatal(err)
				}
			}

			ctx := context.Background()
			inGoroutines(b, goroutines, func(b *testing.B, _, _ int) {
				r, err := pool.Acquire(ctx)
				if err != nil {
					b.Error(err)
					return
				}

				r.Release()
			})
		})
		b.Run(fmt.Sprintf("passenger/goroutines=%d", goroutines), func(b *testing.B) {
			pool, opts := newPool(b, 1, 64)
			ctx := context.Background()
			inGoroutines(b, goroutines, func(b *testing.B, _, _ int) { getClose(ctx, b, pool, &opts[0]) })
		})
	}
}

// BenchmarkGetCloseWithMetrics is the first of BenchmarkGetClose while the pool
// looks after what its processes use, each second.
func BenchmarkGetCloseWithMetrics(b *testing.B) {
	pool, opts := newPoolWith(b, passenger.Config{MetricsInterval: time.Second}, 1, 64)
	ctx := context.Background()
	inGoroutines(b, 1, func(b *testing.B, _, _ int) { getClose(ctx, b, pool, &opts[0]) })
}

func getClose(ctx context.Context, b *testing.B, pool *passenger.Pool, opts *passenger.Options) {
	s, err := pool.Get(ctx, opts)
	if err != nil {
		b.Error(err)
		return
	}

	s.Close(passenger.KeepAlive)
}

// BenchmarkGrowth asks for one application among many, as a busy one is, and
// then for each in turn, where every access misses the processor's caches.
func BenchmarkGrowth(b *testing.B) {
	sizes := []struct{ groups, processes int }{{1, 1}, {100, 1}, {10_000, 1}, {1, 100}, {1, 1000}}
	for _, size := range sizes {
		for _, turn := range []string{"one", "each"} {
			if turn == "each" && size.groups == 1 {
				continue
			}

			b.Run(fmt.Sprintf("groups=%d/processes=%d/%s", size.groups, size.processes, turn), func(b *testing.B) {
				pool, opts := newPool(b, size.groups, size.processes)
				ctx := context.Background()
				if turn == "one" {
					opts = opts[len(opts)/2:][:1]
				}

				next := 0
				inGoroutines(b, 1, func(b *testing.B, _, _ int) {
					if next++; next >= len(opts) {
						next = 0
					}

					getClose(ctx, b, pool, &opts[next])
				})
			})
		}
	}
}
