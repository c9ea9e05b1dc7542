package passenger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// long returns a session that hears when its process is to end, and how often it has
// heard it.
func (f *fixture) long(o *passenger.Options) (s *passenger.Session, told *int) {
	f.Helper()
	s, told = f.get(o), new(int)
	s.OnDetach(func() { *told++ })

	return s, told
}

// detached are the processes of the application "a" that are to end.
func (f *fixture) detached() (pids []int) {
	f.Helper()

	for _, p := range f.group("a").Processes {
		if p.State == "detached" {
			pids = append(pids, p.PID)
		}
	}

	return pids
}

// A process that is to end lives for as long as it has long sessions, if that is
// wanted, and a restart does not wait for it.
func TestKeepLongSessions(t *testing.T) {
	for name, end := range map[string]func(f *fixture){
		"rolling restart": func(f *fixture) { require.NoError(f, <-f.begin(passenger.RestartOptions{})) },
		"blocking restart": func(f *fixture) {
			require.NoError(f, <-f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking}))
		},
		"detached": func(f *fixture) {
			for _, p := range f.group("a").Processes {
				require.NoError(f, f.DetachProcess(p.GUPID))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
				o := options("a")
				o.KeepLongSessions = true
				f.started(o, 2)
				first, told := f.long(o)
				second, toldToo := f.long(o)
				end(f)
				time.Sleep(time.Hour) // far beyond the time for the last requests
				synctest.Wait()
				require.Zero(f, *told+*toldToo)
				require.ElementsMatch(f, []int{first.PID(), second.PID()}, f.detached())
				require.Len(f, f.pids("a"), 2)
				first.Close(passenger.Discard)
				synctest.Wait()
				require.Equal(f, []int{second.PID()}, f.detached())
				second.Close(passenger.Discard)
				synctest.Wait()

				require.Empty(f, f.detached())
				require.Zero(f, *told+*toldToo)
			})
		})
	}
}

// Without that, they hear it at once.
func TestLongSessionsAreTold(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		s, told := f.long(o)
		require.NoError(f, f.DetachProcess(s.GUPID()))
		require.Equal(f, 1, *told)
		s.Close(passenger.Discard)
	})
}

// What is kept hears nevertheless when its process dies, or the pool shuts down.
func TestKeptSessionsAreTold(t *testing.T) {
	for name, end := range map[string]func(f *fixture, pid int){
		"died": func(f *fixture, pid int) {
			for _, p := range f.factory.LiveProcesses() {
				if p.Info().PID == pid {
					p.Die("signal: killed")
				}
			}

			synctest.Wait()
		},
		"shutdown": func(f *fixture, _ int) { require.NoError(f, f.Shutdown(f.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
				o := options("a")
				o.KeepLongSessions = true
				f.started(o, 1)
				s, told := f.get(o), 0
				s.OnDetach(func() {
					told++
					s.Close(passenger.Discard)
				})
				require.NoError(f, f.DetachProcess(s.GUPID()))
				require.Zero(f, told)
				end(f, s.PID())
				require.Equal(f, 1, told)
			})
		})
	}
}

// A process whose time is up has no other requests left when its long sessions end.
func TestTimeIsUpAfterLongSessions(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.KeepLongSessions, o.ForceMaxConcurrentRequestsPerProcess, o.DrainTimeout = true, 2, time.Minute
		f.started(o, 1)
		long := f.get(o)
		stop := long.OnDetach(func() { f.Error("it is kept") })
		stuck := f.get(o)
		require.Equal(f, long.PID(), stuck.PID())
		c, err := stuck.Connect(f.Context())
		require.NoError(f, err)
		result := f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
		require.NoError(f, <-result)
		time.Sleep(time.Hour)
		require.Equal(f, []int{long.PID()}, f.detached())
		require.True(f, stop())
		long.Close(passenger.Discard)
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		stuck.Close(passenger.Discard)
		synctest.Wait()

		require.Empty(f, f.detached())
	})
}
