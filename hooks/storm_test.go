package hooks_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

func TestTooManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer
		h := &recorder{hold: untilCancelled}

		r := newRunner(log.Logger(), h)
		for range 1 + hooks.MaxWaiting {
			r.Fire(hooks.Event{Name: hooks.SpawnFailed})
		}

		synctest.Wait()
		require.Empty(t, log.String())

		const seconds, perSecond = 10, 100
		for range seconds * perSecond {
			r.Fire(hooks.Event{Name: hooks.SpawnFailed})
			<-time.After(time.Second / perSecond)
		}

		r.Fire(hooks.Event{Name: hooks.AttachedProcess})
		synctest.Wait()
		require.InDelta(t, seconds, log.Count("events are dropped"), 1)
		requireEvents(t, r, hooks.AttachedProcess, 1, 0) // another has room
		requireEvents(t, r, hooks.SpawnFailed, 1, hooks.MaxWaiting)
		require.Error(t, r.Close(ended()))
		require.Len(t, h.told(), 2)
	})
}

// Faults: G4.
func TestStormOfQueueFullErrorsRunsFewHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: takes(time.Second)}
		r := newRunner(logr.Discard(), h)
		const seconds, perSecond, groups = 10, 1000, 7

		want := map[string]int{}
		for i := range seconds * perSecond {
			group := fmt.Sprint("group ", i%groups)
			r.Fire(hooks.Event{Name: hooks.QueueFullError, GroupName: group, ErrorMessage: fmt.Sprint(i)})
			want[group]++
			<-time.After(time.Second / perSecond)
		}

		_, waiting := r.Events(hooks.QueueFullError)
		require.LessOrEqual(t, waiting, groups)
		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, 4, h.most)
		require.LessOrEqual(t, len(h.told()), 4*(seconds+2))

		got := map[string]int{}
		for _, e := range h.told() {
			got[e.GroupName] += max(1, e.Count)
		}

		require.Equal(t, want, got, "every event is counted once")

		last := map[string]string{}
		for _, e := range h.told() {
			last[e.GroupName] = e.ErrorMessage
		}

		for group := range maps.Keys(want) {
			require.Contains(t, last[group], "99", "the hook gets the latest")
		}
	})
}

// Faults: G4.
func TestStormRunsFewScripts(t *testing.T) {
	b := newBench(t)
	s := b.scripts(hooks.Config{Commands: map[hooks.Name]string{
		hooks.QueueFullError: b.script("hook", `echo $PASSENGER_EVENT_COUNT >> $DIR/counts`),
	}})
	h := &recorder{hold: s.Run}
	r := newRunner(b.log.Logger(), hooks.On(h, hooks.QueueFullError))
	events := longtests.Rounds(t, 250, 1000)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()

	for i := range events {
		r.Fire(hooks.Event{Name: hooks.QueueFullError, GroupName: fmt.Sprint("group ", i%10)})
		<-tick.C
	}

	require.NoError(t, r.Close(t.Context()))
	require.LessOrEqual(t, h.most, 4)

	sum := 0
	for _, s := range b.lines("counts") {
		var n int
		_, err := fmt.Sscan(s, &n)
		require.NoError(t, err)
		sum += n
	}

	require.Equal(t, events, sum)
}

// BenchmarkFire is the cost for the caller of an event that no hook wants
// to know and of one that merges.
func BenchmarkFire(b *testing.B) {
	for name, event := range map[string]hooks.Event{
		"no app": {Name: hooks.SpawnFailed},
		"merged": {Name: hooks.QueueFullError},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRunner(logr.Discard(), hooks.On(hooks.HookFunc(untilCancelled), hooks.QueueFullError))
			b.Cleanup(func() { _ = r.Close(ended()) })
			r.Fire(event)
			b.ReportAllocs()

			for b.Loop() {
				r.Fire(event)
			}
		})
	}
}
