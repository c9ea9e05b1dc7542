package passenger_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func (f *fixture) limits() passenger.LimitCounts {
	f.Helper()
	return f.group("a").Counts.Limits
}

func TestEachLimitThatFiresIsCounted(t *testing.T) {
	use := func(f *fixture, bytes int64) {
		use := &sampler{use: map[int]int64{}}
		for _, pid := range f.pids("a") {
			use.set(pid, bytes)
		}

		passenger.SetSampler(f.Pool, use.sample)
		time.Sleep(time.Second)
		synctest.Wait()
	}

	for name, test := range map[string]struct {
		set  func(o *passenger.Options)
		fire func(f *fixture, o *passenger.Options)
		want passenger.LimitCounts
	}{
		"request time": {
			set: func(o *passenger.Options) { o.MaxRequestTime = time.Second },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				time.Sleep(time.Minute)
			},
			want: passenger.LimitCounts{RequestTime: 1},
		},
		"queue time": {
			set: func(o *passenger.Options) { o.MaxRequestQueueTime = time.Second },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				_, err := f.Get(f.Context(), o)
				require.ErrorIs(f, err, passenger.ErrQueueTimeout)
			},
			want: passenger.LimitCounts{QueueTime: 1},
		},
		"queue length": {
			set: func(o *passenger.Options) { o.MaxRequestQueueSize = 1 },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				f.ask(o)
				f.ask(o)
				f.ask(o)
			},
			want: passenger.LimitCounts{QueueLength: 2},
		},
		"memory": {
			set: func(o *passenger.Options) { o.MemoryLimit = 10 },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				use(f, 11)
			},
			want: passenger.LimitCounts{Memory: 1},
		},
		"hard memory": {
			set: func(o *passenger.Options) { o.HardMemoryLimit = 10 },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				use(f, 11)
			},
			want: passenger.LimitCounts{HardMemory: 1},
		},
		"requests": {
			set: func(o *passenger.Options) { o.MaxRequests = 2 },
			fire: func(f *fixture, o *passenger.Options) {
				for range 5 {
					f.get(o).Close(passenger.KeepAlive)
				}
			},
			want: passenger.LimitCounts{Requests: 2},
		},
		"unresponsive": {
			set: func(o *passenger.Options) { o.MaxUnanswered = 1 },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o).Report(errors.New("no response"))
			},
			want: passenger.LimitCounts{Unresponsive: 1},
		},
		"drain time": {
			set: func(o *passenger.Options) { o.DrainTimeout = time.Second },
			fire: func(f *fixture, o *passenger.Options) {
				f.get(o)
				require.NoError(f, <-f.begin(passenger.RestartOptions{}))
				time.Sleep(time.Minute)
			},
			want: passenger.LimitCounts{DrainTime: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := passenger.Config{MaxPoolSize: 1, MetricsInterval: time.Second}
			inBubbleWith(t, config, spawnertest.Script{}, func(f *fixture) {
				o := options("a")
				o.MinProcesses = 1
				test.set(o)
				test.fire(f, o)
				synctest.Wait()
				require.Equal(f, test.want, f.limits())
			})
		})
	}
}

func TestStartsEndsAndRestartsAreCounted(t *testing.T) {
	unhealthy := &spawner.SpawnError{Category: spawner.CategoryHealth}
	script := spawnertest.Script{
		SpawnDelay: 2 * time.Second,
		Failures:   map[int]error{3: errors.New("broken"), 4: unhealthy},
	}
	inBubble(t, 1, script, func(f *fixture) {
		o := options("a")
		o.MinProcesses = 1
		f.get(o).Close(passenger.KeepAlive)
		f.factory.LiveProcesses()[0].Die("exit status 3")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Error(f, <-f.begin(passenger.RestartOptions{}))
		require.Error(f, <-f.begin(passenger.RestartOptions{}))

		replaced := f.begin(passenger.RestartOptions{})
		require.NoError(f, <-f.begin(passenger.RestartOptions{}))
		require.NoError(f, <-replaced)
		synctest.Wait() // the old process has ended
		f.factory.LiveProcesses()[0].Die("exit status 0")
		time.Sleep(time.Minute)
		synctest.Wait()

		g := f.group("a")
		require.Equal(f, passenger.Counts{
			Spawns:           6,
			SpawnFailures:    2,
			HealthChecks:     1,
			HealthFailures:   1,
			Crashes:          1,
			Exits:            2,
			Restarts:         4,
			RestartFailures:  2,
			RestartsReplaced: 1,
		}, g.Counts)
		require.EqualValues(f, 6, g.SpawnTimes.Count)
		require.InEpsilon(f, float64(2*time.Second), float64(g.SpawnTimes.Quantile(.5)), .05)
	})
}

func TestWebSocketsThatHoldEverySlotAreWarnedOfOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warnings []string
		log := funcr.New(func(_, args string) { warnings = append(warnings, args) }, funcr.Options{})
		factory := spawnertest.New(spawnertest.Script{Concurrency: 2})
		pool, err := passenger.New(passenger.Config{MaxPoolSize: 2, Spawner: factory, SelfChecks: true, Logger: log})
		require.NoError(t, err)
		defer func() { require.NoError(t, pool.Close()) }()
		f := &fixture{T: t, Pool: pool, factory: factory}
		o := options("a")
		f.started(o, 2)
		warnings = nil

		wait := func() { f.ask(o).stop() }

		var last *passenger.Session
		for range 3 {
			last = f.get(o)
			last.MarkLong()
			last.MarkLong()
		}

		short := f.get(o)
		require.Equal(t, 3, f.group("a").Processes[0].LongSessions+f.group("a").Processes[1].LongSessions)
		wait()
		require.Empty(t, warnings, "one slot is a request's")

		short.MarkLong()
		time.Sleep(time.Second)
		wait()
		wait()
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], "unlimited_concurrency_paths")
		require.Contains(t, warnings[0], `"slots"=4`)

		time.Sleep(time.Minute - time.Second)
		wait()
		require.Len(t, warnings, 1)
		time.Sleep(time.Second)
		wait()
		require.Len(t, warnings, 2)

		last.Close(passenger.Discard)
		time.Sleep(time.Hour)
		wait()
		require.Len(t, warnings, 2)
	})
}
