package passenger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Between the first connection that breaks and the end of a process there is time for it to get requests.
//
// Faults: B2, P2.
func TestProcessThatIsEndingGetsNoRequest(t *testing.T) {
	for name, concurrency := range map[string]int{
		"one request at a time": 1,
		"room":                  3,
		"no limit":              spawnertest.Unlimited,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				factory := spawnertest.New(spawnertest.Script{Concurrency: concurrency})
				pool, err := passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory, SelfChecks: true})
				require.NoError(t, err)
				defer func() { require.NoError(t, pool.Close()) }()

				s, err := pool.Get(t.Context(), options("a"))
				require.NoError(t, err)

				factory.Process(0).BeginEnd()
				go func() {
					s.AwaitEnd()
					s.Close(passenger.Discard)
				}()
				synctest.Wait()

				next := make(chan int, 1)
				pool.AsyncGet(options("a"), func(s *passenger.Session, err error) {
					if err == nil {
						next <- s.PID()
						s.Close(passenger.Discard)
					}
				})
				synctest.Wait()
				require.Empty(t, next, "it waits")

				factory.Process(0).Die("signal: killed")
				require.Equal(t, factory.Process(0).Info().PID+1, <-next)
			})
		})
	}
}

func TestProcessThatDoesNotEndGetsRequestsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		factory := spawnertest.New(spawnertest.Script{})
		pool, err := passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory, SelfChecks: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, pool.Close()) }()

		s, err := pool.Get(t.Context(), options("a"))
		require.NoError(t, err)

		began := time.Now()
		s.AwaitEnd()
		require.Equal(t, began, time.Now(), "it lives")

		factory.Process(0).BeginEnd()
		s.AwaitEnd()
		require.Equal(t, began.Add(time.Second), time.Now())
		s.Close(passenger.Discard)

		again, err := pool.Get(t.Context(), options("a"))
		require.NoError(t, err)
		require.Equal(t, s.PID(), again.PID())
		again.Close(passenger.Discard)
	})
}
