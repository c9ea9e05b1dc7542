package passenger_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Faults: G7.
func TestOldProcessAboveALimitServesUntilTheNewReleaseDoes(t *testing.T) {
	tests := map[string]struct {
		set func(*passenger.Options)
		// exceed takes the process 1000 above its limit.
		exceed func(f *audit, o *passenger.Options, use *sampler)
	}{
		"requests": {
			set: func(o *passenger.Options) { o.MaxRequests = 4 },
			exceed: func(f *audit, o *passenger.Options, _ *sampler) {
				for range 4 {
					f.get(o).Close(passenger.KeepAlive)
				}
			},
		},
		"memory": {
			set:    func(o *passenger.Options) { o.MemoryLimit = 100 },
			exceed: func(_ *audit, _ *passenger.Options, use *sampler) { use.set(1000, 101) },
		},
		"room for another application": {
			set: func(*passenger.Options) {},
			exceed: func(f *audit, _ *passenger.Options, _ *sampler) {
				require.NoError(f, f.SetMaxPoolSize(1))
				other := f.ask(options("b"))
				require.True(f, other.stop(), "it waits")
			},
		},
	}

	for name, test := range tests {
		for _, starts := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, starts %t", name, starts), func(t *testing.T) {
				use := &sampler{use: map[int]int64{}}
				sampled := func(c *passenger.Config) { c.MetricsInterval = time.Second }
				inAudit(t, 2, spawnertest.Script{}, sampled, func(f *audit) {
					passenger.SetSampler(f.Pool, use.sample)
					o := options("a")
					test.set(o)
					f.started(o, 1)

					f.factory.Change(func(s *spawnertest.Script) {
						s.SpawnDelay = 20 * time.Second
						if !starts {
							s.BeforeSpawn = alwaysFail
						}
					})

					result := f.begin(passenger.RestartOptions{Method: passenger.RestartRolling})
					test.exceed(f, o, use)
					time.Sleep(5 * time.Second)
					synctest.Wait()
					require.Equal(f, []int{1000}, f.pids("a"), "nothing takes its place yet")

					s, err := f.getSoon(o)
					require.NoError(f, err, "a request waits for no boot")
					s.Close(passenger.KeepAlive)

					if starts {
						require.NoError(f, <-result)
						require.Equal(f, []int{1001}, f.pids("a"))
						return
					}

					requireResisted(f, <-result)
					test.exceed(f, o, use)
					time.Sleep(time.Minute)
					synctest.Wait()
					require.Equal(f, []int{1000}, f.pids("a"), "it serves as before")
					require.Zero(f, f.limits(), "nothing came of the limit")
				})
			})
		}
	}
}

// getSoon is a get that does not wait for a process to start.
func (f *audit) getSoon(o *passenger.Options) (*passenger.Session, error) {
	ctx, cancel := context.WithTimeout(f.Context(), time.Second)
	defer cancel()

	return f.Get(ctx, o)
}

// Faults: B13.
func TestOldProcessAboveItsMemoryLimitEndsWhereAnotherOneServes(t *testing.T) {
	use := &sampler{use: map[int]int64{}}
	sampled := func(c *passenger.Config) { c.MetricsInterval = time.Second }
	inAudit(t, 3, spawnertest.Script{}, sampled, func(f *audit) {
		passenger.SetSampler(f.Pool, use.sample)
		o := options("a")
		o.MemoryLimit = 100
		f.resists(o, 2)

		use.set(1000, 101)
		use.set(1001, 101)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(f, f.pids("a"), 1)
		require.EqualValues(f, 1, f.limits().Memory)
		require.NotNil(f, f.group("a").DeploymentError)

		// The release that is repaired replaces the other one.
		f.breaks(false)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		require.NotContains(f, f.pids("a"), 1000)
		require.NotContains(f, f.pids("a"), 1001)
	})
}
