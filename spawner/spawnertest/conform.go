package spawnertest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// Subject is a factory to be tested by [Conform].
type Subject struct {
	// Factory is a new one; Conform closes it.
	Factory spawner.Factory
	// App responds to GET / on its first socket by HTTP, with status 200.
	App spawner.App
	// Broken is an application that does not start.
	Broken spawner.App
	// Kill ends a process without Stop.
	Kill func(spawner.Process)
	// Empty is called after each test, before the factory is closed. It fails if something is left
	// of the processes. It may be nil.
	Empty func() error

	spawners []spawner.Spawner
}

// patience limits a wait for something that should happen at once.
const patience = 20 * time.Second

// Conform tests that a factory, its spawners and its processes keep the promises of package
// spawner. It calls subject for each of its tests.
func Conform(t *testing.T, subject func(*testing.T) Subject) {
	t.Helper()

	for _, test := range []struct {
		name string
		run  func(*testing.T, *Subject)
	}{
		{"a spawn gives a process that serves", testServes},
		{"processes are distinct", testDistinct},
		{"spawns may be concurrent", testConcurrentSpawns},
		{"stop may be called often and concurrently", testConcurrentStops},
		{"stop with an ended context kills at once", testStopNow},
		{"a spawn with an ended context fails", testCanceledBefore},
		{"the end of the context ends a spawn", testCanceledDuring},
		{"a failure is a spawn error", testFailure},
		{"a death closes Exited", testDeath},
		{"an unusable app is refused", testInvalid},
		{"close may be called twice", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := subject(t)
			test.run(t, &s)

			for _, sp := range s.spawners {
				require.NoError(t, sp.Close())
			}

			if s.Empty != nil {
				require.NoError(t, s.Empty())
			}

			require.NoError(t, s.Factory.Close())
		})
	}
}

func (s *Subject) spawner(t *testing.T, app spawner.App) spawner.Spawner {
	t.Helper()
	sp, err := s.Factory.NewSpawner(app)
	require.NoError(t, err)
	s.spawners = append(s.spawners, sp)

	return sp
}

func (s *Subject) spawn(t *testing.T) spawner.Process {
	t.Helper()
	p, err := s.spawner(t, s.App).Spawn(t.Context())
	require.NoError(t, err)

	return p
}

// ask sends a request to a process.
func ask(ctx context.Context, p spawner.Process) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := p.Info().Sockets[0].Dial(ctx)
	if err != nil {
		return err
	}

	defer func() { _ = conn.Close() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app/", nil)
	if err != nil {
		return err
	}

	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}

	if err := req.Write(conn); err != nil {
		return err
	}

	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return err
	}

	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}

	return err
}

func requireExited(t *testing.T, p spawner.Process) {
	t.Helper()

	select {
	case <-p.Exited():
	case <-time.After(patience):
		require.Fail(t, "the process does not end")
	}

	require.NotEmpty(t, p.ExitStatus())
}

func requireLives(t *testing.T, p spawner.Process) {
	t.Helper()

	select {
	case <-p.Exited():
		require.Fail(t, "the process has ended", p.ExitStatus())
	default:
	}

	require.Empty(t, p.ExitStatus())
}

func testServes(t *testing.T, s *Subject) {
	before := time.Now()
	p := s.spawn(t)
	info := p.Info()
	require.Same(t, info, p.Info())
	require.Positive(t, info.PID)
	require.NotEmpty(t, info.GUPID)
	require.NotEmpty(t, info.ConnectPassword)
	require.NotEmpty(t, info.Sockets)
	require.LessOrEqual(t, len(info.Sockets), loaderproto.MaxRequestSockets)

	for _, socket := range info.Sockets {
		require.True(t, socket.Protocol.TakesRequests())
	}

	require.False(t, info.SpawnStarted.Before(before))
	require.False(t, info.SpawnEnded.Before(info.SpawnStarted))
	requireLives(t, p)
	require.NoError(t, ask(t.Context(), p))
	require.NoError(t, ask(t.Context(), p))
	requireLives(t, p)

	p.Stop(t.Context())
	requireExited(t, p)
	require.Error(t, ask(t.Context(), p))
	p.Stop(t.Context())
}

func testDistinct(t *testing.T, s *Subject) {
	p, q := s.spawn(t), s.spawn(t)
	require.NotEqual(t, p.Info().PID, q.Info().PID)
	require.NotEqual(t, p.Info().GUPID, q.Info().GUPID)
	require.NotEqual(t, p.Info().ConnectPassword, q.Info().ConnectPassword)
	p.Stop(t.Context())
	requireLives(t, q)
	require.NoError(t, ask(t.Context(), q))
	q.Stop(t.Context())
}

func testConcurrentSpawns(t *testing.T, s *Subject) {
	const n = 4
	sp := s.spawner(t, s.App)
	processes, errs := make([]spawner.Process, n), make([]error, n)

	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { processes[i], errs[i] = sp.Spawn(t.Context()) })
	}

	wg.Wait()
	require.NoError(t, errors.Join(errs...))

	for _, p := range processes {
		wg.Go(func() { p.Stop(t.Context()) })
	}

	wg.Wait()
}

func testConcurrentStops(t *testing.T, s *Subject) {
	p := s.spawn(t)

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p.Stop(t.Context())
			requireExited(t, p)
		})
	}

	wg.Wait()
	status := p.ExitStatus()
	p.Stop(t.Context())
	require.Equal(t, status, p.ExitStatus())
}

func testStopNow(t *testing.T, s *Subject) {
	p := s.spawn(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	p.Stop(ctx)
	requireExited(t, p)
	require.Less(t, time.Since(began), patience)
}

func requireCanceled(t *testing.T, err error) {
	t.Helper()
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, spawner.CategoryCanceled, e.Category)
	require.ErrorIs(t, err, context.Canceled)
}

func testCanceledBefore(t *testing.T, s *Subject) {
	cause := errors.New("the server is shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	p, err := s.spawner(t, s.App).Spawn(ctx)
	require.Nil(t, p)
	requireCanceled(t, err)
	require.ErrorIs(t, err, cause)
}

func testCanceledDuring(t *testing.T, s *Subject) {
	for _, delay := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(delay, cancel)
		p, err := s.spawner(t, s.App).Spawn(ctx)
		timer.Stop()
		cancel()
		if err == nil { // it was faster
			p.Stop(t.Context())
			continue
		}

		require.Nil(t, p)
		requireCanceled(t, err)
	}
}

func testFailure(t *testing.T, s *Subject) {
	p, err := s.spawner(t, s.Broken).Spawn(t.Context())
	require.Nil(t, p)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.NotZero(t, e.Category)
	require.NotEmpty(t, e.Summary)
	require.Regexp(t, "^[0-9a-f]{8}$", e.ID)
	require.Equal(t, s.Broken.Name(), e.AppName)
	require.Equal(t, s.Broken.Root, e.AppRoot)
	require.Error(t, e.Err)
}

func testDeath(t *testing.T, s *Subject) {
	p := s.spawn(t)
	s.Kill(p)
	requireExited(t, p)
	require.Error(t, ask(t.Context(), p))
	p.Stop(t.Context())
}

func testInvalid(t *testing.T, s *Subject) {
	_, err := s.Factory.NewSpawner(spawner.App{})
	require.Error(t, err)
}

func testClose(t *testing.T, s *Subject) {
	sp := s.spawner(t, s.App)
	p, err := sp.Spawn(t.Context())
	require.NoError(t, err)
	p.Stop(t.Context())
	require.NoError(t, sp.Close())
	require.NoError(t, sp.Close())
	require.NoError(t, s.Factory.Close())
	_, err = s.Factory.NewSpawner(s.App)
	require.ErrorIs(t, err, spawner.ErrClosed)
	_, err = sp.Spawn(t.Context())
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, spawner.ErrClosed)
}
