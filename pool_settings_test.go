package passenger_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// badOptions are changes that no get, start or restart takes, and what their error says.
var badOptions = map[string]struct {
	change func(*passenger.Options)
	says   string
}{
	"negative minimum": {
		func(o *passenger.Options) { o.MinProcesses = -1 }, "MinProcesses: -1 is negative: it must be at least 0",
	},
	"minimum above the maximum": {
		func(o *passenger.Options) { o.MinProcesses, o.MaxProcesses = 3, 2 },
		"MinProcesses: 3 is above MaxProcesses, 2",
	},
	"negative share": {
		func(o *passenger.Options) { o.MaxRequestsJitter = -0.1 },
		"MaxRequestsJitter: -0.1 is out of range: it must be from 0 to 1",
	},
	"share above one": {
		func(o *passenger.Options) { o.MaxRequestsJitter = 1.5 }, "MaxRequestsJitter: 1.5 is out of range",
	},
	"share that is no number": {
		func(o *passenger.Options) { o.MaxRequestsJitter = math.NaN() }, "MaxRequestsJitter: NaN is out of range",
	},
	"negative instances": {
		func(o *passenger.Options) { o.MaxOutOfBandWorkInstances = -1 }, "MaxOutOfBandWorkInstances: -1 is negative",
	},
	"directory with a NUL": {
		func(o *passenger.Options) { o.RestartDir = "tmp\x00" }, `RestartDir: "tmp\x00" contains a NUL byte`,
	},
}

func TestOptionsOfLaterGetsAreValidatedAsTheFirstOnes(t *testing.T) {
	for name, bad := range badOptions {
		t.Run(name, func(t *testing.T) {
			inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
				o := options("a")
				bad.change(o)
				check := func() {
					f.Helper()
					_, err := f.Get(f.Context(), o)
					require.ErrorContains(f, err, bad.says)
					a := f.ask(o)
					require.Equal(f, 1, a.times)
					require.ErrorContains(f, a.err, bad.says)
					require.ErrorContains(f, f.Start(f.Context(), o), bad.says)
				}
				check()
				require.Zero(f, f.spawners.calls, "nothing is started")
				require.Empty(f, f.Inspect().Groups)

				f.get(options("a")).Close(passenger.KeepAlive)
				before := f.group("a").Options
				check()
				require.Equal(f, before, f.group("a").Options, "nothing of it counts")
				err := f.Restart(f.Context(), "a", passenger.RestartOptions{Options: o})
				require.ErrorContains(f, err, bad.says)
				require.Zero(f, f.group("a").Generation)
				require.Equal(f, 1, f.factory.Spawns())
			})
		})
	}
}

func TestConfigAtFault(t *testing.T) {
	_, err := passenger.New(passenger.Config{MaxPoolSize: -2, MetricsInterval: -time.Second, Hooks: []hooks.Hook{nil}})
	require.ErrorContains(t, err, "MaxPoolSize: -2 is negative: it must be at least 1, or 0 for 6")
	require.ErrorContains(t, err, "MetricsInterval: -1s is negative: it must be positive, or 0 for never")
	require.ErrorContains(t, err, "Hooks: number 1 is nil")
}

func TestSetMaxPoolSizeKnowsTheDefaultAndRefusesWhatConfigDoes(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		require.NoError(f, f.SetMaxPoolSize(0))
		require.Equal(f, passenger.DefaultMaxPoolSize, f.Inspect().MaxPoolSize)

		for _, bad := range []int{-1, passenger.Unlimited, math.MinInt} {
			require.ErrorContains(f, f.SetMaxPoolSize(bad), "is negative: it must be at least 1, or 0 for 6")
			require.Equal(f, passenger.DefaultMaxPoolSize, f.Inspect().MaxPoolSize)
		}

		require.NoError(f, f.SetMaxPoolSize(1))
		require.Equal(f, 1, f.Inspect().MaxPoolSize)
		f.started(options("a"), 1)
		require.Len(f, f.pids("a"), 1)
	})
}

func TestSetPoolIdleTimeKnowsTheDefaultAndNever(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		live := func(idle time.Duration) int {
			time.Sleep(idle)
			synctest.Wait()
			return f.factory.Live()
		}
		for _, never := range []time.Duration{passenger.Unlimited, -time.Hour} {
			f.SetPoolIdleTime(never)
			f.get(options("a")).Close(passenger.KeepAlive)
			require.Equal(f, 1, live(1000*time.Hour))
		}

		f.SetPoolIdleTime(0)
		f.get(options("a")).Close(passenger.KeepAlive)
		require.Equal(f, 1, live(passenger.DefaultPoolIdleTime-time.Second))
		require.Zero(f, live(time.Second))
		f.SetPoolIdleTime(time.Second)
		f.get(options("a")).Close(passenger.KeepAlive)
		require.Zero(f, live(time.Second))
	})
}

func TestSnapshotOrderIsThatOfAttaching(t *testing.T) {
	inAudit(t, 4, spawnertest.Script{}, nil, func(f *audit) {
		f.started(options("a"), 4)
		all := func(state passenger.ProcessState) (pids []int) {
			for _, p := range f.group("a").Processes {
				if p.State == state {
					pids = append(pids, p.PID)
				}
			}

			return pids
		}

		for _, id := range []string{"1002", "1000"} {
			require.NoError(f, f.Disable(f.Context(), id))
		}

		require.Equal(f, []int{1001, 1003}, all(passenger.ProcessEnabled))
		require.Equal(f, []int{1000, 1002}, all(passenger.ProcessDisabled))

		for _, id := range []string{"1002", "1000"} {
			require.NoError(f, f.Enable(id))
		}

		require.Equal(f, []int{1000, 1001, 1002, 1003}, all(passenger.ProcessEnabled))

		held := []*passenger.Session{f.get(options("a")), f.get(options("a")), f.get(options("a")), f.get(options("a"))}
		for _, id := range []string{"1003", "1001"} {
			require.NoError(f, f.DetachProcess(id))
		}

		require.Equal(f, []int{1001, 1003}, all(passenger.ProcessDetached))

		for _, s := range held {
			s.Close(passenger.KeepAlive)
		}
	})
}

func TestSnapshotSharesNothing(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{Sockets: 2}, nil, func(f *audit) {
		o := options("a")
		o.App.StartCommand, o.App.WarmupPaths = []string{"server", "arg"}, []string{}
		o.App.EnvFiles, o.App.Env = []string{"-env"}, map[string]string{"NAME": "value"}
		f.resists(o, 1)
		before, again := f.group("a"), f.group("a")
		require.Equal(f, before, again)
		require.NotNil(f, before.DeploymentError)
		require.NotNil(f, before.LastSpawnError)

		spoiled := f.group("a")
		spoiled.DeploymentError.Err, spoiled.LastSpawnError.Summary = nil, "spoiled"
		spoiled.Options.App.StartCommand[0], spoiled.Options.App.EnvFiles[0] = "spoiled", "spoiled"
		spoiled.Processes[0].Sockets[0].Name, spoiled.Processes[0].PID = "spoiled", 0
		spoiled.Releases.Serving[0] = "spoiled"
		require.Equal(f, before, f.group("a"))
		require.Equal(f, before, again, "nor do two share with each other")

		// What was passed in is a copy as well.
		o.App.StartCommand[0], o.App.EnvFiles[0], o.App.Env["NAME"] = "changed", "changed", "changed"
		require.Equal(f, before, f.group("a"))
		f.breaks(false)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		started := f.factory.Process(1).App()
		require.Equal(f, []string{"server", "arg"}, started.StartCommand)
		require.Equal(f, map[string]string{"NAME": "value"}, started.Env)
	})
}

func TestErrorsOfASnapshotAreThoseOfTheFailure(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		f.resists(options("a"), 1)
		g := f.group("a")
		require.ErrorIs(f, g.DeploymentError, errRefused)
		require.ErrorIs(f, g.LastSpawnError.Err, errRefused)
	})
}
