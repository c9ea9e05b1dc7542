package ustrouter

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/logged"
)

// TestSlowSink: the router takes what comes, and says later how much of it the
// sink did not get.
func TestSlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer
		sink := &memory{gate: make(chan struct{})}
		r := startRouter(t, Config{QueueLength: 10}, sink, log.Logger())
		o := newObserver(&Config{}, r.pipes.dial, logr.Discard())

		const events = 1000
		for range events {
			o.RequestEnded(t.Context(), someRequest())
		}

		synctest.Wait()
		require.Equal(t, ObserverStats{Delivered: events}, o.Stats())
		stats := r.Stats()
		require.Equal(t, uint64(events), stats.Received)
		require.Equal(t, 1, stats.Connections)
		require.LessOrEqual(t, stats.Waiting, 10)
		require.GreaterOrEqual(t, stats.Dropped, uint64(events-11))
		close(sink.gate)
		synctest.Wait()
		missing, others := dropped(sink.kept())
		require.Equal(t, stats.Dropped, missing)
		require.Equal(t, uint64(events), missing+others)
		require.Equal(t, 1, log.Count("whose sink is too slow"))
		require.NoError(t, o.Close(t.Context()))
		r.end(t)
	})
}

// TestHangingSink: the router ends nevertheless, and says so.
func TestHangingSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{gate: make(chan struct{})}
		r := startRouter(t, Config{}, sink, logr.Discard())
		o := newObserver(&Config{}, r.pipes.dial, logr.Discard())
		o.RequestEnded(t.Context(), someRequest())
		require.NoError(t, o.Close(t.Context()))
		r.stop()
		began := time.Now()
		require.ErrorContains(t, <-r.done, "hangs")
		require.LessOrEqual(t, time.Since(began), lastRead+drainTimeout)
		close(sink.gate)
		synctest.Wait()
		require.Len(t, sink.kept(), 1)
	})
}

// TestEndOfRouter: what observers have sent is taken, and they are not waited
// for.
func TestEndOfRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &memory{}
		r := startRouter(t, Config{}, sink, logr.Discard())
		conn, in := greeted(t, r)
		r.stop()
		_, err := conn.Write(lineOf(t, full()))
		require.NoError(t, err)
		n, err := in.receipt()
		require.NoError(t, err)
		require.Equal(t, uint64(1), n)
		began := time.Now()
		require.NoError(t, <-r.done)
		require.LessOrEqual(t, time.Since(began), lastRead)
		require.Len(t, sink.kept(), 1)
	})
}

// greeted is a connection to r that has got to where transactions are sent.
func greeted(t *testing.T, r *running) (net.Conn, *lines) {
	t.Helper()
	conn, err := r.pipes.dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	in := newLines(conn, maxShortLine)
	require.NoError(t, in.hello())
	require.NoError(t, say(conn, hello{protocolName, protocolVersion}))
	require.NoError(t, conn.SetDeadline(time.Time{}))

	return conn, in
}

// TestBadObservers are cut off, and no other is.
func TestBadObservers(t *testing.T) {
	const greeting = `{"protocol":"passenger-ustrouter","version":1}` + "\n"

	for name, sent := range map[string]string{
		"no greeting":    `{"kind":"request"}` + "\n",
		"HTTP":           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"silence":        "",
		"no transaction": greeting + "x\n",
		"a long line":    greeting + strings.Repeat("x", maxLine+1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged.Buffer
				r := startRouter(t, Config{}, &memory{}, log.Logger())
				good, in := greeted(t, r)
				bad, err := r.pipes.dial(t.Context())
				require.NoError(t, err)
				began := time.Now()
				go func() { _, _ = io.WriteString(bad, sent) }()
				_, err = io.Copy(io.Discard, bad)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(began), greetTimeout)
				synctest.Wait()
				require.NoError(t, bad.Close())
				require.Equal(t, RouterStats{Connections: 1, Refused: 1}, r.Stats())
				require.Equal(t, 1, log.Count("has closed a connection"))
				_, err = good.Write(lineOf(t, full()))
				require.NoError(t, err)
				n, err := in.receipt()
				require.NoError(t, err)
				require.Equal(t, uint64(1), n)
				r.end(t)
			})
		})
	}
}

// TestManyConnections: there is a limit, and complaints are few.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer

		r := startRouter(t, Config{}, &memory{}, log.Logger())
		for range maxConnections {
			greeted(t, r)
		}

		for range 10 {
			conn, err := r.pipes.dial(t.Context())
			require.NoError(t, err)
			_, err = conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, conn.Close())
		}

		synctest.Wait()
		require.Equal(t, RouterStats{Connections: maxConnections, Refused: 10}, r.Stats())
		require.Equal(t, 1, log.Count("too many connections"))
		r.end(t)
	})
}

// flaky is a listener that fails at first.
type flaky struct {
	*pipes
	faults chan error
}

func (f flaky) Accept() (net.Conn, error) {
	select {
	case err := <-f.faults:
		return nil, err
	default:
		return f.pipes.Accept()
	}
}

// TestAccept: only a listener that is closed ends the router.
func TestAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer

		l := flaky{newPipes(), make(chan error, 3)}
		for range 3 {
			l.faults <- errors.New("too many open files")
		}

		ctx, stop := context.WithCancel(t.Context())
		r := &running{
			Router: NewRouter(Config{}, &memory{}, log.Logger()),
			pipes:  l.pipes,
			stop:   stop,
			done:   make(chan error, 1),
		}
		r.trust = func(net.Conn) error { return nil }
		go func() { r.done <- r.Serve(ctx, l) }()
		began := time.Now()
		greeted(t, r)
		require.Equal(t, 3*acceptPause, time.Since(began))
		require.Equal(t, 1, log.Count("too many open files"))
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-r.done, net.ErrClosed)
		stop()
	})
}
