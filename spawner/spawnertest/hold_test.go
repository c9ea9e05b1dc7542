package spawnertest

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

var blog = spawner.App{Root: "/apps/blog", GroupName: "blog"}

// spawnLater spawns in a goroutine and returns where the error will be.
func spawnLater(ctx context.Context, t *testing.T, f *Factory, app spawner.App) <-chan error {
	t.Helper()
	s, err := f.NewSpawner(app)
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() {
		_, err := s.Spawn(ctx)
		result <- err
	}()

	return result
}

func TestHeldSpawnsWaitUntilTheyAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Script{})
		hold := f.Hold("blog")
		spawn(t, f) // another application is not held

		first, second := spawnLater(t.Context(), t, f, blog), spawnLater(t.Context(), t, f, blog)
		require.NoError(t, hold.Wait(t.Context(), 2))
		require.Equal(t, 1, f.Live())
		require.True(t, hold.ReleaseOne(nil))
		synctest.Wait()
		require.Equal(t, 2, f.Live())

		refusal := errors.New("no")
		hold.Release(refusal)
		errs := []error{<-first, <-second}
		require.Contains(t, errs, nil)
		require.ErrorIs(t, errors.Join(errs...), refusal)
		require.NoError(t, <-spawnLater(t.Context(), t, f, blog), "nothing is held any more")
		require.False(t, hold.ReleaseOne(nil))
	})
}

func TestHeldSpawnThatIsCancelledWaitsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Script{})
		hold := f.Hold("")
		ctx, cancel := context.WithCancel(t.Context())
		result := spawnLater(ctx, t, f, blog)
		require.NoError(t, hold.Wait(t.Context(), 1))
		cancel()
		requireCanceled(t, <-result)
		require.Zero(t, hold.Waiting())

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, hold.Wait(short, 1), context.DeadlineExceeded)
	})
}

func TestEachApplicationMayHaveAScript(t *testing.T) {
	f := New(Script{Handler: http.NotFoundHandler(), Concurrency: 3})
	f.ChangeApp("blog", func(s *Script) { s.Failures = map[int]error{2: errors.New("no")} })
	f.Change(func(s *Script) { s.Concurrency = 5 })
	require.Equal(t, 5, spawn(t, f).Info().Sockets[0].Concurrency)
	require.Error(t, <-spawnLater(t.Context(), t, f, blog))
	require.NoError(t, <-spawnLater(t.Context(), t, f, blog))
	require.Equal(t, 3, f.Process(1).Info().Sockets[0].Concurrency, "a copy of the script of all, when it was made")
}

func TestProcessesThatAreNotThereAreNil(t *testing.T) {
	f := New(Script{})
	p := spawn(t, f)
	require.Equal(t, p, f.Process(0))
	require.Equal(t, p, f.ProcessByPID(p.Info().PID))
	require.Nil(t, f.Process(1))
	require.Nil(t, f.Process(-1))
	require.Nil(t, f.ProcessByPID(1))
	require.False(t, f.Kill(1))
}

func TestSpawnersAreCountedUntilTheyAreClosed(t *testing.T) {
	f := New(Script{})
	s, err := f.NewSpawner(blog)
	require.NoError(t, err)
	require.Equal(t, 1, f.OpenSpawners())
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.Zero(t, f.OpenSpawners())
}
