package spawner_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// site serves an application by a handler, and counts the connections to it.
type site struct {
	*fixture
	client *http.Client
	url    string
	dials  atomic.Int32
}

func newSite(t *testing.T, app spawner.App, change ...func(*handler.Config)) *site {
	t.Helper()
	s := &site{fixture: newFixture(t)}
	pool, err := passenger.New(passenger.Config{
		Spawner:       countingFactory{s.fixture, &s.dials},
		MaxPoolSize:   1,
		OutOfBandWork: handler.OutOfBandWork,
		SelfChecks:    true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Shutdown(context.Background())) })

	cfg := handler.Config{
		Options: passenger.Options{App: app}, Logger: s.log.logger(),
		StreamRequests: true, // what loaders make of bodies that come slowly
	}
	for _, change := range change {
		change(&cfg)
	}

	h, err := handler.New(pool, cfg)
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.client, s.url = server.Client(), server.URL
	s.client.Timeout = patience

	return s
}

func (s *site) ask(t *testing.T, method, path string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	require.NoError(t, err)
	resp, err := s.client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	return resp, string(b)
}

func (s *site) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	return s.ask(t, http.MethodGet, path, http.NoBody)
}

// countingFactory counts the connections to its processes.
type countingFactory struct {
	spawner.Factory
	dials *atomic.Int32
}

func (f countingFactory) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	s, err := f.Factory.NewSpawner(app)
	return countingSpawner{s, f.dials}, err
}

type countingSpawner struct {
	spawner.Spawner
	dials *atomic.Int32
}

func (s countingSpawner) Spawn(ctx context.Context) (spawner.Process, error) {
	p, err := s.Spawner.Spawn(ctx)
	if err != nil {
		return nil, err
	}

	info := *p.Info()

	info.Sockets = append([]spawner.Socket(nil), info.Sockets...)
	for i := range info.Sockets {
		dial := info.Sockets[i].Dial
		info.Sockets[i].Dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := dial(ctx)
			// An attempt that takes too long on a busy machine is repeated.
			if err == nil {
				s.dials.Add(1)
			}

			return conn, err
		}
	}

	return countedProcess{p, &info}, nil
}

type countedProcess struct {
	spawner.Process
	info *spawner.Info
}

func (p countedProcess) Info() *spawner.Info { return p.info }
