package spawner_test

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestGenericConforms(t *testing.T) {
	t.Parallel()
	spawnertest.Conform(t, func(t *testing.T) spawnertest.Subject {
		t.Helper()

		return spawnertest.Subject{
			Factory: newFixture(t),
			App:     app(t, "generic"),
			Broken:  app(t, "exit", "status=3"),
			Kill:    kill(t),
		}
	})
}

func TestGenericProgram(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "generic")
	p := f.start(t, a)
	sockets := p.Info().Sockets
	require.Len(t, sockets, 1)
	require.Equal(t, spawner.HTTPProtocol, sockets[0].Protocol)
	require.Zero(t, sockets[0].Concurrency, "no limit is known")
	s := stateOf(t, p)
	host, port, err := net.SplitHostPort(sockets[0].Address.Addr)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
	require.Contains(t, s.Env, "PORT="+port)
	began := time.Now()
	p.Stop(t.Context())
	require.Less(t, time.Since(began), spawner.DefaultTermDelay/2, "it gets TERM")
	require.Equal(t, "signal: terminated", p.ExitStatus())
	require.NotContains(t, f.log.String(), "ERROR")
}

func TestPortInArguments(t *testing.T) {
	t.Parallel()

	for _, arg := range []string{"$PORT", "${PORT}", "--port=$PORT"} {
		f := newFixture(t)
		a := app(t, "generic-argument")
		a.StartCommand = append(testapp.Command(), arg)
		_, err := get(t, f.start(t, a), "/")
		require.NoError(t, err)
	}
}

func TestHealthPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "generic", "health=/up")
	a.HealthPath = "/up"
	a.StartTimeout = short
	e := f.fail(t, a)
	require.Equal(t, spawner.CategoryTimeout, e.Category)
	require.Contains(t, e.Summary, "was not well within")
	require.Contains(t, e.Summary, "503")

	a.StartTimeout = patience
	spawned := make(chan error, 1)
	s, err := f.NewSpawner(a)
	require.NoError(t, err)
	go func() {
		p, err := s.Spawn(t.Context())
		if err == nil {
			t.Cleanup(func() { p.Stop(t.Context()) })
			defer p.Stop(t.Context())
		}

		spawned <- err
	}()

	select {
	case err := <-spawned:
		require.Fail(t, "ready before it is well", "%v", err)
	case <-time.After(short):
	}

	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "up"), nil, 0o600))
	require.NoError(t, <-spawned)
}

func TestGenericFailures(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		behaviour, summary string
		category           spawner.Category
	}{
		{"generic-elsewhere", "it listens on 127.0.0.1:", spawner.CategoryTimeout},
		{"generic-taken", "address that is in use", spawner.CategoryStartup},
		{"exit", "ended by itself", spawner.CategoryStartup},
	} {
		f := newFixture(t)
		a := app(t, test.behaviour)
		if test.category == spawner.CategoryTimeout {
			a.StartTimeout = 4 * time.Second // a busy host needs some of it
		}

		e := f.fail(t, a)
		require.Contains(t, e.Summary, test.summary)
		require.Equal(t, test.category, e.Category)
		requireFailedStep(t, e.Journey, spawner.StepServe)
	}
}

// Each process has a port of its own, and gives it back.
func TestPortsAreNotShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)

	ports := map[string]bool{}
	for range 5 {
		p := f.start(t, app(t, "generic"))
		addr := p.Info().Sockets[0].Address.Addr
		require.False(t, ports[addr])
		ports[addr] = true
		_, number, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		n, err := strconv.Atoi(number)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, 5000)
		require.Less(t, n, 32768)
	}
}

func TestScriptsWithPort(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "generic")
	a.StartCommand = []string{"sh", "-c", "echo begins on $PORT; exec " + testapp.Command()[0]}
	p := f.start(t, a)
	_, port, err := net.SplitHostPort(p.Info().Sockets[0].Address.Addr)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(f.log.String(), "begins on "+port) }, patience,
		time.Millisecond)
}

// A program with a log file of its own has closed what it was started with, before it serves or for ever.
func TestGenericProgramsThatCloseTheirOutput(t *testing.T) {
	t.Parallel()

	serve := "exec " + testapp.Command()[0]
	for name, script := range map[string]string{
		"all":              serve + " </dev/null >log 2>&1",
		"input and output": serve + " </dev/null >log",
		"output":           serve + " >log 2>&1",
		"in its own time":  "exec </dev/null >log 2>&1; read nothing; " + serve,
		"in a line":        "printf 'starts ...'; " + serve + " </dev/null >log 2>&1",
		"by a child":       testapp.Command()[0] + " </dev/null >log 2>&1 & exec </dev/null >/dev/null 2>&1; wait",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, "generic")
			a.StartCommand = []string{"sh", "-c", script}
			_, err := get(t, f.start(t, a), "/")
			require.NoError(t, err)
		})
	}

	for name, test := range map[string]struct {
		script, summary string
		category        spawner.Category
	}{
		"never serves": {"exec </dev/null >log 2>&1; exec sleep 600", "closed its stdout", spawner.CategoryStartup},
		"ends": {
			"exec </dev/null >log 2>&1; exit 3", "ended before it was ready (exit status 3)", spawner.CategoryStartup,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, "generic")
			a.StartCommand = []string{"sh", "-c", test.script}
			if name == "never serves" {
				a.StartTimeout = short // it is over, while what ends has all the time that it needs
			}

			e := f.fail(t, a)
			require.Contains(t, e.Summary, test.summary)
			require.Equal(t, test.category, e.Category)
		})
	}
}

// TestPortTakenByAnotherProgram: who takes the application's port before it does
// gets no request; the application gets another port.
func TestPortTakenByAnotherProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}

	for _, behaviour := range []string{"generic", "generic-patient"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, behaviour)
			a.StartCommand = []string{"sh", "-c", "echo $PORT >> ports; " +
				"while [ ! -e taken ]; do sleep 0.01; done; exec " + testapp.Command()[0]}
			squatted := make(chan net.Listener, 1)
			go func() {
				squatted <- squat(t, filepath.Join(a.Root, "ports"))
				if err := os.WriteFile(filepath.Join(a.Root, "taken"), nil, 0o600); err != nil {
					t.Error(err)
				}
			}()
			p := f.start(t, a)
			squatter := <-squatted
			defer squatter.Close()
			require.NotEqual(t, squatter.Addr().String(), p.Info().Sockets[0].Address.Addr)
			body, err := get(t, p, "/")
			require.NoError(t, err)
			require.Equal(t, "hello", body)
			require.Len(t, f.log.lines("another program took the port"), 1, f.log.String())
		})
	}
}

// squat waits for the first port in a file and listens there.
func squat(t *testing.T, file string) net.Listener {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()

	for range poll.C {
		text, err := os.ReadFile(file)
		if port, _, ok := strings.Cut(string(text), "\n"); err == nil && ok {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Error(err)
			}

			return l
		}
	}

	return nil
}

// The port that is allotted to a program counts, whatever PORT is configured.
func TestAssignedPortCountsMostOfAll(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "vars")
	require.NoError(t, os.WriteFile(file, []byte("PORT=8080\nOTHER=kept\n"), 0o600))

	for from, configure := range map[string]func(a *spawner.App){
		"env_files": func(a *spawner.App) { a.EnvFiles = []string{file} },
		"envvars":   func(a *spawner.App) { maps.Copy(a.Env, map[string]string{"PORT": "8080", "OTHER": "kept"}) },
	} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, "generic")
			configure(&a)
			p := f.start(t, a)
			_, port, err := net.SplitHostPort(p.Info().Sockets[0].Address.Addr)
			require.NoError(t, err)
			env := stateOf(t, p).Env
			require.Contains(t, env, "PORT="+port)
			require.NotContains(t, env, "PORT=8080")
			require.Contains(t, env, "OTHER=kept")
			require.Contains(t, f.log.String(), "the configured environment variable PORT does not count")
			require.Contains(t, f.log.String(), from)
		})
	}

	f := newFixture(t)
	f.start(t, app(t, "generic"))
	require.NotContains(t, f.log.String(), "PORT does not count")
}
