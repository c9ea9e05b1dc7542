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

// deadlines is a response that keeps its deadline.
type deadlines struct {
	*httptest.ResponseRecorder

	at atomic.Pointer[time.Time]
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.at.Store(&t)
	return nil
}

func TestWatchEndsAResponseWithoutProgress(t *testing.T) {
	for name, test := range map[string]struct {
		// step is how much is sent each second, for as many seconds.
		step    int64
		seconds int
		over    bool
	}{
		"none":                   {0, 31, true},
		"none, not for long":     {0, 29, false},
		"a piece in time":        {pace.Piece / 20, 600, false},
		"less than a piece":      {pace.Piece / 40, 60, true},
		"some, and none then":    {pace.Piece, 600, false},
		"a little before it was": {1, 29, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &deadlines{ResponseRecorder: httptest.NewRecorder()}

				var sent atomic.Int64

				watch := pace.NewWatch(http.NewResponseController(w), 30*time.Second, sent.Load)
				for range test.seconds {
					time.Sleep(time.Second)
					sent.Add(test.step)
				}

				synctest.Wait()
				require.Equal(t, test.over, w.at.Load() != nil)
				require.Equal(t, test.over, watch.End())
			})
		})
	}
}

// After the last piece, a client has the time for one, and a quarter of it until that is noticed.
func TestWatchCountsFromTheLastPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}

		var sent atomic.Int64
		watch := pace.NewWatch(http.NewResponseController(w), 40*time.Second, sent.Load)
		time.Sleep(5 * time.Second)
		sent.Store(10 * pace.Piece)
		time.Sleep(40 * time.Second)
		require.Nil(t, w.at.Load())
		time.Sleep(10 * time.Second)
		require.NotNil(t, w.at.Load())
		require.True(t, watch.End())
	})
}
