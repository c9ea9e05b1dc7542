package spawnertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

var app = spawner.App{Root: "/app"}

func spawn(t *testing.T, f *Factory) spawner.Process {
	t.Helper()
	s, err := f.NewSpawner(app)
	require.NoError(t, err)
	p, err := s.Spawn(t.Context())
	require.NoError(t, err)

	return p
}

func get(ctx context.Context, p spawner.Process) (string, error) {
	c, err := p.Info().Sockets[0].Dial(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app/", nil)
	if err != nil {
		return "", err
	}

	if err := r.Write(c); err != nil {
		return "", err
	}

	resp, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)

	return string(b), err
}

func whoami(p *Process) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, p.Info().PID) })
}

func TestServesOverPipes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Script{HandlerFor: whoami, SpawnDelay: time.Second})
		began := time.Now()
		p, q := spawn(t, f), spawn(t, f)
		require.Equal(t, 2*time.Second, time.Since(began))

		for i, p := range []spawner.Process{p, q} {
			body, err := get(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(1000+i), body)
		}

		require.Equal(t, 2, f.Live())
		p.Stop(t.Context())
		q.Stop(t.Context())
		require.Equal(t, "exit status 0", p.ExitStatus())
		require.Empty(t, f.LiveProcesses())
		_, err := get(t.Context(), p)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestServesOverRealSockets(t *testing.T) {
	f := New(Script{HandlerFor: whoami, UnixDir: t.TempDir(), Sockets: 2})
	p := spawn(t, f)
	require.Len(t, p.Info().Sockets, 2)
	body, err := get(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "1000", body)
	path := p.Info().Sockets[0].Address.Addr
	require.FileExists(t, path)
	p.Stop(t.Context())
	require.NoFileExists(t, path)
}

func TestDeathBreaksConnections(t *testing.T) {
	echo := func(_ *Process, c net.Conn) { _, _ = io.Copy(c, c) }

	for name, script := range map[string]Script{
		"no handler": {},
		"http":       {HandlerFor: whoami},
		"raw":        {ServeConn: echo, Protocol: loaderproto.Session},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := New(script)
				p := spawn(t, f)
				c, err := p.Info().Sockets[0].Dial(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, f.Process(0).Connections())
				go func() {
					time.Sleep(time.Second)
					f.Kill(p.Info().PID)
				}()
				_, err = c.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF)
				require.NoError(t, c.Close())
				<-p.Exited()

				require.Equal(t, "signal: killed", p.ExitStatus())
				require.False(t, f.Kill(p.Info().PID))
			})
		})
	}
}

func TestClosedConnectionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Script{ServeConn: func(_ *Process, c net.Conn) { _, _ = io.Copy(io.Discard, c) }})

		p := spawn(t, f)
		for range 10 {
			c, err := p.Info().Sockets[0].Dial(t.Context())
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}

		synctest.Wait()
		require.Zero(t, f.Process(0).Connections())
		p.Stop(t.Context())
	})
}

func TestScriptedFailures(t *testing.T) {
	refusal := errors.New("no")
	explained := &spawner.SpawnError{Category: spawner.CategoryExplained, ID: "0badf00d", Summary: "x"}
	f := New(Script{Failures: map[int]error{1: refusal, 3: explained}})
	s, err := f.NewSpawner(app)
	require.NoError(t, err)

	var e *spawner.SpawnError
	_, err = s.Spawn(t.Context())
	require.ErrorIs(t, err, refusal)
	require.ErrorAs(t, err, &e)
	require.Equal(t, spawner.CategoryStartup, e.Category)

	p, err := s.Spawn(t.Context())
	require.NoError(t, err)
	_, err = s.Spawn(t.Context())
	require.Equal(t, explained, err)

	f.Change(func(s *Script) { s.BeforeDial = func(context.Context, *Process) error { return refusal } })
	_, err = p.Info().Sockets[0].Dial(t.Context())
	require.ErrorIs(t, err, refusal)

	require.NoError(t, f.Close())
	_, err = s.Spawn(t.Context())
	require.ErrorIs(t, err, spawner.ErrClosed)
	require.Equal(t, 4, f.Spawns())
	require.Equal(t, 1, f.Live())
}

func TestStopTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stops atomic.Int32
		f := New(Script{StopDelay: time.Minute, OnStop: func(*Process) { stops.Add(1) }})
		p, q := spawn(t, f), spawn(t, f)

		began := time.Now()
		p.Stop(t.Context())
		require.Equal(t, time.Minute, time.Since(began))

		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go q.Stop(t.Context())
		q.Stop(ctx)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, "signal: killed", q.ExitStatus())
		require.EqualValues(t, 2, stops.Load())
	})
}

func TestManyIdleProcessesCostNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()

	f := New(Script{})
	for range 10_000 {
		spawn(t, f)
	}

	require.LessOrEqual(t, runtime.NumGoroutine(), before+5)
}

func BenchmarkSpawn(b *testing.B) {
	f := New(Script{})
	s, err := f.NewSpawner(app)
	require.NoError(b, err)

	for b.Loop() {
		if _, err := s.Spawn(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
