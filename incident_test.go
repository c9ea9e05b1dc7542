package passenger_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// flightRecorder keeps incidents, each of which takes a time.
type flightRecorder struct {
	takes time.Duration

	mu    sync.Mutex
	found []*passenger.Incident
}

func (r *flightRecorder) Record(ctx context.Context, in *passenger.Incident) (id, file string) {
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, in)

	return "7-" + string(in.Cause), "/incidents/7.json"
}

// only returns the incident that there is, of this cause.
func (r *flightRecorder) only(t *testing.T, cause passenger.IncidentCause) *passenger.Incident {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.found, 1)
	in := r.found[0]
	r.found = nil
	require.Equal(t, cause, in.Cause)
	require.Equal(t, "a", in.AppName)
	require.Equal(t, "/apps/a", in.Root)

	return in
}

func TestIncidentIsRecordedBeforeTheKillAndItsHook(t *testing.T) {
	r, told, log := &flightRecorder{takes: time.Second}, &recorder{}, logged.Buffer{}
	inBubbleWith(t, passenger.Config{
		MaxPoolSize: 2,
		Hooks:       []hooks.Hook{hooks.On(told, hooks.MaxRequestTimeReached, hooks.DetachedProcess)},
		Incidents:   r,
		Logger:      log.Logger(),
	}, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		o := options("a")
		o.MaxRequestTime = time.Minute
		s := f.get(o)
		s.Describe("example.com", "/slow?token=canary")
		c, err := s.Connect(f.Context())
		require.NoError(f, err)

		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		require.Equal(f, time.Minute+time.Second, time.Since(began), "the recorder looks at it first")
		s.Close(passenger.Discard)

		in := r.only(f.T, passenger.IncidentRequestTime)
		require.Equal(f, "1m0s", in.Limit)
		require.Equal(f, "example.com", in.Host)
		require.Equal(f, "/slow?token=canary", in.Target)
		require.Equal(f, 1000, in.Process.Info().PID)
		require.Equal(f, 1, in.Sessions)
		require.Contains(f, log.String(), "7-request_time")
		require.Contains(f, log.String(), "/incidents/7.json")
		require.Contains(f, log.String(), `"path"="/slow"`)
		require.NotContains(f, log.String(), "canary", "queries hold secrets")

		events := told.take()
		require.Len(f, events, 2)

		for _, e := range events {
			require.Equal(f, "/incidents/7.json", e.IncidentFile, e.Name)
		}
	})
}

func TestIncidentOfAProcessThatEndedDelaysOnlyItsLogLine(t *testing.T) {
	r, log := &flightRecorder{takes: time.Second}, logged.Buffer{}
	inBubbleWith(t, passenger.Config{
		MaxPoolSize: 1,
		Incidents:   r,
		Logger:      log.Logger(),
	}, spawnertest.Script{}, func(f *fixture) {
		f.get(options("a")).Close(passenger.KeepAlive)
		began := time.Now()
		f.factory.Process(0).Die("signal: segmentation fault")
		synctest.Wait()
		s := f.get(options("a"))
		require.Equal(f, 1001, s.PID())
		require.Zero(f, time.Since(began))
		require.NotContains(f, log.String(), "ended by itself")
		s.Close(passenger.Discard)

		time.Sleep(time.Second)
		in := r.only(f.T, passenger.IncidentExit)
		require.Equal(f, "signal: segmentation fault", in.Process.ExitStatus())
		require.Regexp(f, "a process ended by itself.*7-exit", log.String())
	})
}

func TestIncidentOfAProcessThatUsesTooMuchMemory(t *testing.T) {
	r := &flightRecorder{takes: 90 * time.Second}
	inBubbleWith(t, passenger.Config{
		MaxPoolSize:     2,
		MetricsInterval: time.Second,
		Incidents:       r,
	}, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		use := &sampler{use: map[int]int64{}}
		passenger.SetSampler(f.Pool, use.sample)
		o := options("a")
		o.HardMemoryLimit = 1000
		s := f.get(o)
		c, err := s.Connect(f.Context())
		require.NoError(f, err)

		use.set(1000, 1001)
		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		took := time.Since(began)
		require.LessOrEqual(f, took, time.Second+passenger.MaxIncidentTime, "the recorder's time is bounded")
		s.Close(passenger.Discard)

		in := r.only(f.T, passenger.IncidentHardMemory)
		require.Equal(f, "1000 bytes", in.Limit)
		used, _ := in.Memory.Get()
		require.EqualValues(f, 1001, used)
	})
}

// A process beyond the lower limit finishes its requests, and is looked at meanwhile.
func TestIncidentOfAProcessThatIsReplacedForItsMemory(t *testing.T) {
	r := &flightRecorder{takes: time.Second}
	config := passenger.Config{MaxPoolSize: 2, MetricsInterval: time.Second, Incidents: r}
	inBubbleWith(t, config, spawnertest.Script{}, func(f *fixture) {
		use := &sampler{use: map[int]int64{}}
		passenger.SetSampler(f.Pool, use.sample)
		o := options("a")
		o.MinProcesses, o.MemoryLimit = 1, 1000
		s := f.get(o)
		use.set(s.PID(), 1001)
		time.Sleep(10 * time.Second)
		require.Equal(f, "1000 bytes", r.only(f.T, passenger.IncidentMemory).Limit)
		require.Len(f, f.pids("a"), 1, "another one serves")
		require.Equal(f, 2, f.factory.Live())
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live())
	})
}

func TestIncidentOfAProcessThatTakesNoConnections(t *testing.T) {
	r := &flightRecorder{takes: time.Second}
	inBubbleWith(t, passenger.Config{MaxPoolSize: 1, Incidents: r}, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))

		for range passenger.DefaultMaxUnanswered {
			s.Report(context.DeadlineExceeded)
		}

		s.Close(passenger.Discard)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live(), "it is looked at before it ends")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(f, f.factory.Live())
		in := r.only(f.T, passenger.IncidentUnresponsive)
		require.Equal(f, context.DeadlineExceeded.Error(), in.Error)
	})
}

func TestIncidentOfAProcessThatDoesNotDrain(t *testing.T) {
	r := &flightRecorder{takes: time.Second}
	inBubbleWith(t, passenger.Config{MaxPoolSize: 2, Incidents: r}, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.DrainTimeout = time.Minute
		s := f.get(o)
		_, _, err := f.BeginRestart("a", passenger.RestartOptions{Method: passenger.RestartRolling})
		require.NoError(f, err)
		time.Sleep(time.Minute + 2*time.Second)
		in := r.only(f.T, passenger.IncidentDrainTime)
		require.Equal(f, "1m0s", in.Limit)
		require.Equal(f, 1000, in.Process.Info().PID)
		s.Close(passenger.Discard)
	})
}

func TestCloseDoesNotWaitForAnIncident(t *testing.T) {
	r := &flightRecorder{takes: time.Hour}
	inBubbleWith(t, passenger.Config{MaxPoolSize: 1, Incidents: r}, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MaxRequestTime = time.Minute
		s := f.get(o)
		time.Sleep(time.Minute)
		synctest.Wait()
		began := time.Now()
		require.NoError(f, f.Close())
		require.Zero(f, time.Since(began))
		require.Zero(f, f.factory.Live())
		s.Close(passenger.Discard)
	})
}

func TestLookAtAProcess(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		in, err := f.Look("1000")
		require.NoError(f, err)
		require.Equal(f, passenger.IncidentNone, in.Cause)
		require.Equal(f, 1, in.Sessions)
		_, err = f.Look("7")
		require.ErrorIs(f, err, passenger.ErrNoSuchProcess)
		s.Close(passenger.Discard)
	})
}
