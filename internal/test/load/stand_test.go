package load_test

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/status"
)

const (
	appName   = "app"
	processes = 4
	markerVar = "LOAD_MARKER"
	// A process that does not end by itself gets SIGTERM after termDelay and is killed
	// after stopTimeout.
	termDelay   = time.Second / 2
	stopTimeout = time.Second
)

// stand is a server with a pool, in this process, of an application of four.
type stand struct {
	pool *passenger.Pool
	opts passenger.Options
	// root is the application's directory, a copy.
	root string
	addr string
}

var stands atomic.Int64

// newStand starts it, and checks at the end of the test that nothing is left
// behind. It must be the first thing that a test does.
func newStand(t *testing.T, lang *language, change ...func(*passenger.Options)) *stand {
	t.Helper()
	number := strconv.FormatInt(stands.Add(1), 10)
	dir := filepath.Join(work, number)
	tmp := filepath.Join(dir, "t")
	require.NoError(t, os.MkdirAll(tmp, 0o700))
	marker := strconv.Itoa(os.Getpid()) + "." + number
	leakgate.Check(t, leakgate.Dir(tmp), leakgate.Marker(markerVar+"="+marker))
	t.Setenv("TMPDIR", tmp)

	s := &stand{root: filepath.Join(dir, "app")}
	require.NoError(t, os.CopyFS(s.root, os.DirFS(filepath.Join("testdata", lang.name))))
	require.NoError(t, os.Mkdir(filepath.Join(s.root, "tmp"), 0o700))
	s.opts = passenger.Options{
		App:          spawner.App{Root: s.root, GroupName: appName, Env: map[string]string{markerVar: marker}},
		MinProcesses: processes, MaxProcesses: processes,
	}
	lang.complete(t, &s.opts.App)

	for _, c := range change {
		c(&s.opts)
	}

	logs := &logs{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log:\n%s", logs)
		}
	})
	logger := logr.FromSlogHandler(slog.NewTextHandler(logs, nil))
	factory, err := spawner.New(spawner.Config{
		Users:           spawner.SameUser,
		Logger:          logger,
		TermDelay:       termDelay,
		ShutdownTimeout: stopTimeout,
	})
	require.NoError(t, err)
	s.pool, err = passenger.New(passenger.Config{Spawner: factory, Logger: logger, SelfChecks: true})
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = listener.Addr().String()
	app, err := handler.New(s.pool, handler.Config{Options: s.opts, Logger: logger})
	require.NoError(t, err)
	server := &http.Server{
		Handler:  app,
		ErrorLog: log.New(logs, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		require.NoError(t, server.Shutdown(ctx))
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		require.NoError(t, s.pool.Shutdown(ctx))
		require.NoError(t, factory.Close())
	})

	s.requireResponse(t)
	s.await(t, func(g *passenger.GroupSnapshot) bool { return len(enabled(g)) == processes })

	return s
}

// group is the application's state.
func (s *stand) group(t *testing.T) *passenger.GroupSnapshot {
	t.Helper()
	groups := s.pool.Inspect().Groups
	require.Len(t, groups, 1)

	return &groups[0]
}

// await waits for a state of the application.
func (s *stand) await(t *testing.T, reached func(*passenger.GroupSnapshot) bool) {
	t.Helper()
	await(t, func() bool { return reached(s.group(t)) }, func() string { return s.text(t) })
}

func (s *stand) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	snapshot := s.pool.Inspect()
	require.NoError(t, status.WriteText(&b, snapshot, status.TextOptions{}))

	return b.String()
}

// pids are those of the processes that take requests, sorted.
func (s *stand) pids(t *testing.T) []int {
	t.Helper()
	now := enabled(s.group(t))

	pids := make([]int, len(now))
	for i := range now {
		pids[i] = now[i].PID
	}

	slices.Sort(pids)

	return pids
}

// requireResponse asks once.
func (s *stand) requireResponse(t *testing.T) {
	t.Helper()
	c := newClient(s.addr)
	defer c.hangUp()
	require.Nil(t, c.ask("/", ""))
}

// restart restarts the application, and all its processes must be new then.
func (s *stand) restart(t *testing.T) {
	t.Helper()
	before := s.pids(t)
	require.NoError(t, s.tryRestart(t))
	after := s.pids(t)
	require.Len(t, after, processes, s.text(t))

	for _, pid := range before {
		require.NotContains(t, after, pid)
	}
}

func (s *stand) tryRestart(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()

	return s.pool.Restart(ctx, appName, passenger.RestartOptions{})
}

// breakApp makes new processes fail to start; mend takes that back.
func (s *stand) breakApp(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.root, "broken"), nil, 0o600))
}

func (s *stand) mend(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(s.root, "broken")))
}

func enabled(g *passenger.GroupSnapshot) []passenger.ProcessSnapshot {
	return slices.DeleteFunc(slices.Clone(g.Processes),
		func(p passenger.ProcessSnapshot) bool { return p.State != "enabled" })
}

// await looks at a condition until it is true.
func await(t *testing.T, reached func() bool, otherwise func() string) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	end := time.NewTimer(deadline)
	defer end.Stop()

	for !reached() {
		select {
		case <-tick.C:
		case <-end.C:
			require.FailNow(t, "it does not come about", otherwise())
		}
	}
}

// logs keeps the end of what was written.
type logs struct {
	mu  sync.Mutex
	buf []byte
}

const logsKept = 20 << 10

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	if len(l.buf) > 2*logsKept {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-logsKept:]...)
	}

	return len(b), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
