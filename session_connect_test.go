package passenger_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestConnectionMadeWhileItsSessionIsClosedIsClosed(t *testing.T) {
	for _, mode := range []passenger.CloseMode{passenger.Discard, passenger.KeepAlive} {
		dialing := make(chan struct{}) // of the bubble, each time
		inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
			dialing = make(chan struct{})
			f.factory.Change(func(s *spawnertest.Script) {
				s.BeforeDial = func(context.Context, *spawnertest.Process) error {
					<-dialing
					return nil
				}
			})
			s := f.get(options("a"))
			result := make(chan error, 1)
			var conn net.Conn
			go func() {
				var err error
				conn, err = s.Connect(f.Context())
				result <- err
			}()
			synctest.Wait()
			s.Close(mode)
			close(dialing)
			require.ErrorIs(f, <-result, passenger.ErrSessionClosed)
			require.Nil(f, conn)
			synctest.Wait()

			require.Zero(f, f.factory.Process(0).Connections(), "none is leaked")
		})
	}
}

func TestConnectThatFailsAfterCloseDetachesTheProcess(t *testing.T) {
	script := spawnertest.Script{BeforeDial: func(context.Context, *spawnertest.Process) error {
		time.Sleep(time.Second)
		return errRefused
	}}
	inBubble(t, 1, script, func(f *fixture) {
		s := f.get(options("a"))
		time.AfterFunc(time.Millisecond, func() { s.Close(passenger.Discard) })
		_, err := s.Connect(f.Context())
		require.ErrorAs(f, err, new(*passenger.ConnectError))
		synctest.Wait()
		require.Empty(f, f.group("a").Processes)
	})
}

// TestConnectAgainstClose: in real time, where the two race for the connection.
func TestConnectAgainstClose(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]spawnertest.Script{"pipes": {}, "sockets": {UnixDir: dir}} {
		t.Run(name, func(t *testing.T) {
			script.ServeConn = func(_ *spawnertest.Process, c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
			factory := spawnertest.New(script)
			pool, err := passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory, SelfChecks: true})
			require.NoError(t, err)
			defer func() { require.NoError(t, pool.Close()) }()

			for i := range 500 {
				s, err := pool.Get(t.Context(), options("a"))
				require.NoError(t, err)
				if i%3 == 0 {
					_, err = s.Connect(t.Context()) // so that the other one replaces it
					require.NoError(t, err)
				}

				start := make(chan struct{})
				var race sync.WaitGroup
				race.Go(func() {
					<-start
					conn, err := s.Connect(t.Context())
					if err != nil {
						require.ErrorIs(t, err, passenger.ErrSessionClosed)
						require.Nil(t, conn)
					}
				})
				race.Go(func() {
					<-start
					s.Close(passenger.CloseMode(i % 2))
				})
				close(start)
				race.Wait()
			}

			process := factory.Process(0)
			s, err := pool.Get(t.Context(), options("a"))
			require.NoError(t, err)
			_, err = s.Connect(t.Context())
			require.NoError(t, err)
			s.Close(passenger.Discard)
			require.Eventually(t, func() bool { return process.Connections() == 0 }, 10*time.Second, time.Millisecond,
				"no connection is leaked")
		})
	}
}
