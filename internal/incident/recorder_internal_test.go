package incident

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/test/secrets"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// witness is a process that says what a test wants.
type witness struct {
	spawner.Process
	backtraces string
	err        error
	output     []string
	// slow reports whether it says nothing before ctx ends.
	slow bool
}

func (w *witness) Backtraces(ctx context.Context) (string, error) {
	if w.slow {
		<-ctx.Done()
		return "", ctx.Err()
	}

	return w.backtraces, w.err
}

func (w *witness) LastOutput(context.Context) []string { return w.output }

// played returns the process of an application that a test plays.
func played(t *testing.T) *spawnertest.Process {
	t.Helper()
	factory := spawnertest.New(spawnertest.Script{})
	pool := spawnertest.NewPool(t, passenger.Config{Spawner: factory})
	s, err := pool.Get(t.Context(), &passenger.Options{App: spawner.App{Root: "/apps/shop", GroupName: "shop"}})
	require.NoError(t, err)
	s.Close(passenger.Discard)

	return factory.Process(0)
}

func incidentOf(p spawner.Process) *passenger.Incident {
	return &passenger.Incident{
		Cause:   passenger.IncidentRequestTime,
		At:      time.Now(),
		AppName: "shop",
		Process: p,
		Target:  "/slow?password=secret",
	}
}

func TestHostileWordsAreMadeFitToBeShown(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	w := &witness{
		Process:    played(t),
		backtraces: "\x1b[31mred\x00\xff\u202e http://me:staple@host/\n" + strings.Repeat("x", 1<<20) + "\nend",
		output:     []string{"token=ghp_0123456789abcdefghijklmnop", "\x1b]0;title\a"},
	}
	id, file := r.Record(t.Context(), incidentOf(w))
	require.NotEmpty(t, id)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.LessOrEqual(t, len(content), MaxSize)

	for _, bad := range []string{"staple", "ghp_", "\\u001b", "\x1b", "secret"} {
		require.NotContains(t, string(content), bad)
	}

	record, err := Decode(content)
	require.NoError(t, err)
	require.Equal(t, "/slow", record.Request.Path)
	require.Equal(t, "end", record.Processes[0].Backtraces[2])

	var text strings.Builder
	require.NoError(t, record.WriteText(&text))
	require.Contains(t, text.String(), "Last output:")
}

func TestNoIncidentShowsASecret(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	for _, c := range secrets.Cases() {
		if !c.ByItself {
			continue // the spawner, which knows the environment, hides it
		}

		in := incidentOf(&witness{Process: played(t), backtraces: c.Value, output: []string{c.Value}})
		in.Error, in.Target = c.Value, "/?"+c.Value
		id, _ := r.Record(t.Context(), in)
		content, err := r.Read(id)
		require.NoError(t, err)
		require.NotContains(t, string(content), c.Secret)
	}
}

func TestProcessThatSaysNothingIsNotWaitedForLong(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	ctx, cancel := context.WithTimeout(t.Context(), writeTime+50*time.Millisecond)
	defer cancel()
	id, _ := r.Record(ctx, incidentOf(&witness{Process: played(t), slow: true}))
	require.NotEmpty(t, id)

	content, err := r.Read(id)
	require.NoError(t, err)
	require.Contains(t, string(content), context.DeadlineExceeded.Error())
}

func TestProcessWithoutWordsHasTheReason(t *testing.T) {
	p := played(t)
	for _, one := range []spawner.Process{p, &witness{Process: p, err: spawner.ErrNoBacktraces}} {
		require.Equal(t, spawner.ErrNoBacktraces.Error(), lookAt(t.Context(), incidentOf(one)).NoBacktraces)
	}
}

func TestDiskThatTakesNothingIsOneLine(t *testing.T) {
	var log logged.Buffer
	r := NewRecorder(newStore(t), log.Logger())
	require.NoError(t, os.Remove(r.store.dir))

	for range 3 {
		id, file := r.Record(t.Context(), incidentOf(played(t)))
		require.Empty(t, id+file)
	}

	require.Equal(t, 1, strings.Count(log.String(), "cannot keep an incident"), log.String())
}

func TestRequestsOfAClientAreRecordedNowAndThen(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	for range 5 {
		r.Record(t.Context(), &passenger.Incident{
			Cause:     passenger.IncidentQueueTime,
			At:        time.Now(),
			AppName:   "shop",
			RequestID: "1-2",
			Target:    "/a?b",
		})
	}

	require.Len(t, r.List(), 1)
	require.Contains(t, r.List()[0].Summary, "waited too long")
}

func TestRequestWithoutResponseOfAProcessThatEndedIsNotRecordedTwice(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	p := played(t)
	p.Die("signal: killed")
	in := incidentOf(p)
	in.Cause = passenger.IncidentNoResponse
	id, _ := r.Record(t.Context(), in)
	require.Empty(t, id, "the pool records the end of the process")

	in.Cause = passenger.IncidentUnresponsive
	id, _ = r.Record(t.Context(), in)
	require.NotEmpty(t, id)
	require.Equal(t, string(passenger.IncidentExit), r.List()[0].Cause, "it did not respond as it had ended")
}

// Who stops a server often signals its applications, too: systemd with KillMode=control-group, or a shell.
func TestServerThatEndsRecordsWhatProcessesDidByThemselves(t *testing.T) {
	lives, clean, asked := played(t), played(t), played(t)
	crashed, killed := played(t), played(t)
	clean.Die("exit status 0")
	asked.Die("signal: terminated")
	crashed.Die("exit status 1")
	killed.Die("signal: killed")

	for _, test := range []struct {
		name    string
		process *spawnertest.Process
		cause   passenger.IncidentCause
		kept    bool
	}{
		{"no response", lives, passenger.IncidentNoResponse, false},
		{"no connection", lives, passenger.IncidentUnresponsive, false},
		{"no connection after its end", clean, passenger.IncidentUnresponsive, false},
		{"clean exit", clean, passenger.IncidentExit, false},
		{"SIGTERM", asked, passenger.IncidentExit, false},
		{"crash", crashed, passenger.IncidentExit, true},
		{"no connection after a crash", crashed, passenger.IncidentUnresponsive, true},
		{"SIGKILL", killed, passenger.IncidentExit, true},
		{"memory", lives, passenger.IncidentHardMemory, true},
		{"time of a request", lives, passenger.IncidentRequestTime, true},
		{"time to drain", lives, passenger.IncidentDrainTime, true},
	} {
		for _, ends := range []bool{true, false} {
			r := NewRecorder(newStore(t), passenger.Silent())
			if ends {
				r.ServerEnds()
			}

			in := incidentOf(test.process)
			in.Cause = test.cause
			id, _ := r.Record(t.Context(), in)
			require.Equal(t, test.kept || !ends, id != "", "%s; the server ends: %t", test.name, ends)
		}
	}
}

// A request that has failed is in progress, too, while its client gets the error page.
func TestRequestThatHasJustFailedIsThereOnce(t *testing.T) {
	now := time.Now()
	waits := handler.RequestSnapshot{ID: "1", Path: "/waits", Began: now.Add(-time.Second)}
	hangs := handler.RequestSnapshot{ID: "2", Path: "/hangs", Began: now.Add(-time.Minute), PID: 4711}
	failed := waits
	failed.Failed, failed.Error = now, "it waited too long"
	old := failed
	old.ID, old.Failed = "3", now.Add(-time.Hour)

	requests := []handler.RequestSnapshot{waits, hangs}
	found := merge(recent([]handler.RequestSnapshot{old, failed}, 0, now), recent(requests, 0, now))
	require.Len(t, found, 2)
	chosen, others := choose(&passenger.Incident{RequestID: "1"}, found)
	require.Equal(t, "/waits", chosen.Path)
	require.Equal(t, "/hangs", others[0].Path)
	require.Len(t, recent(requests, 4711, now), 1)
}

func TestChosenRequestIsTheOldestOfItsPath(t *testing.T) {
	began := time.Now()
	request := func(id, path string, age time.Duration) Request {
		return Request{ID: id, Path: path, Began: began.Add(-age)}
	}
	requests := []Request{request("new", "/a", 1), request("old", "/a", 2), request("other", "/b", 3)}

	chosen, others := choose(&passenger.Incident{Target: "/a?q"}, requests)
	require.Equal(t, "old", chosen.ID)
	require.Len(t, others, 2)

	chosen, _ = choose(&passenger.Incident{Target: "/a?q", RequestID: "other"}, requests)
	require.Equal(t, "other", chosen.ID)

	chosen, others = choose(&passenger.Incident{Target: "/gone?q", RequestID: "gone"}, requests)
	require.Equal(t, "/gone", chosen.Path)
	require.Len(t, others, 3)

	chosen, _ = choose(&passenger.Incident{}, requests)
	require.Nil(t, chosen)
}

func TestLookWithoutAPool(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	_, err := r.Look(t.Context(), "1")
	require.ErrorIs(t, err, passenger.ErrNoSuchProcess)
}

func TestRecordingWaitsForItsTurnOnlyForItsTime(t *testing.T) {
	r := NewRecorder(newStore(t), passenger.Silent())
	for range maxAtOnce {
		r.slots <- struct{}{}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id, _ := r.Record(ctx, incidentOf(played(t)))
	require.Empty(t, id)
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}
