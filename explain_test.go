package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// explained is the explanation for the application "a".
func (f *fixture) explained() passenger.Explanation {
	f.Helper()
	all := f.Explain("a", nil)
	require.Len(f, all, 1)

	return all[0]
}

// failSecondStart is for an application whose second process does not start.
func (f *fixture) failSecondStart() {
	f.factory.Change(func(s *spawnertest.Script) { s.Failures = map[int]error{2: errors.New("no database")} })
}

// requireReason checks that one of the reasons is of this kind and has these words.
func requireReason(t require.TestingT, e passenger.Explanation, kind passenger.ReasonKind, words string) {
	var texts []string
	for _, r := range e.Reasons {
		if r.Kind == kind {
			texts = append(texts, r.Text)
		}
	}

	require.Contains(t, strings.Join(texts, "\n"), words, "%+v", e)
}

func TestExplainSaysWhyARequestWaitsOrIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		script  spawnertest.Script
		set     func(o *passenger.Options)
		prepare func(f *fixture, o *passenger.Options)
		outcome passenger.Outcome
		reasons map[passenger.ReasonKind]string
	}{
		"room": {
			prepare: func(f *fixture, o *passenger.Options) { f.get(o).Close(passenger.KeepAlive) },
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonRoom: "process 1000 takes it at once: it has 0 of the 1 requests that it takes at once",
			},
		},
		"any number": {
			set:     func(o *passenger.Options) { o.ForceMaxConcurrentRequestsPerProcess = passenger.Unlimited },
			prepare: func(f *fixture, o *passenger.Options) { f.get(o) },
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonRoom: "it has 1 request, and takes any number"},
		},
		"start": {
			prepare: func(f *fixture, o *passenger.Options) { f.get(o) },
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonBusy:  "1 process is busy: 1 of the 1 requests",
				passenger.ReasonStart: "a process is started for it",
			},
		},
		"starting": {
			script: spawnertest.Script{SpawnDelay: time.Minute},
			prepare: func(f *fixture, o *passenger.Options) {
				f.ask(o)
				time.Sleep(3 * time.Second)
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonNoProcess: "no process is there",
				passenger.ReasonStarting:  "1 process is being started, since 3s",
				passenger.ReasonQueue:     "1 request waits before it",
			},
		},
		"full queue": {
			set: func(o *passenger.Options) { o.MaxProcesses, o.MaxRequestQueueSize = 1, 2 },
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				f.ask(o)
				f.ask(o)
			},
			outcome: passenger.OutcomeRefused,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonQueue: "the queue is full: 2 of 2 requests wait"},
		},
		"maximum": {
			set: func(o *passenger.Options) { o.MaxProcesses, o.MaxRequestQueueTime = 2, 5*time.Second },
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				f.get(o)
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonBusy:         "2 processes are busy: 2 of the 2 requests",
				passenger.ReasonMaxProcesses: "as many processes as it may have: 2 of 2",
				passenger.ReasonQueueTime:    "more than 5s",
			},
		},
		"full pool": {
			prepare: func(f *fixture, o *passenger.Options) {
				for range 3 {
					f.get(options("b"))
				}

				f.ask(options("c"))
				f.ask(o)
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonCapacity: "as many processes as they may: 3 of 3"},
		},
		"full pool after a failure": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.breaks(true)
				require.ErrorIs(f, f.getError(o), errRefused)
				f.breaks(false)

				for _, name := range []string{"b", "c", "d"} {
					f.get(options(name)).Close(passenger.KeepAlive)
				}

				time.Sleep(4 * time.Second)
			},
			outcome: passenger.OutcomeRefused,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonBackOff:    "no idle process of another application is stopped for it, for 1s more",
				passenger.ReasonSpawnError: "the last start failed 4s ago",
			},
		},
		"full pool after a crash": {
			prepare: func(f *fixture, o *passenger.Options) {
				s := f.get(o)
				f.factory.Processes()[0].Die("exit status 1")
				synctest.Wait()
				s.Close(passenger.Discard)

				for _, name := range []string{"b", "c", "d"} {
					f.get(options(name)).Close(passenger.KeepAlive)
				}
			},
			outcome: passenger.OutcomeRefused,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonBackOff: "after the crash of its last process in"},
		},
		"in the place of another": {
			prepare: func(f *fixture, o *passenger.Options) {
				s := f.get(o)
				f.started(options("b"), 2)
				s.Close(passenger.Discard)
				require.NoError(f, f.DetachProcess(fmt.Sprint(s.PID())))
				f.get(options("c"))
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonStart: "in the place of an idle one of b"},
		},
		"back-off": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				f.failSecondStart()
				f.ask(o)
				synctest.Wait()
				time.Sleep(100 * time.Millisecond)
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonBackOff:    "the next start is in 900ms, after 1 failed one",
				passenger.ReasonSpawnError: "the last start failed 100ms ago: no database",
			},
		},
		"deployment error": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				f.failSecondStart()
				require.Error(f, <-f.begin(passenger.RestartOptions{}))
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonDeploymentError: "the new release does not start, so that old processes serve on: " +
					"cannot start a: no database",
			},
		},
		"deployment error without an old process": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o).Close(passenger.KeepAlive)
				f.failSecondStart()
				require.Error(f, <-f.begin(passenger.RestartOptions{}))
				require.NoError(f, f.DetachProcess("1000"))
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonDeploymentError: "the new release does not start, and no old process is left: " +
					"cannot start a: no database",
			},
		},
		"disabled": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.started(o, 2)
				require.NoError(f, f.Disable(f.Context(), "1000"))
			},
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonDisabled: "1 process is disabled and takes no requests",
			},
		},
		"several disabled": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.started(o, 3)
				require.NoError(f, f.Disable(f.Context(), "1000"))
				require.NoError(f, f.Disable(f.Context(), "1001"))
			},
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonDisabled: "2 processes are disabled and take no requests",
			},
		},
		"restart of one process": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.started(o, 1)
				f.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Minute })
				f.begin(passenger.RestartOptions{})
				time.Sleep(2 * time.Second)
			},
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonRestarting: "a restart is in progress, since 2s: " +
					"1 process of the release before serves",
			},
		},
		"restart": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.started(o, 2)
				f.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Minute })
				f.begin(passenger.RestartOptions{})
				time.Sleep(2 * time.Second)
			},
			outcome: passenger.OutcomeServed,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonRestarting: "a restart is in progress, since 2s: " +
					"2 processes of the release before serve",
			},
		},
		"WebSockets": {
			set: func(o *passenger.Options) { o.MaxProcesses = 1 },
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o).MarkLong()
			},
			outcome: passenger.OutcomeWaits,
			reasons: map[passenger.ReasonKind]string{
				passenger.ReasonLongSessions: "1 WebSocket or stream holds one of the 1 slots",
			},
		},
		"detached": {
			set: func(o *passenger.Options) { o.KeepLongSessions = true },
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				go func() { _ = f.DetachApp(f.Context(), "a") }()
				synctest.Wait()
			},
			outcome: passenger.OutcomeRefused,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonDetached: "only its last processes remain"},
		},
		"end": {
			prepare: func(f *fixture, o *passenger.Options) {
				f.get(o)
				go func() { _ = f.Shutdown(f.Context()) }()
				synctest.Wait()
			},
			outcome: passenger.OutcomeRefused,
			reasons: map[passenger.ReasonKind]string{passenger.ReasonClosed: "the server is about to end"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, test.script, func(f *fixture) {
				o := options("a")
				if test.set != nil {
					test.set(o)
				}

				test.prepare(f, o)
				synctest.Wait()

				e := f.explained()
				require.Equal(f, test.outcome, e.Outcome, "%+v", e)

				for kind, words := range test.reasons {
					requireReason(f, e, kind, words)
				}
			})
		})
	}
}

func TestExplainOfUnknownAndForbiddenApplicationsIsEmpty(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		require.Empty(f, f.Explain("a", nil))
		f.get(options("a"))
		require.Empty(f, f.Explain("a", func(passenger.AppIdentity) bool { return false }))
		require.Len(f, f.Explain("a", nil), 1)
	})
}

func TestExplainNamesOnlyApplicationsThatTheCallerMaySee(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		f.started(options("tenant"), 1)
		s.Close(passenger.Discard)
		require.NoError(f, f.DetachProcess(fmt.Sprint(s.PID())))
		f.get(options("tenant"))
		f.get(options("tenant")).Close(passenger.KeepAlive)
		synctest.Wait()
		requireReason(f, f.explained(), passenger.ReasonStart, "in the place of an idle one of tenant")

		all := f.Explain("a", func(app passenger.AppIdentity) bool { return app.Name == "a" })
		require.Len(f, all, 1)
		requireReason(f, all[0], passenger.ReasonStart, "in the place of an idle one of another application")
		require.NotContains(f, fmt.Sprint(all), "tenant")
	})
}

// What is explained is what happens: in any state, a request that comes then has the outcome, and starts a process or
// not, as it was said.
func TestExplainSaysWhatHappensThen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		choose := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "choice") }
		inBubble(t, 1+choose(3), spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
			var sessions []*passenger.Session
			var mu sync.Mutex
			keep := func(s *passenger.Session, _ error) {
				mu.Lock()
				defer mu.Unlock()

				if s != nil {
					sessions = append(sessions, s)
				}
			}

			apps := map[string]*passenger.Options{}
			for _, name := range []string{"a", "b"} {
				o := options(name)
				o.MaxProcesses, o.MinProcesses, o.MaxRequestQueueSize = choose(3), choose(2), []int{0, 1, 2}[choose(3)]
				o.MaxRequestQueueTime = time.Duration(choose(2)) * time.Minute
				apps[name] = o
			}

			for range 20 {
				name := []string{"a", "b"}[choose(2)]
				f.happens(choose, apps[name], &sessions, keep)
				synctest.Wait()

				for _, e := range f.Explain(name, nil) {
					f.requireTrue(apps[name], e)
				}
			}
		})
	})
}

// happens does something to an application.
func (f *fixture) happens(choose func(int) int, o *passenger.Options, sessions *[]*passenger.Session,
	keep func(*passenger.Session, error),
) {
	name := o.App.Name()

	switch choose(9) {
	case 0, 1, 2:
		f.AsyncGet(o, keep)
	case 3:
		if n := len(*sessions); n > 0 {
			s := (*sessions)[choose(n)]
			s.Close(passenger.KeepAlive)
		}
	case 4:
		f.AsyncGet(o, keep)
		_, _, err := f.BeginRestart(name, passenger.RestartOptions{Method: passenger.RestartMethod(1 + choose(2))})
		require.NoError(f, err)
	case 5:
		broken := choose(2) == 0
		f.factory.ChangeApp(name, func(s *spawnertest.Script) {
			s.BeforeSpawn = nil
			if broken {
				s.BeforeSpawn = failToSpawn
			}
		})
	case 6:
		if live := f.factory.LiveProcesses(); len(live) > 0 {
			live[choose(len(live))].Die("signal: killed")
		}
	case 7:
		if live := f.factory.LiveProcesses(); len(live) > 0 {
			id := fmt.Sprint(live[choose(len(live))].Info().PID)
			go func() { _ = f.Disable(f.Context(), id) }()
		}
	case 8:
		time.Sleep(time.Duration(choose(4)) * 700 * time.Millisecond)
	}
}

// requireTrue checks an explanation by a get.
func (f *fixture) requireTrue(o *passenger.Options, e passenger.Explanation) {
	f.Helper()
	before := f.group(e.AppName).Spawning
	a := f.ask(o)
	synctest.Wait() // for the check before another application's process ends
	spawning := f.group(e.AppName).Spawning

	kinds := map[passenger.ReasonKind]bool{}
	for _, r := range e.Reasons {
		require.NotEmpty(f, r.Text)
		kinds[r.Kind] = true
	}

	switch e.Outcome {
	case passenger.OutcomeServed:
		require.NotNil(f, a.session, "%+v", e)
	case passenger.OutcomeRefused:
		require.Error(f, a.err, "%+v", e)
	case passenger.OutcomeWaits:
		require.Zero(f, a.times, "%+v: %v", e, a.err)
		require.Equal(f, kinds[passenger.ReasonStart], spawning > before, "%+v", e)
	}

	if a.session != nil {
		a.session.Close(passenger.KeepAlive)
	}

	a.stop()
}

func failToSpawn(context.Context, int, spawner.App) error { return errors.New("broken") }
