package passenger_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

const boom = "boom"

// explosive is an observer and a log sink that panic when they are armed.
type explosive struct {
	*ledger
	detaching, restarting, logging atomic.Bool
}

func (e *explosive) ProcessDetached(*passenger.ProcessEvent) {
	if e.detaching.CompareAndSwap(true, false) {
		panic(boom)
	}
}

func (e *explosive) RestartBegan(r *passenger.RestartEvent) {
	e.ledger.RestartBegan(r)
	if e.restarting.CompareAndSwap(true, false) {
		panic(boom)
	}
}

func (e *explosive) log(string, string) {
	if e.logging.CompareAndSwap(true, false) {
		panic(boom)
	}
}

// inDanger is inAudit with an observer and a log sink that may panic.
func inDanger(t *testing.T, maxPoolSize int, script spawnertest.Script, test func(f *audit, e *explosive)) {
	t.Helper()
	e := &explosive{}
	inAudit(t, maxPoolSize, script, func(cfg *passenger.Config) {
		e.ledger = cfg.Observer.(*ledger) //nolint:errcheck // it is one
		cfg.Observer, cfg.Logger = e, funcr.New(e.log, funcr.Options{})
	}, func(f *audit) { test(f, e) })
}

// ask3 asks for three sessions. The first of the callbacks panics.
func (f *audit) ask3(o *passenger.Options) (gets [3]*asyncGet) {
	for i := range gets {
		a := &asyncGet{}
		gets[i] = a
		a.stop = f.AsyncGet(o, func(s *passenger.Session, err error) {
			a.session, a.err = s, err
			a.times++
			if i == 0 {
				panic(boom)
			}
		})
	}

	return gets
}

func TestPanicInACallbackTakesNoSession(t *testing.T) {
	inDanger(t, 1, spawnertest.Script{Concurrency: 3}, func(f *audit, _ *explosive) {
		o := options("a")
		o.MaxProcesses = 1
		f.get(o).Close(passenger.KeepAlive)
		more := *o
		more.MaxProcesses = 2
		require.NoError(f, f.SetMaxPoolSize(2))
		f.started(&more, 2)
		require.NoError(f, f.Disable(f.Context(), "1000"))
		require.NoError(f, f.DetachProcess("1001"))
		require.NoError(f, f.SetMaxPoolSize(1))
		synctest.Wait()
		o.MaxProcesses = 1

		gets := f.ask3(o)
		require.Equal(f, 3, f.group("a").QueueLength)
		require.PanicsWithValue(f, boom, func() { _ = f.Enable("1000") })

		for _, a := range gets {
			require.Equal(f, 1, a.times)
			require.NoError(f, a.err)
			a.session.Close(passenger.KeepAlive)
		}

		require.Zero(f, f.group("a").Processes[0].Sessions, "no slot is lost")
	})
}

func TestPanicOfAGetsOwnCallbackComesOutOfAsyncGet(t *testing.T) {
	inDanger(t, 1, spawnertest.Script{}, func(f *audit, _ *explosive) {
		f.get(options("a")).Close(passenger.KeepAlive)
		var got *passenger.Session
		require.PanicsWithValue(f, boom, func() {
			f.AsyncGet(options("a"), func(s *passenger.Session, err error) {
				require.NoError(f, err)
				require.Nil(f, got, "once")
				got = s
				panic(boom)
			})
		})
		got.Close(passenger.KeepAlive)
		f.get(options("a")).Close(passenger.KeepAlive)
	})
}

// A get without a callback kept its session for ever.
func TestNilCallbackPanicsAtOnce(t *testing.T) {
	inDanger(t, 1, spawnertest.Script{}, func(f *audit, _ *explosive) {
		require.Panics(f, func() { f.AsyncGet(options("a"), nil) })
		s := f.get(options("a"))
		require.Panics(f, func() { s.OnDetach(nil) })
		s.Close(passenger.KeepAlive)
		require.NoError(f, f.DetachProcess(s.GUPID()))
	})
}

func TestPanicDuringDetachAppEndsTheOtherGets(t *testing.T) {
	inDanger(t, 1, spawnertest.Script{}, func(f *audit, _ *explosive) {
		held := f.get(options("a"))
		gets := f.ask3(options("a"))
		require.PanicsWithValue(f, boom, func() { _ = f.DetachApp(f.Context(), "a") })

		for _, a := range gets {
			require.Equal(f, 1, a.times)
			require.ErrorIs(f, a.err, passenger.ErrAppDetached)
		}

		held.Close(passenger.KeepAlive)
		synctest.Wait()
		f.requireGone()
	})
}

func TestPanicDuringCloseLeavesNothing(t *testing.T) {
	for name, end := range map[string]func(f *audit) error{
		"Close": func(f *audit) error { return f.Close() },
		"Shutdown": func(f *audit) error {
			ctx, cancel := context.WithCancel(f.Context())
			cancel()
			return f.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inDanger(t, 1, spawnertest.Script{StopDelay: time.Hour}, func(f *audit, _ *explosive) {
				held := f.get(options("a"))
				held.OnDetach(func() {})
				gets := f.ask3(options("a"))
				require.PanicsWithValue(f, boom, func() { _ = end(f) })

				for _, a := range gets {
					require.Equal(f, 1, a.times)
					require.ErrorIs(f, a.err, passenger.ErrClosed)
				}

				began := time.Now()
				require.NoError(f, f.Close(), "it has gone on")
				require.Zero(f, time.Since(began))
				f.requireNothingLeft(f)
				held.Close(passenger.Discard)
			})
		})
	}
}

func TestPanicInOnDetachKeepsNoOtherFromBeingTold(t *testing.T) {
	for name, end := range map[string]func(f *audit){
		"DetachProcess": func(f *audit) { _ = f.DetachProcess("1000") },
		"DetachApp":     func(f *audit) { _ = f.DetachApp(f.Context(), "a") },
		"Restart": func(f *audit) {
			_, _, _ = f.BeginRestart("a", passenger.RestartOptions{Method: passenger.RestartBlocking})
		},
		"Shutdown": func(f *audit) { _ = f.Shutdown(f.Context()) },
		"Close":    func(f *audit) { _ = f.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inDanger(t, 1, spawnertest.Script{Concurrency: 3}, func(f *audit, _ *explosive) {
				told := 0

				sessions := []*passenger.Session{f.get(options("a")), f.get(options("a")), f.get(options("a"))}
				for _, s := range sessions {
					s.OnDetach(func() {
						told++
						if told == 1 {
							panic(boom)
						}
					})
				}

				require.PanicsWithValue(f, boom, func() { end(f) })
				require.Equal(f, 3, told)

				for _, s := range sessions {
					s.Close(passenger.KeepAlive)
				}

				if name == "Shutdown" {
					require.NoError(f, f.Shutdown(f.Context()), "it continues")
				}

				synctest.Wait()

				for _, p := range f.factory.Processes()[:1] {
					require.NotEmpty(f, p.ExitStatus())
				}
			})
		})
	}
}

func TestPanicOfAnObserverLosesNothing(t *testing.T) {
	inDanger(t, 1, spawnertest.Script{}, func(f *audit, e *explosive) {
		held := f.get(options("a"))
		waiting := f.serve(options("a"))
		require.Equal(f, 1, f.group("a").QueueLength)
		e.detaching.Store(true)
		require.PanicsWithValue(f, boom, func() { _ = f.DetachProcess("1000") })
		synctest.Wait()
		require.NoError(f, waiting.err, "the next process serves it")
		held.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live(), "the detached one is stopped")

		e.restarting.Store(true)
		require.PanicsWithValue(f, boom, func() { _, _, _ = f.BeginRestart("a", passenger.RestartOptions{}) })
		synctest.Wait()
		require.EqualValues(f, 1, f.group("a").Processes[0].Generation, "the restart has gone on")
	})
}

func TestPanicOfALogSinkLosesNothing(t *testing.T) {
	inDanger(t, 2, spawnertest.Script{}, func(f *audit, e *explosive) {
		f.get(options("a")).Close(passenger.KeepAlive)
		f.get(options("b")).Close(passenger.KeepAlive)

		// It logs that an idle process ends.
		e.logging.Store(true)
		require.PanicsWithValue(f, boom, func() { _ = f.SetMaxPoolSize(1) })
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live(), "the process is stopped")
		require.Equal(f, 1, f.Inspect().CapacityUsed)

		for _, name := range []string{"a", "b"} {
			f.get(options(name)).Close(passenger.KeepAlive)
		}
	})
}

// The get finds that restart.txt was touched, so that the restart is logged in its
// goroutine after it has got its session.
func TestGetThatAPanicInterruptsGivesItsSessionBack(t *testing.T) {
	for _, async := range []bool{false, true} {
		dir := t.TempDir()
		inDanger(t, 1, spawnertest.Script{}, func(f *audit, e *explosive) {
			o := options("a")
			o.RestartDir, o.StatThrottleRate = dir, passenger.Unlimited
			f.get(o).Close(passenger.KeepAlive)
			touch(f, filepath.Join(dir, "restart.txt"), time.Now().Add(time.Hour))
			times := 0
			e.logging.Store(true)
			require.PanicsWithValue(f, boom, func() {
				if !async {
					_, _ = f.Get(f.Context(), o)
					return
				}

				f.AsyncGet(o, func(s *passenger.Session, err error) {
					require.NoError(f, err)
					times++
					s.Close(passenger.KeepAlive)
				})
			})
			synctest.Wait()
			if async {
				require.Equal(f, 1, times, "its callback is called as ever")
			}

			g := f.group("a")
			require.EqualValues(f, 1, g.Generation, "the restart has gone on")
			require.Zero(f, g.Processes[0].Sessions)
			f.get(o).Close(passenger.KeepAlive)
		})
	}
}

func TestPanicOfAllowedChangesNothing(t *testing.T) {
	inDanger(t, 2, spawnertest.Script{}, func(f *audit, _ *explosive) {
		f.get(options("a")).Close(passenger.KeepAlive)
		require.PanicsWithValue(f, boom, func() {
			_, _, _ = f.BeginRestart("a",
				passenger.RestartOptions{Allowed: func(passenger.AppIdentity) bool { panic(boom) }})
		})
		require.Zero(f, f.group("a").Generation)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
	})
}
