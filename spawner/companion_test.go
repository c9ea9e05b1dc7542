package spawner_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// printed keeps what a companion prints.
type printed struct {
	mu     sync.Mutex
	lines  []string
	wanted map[string]chan struct{}
	closed chan struct{}
}

func newPrinted() *printed {
	return &printed{wanted: map[string]chan struct{}{}, closed: make(chan struct{})}
}

func (p *printed) Line(_ int, _, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, text)
	if c := p.wanted[text]; c != nil {
		close(c)
		delete(p.wanted, text)
	}
}

func (p *printed) open() spawner.Output { return p }

func (p *printed) Close() { close(p.closed) }

// await returns when a line was printed.
func (p *printed) await(t *testing.T, line string) {
	t.Helper()
	p.mu.Lock()
	c := make(chan struct{})
	if slices.Contains(p.lines, line) {
		close(c)
	} else {
		p.wanted[line] = c
	}

	p.mu.Unlock()

	select {
	case <-c:
	case <-time.After(patience):
		require.Fail(t, "the line was not printed", line)
	}
}

func (p *printed) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

func (f *fixture) startCompanion(t *testing.T, app spawner.App, c spawner.Companion) (spawner.Process, error) {
	t.Helper()
	starter, ok := f.Factory.(spawner.CompanionStarter)
	require.True(t, ok)

	return starter.StartCompanion(t.Context(), app, c)
}

func (f *fixture) companion(t *testing.T, app spawner.App, c spawner.Companion) spawner.Process {
	t.Helper()
	p, err := f.startCompanion(t, app, c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Stop(ctx)
	})

	return p
}

func TestCompanionHasTheEnvironmentOfAProcess(t *testing.T) {
	t.Setenv("PORT", "80")
	f := newFixture(t)
	a := app(t, "generic")
	a.Env["SHARED"], a.Env["COLOUR"] = "yes", "red"
	web := stateOf(t, f.start(t, a))
	out := newPrinted()
	p := f.companion(t, a, spawner.Companion{
		Name:    "worker",
		Command: []string{"env"},
		Env:     map[string]string{"COLOUR": "blue"},
		Output:  out.open,
	})
	requireExit(t, p)
	<-out.closed

	differ := func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{"PORT", spawner.MarkerVar, spawner.CompanionVar, "COLOUR"}, name)
	}
	got := out.all()
	require.Contains(t, got, "PASSENGER_COMPANION=worker")
	require.Contains(t, got, "COLOUR=blue")
	require.NotContains(t, strings.Join(got, "\n"), "\nPORT=")
	require.ElementsMatch(t, slices.DeleteFunc(web.Env, differ), slices.DeleteFunc(got, differ))
}

func TestCompanionRunsInTheDirectoryWithTheUmask(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "generic")
	a.Umask = "027"
	out := newPrinted()
	p := f.companion(t, a, spawner.Companion{
		Name:    "worker",
		Command: []string{"/bin/sh", "-c", "pwd -P; umask; echo port $PORT"},
		Env:     map[string]string{"PORT": "9"},
		Output:  out.open,
	})
	requireExit(t, p)
	<-out.closed

	dir, err := filepath.EvalSymlinks(a.Root)
	require.NoError(t, err)
	require.Equal(t, []string{dir, "0027", "port 9"}, out.all())
	require.Equal(t, "exit status 0", p.ExitStatus())
}

func TestCompanionAloneGetsItsStopSignal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	out := newPrinted()
	p := f.companion(t, app(t, "generic"), spawner.Companion{
		Name: "worker",
		Command: []string{"/bin/sh", "-c", `
sh -c 'trap "echo the child was told" USR1; echo ready; while :; do sleep 1000 & wait; done' &
trap 'echo told; exit 3' USR1
wait
`},
		StopSignal:  syscall.SIGUSR1,
		StopTimeout: patience,
		Output:      out.open,
	})
	out.await(t, "ready")
	p.Stop(t.Context())
	<-out.closed
	require.Equal(t, "exit status 3", p.ExitStatus())
	require.Equal(t, []string{"ready", "told"}, out.all())
}

func TestCompanionThatIgnoresItsStopSignalIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	f := newFixture(t) // which finds what is left
	out := newPrinted()
	p := f.companion(t, app(t, "generic"), spawner.Companion{
		Name:        "worker",
		Command:     []string{"/bin/sh", "-c", `trap "" TERM; setsid sleep 1000 & sleep 1000 & echo ready; wait`},
		StopTimeout: 10 * time.Millisecond,
		Output:      out.open,
	})
	out.await(t, "ready")
	p.Stop(t.Context())
	require.Equal(t, "signal: killed", p.ExitStatus())
}

func TestCompanionHoldsAFileUntilItEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p := f.companion(t, app(t, "generic"), spawner.Companion{
		Name: "worker", Command: []string{"sleep", "1000"}, Held: w,
	})
	require.NoError(t, w.Close())
	p.Stop(t.Context())
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Error(t, err, "the end of the file")
}

func TestCompanionWhoseProgramIsMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.startCompanion(t, app(t, "generic"),
		spawner.Companion{Name: "worker", Command: []string{"no-such-program"}})
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "the companion's program no-such-program was not found", e.Summary)

	require.Len(t, e.Journey, 2)
	require.Equal(t, spawner.StepPrepare, e.Journey[0].Name)
	require.Equal(t, spawner.StepPerformed, e.Journey[0].State)
	require.Equal(t, spawner.StepStart, e.Journey[1].Name)
	require.Equal(t, spawner.StepFailed, e.Journey[1].State)
	require.NotEmpty(t, f.log.lines("no-such-program", `"companion"="worker"`))
}

func TestProcfileLinesThatNameNoProcess(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"web: a\nworker\n":             `Procfile:2: "worker" names no process`,
		"# x\n\n b: c\n":               `Procfile:3: " b: c" names no process`,
		"worker:\n":                    `Procfile:1: "worker:" names no process`,
		"a b: c\n":                     `Procfile:1: "a b: c" names no process`,
		"a: b\r\na: c\r\n":             `Procfile:2: line 1 names the process "a" already`,
		strings.Repeat("n", 33) + ":x": "Procfile:1: ",
		"<<<<<<< HEAD\nweb: x\n":       "Procfile:1: ",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte(text), 0o600))
		_, err := spawner.ReadProcfile(dir)
		require.ErrorContains(t, err, want)
	}
}

func TestProcfileLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "web: serve -p $PORT\r\n\n# jobs\nworker-1:  FOO=bar sidekiq -q a:b  \n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte(text), 0o600))
	lines, err := spawner.ReadProcfile(dir)
	require.NoError(t, err)
	require.Equal(t, []spawner.ProcfileLine{
		{Number: 1, Name: "web", Command: "serve -p $PORT"},
		{Number: 4, Name: "worker-1", Command: "FOO=bar sidekiq -q a:b"},
	}, lines)

	_, err = spawner.ReadProcfile(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestProcfileThatIsNoFileOfTheApplicationIsNotRead(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("secret text\n"), 0o600))

	for name, prepare := range map[string]func(path string) error{
		"a link that leads out of it": func(path string) error { return os.Symlink(outside, path) },
		"a directory":                 func(path string) error { return os.Mkdir(path, 0o755) },
		"a pipe":                      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a large file":                func(path string) error { return os.WriteFile(path, largeProcfile(), 0o600) },
	} {
		dir := t.TempDir()
		require.NoError(t, prepare(filepath.Join(dir, "Procfile")), name)
		_, err := spawner.ReadProcfile(dir)
		require.ErrorContains(t, err, "cannot read the Procfile in "+dir, name)
		require.NotContains(t, err.Error(), "secret text")
	}
}

func largeProcfile() []byte { return []byte(strings.Repeat("a: bcde\n", 257<<7)) }
