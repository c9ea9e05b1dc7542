package spawner_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// checkedApps are applications of every kind that testapp can play.
func checkedApps() map[string]func(*testing.T) spawner.App {
	plain := func(behaviour string, params ...string) func(*testing.T) spawner.App {
		return func(t *testing.T) spawner.App { t.Helper(); return app(t, behaviour, params...) }
	}

	return map[string]func(*testing.T) spawner.App{
		"http on a Unix socket":       plain("http"),
		"http on a TCP socket":        plain("tcp"),
		"session":                     plain("session"),
		"session kept open":           plain("session", "keepalive=yes"),
		"a loader of the original":    plain("original"),
		"a program on a port":         plain("generic"),
		"a preloader of the original": func(t *testing.T) spawner.App { t.Helper(); return preloaded(t) },
		"a preloader":                 func(t *testing.T) spawner.App { t.Helper(); return preloaded(t, modern) },
		"a preloader of session workers": func(t *testing.T) spawner.App {
			t.Helper()
			return preloaded(t, modern, "worker=session")
		},
	}
}

func forEachCheckedApp(t *testing.T, run func(*testing.T, *fixture, spawner.App)) {
	t.Helper()

	for name, newApp := range checkedApps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newFixture(t), newApp(t))
		})
	}
}

// spawnChecked is spawn with a spawner that is closed in the end.
func (f *fixture) spawnChecked(t *testing.T, a spawner.App) (spawner.Process, error) {
	t.Helper()
	s, err := f.NewSpawner(a)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	return s.Spawn(t.Context())
}

func (f *fixture) failChecked(t *testing.T, a spawner.App) *spawner.SpawnError {
	t.Helper()
	_, err := f.spawnChecked(t, a)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)

	return e
}

func TestHealthCheckPasses(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		for _, test := range []struct{ path, status, host string }{
			{"/check/status/200", "", ""},
			{"/check/status/204", "200-299", ""},
			{"/check/status/503", "200, 500-503", ""},
			{"/check/redirect", "", ""},
			{"/check/https?x=1", "200", ""},
			{"/check/host/localhost", "200", ""},
			{"/check/host/www.example.com:81", "200", "www.example.com:81"},
			{"/check/big", "200", ""},
		} {
			a.HealthPath, a.HealthStatus, a.HealthHost = test.path, test.status, test.host
			p, err := f.spawnChecked(t, a)
			require.NoError(t, err, test.path)
			require.True(t, p.Info().Checked)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.Stop(ctx)
		}
	})
}

func TestHealthCheckFails(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		for _, test := range []struct {
			path, status string
			category     spawner.Category
			parts        []string
		}{
			{
				"/check/status/500", "", spawner.CategoryHealth,
				[]string{"500 Internal Server Error instead of one below 400", `"this is 500"`},
			},
			{"/check/status/404", "", spawner.CategoryHealth, []string{"404 Not Found"}},
			{
				"/check/status/204", "200,300-399", spawner.CategoryHealth,
				[]string{"204 No Content instead of 200,300-399"},
			},
			{"/check/redirect", "200-299", spawner.CategoryHealth, []string{"302 Found", "leads to /login"}},
			{
				"/check/host/www.example.com", "", spawner.CategoryHealth,
				[]string{"400 Bad Request", "(Host: localhost)"},
			},
			{"/check/html", "", spawner.CategoryHealth, []string{`"Server Error (500) It's broken"`}},
			{
				"/check/trace", "", spawner.CategoryHealth,
				[]string{"500", "the application has a syntax error: SyntaxError: invalid syntax"},
			},
			{"/check/half", "", spawner.CategoryHealth, []string{"closed the connection"}},
			{"/check/garbage", "", spawner.CategoryHealth, []string{"no valid response", "SSH-2.0"}},
			{"/check/exit/3", "", spawner.CategoryHealth, []string{"the process ended"}},
			{"/check/hang", "", spawner.CategoryTimeout, []string{"there was no response within 200ms"}},
			{"/check/endless", "", spawner.CategoryTimeout, []string{"200 OK", "did not end within 200ms"}},
		} {
			a.HealthPath, a.HealthStatus, a.HealthTimeout = test.path, test.status, patience
			if test.category == spawner.CategoryTimeout {
				a.HealthTimeout = 200 * time.Millisecond
			}

			e := f.failChecked(t, a)
			require.Contains(t, e.Summary, "the health check GET "+test.path)
			if test.path == "/check/trace" && strings.HasSuffix(t.Name(), "preloader_of_the_original") {
				test.parts = nil // its workers print to the preloader's stderr
			}

			for _, part := range test.parts {
				require.Contains(t, e.Summary, part)
			}

			require.Equal(t, test.category, e.Category, e.Summary)
			require.NotEmpty(t, e.Advice)
			requireFailedStep(t, e.Journey, spawner.StepHealth)
			require.Len(t, f.log.lines("cannot start a process", e.ID), 1)
		}

		require.NotContains(t, f.log.String(), "connect_password")
	})
}

func TestHealthCheckOfCutConnection(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		a.HealthPath = "/check/cut"
		if !strings.Contains(t.Name(), "port") {
			require.Contains(t, f.failChecked(t, a).Summary, "the application closed the connection")
			return
		}

		// It could be that the program is not ready yet.
		a.StartTimeout = 2 * short
		e := f.failChecked(t, a)
		require.Contains(t, e.Summary, "was not well within")
		require.Contains(t, e.Summary, "the application closed the connection")
		require.Equal(t, spawner.CategoryTimeout, e.Category)
	})
}

// TestHealthCheckIsBoundByTheStart: the start time-out is the deadline of all.
func TestHealthCheckIsBoundByTheStart(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		a.HealthPath, a.HealthTimeout, a.StartTimeout = "/check/hang", patience, 2*time.Second
		e := f.failChecked(t, a)
		require.Contains(t, e.Summary, "the health check GET /check/hang")
		require.Contains(t, e.Summary, "before the start time-out of 2s was over")
		require.Equal(t, spawner.CategoryTimeout, e.Category)
	})
}

func TestHealthCheckIsCanceled(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		a.HealthPath, a.HealthTimeout = "/check/hang", patience
		a.WarmupPaths = nil
		s, err := f.NewSpawner(a)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("the pool closes")
		timer := time.AfterFunc(short, func() { cancel(cause) })
		defer timer.Stop()
		_, err = s.Spawn(ctx)
		require.ErrorIs(t, err, cause)
		var e *spawner.SpawnError
		require.ErrorAs(t, err, &e)
		require.Equal(t, spawner.CategoryCanceled, e.Category)
		require.NoError(t, s.Close())
	})
}

func TestWarmUp(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		a.HealthPath = "/check/count/health"
		a.WarmupPaths = []string{"/check/count/1", "/check/status/500", "/check/count/2"}
		p, err := f.spawnChecked(t, a)
		require.NoError(t, err)
		defer p.Stop(t.Context())
		requests, err := os.ReadFile(filepath.Join(a.Root, "requests"))
		require.NoError(t, err)
		agent := "gopassenger-health/" + spawner.DefaultVersion + "\n"
		require.Equal(t, "/check/count/health "+agent+"/check/count/1 "+agent+"/check/count/2 "+agent, string(requests))
		require.Len(t, f.log.lines("a warm-up request failed", "/check/status/500", "500 Internal Server Error"), 1)
		p.Stop(t.Context())

		a.WarmupRequired = true
		e := f.failChecked(t, a)
		require.Equal(t, spawner.CategoryHealth, e.Category)
		require.Contains(t, e.Summary, "the warm-up request GET /check/status/500")
		requireFailedStep(t, e.Journey, spawner.StepWarmUp)
	})
}

// TestWarmUpThatEndsTheProcess: a process that is gone is not used, whatever
// warm-up requests count.
func TestWarmUpThatEndsTheProcess(t *testing.T) {
	t.Parallel()
	forEachCheckedApp(t, func(t *testing.T, f *fixture, a spawner.App) {
		a.WarmupPaths = []string{"/check/exit/3"}
		e := f.failChecked(t, a)
		require.Contains(t, e.Summary, "the warm-up request GET /check/exit/3")
		require.Contains(t, e.Summary, "the process ended")
	})
}

func TestHealthOptions(t *testing.T) {
	for _, test := range []struct {
		name  string
		set   func(*spawner.App)
		fault string
	}{
		{
			"health path", func(a *spawner.App) { a.HealthPath = "up" },
			`the health path "up" does not begin with a slash`,
		},
		{"health path with a blank", func(a *spawner.App) { a.HealthPath = "/a b" }, `%20`},
		{"health path with a line break", func(a *spawner.App) { a.HealthPath = "/a\r\nX: y" }, `%20`},
		{"health path with a percent sign", func(a *spawner.App) { a.HealthPath = "/100%" }, `%25`},
		{
			"warm-up path", func(a *spawner.App) { a.WarmupPaths = []string{"/", "login"} },
			`the warm-up path "login" does not begin with a slash`,
		},
		{
			"empty warm-up path", func(a *spawner.App) { a.WarmupPaths = []string{""} },
			`the warm-up path "" does not begin with a slash`,
		},
		{"text", func(a *spawner.App) { a.HealthStatus = "ok" }, `the health status "ok" is neither`},
		{"impossible", func(a *spawner.App) { a.HealthStatus = "200,600" }, `the health status "600" is neither`},
		{"not final", func(a *spawner.App) { a.HealthStatus = "100-200" }, `"100-200" is neither`},
		{"backwards", func(a *spawner.App) { a.HealthStatus = "299-200" }, `"299-200" is neither`},
		{"empty item", func(a *spawner.App) { a.HealthStatus = "200," }, `"" is neither`},
		{"signed", func(a *spawner.App) { a.HealthStatus = "-200" }, `"-200" is neither`},
		{"time-out", func(a *spawner.App) { a.HealthTimeout = -1 }, "is negative"},
		{"host", func(a *spawner.App) { a.HealthHost = "a b" }, "is not a host name"},
		{"host with a scheme", func(a *spawner.App) { a.HealthHost = "https://a" }, "is not a host name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := spawner.App{Root: "/app"}
			require.NoError(t, a.Validate())
			test.set(&a)
			err := a.Validate()
			require.ErrorContains(t, err, test.fault)
			require.NotContains(t, err.Error(), "\n", "one sentence")
		})
	}

	good := spawner.App{
		Root:         "/app",
		HealthPath:   "/up?full=1",
		HealthStatus: " 200 , 204-206,401",
		HealthHost:   "[::1]:8080",
		WarmupPaths:  []string{"/", "/caf%C3%A9"},
	}
	require.NoError(t, good.Validate())
}

// TestConfirm is about processes of other spawners.
func TestConfirm(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	for _, test := range []struct {
		path     string
		timeout  time.Duration
		took     time.Duration
		category spawner.Category
	}{
		{path: "/"},
		{path: ""},
		{path: "/bad", category: spawner.CategoryHealth},
		{path: "/slow", took: spawner.DefaultHealthTimeout, category: spawner.CategoryTimeout},
		{path: "/slow", timeout: time.Minute, took: time.Minute, category: spawner.CategoryTimeout},
		{path: "/slow", timeout: 2 * time.Minute, took: spawner.DefaultStartTimeout, category: spawner.CategoryTimeout},
	} {
		t.Run(test.path+test.timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handlerFor := func(*spawnertest.Process) http.Handler { return handler }
				f := spawnertest.New(spawnertest.Script{HandlerFor: handlerFor})
				a := spawner.App{Root: "/app", HealthPath: test.path, HealthTimeout: test.timeout}
				s, err := f.NewSpawner(a)
				require.NoError(t, err)
				p, err := s.Spawn(t.Context())
				require.NoError(t, err)
				defer p.Stop(t.Context())

				began := time.Now()
				err = spawner.Confirm(t.Context(), &spawner.Config{}, a, p)
				require.Equal(t, test.took, time.Since(began))
				if test.category == 0 {
					require.NoError(t, err)
					return
				}

				var e *spawner.SpawnError
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.category, e.Category)
				require.Contains(t, e.Summary, "the health check GET "+test.path)
				require.Equal(t, "/app", e.AppName)
				requireFailedStep(t, e.Journey, spawner.StepHealth)
			})
		})
	}
}

func TestConfirmSeesTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawnertest.New(spawnertest.Script{ServeConn: func(p *spawnertest.Process,
			_ net.Conn,
		) {
			p.Die("signal: killed")
		}})
		a := spawner.App{Root: "/app", HealthPath: "/up"}
		s, err := f.NewSpawner(a)
		require.NoError(t, err)
		p, err := s.Spawn(t.Context())
		require.NoError(t, err)
		err = spawner.Confirm(t.Context(), &spawner.Config{}, a, p)
		require.ErrorContains(t, err, "the process ended (signal: killed)")
	})
}
