package spawner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

func TestMain(m *testing.M) {
	playOwner()
	testapp.Main()
	os.Exit(m.Run())
}

// ownerVar makes the test binary an owner of processes, which it starts for the
// applications that the variable holds, and does nothing else until it is
// killed.
const ownerVar = "SPAWNER_TEST_OWNER"

func playOwner() {
	text, ok := os.LookupEnv(ownerVar)
	if !ok {
		return
	}

	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var owned struct {
		Dir  string
		Apps []spawner.App
	}
	fatal(json.Unmarshal([]byte(text), &owned))
	fatal(os.Unsetenv(ownerVar))
	f, err := spawner.New(spawner.Config{Users: spawner.SameUser, Dir: owned.Dir})
	fatal(err)

	for _, a := range owned.Apps {
		s, err := f.NewSpawner(a)
		fatal(err)
		p, err := s.Spawn(context.Background())
		fatal(err)
		fmt.Println(p.Info().PID)
	}

	select {}
}

const (
	patience = 20 * time.Second
	// limit is for what ends by itself, on a machine that is busy.
	limit = 3 * patience
)

// fixture is a factory in a directory of its own, whose log can be read, and
// which must leave nothing behind.
type fixture struct {
	spawner.Factory
	dir string
	log logBuffer
}

func newFixture(t *testing.T, change ...func(*spawner.Config)) *fixture {
	t.Helper()
	f := &fixture{dir: shortDir(t)}
	leakgate.Check(t, leakgate.Dir(f.dir), leakgate.Marker(testapp.Marker()))

	c := spawner.Config{Users: spawner.SameUser, Dir: f.dir, Logger: f.log.logger()}
	for _, change := range change {
		change(&c)
	}

	var err error
	f.Factory, err = spawner.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })

	return f
}

// shortDir is a directory whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	return dir
}

// app returns an application that plays a behaviour of testapp.
func app(t *testing.T, behaviour string, params ...string) spawner.App {
	t.Helper()

	return spawner.App{
		Root:         t.TempDir(),
		GroupName:    "app",
		StartCommand: testapp.Command(),
		Env:          testapp.Env(behaviour, params...),
		StartTimeout: patience,
	}
}

func (f *fixture) spawn(t *testing.T, app spawner.App) (spawner.Process, error) {
	t.Helper()
	s, err := f.NewSpawner(app)
	require.NoError(t, err)

	return s.Spawn(t.Context())
}

func (f *fixture) check(t *testing.T, app spawner.App) error {
	t.Helper()
	s, err := f.NewSpawner(app)
	require.NoError(t, err)
	require.Implements(t, (*spawner.Checking)(nil), s)

	return s.(spawner.Checking).Check(t.Context()) //nolint:forcetypeassert,errcheck // it is one
}

// start spawns a process that is stopped with the test.
func (f *fixture) start(t *testing.T, app spawner.App) spawner.Process {
	t.Helper()
	p, err := f.spawn(t, app)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Stop(ctx)
	})

	return p
}

// fail spawns a process that must not get ready.
func (f *fixture) fail(t *testing.T, app spawner.App) *spawner.SpawnError {
	t.Helper()
	p, err := f.spawn(t, app)
	require.Nil(t, p)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)

	if failedStep(e.Journey) == spawner.StepPrepare {
		var checked *spawner.SpawnError
		require.ErrorAs(t, f.check(t, app), &checked, "it needs no start to be found")
		require.Equal(t, e.Summary, checked.Summary)
	}

	return e
}

func get(t *testing.T, p spawner.Process, path string) (string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: dialOf(p),
	}, Timeout: patience}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+path, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)

	return string(body), err
}

// state is what an application of testapp says of itself.
type state struct {
	PID, PGID, SID, PPID int
	Dir                  string
	Args, Env            []string
	FDs                  map[string]string
	NonBlocking          []int
	Options              map[string]string
}

func stateOf(t *testing.T, p spawner.Process) state {
	t.Helper()
	body, err := get(t, p, "/state")
	require.NoError(t, err)
	var s state
	require.NoError(t, json.Unmarshal([]byte(body), &s))

	return s
}

func kill(t *testing.T) func(spawner.Process) {
	t.Helper()
	return func(p spawner.Process) { require.NoError(t, syscall.Kill(p.Info().PID, syscall.SIGKILL)) }
}

func requireExit(t *testing.T, p spawner.Process) {
	t.Helper()

	select {
	case <-p.Exited():
	case <-time.After(patience):
		require.Fail(t, "the process does not end")
	}
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
	// block, when it is not nil, holds up whoever logs.
	block chan struct{}
}

func (b *logBuffer) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		b.mu.Lock()
		block := b.block
		b.mu.Unlock()
		if block != nil {
			<-block
		}

		b.mu.Lock()
		defer b.mu.Unlock()
		fmt.Fprintln(&b.buf, args)
	}, funcr.Options{})
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// lines returns the log's lines that hold all parts.
func (b *logBuffer) lines(parts ...string) []string {
	var found []string
	for line := range strings.Lines(b.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}

		if all {
			found = append(found, line)
		}
	}

	return found
}

// threads counts the threads of this process.
func threads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)

	return len(entries)
}

// withUmask runs f with another umask, of the whole program.
func withUmask[T any](t *testing.T, umask int, f func() T) T {
	t.Helper()
	before := syscall.Umask(umask)
	defer syscall.Umask(before)

	return f()
}

func uidOf(t *testing.T, info os.FileInfo) int {
	t.Helper()
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)

	return int(stat.Uid)
}

func mkfifo(path string, uid int) error {
	return errors.Join(syscall.Mkfifo(path, 0o755), os.Lchown(path, uid, uid))
}
