package handler_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/printed"
	"github.com/gopassenger/passenger/spawner"
)

// A program as short as the README's finds in its own log why the application does not
// start, without asking for it.
func TestShortProgramLogsWhyTheApplicationDoesNotStart(t *testing.T) {
	var out printed.Output
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))

	processes, err := spawner.New(spawner.Config{Users: spawner.SameUser}) // as root, others cannot enter t.TempDir
	require.NoError(t, err)
	defer func() { require.NoError(t, processes.Close()) }()
	pool, err := passenger.New(passenger.Config{Spawner: processes})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	app, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{
		Root:         t.TempDir(),
		StartCommand: []string{"sh", "-c", "echo starting; echo 'cannot load the gem rack' >&2; exit 3"},
	}}})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NoError(t, pool.Close())

	log := out.String()
	require.Contains(t, log, "level=ERROR")
	require.Contains(t, log, "cannot load the gem rack")
	require.Contains(t, log, "exit status 3")
	require.NotContains(t, log, "msg=starting", "what goes to stdout is not for everybody's log")
}

func TestSilentProgramLogsNothing(t *testing.T) {
	var out printed.Output
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))

	pool, err := passenger.New(passenger.Config{Logger: passenger.Silent()})
	require.NoError(t, err)
	app, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: t.TempDir(), StartCommand: []string{"false"}}},
		Logger:  passenger.Silent(),
	})
	require.NoError(t, err)
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	require.NoError(t, pool.Close())
	require.Empty(t, out.String())
}
