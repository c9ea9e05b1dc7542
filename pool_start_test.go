package passenger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// TestStartIsNoRequest: a process that the pool starts by itself, for a minimum, a
// restart, or in the place of another one, has served nothing and reaches its limit
// with the requests alone.
func TestStartIsNoRequest(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MinProcesses, o.MaxRequests = 3, 2
		processed := func() (n []uint64) {
			synctest.Wait()
			for _, p := range f.group("a").Processes {
				n = append(n, p.Processed)
			}
			return n
		}
		f.get(o).Close(passenger.KeepAlive)
		time.Sleep(time.Minute)
		require.ElementsMatch(f, []uint64{1, 0, 0}, processed())

		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartBlocking}))
		time.Sleep(time.Minute)
		require.Equal(f, []uint64{0, 0, 0}, processed())

		pid := f.group("a").Processes[0].PID
		served := 0
		for range 20 {
			s := f.get(o)
			if s.PID() == pid {
				served++
			}
			s.Close(passenger.KeepAlive)
			time.Sleep(time.Minute)
		}
		require.Equal(f, 2, served)
	})
}
