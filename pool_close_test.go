package passenger_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestCloseAtOnce(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		s := f.get(options("a"))
		_, err := s.Connect(f.Context())
		require.NoError(f, err)
		f.get(options("a"))
		waiting := f.ask(options("a"))
		began := time.Now()
		require.NoError(f, f.Close())
		require.Zero(f, time.Since(began))
		require.Empty(f, f.factory.LiveProcesses())
		require.ErrorIs(f, waiting.err, passenger.ErrClosed)
		require.Equal(f, 1, waiting.times)
		s.Close(passenger.KeepAlive)
		_, err = f.Get(f.Context(), options("a"))
		require.ErrorIs(f, err, passenger.ErrClosed)
		require.NoError(f, f.Close())
		require.NoError(f, f.Shutdown(f.Context()))
	})
}

func TestCloseBeforeUse(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) { require.NoError(f, f.Close()) })
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) { require.NoError(f, f.Shutdown(f.Context())) })
}

// Its last session, which the pool does not wait for, ends while the pool closes what there is of the application.
func TestCloseWhileARemovedAppEnds(t *testing.T) {
	for range 20 {
		inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
			s := f.get(options("a"))
			c, err := s.Connect(f.Context())
			require.NoError(f, err)
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			defer cancel()
			require.ErrorIs(f, f.DetachApp(ctx, "a"), context.DeadlineExceeded)

			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_, _ = c.Read(make([]byte, 1)) // ends with the process
				s.Close(passenger.Discard)
			}()
			require.NoError(f, f.Close())
			<-closed
		})
	}
}

func TestCloseGivesSpawnsUp(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{SpawnDelay: time.Hour}, func(f *fixture) {
		waiting := f.ask(options("a"))
		synctest.Wait()
		began := time.Now()
		require.NoError(f, f.Close())
		require.Zero(f, time.Since(began))
		require.ErrorIs(f, waiting.err, passenger.ErrClosed)
	})
}

func TestShutdownLosesNothing(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{SpawnDelay: time.Second, StopDelay: time.Minute}, func(f *fixture) {
		running := f.get(options("a"))
		queued, starving := f.ask(options("a")), f.ask(options("b"))
		done := make(chan error)
		go func() { done <- f.Shutdown(f.Context()) }()
		synctest.Wait()
		refused := f.ask(options("a"))
		require.ErrorIs(f, refused.err, passenger.ErrClosed)
		running.Close(passenger.KeepAlive)
		synctest.Wait()
		require.NoError(f, queued.err)
		queued.session.Close(passenger.KeepAlive)
		time.Sleep(time.Second)
		synctest.Wait()
		require.NoError(f, starving.err)
		require.Empty(f, done)
		began := time.Now()
		starving.session.Close(passenger.KeepAlive)
		require.NoError(f, <-done)

		require.Equal(f, time.Minute, time.Since(began), "processes end in their own time")
	})
}

func TestShutdownIsForcedByItsContext(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		f.get(options("a"))
		f.get(options("a"))
		f.ask(options("a"))
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		err := f.Shutdown(ctx)
		var forced *passenger.ShutdownError
		require.ErrorAs(f, err, &forced)
		require.ErrorIs(f, err, context.DeadlineExceeded)
		require.Equal(f, 2, forced.Sessions)
		require.Equal(f, 1, forced.Waiting)
		require.Equal(f, 2, forced.Processes)
		require.Zero(f, f.factory.Live())
	})
}

func TestShutdownKillsProcessesThatDoNotEnd(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		f.get(options("a")).Close(passenger.KeepAlive)
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		err := f.Shutdown(ctx)
		var forced *passenger.ShutdownError
		require.ErrorAs(f, err, &forced)
		require.Equal(f, passenger.ShutdownError{Processes: 1, Err: context.DeadlineExceeded}, *forced)
	})
}
