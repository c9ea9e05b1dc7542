package passenger_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func (f *fixture) groupCount() int { return len(f.Inspect().Groups) }

// pass lets time pass, and what was due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestVacantGroupsAreForgotten(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		f.get(options("a")).Close(passenger.KeepAlive)

		// Another application of the same name is not touched.
		other := options("a")
		other.App.Root, other.MinProcesses = "/apps/other", 1
		f.get(other).Close(passenger.KeepAlive)
		key := f.group("a").APIKey
		pass(passenger.DefaultPoolIdleTime + time.Second)
		require.Equal(f, 2, f.groupCount(), "its process has just ended")
		pass(passenger.DefaultPoolIdleTime)
		require.Equal(f, 1, f.groupCount())
		require.Equal(f, "/apps/other", f.group("a").AppRoot)

		f.get(options("a")).Close(passenger.KeepAlive)
		require.Equal(f, 2, f.groupCount())

		for _, g := range f.Inspect().Groups {
			require.NotEmpty(f, g.APIKey)
			require.True(f, g.AppRoot == "/apps/other" || g.APIKey != key, "it is the same group")
		}
	})
}

func TestVacantNamesakesAreForgotten(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		for _, root := range []string{"/1", "/2", "/3"} {
			o := options("a")
			o.App.Root = root
			if root == "/2" {
				o.MinProcesses = 1
			}

			f.get(o).Close(passenger.KeepAlive)
		}

		pass(2*passenger.DefaultPoolIdleTime + time.Second)
		require.Equal(f, 1, f.groupCount())
		require.Equal(f, "/2", f.group("a").AppRoot)
	})
}

func TestUsedGroupsAreNotForgotten(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		for range 3 {
			pass(passenger.DefaultPoolIdleTime)
			require.Equal(f, 1, f.groupCount())
		}

		s.Close(passenger.KeepAlive)

		// A get in time keeps it.
		for range 3 {
			pass(passenger.DefaultPoolIdleTime + passenger.DefaultPoolIdleTime/2)
			f.get(options("a")).Close(passenger.KeepAlive)
			require.Equal(f, 1, f.groupCount())
		}
	})
}

func TestVacantGroupsAndIdleTime(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		f.SetPoolIdleTime(-1)
		f.get(options("a")).Close(passenger.KeepAlive)
		require.NoError(f, f.DetachProcess(f.group("a").Processes[0].GUPID))
		pass(10 * passenger.DefaultPoolIdleTime)
		require.Equal(f, 1, f.groupCount(), "never is said")
		f.SetPoolIdleTime(time.Second)
		pass(0)
		require.Equal(f, 0, f.groupCount())
	})
}

// A start that fails leaves nothing that is kept for ever.
func TestGroupsThatDoNotStartAreForgotten(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{Failures: map[int]error{1: errors.New("broken")}}, func(f *fixture) {
		_, err := f.Get(f.Context(), options("a"))
		require.Error(f, err)
		require.Equal(f, 1, f.groupCount())
		pass(passenger.DefaultPoolIdleTime + time.Second)
		require.Equal(f, 0, f.groupCount())
	})
}

func TestUnusedApplicationsAreForgottenBeyondALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, factory: spawnertest.New(spawnertest.Script{BeforeSpawn: alwaysFail})}
		// Without SelfChecks, which look at all groups each time.
		pool, err := passenger.New(passenger.Config{Spawner: f.factory, PoolIdleTime: passenger.Unlimited})
		require.NoError(t, err)
		defer func() { require.NoError(t, pool.Close()) }()
		f.Pool = pool

		f.factory.ChangeApp("sound", func(s *spawnertest.Script) { s.BeforeSpawn = nil })
		f.get(options("sound")).Close(passenger.KeepAlive)

		const more = 20
		for i := range passenger.MaxUnusedApps + more {
			require.Error(t, f.refused(fmt.Sprint("absent-", i)))
		}

		synctest.Wait()
		require.Equal(t, passenger.MaxUnusedApps+1, f.groupCount())
		require.Len(t, f.pids("sound"), 1, "it is in use")
		require.Nil(t, f.Inspect().Group(fmt.Sprint("absent-", more-1)), "the longest unused are gone")
		require.NotNil(t, f.Inspect().Group(fmt.Sprint("absent-", more)))
		require.Equal(t, f.groupCount(), f.factory.OpenSpawners(), "their spawners are closed")
	})
}
