package passenger_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestCallbackThatEndsItsGoroutineLosesNothing(t *testing.T) {
	inDanger(t, 3, spawnertest.Script{Concurrency: 3}, func(f *audit, _ *explosive) {
		var sessions []*passenger.Session
		for i := range 3 {
			f.AsyncGet(options("a"), func(s *passenger.Session, err error) {
				require.NoError(f, err)
				sessions = append(sessions, s)
				if i == 0 {
					runtime.Goexit() // as FailNow of a test does
				}
			})
		}

		synctest.Wait()
		require.Len(f, sessions, 3)

		for _, s := range sessions {
			s.Close(passenger.KeepAlive)
		}

		require.NoError(f, f.DetachApp(f.Context(), "a"))
		f.requireGone()
	})
}

// quitter is an observer that ends the goroutine in which it hears of a spawn, once.
type quitter struct {
	passenger.NoObserver
	began, ended atomic.Bool
}

func (q *quitter) SpawnBegan(*passenger.SpawnEvent) {
	if q.began.CompareAndSwap(true, false) {
		runtime.Goexit()
	}
}

func (q *quitter) SpawnEnded(*passenger.SpawnEvent) {
	if q.ended.CompareAndSwap(true, false) {
		runtime.Goexit()
	}
}

func TestObserverThatEndsTheGoroutineOfASpawnLosesNothing(t *testing.T) {
	q := &quitter{}
	inAudit(t, 2, spawnertest.Script{}, func(cfg *passenger.Config) { cfg.Observer = q }, func(f *audit) {
		q.began.Store(true)
		_, err := f.Get(f.Context(), options("a"))
		require.ErrorContains(f, err, "ended its goroutine")
		q.ended.Store(true)
		f.get(options("a")).Close(passenger.KeepAlive)
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		f.requireGone()
	})
}

func TestOutOfBandWorkThatEndsItsGoroutineGivesTheProcessBack(t *testing.T) {
	work := func(context.Context, *passenger.Session) error {
		runtime.Goexit()
		return nil
	}
	inAudit(t, 2, spawnertest.Script{}, func(cfg *passenger.Config) { cfg.OutOfBandWork = work }, func(f *audit) {
		f.started(options("a"), 2)

		for range 3 {
			s := f.get(options("a"))
			s.RequestOOBW()
			s.Close(passenger.KeepAlive)
			synctest.Wait()
			require.Len(f, f.pids("a"), 2)
		}
	})
}
