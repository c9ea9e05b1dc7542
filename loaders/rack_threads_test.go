package loaders_test

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func threads(n int) func(*spec) {
	return func(s *spec) { s.request.ThreadCount = n }
}

func startRackThreads(t *testing.T, options ...func(*spec)) *process {
	t.Helper()
	return start(t, rackSpec(t, absolute(t, "testdata/rackthreads/config.ru"), options...))
}

// gate is a file that a request waits for until the test opens it.
type gate string

func newGate(t *testing.T) gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, syscall.Mkfifo(path, 0o600))

	return gate(path)
}

func (g gate) uri() string { return "/wait?" + string(g) }

// await waits until a request has reached the gate.
func (g gate) await(t *testing.T, p *process) {
	t.Helper()
	p.out.await(t, "waiting for "+string(g)+"\n")
}

func (g gate) open(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(string(g), []byte("through"), 0o600))
}

// holdUp has n requests wait in the application at once.
func holdUp(t *testing.T, p *process, n int) ([]gate, []*session) {
	t.Helper()

	gates, sessions := make([]gate, n), make([]*session, n)
	for i := range n {
		gates[i], sessions[i] = newGate(t), p.session(t)
		sessions[i].write(t, header(t, "GET", gates[i].uri(), nil))
	}

	for _, g := range gates {
		g.await(t, p)
	}

	return gates, sessions
}

type insideState struct {
	Inside, Most, Closed int
	Multithread          bool
}

func TestRackThreads(t *testing.T) {
	t.Parallel()
	p := startRackThreads(t, keepAlive, threads(4))
	require.Equal(t, 4, p.address(t).Concurrency)

	// Connections between requests hold no thread.
	for range 10 {
		require.Equal(t, "false", p.session(t).get(t, "/thread").body)
		p.session(t).write(t, header(t, "GET", "/state", nil)[:10])
	}

	gates, sessions := holdUp(t, p, 4)
	fifth := p.session(t)
	fifth.write(t, header(t, "GET", "/state", nil))

	// They end in any order.
	for _, i := range []int{2, 0, 3, 1} {
		gates[i].open(t)
		require.Equal(t, "through", sessions[i].read(t, "GET").body)
	}

	require.Equal(t, http.StatusOK, fifth.read(t, "GET").StatusCode)
	var state insideState
	p.getJSON(t, "/state", &state)
	require.Equal(t, insideState{Inside: 1, Most: 4, Multithread: true}, state)
	require.NotContains(t, p.out.String(), "passenger_loader", "warnings of ruby -w")
	p.requireCleanStop(t)
}

// Without threads the application runs on the one that loaded it.
func TestRackOneThread(t *testing.T) {
	t.Parallel()

	for _, option := range []func(*spec){threads(0), threads(1)} {
		p := startRackThreads(t, option)
		require.Equal(t, 1, p.address(t).Concurrency)
		require.Equal(t, "true", p.get(t, "/thread").body)
		require.Equal(t, "1", p.get(t, "/threads").body)
		var state insideState
		p.getJSON(t, "/state", &state)
		require.False(t, state.Multithread)
	}
}

func TestRackThreadsKeepAlive(t *testing.T) {
	requireKeepAlive(t, startRack(t, keepAlive, threads(3)))
}

func TestRackThreadsRequestsAreSeparate(t *testing.T) {
	requireSeparateRequests(t, startRack(t, keepAlive, threads(3)))
}

func TestRackThreadsControl(t *testing.T) {
	requireControl(t, startRack(t, keepAlive, threads(3)))
}

func TestRackThreadsPassword(t *testing.T) {
	requirePassword(t, startRack(t, keepAlive, threads(3)))
}

func TestRackThreadsGracefulStop(t *testing.T) {
	requireGracefulStop(t, startRack(t, threads(3)))
}

func TestRackThreadsHijack(t *testing.T) {
	t.Parallel()
	p := startRack(t, keepAlive, threads(3))
	requireRackHijack(t, p)

	for _, uri := range []string{"/streaming", "/partial_hijack"} {
		s := p.session(t)
		require.NotEmpty(t, s.get(t, uri).body)
		s.requireClosed(t)
	}
}

// The requests that wait for a thread are finished too.
func TestRackThreadsStopWithQueue(t *testing.T) {
	t.Parallel()
	p := startRackThreads(t, keepAlive, threads(2))
	gates, sessions := holdUp(t, p, 2)
	queued := p.session(t)
	queued.write(t, header(t, "GET", "/thread", nil))

	// Connections are accepted in turn: when this one has been refused, the
	// other's request has been seen.
	later := p.session(t)
	later.write(t, header(t, "GET", "/thread", vars{"PASSENGER_CONNECT_PASSWORD": "wrong"}))
	later.requireClosed(t)

	p.closeStdin(t)

	for i, g := range gates {
		g.open(t)
		require.Equal(t, "through", sessions[i].read(t, "GET").body)
	}

	require.Equal(t, "false", queued.read(t, "GET").body)
	require.Zero(t, p.exitCode(t))
}

// Clients that go away, failures and good responses at the same time: each body
// is closed once, and no thread is lost.
func TestRackThreadsCloseOnce(t *testing.T) { //nolint:tparallel // the group is what waits for its subtests
	t.Parallel()
	const clients, rounds = 2, 20 // of each kind
	p := startRackThreads(t, keepAlive, threads(3))
	counted := header(t, "GET", "/counted", nil)
	kinds := map[string]func(*testing.T, *session){
		"gone": func(t *testing.T, s *session) {
			s.write(t, counted)
			require.NoError(t, s.Close())
		},
		"two requests": func(t *testing.T, s *session) {
			s.write(t, counted, counted[:30])
			require.Equal(t, "counted", s.read(t, "GET").body)
			s.write(t, counted[30:])
			require.Equal(t, "counted", s.read(t, "GET").body)
		},
		"failure": func(t *testing.T, s *session) {
			require.Equal(t, http.StatusInternalServerError, s.get(t, "/fail").StatusCode)
		},
	}
	t.Run("clients", func(t *testing.T) {
		for name, ask := range kinds {
			for range clients {
				t.Run(name, func(t *testing.T) {
					t.Parallel()

					for range rounds {
						ask(t, p.session(t))
					}
				})
			}
		}
	})
	const requests = clients*rounds + 2*clients*rounds // for such a body
	require.Eventually(t, func() bool {
		var state insideState
		p.getJSON(t, "/state", &state)
		require.LessOrEqual(t, state.Closed, requests)

		return state.Closed == requests && state.Inside == 1
	}, deadline, 10*time.Millisecond)
}

func TestRackThreadsExit(t *testing.T) {
	t.Parallel()
	p := startRackThreads(t, threads(2))
	p.session(t).write(t, header(t, "GET", "/exit", nil))
	require.Equal(t, 7, p.exitCode(t))
}

func TestRackThreadsForked(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, rackPreloaderSpec(t, absolute(t, "testdata/rackthreads/config.ru")))
	w := p.spawn(t, rackWorkerSpec(keepAlive, threads(2)))
	require.Equal(t, 2, w.address(t).Concurrency)

	gates, sessions := holdUp(t, w.process, 2)
	for i, g := range gates {
		g.open(t)
		require.Equal(t, "through", sessions[i].read(t, "GET").body)
	}

	w.requireCleanStop(t)
	require.Zero(t, p.awaitExit(t, w).Status)
}

func TestRackThreadsEndBySIGTERM(t *testing.T) { requireEndBySIGTERM(t, startRack(t, threads(3))) }
