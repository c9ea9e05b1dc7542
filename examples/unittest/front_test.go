package unittest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/examples/unittest"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// serve returns a Front before an application whose processes are played.
func serve(t *testing.T, script spawnertest.Script) http.Handler {
	t.Helper()
	factory := spawnertest.New(script)
	pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, pool.Close())
		require.Empty(t, factory.LiveProcesses())
	})
	app, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: "/srv/app"}},
	})
	require.NoError(t, err)

	return unittest.Front(app)
}

func get(h http.Handler, agent string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/hello", nil)
	r.Header.Set("User-Agent", agent)
	h.ServeHTTP(w, r)

	return w
}

func TestFront(t *testing.T) {
	h := serve(t, spawnertest.Script{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.URL.Path, r.Header.Get("X-Front"))
		}),
	})
	require.Equal(t, "/hello yes", get(h, "person").Body.String())
	require.Equal(t, http.StatusForbidden, get(h, "robot").Code)
}

func TestFrontWhenTheAppDoesNotStart(t *testing.T) {
	h := serve(t, spawnertest.Script{Failures: map[int]error{1: errors.New("no such gem")}})
	require.Equal(t, http.StatusInternalServerError, get(h, "person").Code)
}
