package pace_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/pace"
)

func (d *deadlines) SetReadDeadline(t time.Time) error { return d.SetWriteDeadline(t) }

func TestWriteEndsWhereTheClientTakesNothing(t *testing.T) {
	const all = 2 << 20
	for name, test := range map[string]struct {
		// taken is what the client takes each second of what the kernel has, for as many seconds.
		taken   int64
		seconds int
		over    bool
	}{
		"nothing":               {0, 31, true},
		"nothing, not for long": {0, 29, false},
		"a piece in time":       {pace.Piece / 20, 600, false},
		"less than a piece":     {pace.Piece / 40, 60, true},
		"the kernel takes more": {-1, 600, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int64
				left.Store(all)

				w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
				p := pace.Writing(w, func() (int64, bool) { return left.Load(), true })
				p.Begin(time.Now().Add(30 * time.Second))

				for range test.seconds {
					time.Sleep(time.Second)
					left.Add(-test.taken)
				}

				synctest.Wait()
				require.Equal(t, test.over, w.at.Load() != nil)
				require.Equal(t, test.over, p.Over())
				p.End()
			})
		})
	}
}

func TestWriteEndsInTimeWhereNothingIsKnown(t *testing.T) {
	for name, unsent := range map[string]pace.Unsent{
		"never":     nil,
		"not today": func() (int64, bool) { return time.Now().Unix(), false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
				p := pace.Writing(w, unsent)
				p.Begin(time.Now().Add(10 * time.Second))
				time.Sleep(5 * time.Second)
				p.Begin(time.Now().Add(10 * time.Second)) // another step
				time.Sleep(10*time.Second - time.Nanosecond)
				synctest.Wait()
				require.Nil(t, w.at.Load())
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				require.NotNil(t, w.at.Load())
				p.End()
			})
		})
	}
}

// What is left of responses before is no progress of this one, and taking it is.
func TestWatchCountsWhatIsLeftOfResponsesBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		sent.Store(-1 << 20)

		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		watch := pace.NewWatch(http.NewResponseController(w), 40*time.Second, sent.Load)

		for range 10 {
			time.Sleep(30 * time.Second)
			sent.Add(pace.Piece)
		}

		require.Nil(t, w.at.Load())
		time.Sleep(time.Minute)
		require.NotNil(t, w.at.Load())
		require.True(t, watch.End())
	})
}

func TestUnsentOfAContext(t *testing.T) {
	require.Nil(t, pace.UnsentOf(t.Context()))

	ctx := pace.WithUnsent(t.Context(), func() (int64, bool) { return 7, true })
	bytes, known := pace.UnsentOf(ctx)()
	require.Equal(t, int64(7), bytes)
	require.True(t, known)
}
