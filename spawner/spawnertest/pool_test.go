package spawnertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// failures is a test whose failures are noted.
type failures struct {
	testing.TB
	said     []string
	cleanups []func()
}

func (f *failures) Helper()                {}
func (f *failures) Cleanup(cleanup func()) { f.cleanups = append(f.cleanups, cleanup) }
func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *failures) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }

// end ends the test.
func (f *failures) end() {
	for _, cleanup := range f.cleanups {
		cleanup()
	}
}

func blog() *passenger.Options {
	return &passenger.Options{App: spawner.App{Root: "/apps/blog", GroupName: "blog"}}
}

func TestPoolOfATestIsClosedAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failures{TB: t}
		factory := spawnertest.New(spawnertest.Script{})
		pool := spawnertest.NewPool(inner, passenger.Config{Spawner: factory})
		s, err := pool.Get(t.Context(), blog())
		require.NoError(t, err)
		s.Close(passenger.Discard)
		require.Equal(t, 1, factory.Live())

		inner.end()
		require.Empty(t, inner.said)
		require.Zero(t, factory.Live())
		_, err = pool.Get(t.Context(), blog())
		require.ErrorIs(t, err, passenger.ErrClosed)
	})
}

func TestPoolOfATestTellsOfSessionsThatWereNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failures{TB: t}
		pool := spawnertest.NewPool(inner, passenger.Config{})
		_, err := pool.Get(t.Context(), blog())
		require.NoError(t, err)
		inner.end()
		require.Equal(t, []string{"1 sessions with process 1000 of blog were not closed at the end of the test"},
			inner.said)
	})
}

// Handlers of hijacked connections end after their server has been closed.
func TestPoolOfATestWaitsForSessionsThatAreAboutToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failures{TB: t}
		pool := spawnertest.NewPool(inner, passenger.Config{})
		s, err := pool.Get(t.Context(), blog())
		require.NoError(t, err)

		go func() {
			time.Sleep(time.Second)
			s.Close(passenger.Discard)
		}()
		inner.end()
		require.Empty(t, inner.said)
	})
}

// Each pool of a test is closed by its own, and has processes until then.
func TestPoolsOfATestShareAFactory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failures{TB: t}

		factory := spawnertest.New(spawnertest.Script{})
		for range 2 {
			pool := spawnertest.NewPool(inner, passenger.Config{Spawner: factory})
			s, err := pool.Get(t.Context(), blog())
			require.NoError(t, err)
			s.Close(passenger.Discard)
		}

		inner.end()
		require.Empty(t, inner.said)
		require.Zero(t, factory.Live())
	})
}

func TestPoolOfATestTellsOfWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failures{TB: t}
		factory := spawnertest.New(spawnertest.Script{})
		spawnertest.NewPool(inner, passenger.Config{Spawner: factory})
		left, err := factory.NewSpawner(blog().App) // as a pool would that forgets one
		require.NoError(t, err)
		_, err = left.Spawn(t.Context())
		require.NoError(t, err)
		inner.end()
		require.Equal(t, []string{
			"process 1000 of blog lives on after its pool was closed",
			"1 spawners are open after their pool was closed",
		}, inner.said)
	})
}

func TestPoolOfATestNeedsAGoodConfiguration(t *testing.T) {
	inner := &failures{TB: t}
	require.Panics(t, func() { spawnertest.NewPool(inner, passenger.Config{MaxPoolSize: -1}) })
	require.Len(t, inner.said, 1)
	require.Contains(t, inner.said[0], "MaxPoolSize: -1")
}
