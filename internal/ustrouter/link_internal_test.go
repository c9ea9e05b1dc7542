package ustrouter

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/logged"
)

// routers that are no good, each of which an Observer must survive.
func brokenRouters() map[string]dialFunc {
	// saying is one that says something, and reads nothing after it.
	saying := func(say string, end bool) dialFunc {
		return func(ctx context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				_, _ = io.WriteString(far, say)
				if !end {
					<-ctx.Done()
				}
			}()

			return near, nil
		}
	}
	const greeting = `{"protocol":"passenger-ustrouter","version":1}` + "\n"

	return map[string]dialFunc{
		"no listener": func(context.Context) (net.Conn, error) { return nil, errNoListener },
		"dialling hangs": func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"says nothing":          saying("", false),
		"closes":                saying("", true),
		"of another version":    saying(strings.Replace(greeting, "1", "2", 1), false),
		"greets and reads none": saying(greeting, false),
		"greets and closes":     saying(greeting, true),
		"forges receipts": func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				_, _ = io.WriteString(far, greeting)

				in := newLines(far, maxLine)
				for range 2 { // the greeting and a transaction
					_, _ = in.next()
				}

				_, _ = io.WriteString(far, `{"received":1000000}`+"\n")
			}()

			return near, nil
		},
	}
}

// TestBrokenRouterDelaysNothing: events take no time, whatever the router does,
// what waits is bounded, and each of them is counted in the end.
func TestBrokenRouterDelaysNothing(t *testing.T) {
	for name, dial := range brokenRouters() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events, length = 3000, 50
				var log logged.Buffer
				o := newObserver(&Config{QueueLength: length}, dial, log.Logger())

				began := time.Now()
				for range events {
					before := time.Now()
					o.RequestEnded(t.Context(), someRequest())
					require.Equal(t, before, time.Now())
					elapse(100 * time.Millisecond)
				}

				require.LessOrEqual(t, o.Stats().Waiting, length)
				require.LessOrEqual(t, o.queue.bytes.Load(), int64(length*1000))
				spent := time.Since(began)
				require.LessOrEqual(t, log.Count("transactions are lost"), 1+int(spent/dropInterval))
				require.LessOrEqual(t, log.Count("cannot send transactions"), 1+int(spent/dropInterval))
				require.Positive(t, log.Count("cannot send transactions"))

				began = time.Now()
				synctest.Wait()
				left := events - o.Stats().Dropped
				err := o.Close(t.Context())
				if left > 0 {
					require.ErrorContains(t, err, strconv.FormatUint(left, 10)+" transactions were not sent")
				} else {
					require.NoError(t, err)
				}

				require.LessOrEqual(t, time.Since(began), closeTimeout)
				require.Equal(t, uint64(events), o.Stats().Dropped)
				require.Zero(t, o.Stats().Waiting)
				o.RequestEnded(t.Context(), someRequest())
				require.Equal(t, uint64(events+1), o.Stats().Dropped, "and nothing is kept afterwards")
			})
		})
	}
}

// TestBackoff: attempts are a second apart at least, and soon more.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		o := newObserver(&Config{}, func(context.Context) (net.Conn, error) {
			attempts = append(attempts, time.Now())
			return nil, errNoListener
		}, logr.Discard())
		elapse(time.Hour)
		synctest.Wait()
		require.Empty(t, attempts, "there is nothing to send")
		o.RequestEnded(t.Context(), someRequest())
		elapse(10 * time.Minute)
		synctest.Wait()
		require.Greater(t, len(attempts), 600/int(maxBackoff/time.Second)-1)

		for i := 1; i < len(attempts); i++ {
			pause := attempts[i].Sub(attempts[i-1])
			require.GreaterOrEqual(t, pause, minBackoff)
			require.LessOrEqual(t, pause, maxBackoff)
			if i > 5 {
				require.GreaterOrEqual(t, pause, maxBackoff/2)
			}
		}

		require.Error(t, o.Close(t.Context()))
	})
}

// TestReconnect: a router that dies costs what it had not confirmed; the next
// one gets the number of it.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer
		first, second := &memory{}, &memory{}
		var at switchboard
		r := startRouter(t, Config{}, first, logr.Discard())
		at.connect(r.pipes.dial)

		o := newObserver(&Config{QueueLength: 10}, at.dial, log.Logger())
		for range 5 {
			o.RequestEnded(t.Context(), someRequest())
		}

		synctest.Wait()
		require.Len(t, first.kept(), 5)
		require.Equal(t, ObserverStats{Delivered: 5}, o.Stats())
		r.end(t)
		at.connect(nil)
		synctest.Wait()

		for range 30 {
			o.RequestEnded(t.Context(), someRequest())
		}

		elapse(time.Minute)
		require.Equal(t, 1, log.Count("cannot send transactions"))
		require.Positive(t, log.Count(`"dropped"=`))

		r = startRouter(t, Config{}, second, logr.Discard())
		at.connect(r.pipes.dial)
		elapse(maxBackoff)
		synctest.Wait()
		require.Equal(t, 1, log.Count("sent to the router again"))
		missing, others := dropped(second.kept())
		require.Equal(t, uint64(30), missing+others)
		require.Equal(t, o.Stats().Dropped, missing)
		require.Equal(t, 5+others, o.Stats().Delivered, "records are not counted")
		require.NoError(t, o.Close(t.Context()))
		r.end(t)
	})
}
