package ustrouter

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
)

func someRequest() *passenger.RequestEvent {
	return &passenger.RequestEvent{
		ID:            "r1",
		AppName:       "shop",
		Method:        "GET",
		Target:        "/a/b?token=hidden",
		Host:          "shop.example",
		RemoteAddr:    "192.0.2.1",
		Protocol:      "HTTP/1.1",
		Began:         someTime,
		Status:        200,
		RequestBytes:  1,
		ResponseBytes: 2,
		PID:           7,
		GUPID:         "g-1",
		CheckedOut:    2 * time.Millisecond,
		FirstByte:     3 * time.Millisecond,
		Ended:         4 * time.Millisecond,
		Queued:        time.Millisecond,
	}
}

// TestEvents sends one of each through observer and router.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{}
		r := startRouter(t, Config{}, sink, logr.Discard())
		o := newObserver(&Config{}, r.pipes.dial, logr.Discard())

		failed := someRequest()
		failed.Err, failed.Status, failed.Cached = errors.New("broken"), 502, true
		o.RequestEnded(t.Context(), someRequest())

		asked := someRequest()
		asked.TrustedPeer = true
		asked.Header = textproto.MIMEHeader{"Traceparent": {sampledParent}, "User-Agent": {"curl/8"}}
		ctx := o.RequestBegan(t.Context(), asked)
		o.RequestEnded(ctx, failed)

		spawn := passenger.SpawnEvent{
			AppName:    "shop",
			AppRoot:    "/srv",
			Generation: 2,
			Began:      someTime,
			Took:       time.Second,
			PID:        8,
		}
		o.SpawnBegan(&spawn)
		o.SpawnEnded(&spawn)
		spawn.PID, spawn.Err = 0, &spawner.SpawnError{
			Category: spawner.CategoryTimeout,
			Summary:  "it took too long",
			ID:       "0badcafe",
			Env:      spawner.Env{"KEY=hidden"},
			Output:   "hidden",
		}
		o.SpawnEnded(&spawn)
		unlike := spawn
		unlike.Err = context.Canceled
		o.SpawnEnded(&unlike)
		process := passenger.ProcessEvent{
			AppName:    "shop",
			AppRoot:    "/srv",
			PID:        8,
			GUPID:      "g-2",
			Generation: 2,
			At:         someTime,
			Processed:  9,
			Exited:     true,
		}
		o.ProcessAttached(&process)
		o.ProcessDetached(&process)
		restart := passenger.RestartEvent{
			AppName:    "shop",
			AppRoot:    "/srv",
			Generation: 3,
			Blocking:   true,
			Began:      someTime,
			Took:       time.Second,
			Err:        errors.New("called off"),
		}
		o.RestartBegan(&restart)
		o.RestartEnded(&restart)
		require.NoError(t, o.Close(t.Context()))
		r.end(t)

		request := Transaction{
			Client:        "192.0.2.1",
			Kind:          KindRequest,
			Time:          someTime,
			Total:         4 * time.Millisecond,
			App:           "shop",
			PID:           7,
			GUPID:         "g-1",
			ID:            "r1",
			Method:        "GET",
			Host:          "shop.example",
			Path:          "/a/b",
			Protocol:      "HTTP/1.1",
			Status:        200,
			RequestBytes:  1,
			ResponseBytes: 2,
			Queued:        time.Millisecond,
			Checkout:      2 * time.Millisecond,
			FirstByte:     3 * time.Millisecond,
		}
		broken := request
		broken.Error, broken.Status, broken.Cached = "broken", 502, true
		broken.Traceparent, broken.ParentSpan = asked.AppHeader.Get("Traceparent"), "b7ad6b7169203331"
		broken.UserAgent = "curl/8"
		require.Equal(t, []Transaction{
			request, broken,
			{Kind: KindSpawn, Time: someTime, Total: time.Second, App: "shop", Root: "/srv", PID: 8, Generation: 2},
			{
				Kind: KindSpawn, Time: someTime, Total: time.Second, App: "shop", Root: "/srv", Generation: 2,
				ID: "0badcafe", Category: "time-out", Error: "it took too long",
			},
			{Kind: KindSpawn, Time: someTime, Total: time.Second, App: "shop", Root: "/srv", Generation: 2, Error: "context canceled"},
			{Kind: KindAttach, Time: someTime, App: "shop", Root: "/srv", PID: 8, GUPID: "g-2", Generation: 2, Processed: 9, Exited: true},
			{Kind: KindDetach, Time: someTime, App: "shop", Root: "/srv", PID: 8, GUPID: "g-2", Generation: 2, Processed: 9, Exited: true},
			{Kind: KindRestart, Time: someTime, Total: time.Second, App: "shop", Root: "/srv", Generation: 3, Blocking: true, Error: "called off"},
		}, sink.kept())
		require.Equal(t, ObserverStats{Delivered: 8}, o.Stats())
		require.Equal(t, RouterStats{Received: 8}, r.Stats())
	})
}

func TestTargets(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a?b=c?d":                 {"/a", "b=c?d"},
		"/":                        {"/", ""},
		"/http://x/y":              {"/http://x/y", ""},
		"*":                        {"*", ""},
		"http://u:hidden@h/a?b=c":  {"/a", "b=c"},
		"http://u:hidden@h":        {"/", ""},
		"http://u:hidden@h?b=/c/d": {"/", "b=/c/d"},
		"":                         {"", ""},
	} {
		for _, include := range []bool{false, true} {
			o := &Observer{query: include, queue: newQueue(1), sender: newSender(nil, nil, logr.Discard())}
			e := someRequest()
			e.Target = target
			o.RequestEnded(t.Context(), e)
			got, _ := o.queue.next()
			require.Equal(t, want[0], got.Path, target)
			if include {
				require.Equal(t, want[1], got.Query, target)
			} else {
				require.Empty(t, got.Query, target)
			}

			require.Zero(t, o.queue.bytes.Load())
			o.sender.giveUp()
		}
	}
}

// TestLostOnTheWay: what a router has read and not confirmed is lost.
func TestLostOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		died := make(chan struct{})
		sink := &memory{}
		r := startRouter(t, Config{}, sink, logr.Discard())
		var at switchboard
		at.connect(func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer close(died)
				defer far.Close()
				in := newLines(far, maxLine)
				if greetBack(far, in) != nil {
					return
				}

				for range 3 {
					_, _ = in.next()
				}

				_ = say(far, receipt{1})
				at.connect(r.pipes.dial)
			}()

			return near, nil
		})

		o := newObserver(&Config{}, at.dial, logr.Discard())
		for range 3 {
			o.RequestEnded(t.Context(), someRequest())
		}

		<-died
		synctest.Wait()
		require.Equal(t, ObserverStats{Delivered: 1, Dropped: 2}, o.Stats())
		o.RequestEnded(t.Context(), someRequest())
		elapse(minBackoff)
		synctest.Wait()
		missing, others := dropped(sink.kept())
		require.Equal(t, [2]uint64{2, 1}, [2]uint64{missing, others})
		require.NoError(t, o.Close(t.Context()))
		r.end(t)
	})
}

// Faults: P6.
func TestWaitingTextsAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context) (net.Conn, error) { return nil, errNoListener }
		o := newObserver(&Config{}, dial, logr.Discard())
		e := someRequest()

		e.Target = "/?" + strings.Repeat("x", 1<<20)
		for range 100 {
			o.RequestEnded(t.Context(), e)
		}

		require.Less(t, o.Stats().Waiting, maxQueueBytes>>20+1)
		require.Greater(t, o.Stats().Dropped, uint64(100-maxQueueBytes>>20-1))
		require.Error(t, o.Close(t.Context()))
		require.Zero(t, o.queue.bytes.Load())
	})
}

// TestCloseBounded: Close ends with its context.
func TestCloseBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(&Config{}, brokenRouters()["greets and reads none"], logr.Discard())
		o.RequestEnded(t.Context(), someRequest())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorContains(t, o.Close(ctx), "1 transactions were not sent")
		require.Equal(t, time.Second, time.Since(began))
		require.Error(t, o.Close(ctx), "and once more")
	})
}

// TestLastDropsTold: what was lost is reported at the end, also when there is nothing
// else to send.
func TestLastDropsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{}
		r := startRouter(t, Config{}, sink, logr.Discard())
		var at switchboard
		at.connect(brokenRouters()["forges receipts"])
		o := newObserver(&Config{}, at.dial, logr.Discard())
		o.RequestEnded(t.Context(), someRequest())
		synctest.Wait()
		require.Equal(t, ObserverStats{Dropped: 1}, o.Stats())
		at.connect(r.pipes.dial)
		require.NoError(t, o.Close(t.Context()))
		r.end(t)
		missing, others := dropped(sink.kept())
		require.Equal(t, [2]uint64{1, 0}, [2]uint64{missing, others})
	})
}

// TestDropsToldAtTheEnd: the router hears of the last drops as well, however
// soon they come after others.
func TestDropsToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{}
		r := startRouter(t, Config{}, sink, logr.Discard())

		o := newObserver(&Config{QueueLength: 5}, r.pipes.dial, logr.Discard())
		for range 3 { // the goroutine that sends may run in between
			for range 100 {
				o.RequestEnded(t.Context(), someRequest())
			}

			synctest.Wait()
		}

		require.NoError(t, o.Close(t.Context()))
		r.end(t)
		missing, others := dropped(sink.kept())
		require.Positive(t, missing)
		require.Equal(t, uint64(300), missing+others)
		require.Equal(t, ObserverStats{Delivered: others, Dropped: missing}, o.Stats())
	})
}
