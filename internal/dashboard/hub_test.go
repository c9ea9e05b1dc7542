package dashboard

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/pipenet"
	"github.com/gopassenger/passenger/status"
)

func newTestHub(source Source) *hub { return newHub(source, "", logr.Discard()) }

func join(t *testing.T, h *hub, key topicKey) *viewer {
	t.Helper()
	v, err := h.join(key)
	require.NoError(t, err)

	return v
}

// joinTogether adds viewers that the same look shows a whole: a look between two of them would give the first one
// another event.
func joinTogether(t *testing.T, h *hub, keys ...topicKey) (viewers []*viewer) {
	t.Helper()
	h.looking.Lock()
	defer h.looking.Unlock()

	for _, key := range keys {
		viewers = append(viewers, join(t, h, key))
	}

	return viewers
}

var (
	everything = topicKey{}
	shopOnly   = topicKey{one: true, name: "shop"}
)

func TestNothingIsLookedAtWithoutViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop")
		h := newTestHub(source)
		time.Sleep(time.Hour)
		require.Zero(t, source.looked())

		viewers := make([]*viewer, 0, 3)
		for range 3 {
			viewers = append(viewers, join(t, h, everything))
		}

		synctest.Wait()

		begun := source.looked()
		require.LessOrEqual(t, begun, 3, "they come at once")

		for range 5 {
			time.Sleep(lookInterval)
			synctest.Wait()

			for _, v := range viewers {
				<-v.events
			}
		}

		require.Equal(t, begun+5, source.looked(), "once a second for all viewers")

		for _, v := range viewers {
			h.leave(v)
			h.leave(v) // which is no second one
		}

		synctest.Wait()
		require.Zero(t, h.viewers)
		require.Empty(t, h.topics)

		before := source.looked()
		time.Sleep(time.Hour)
		require.Equal(t, before, source.looked())
	})
}

func TestViewersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(newInstance("shop"))
		viewers := joinTogether(t, h, everything, everything, shopOnly)
		a, b, one := viewers[0], viewers[1], viewers[2]
		defer func() {
			for _, v := range viewers {
				h.leave(v)
			}
		}()

		synctest.Wait()

		var data map[string]any
		require.Equal(t, wholeEvent, decoded(t, <-a.events, &data))
		require.Equal(t, wholeEvent, decoded(t, <-b.events, &data))

		time.Sleep(lookInterval)
		synctest.Wait()

		first, second := last(a), last(b)
		require.Equal(t, changesEvent, decoded(t, first, &data))
		require.Same(t, &first[0], &second[0])
		require.NotEqual(t, first, last(one))
	})
}

// last returns the last event of those that wait.
func last(v *viewer) (event []byte) {
	for {
		select {
		case event = <-v.events:
		default:
			return event
		}
	}
}

func TestViewersBeyondTheLimitAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPage(newInstance("shop"), anyone(Look))

		viewers := make([]*viewer, 0, MaxViewers)
		for range MaxViewers {
			viewers = append(viewers, join(t, h.hub, everything))
		}

		w := get(h, Path+"/events")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, "30", w.Header().Get("Retry-After"))
		require.Equal(t, "there are 24 viewers already: close a page that shows the dashboard\n", w.Body.String())

		h.hub.leave(viewers[0])
		viewers[0] = join(t, h.hub, shopOnly)

		for _, v := range viewers {
			h.hub.leave(v)
		}
	})
}

func TestViewerThatIsTooLateIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(newInstance("shop"))
		late, other := join(t, h, everything), join(t, h, everything)
		defer h.leave(other)

		for range 2 * maxBehind {
			time.Sleep(lookInterval)
			synctest.Wait()
			last(other)
		}

		n := 0
		for range late.events {
			n++
		}

		require.Equal(t, maxBehind, n, "and it is closed")
		require.Equal(t, 1, h.viewers)
		h.leave(late) // as its handler does
		require.Equal(t, 1, h.viewers)
	})
}

// serve serves a page over connections in memory.
func serve(t *testing.T, source Source) (dial func() net.Conn) {
	t.Helper()
	l := pipenet.NewListener(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000})
	ctx, cancel := context.WithCancel(t.Context())
	server := &http.Server{
		Handler:     newPage(source, anyone(Look)),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})

	return func() net.Conn {
		client, end := net.Pipe()
		require.NoError(t, l.Connect(t.Context(), end))
		t.Cleanup(func() { _ = client.Close() })

		_, err := client.Write([]byte("GET /dashboard/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
		require.NoError(t, err)

		return client
	}
}

func TestViewerThatDoesNotReadIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop")
		dial := serve(t, source)
		client := dial() // nothing is read: each write of the server waits
		time.Sleep(maxStall + time.Second)
		synctest.Wait()

		looks := source.looked()
		time.Sleep(time.Hour)
		require.Equal(t, looks, source.looked(), "without it, there is no viewer")

		_, err := client.Read(make([]byte, 1))
		require.Error(t, err, "the connection is closed")
	})
}

func TestViewerThatReadsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop")
		dial := serve(t, source)
		lines := bufio.NewScanner(dial())

		n := 0
		for n < 600 && lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") {
				n++
			}
		}

		require.Equal(t, 600, n, "ten minutes")
	})
}

func TestTroubleOfTheSourceIsShownUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop")
		source.err = errors.New("the server is gone")
		h := newTestHub(source)
		v := join(t, h, everything)
		defer h.leave(v)

		var said struct{ Text string }
		require.Equal(t, troubleEvent, decoded(t, <-v.events, &said))
		require.Equal(t, "the server is gone", said.Text)
		require.Equal(t, troubleEvent, decoded(t, <-v.events, &said))

		source.change(func(i *instance) { i.err = nil })
		require.Equal(t, wholeEvent, decoded(t, <-v.events, &said), "it has not got one before")
		require.Equal(t, changesEvent, decoded(t, <-v.events, &said))
	})
}

func TestPointsAreShownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("idle", "shop")
		add := func() {
			source.change(func(i *instance) {
				for n := range i.figures {
					f := &i.figures[n]
					for j := range f.Points { // the history counts back from the newest
						f.Points[j].At = f.Points[j].At.Add(3 * time.Millisecond)
					}

					f.Points = append(f.Points, status.Point{At: time.Now(), Requests: float32(n * len(f.Points))})
				}
			})
		}

		for range 200 {
			time.Sleep(5 * time.Second)
			add()
		}

		h := newTestHub(source)
		viewers := joinTogether(t, h, everything, shopOnly)
		v, one := viewers[0], viewers[1]
		defer h.leave(v)
		defer h.leave(one)

		var list listForTest
		require.Equal(t, wholeEvent, decoded(t, <-v.events, &list))
		require.Len(t, list.History, 2)
		require.Len(t, list.History[1].Rate, listPoints)
		require.InDelta(t, 199, list.History[1].Rate[listPoints-1], 0)
		require.Equal(t, time.Now().UnixMilli(), list.Newest)

		var app appForTest
		require.Equal(t, wholeEvent, decoded(t, <-one.events, &app))
		require.Len(t, app.Points, 200)
		require.Len(t, app.Points[0], 11)

		points := make([]string, 0, 8)

		time.Sleep(lookInterval / 2) // between two looks

		for second := range 24 {
			if second%5 == 4 {
				add()
			}

			time.Sleep(lookInterval)

			list, app = listForTest{}, appForTest{}
			require.Equal(t, changesEvent, decoded(t, <-v.events, &list))
			require.Equal(t, changesEvent, decoded(t, <-one.events, &app))

			for _, p := range list.Points {
				require.Len(t, p.Of, 1, "zeros are left out")
				points = append(points, fmt.Sprint(p.Of[0].Name, " ", p.Of[0].Rate))
			}

			for _, p := range app.Points {
				points = append(points, fmt.Sprint("app ", p[1]))
			}
		}

		require.ElementsMatch(t, []string{
			"shop 200", "app 200", "shop 201", "app 201", "shop 202", "app 202", "shop 203", "app 203",
		}, points)
	})
}

// The history counts times back from its newest point, so that all of them change with the clock.
func TestFiguresGoOnAfterTheClockWasSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -10 * time.Second, 20 * time.Second, time.Hour} {
		t.Run(by.String(), func(t *testing.T) { requireFiguresAfterClockSet(t, by) })
	}
}

func requireFiguresAfterClockSet(t *testing.T, by time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source := newInstance("shop")
		requests := float32(0)
		add := func() {
			source.change(func(i *instance) {
				points, now := &i.figures[0].Points, time.Now().Add(i.clock)
				requests++
				*points = append(*points, status.Point{Requests: requests})

				for age := range *points {
					(*points)[len(*points)-1-age].At = now.Add(-time.Duration(age) * 5 * time.Second)
				}
			})
		}
		add()

		h := newTestHub(source)
		viewers := joinTogether(t, h, everything, shopOnly)
		v, one := viewers[0], viewers[1]
		defer h.leave(v)
		defer h.leave(one)

		var list listForTest
		var app appForTest
		require.Equal(t, wholeEvent, decoded(t, <-v.events, &list))
		require.Equal(t, wholeEvent, decoded(t, <-one.events, &app))

		time.Sleep(lookInterval / 2) // between two looks
		// The history has the new time with its next point only.
		source.change(func(i *instance) { i.clock = by })

		wholes, points := 0, []float64{}
		for second := range 18 {
			if second%5 == 3 {
				add()
			}

			time.Sleep(lookInterval)

			for len(v.events) > 0 {
				list = listForTest{}
				if decoded(t, <-v.events, &list) == wholeEvent {
					wholes++
					require.LessOrEqual(t, list.Newest, time.Now().Add(by).UnixMilli())
					require.Len(t, list.History[0].Rate, int(requests))
				}

				for _, p := range list.Points {
					points = append(points, p.Of[0].Rate)
				}
			}

			for len(one.events) > 0 {
				app = appForTest{}
				if decoded(t, <-one.events, &app) == wholeEvent {
					wholes++
					require.Len(t, app.Points, int(requests))
					continue
				}

				for _, p := range app.Points {
					points = append(points, p[1])
				}
			}
		}

		require.Equal(t, 2, wholes, "each viewer gets all points with their new times, once")
		require.ElementsMatch(t, []float64{3, 3, 4, 4}, points)
	})
}

type listForTest struct {
	Apps []struct {
		Name, Map string
		Queue     int
		Spawn     *struct{ Text string }
	}
	Gone    []string
	Newest  int64
	History []struct{ Rate []float64 }
	Points  []struct {
		Of []struct {
			Name string
			Rate float64
		}
	}
}

type appForTest struct {
	App       *struct{ Name string }
	Processes *[]shownProcess
	Requests  *struct {
		All   int
		Shown []struct{ Path, State string }
	}
	Failures, Incidents *[]struct{ ID, Text string }
	Points              [][]float64
}

type shownProcess struct {
	PID   int
	State string
	Old   bool
}

func TestEventHasOneLineWhateverTheNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{
			"__proto__", "constructor", "</script><script>alert(1)</script>", "a\nevent: whole\ndata: {}\n\n",
			"\x00\xff\u2028", `"'`,
		}
		source := newInstance(names...)
		h := newTestHub(source)
		v := join(t, h, everything)
		defer h.leave(v)

		event := <-v.events
		require.Equal(t, 3, bytes.Count(event, []byte("\n"))) // two lines, and an empty one
		var list listForTest
		require.Equal(t, wholeEvent, decoded(t, event, &list))
		require.Len(t, list.Apps, len(names))
		require.Equal(t, names[3], list.Apps[3].Name)

		one := join(t, h, topicKey{one: true, name: names[3]})
		defer h.leave(one)

		event = <-one.events
		require.Equal(t, 3, bytes.Count(event, []byte("\n")))
	})
}
