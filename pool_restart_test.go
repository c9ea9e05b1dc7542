package passenger_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// namesake is another application of the name a.
func namesake() *passenger.Options {
	o := options("a")
	o.App.Root = "/apps/namesake"
	return o
}

func (f *fixture) byRoot(root string) passenger.GroupSnapshot {
	f.Helper()

	for _, g := range f.Inspect().Groups {
		if g.AppRoot == root && !g.Detached {
			return g
		}
	}

	require.Fail(f, "no such application", root)

	return passenger.GroupSnapshot{}
}

func TestWhoseAnApplicationIs(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		a := f.ask(options("a"))
		g := f.group("a")
		require.Equal(f, []int{-1, -1}, []int{g.UID, g.GID}, "there is no process yet")
		require.Regexp(f, "^[A-Za-z0-9]{16}$", g.APIKey)
		require.Equal(f, []passenger.AppIdentity{{Name: "a", UID: -1, APIKey: g.APIKey}}, f.Identities())
		time.Sleep(time.Second)
		synctest.Wait()
		a.session.Close(passenger.KeepAlive)
		g = f.group("a")
		require.Equal(f, []int{os.Geteuid(), os.Getegid()}, []int{g.UID, g.GID})

		require.NoError(f, f.DetachProcess("1000"))
		synctest.Wait()
		require.Empty(f, f.group("a").Processes)
		require.Equal(f, os.Geteuid(), f.group("a").UID, "it is still theirs")

		f.get(namesake()).Close(passenger.KeepAlive)
		require.NotEqual(f, g.APIKey, f.byRoot("/apps/namesake").APIKey)
		require.Len(f, f.Identities(), 2)
	})
}

// withKey lets those applications be restarted that have one of these API keys.
func withKey(keys ...string) passenger.RestartOptions {
	return passenger.RestartOptions{Allowed: func(app passenger.AppIdentity) bool {
		return slices.Contains(keys,
			app.APIKey)
	}}
}

func TestBeginRestartTouchesNoNamesake(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		f.get(options("a")).Close(passenger.KeepAlive)
		f.get(namesake()).Close(passenger.KeepAlive)

		key := f.byRoot("/apps/namesake").APIKey
		for name, keys := range map[string][]string{"a": {"another", ""}, "b": {key}, "": {key}} {
			n, wait, err := f.BeginRestart(name, withKey(keys...))
			require.NoError(f, err)
			require.Zero(f, n, name)
			require.NoError(f, wait(f.Context()))
		}

		began := time.Now()
		n, wait, err := f.BeginRestart("a", withKey(key))
		require.NoError(f, err)
		require.Equal(f, 1, n)
		require.Zero(f, time.Since(began), "it does not wait")
		require.Equal(f, []uint32{0, 1}, []uint32{
			f.byRoot("/apps/a").Generation,
			f.byRoot("/apps/namesake").Generation,
		})
		ended, cancel := context.WithCancel(f.Context())
		cancel()
		require.ErrorIs(f, wait(ended), context.Canceled)
		require.NoError(f, wait(f.Context()))
		require.Equal(f, time.Second, time.Since(began))
		require.NoError(f, wait(f.Context()), "it has ended")
		require.Equal(f, key, f.byRoot("/apps/namesake").APIKey, "a restart keeps it")

		_, _, err = f.BeginRestart("a", passenger.RestartOptions{Options: &passenger.Options{}})
		require.ErrorContains(f, err, "app root is missing")
		require.NoError(f, f.Close())
		_, _, err = f.BeginRestart("a", withKey(key))
		require.ErrorIs(f, err, passenger.ErrClosed)
	})
}

func TestRestartLeavesWhatIsDetached(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		busy := f.get(options("a"))
		detached := make(chan error, 1)
		go func() { detached <- f.DetachApp(f.Context(), "a") }()
		synctest.Wait()
		require.True(f, f.group("a").Detached)
		require.ErrorIs(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}), passenger.ErrNoSuchApp)
		busy.Close(passenger.KeepAlive)
		require.NoError(f, <-detached)
	})
}

func TestInspectAppsShowsNoOthers(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		busy := f.get(options("a"))
		waiting := []*asyncGet{f.ask(namesake()), f.ask(namesake()), f.ask(options("b"))}
		require.Len(f, f.Inspect().WaitingForCapacity, 3)
		key := f.byRoot("/apps/a").APIKey
		s := f.InspectApps([]string{key, "another", ""})
		require.Len(f, s.Groups, 1)
		require.Equal(f, key, s.Groups[0].APIKey)
		require.Empty(f, s.WaitingForCapacity, "it is the namesake that waits")
		require.Equal(f, []int{1, 1}, []int{s.MaxPoolSize, s.CapacityUsed})
		s = f.InspectApps([]string{f.byRoot("/apps/namesake").APIKey})
		require.Equal(f, []string{"a", "a"}, s.WaitingForCapacity)
		require.Equal(f, "/apps/namesake", s.Groups[0].AppRoot)
		require.Empty(f, f.InspectApps(nil).Groups)

		for _, w := range waiting {
			require.True(f, w.stop())
		}

		busy.Close(passenger.KeepAlive)
	})
}
