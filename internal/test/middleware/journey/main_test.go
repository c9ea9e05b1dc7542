package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
)

// TestSite is the unit test that such a program has: no interpreter, no process, and
// nothing left at its end.
func TestSite(t *testing.T) {
	leakgate.Check(t)

	factory := spawnertest.New(spawnertest.Script{})
	for _, name := range []string{"shop", "wiki"} {
		factory.ChangeApp(name, func(s *spawnertest.Script) { s.Handler = saying(name) })
	}

	h, err := site(spawnertest.NewPool(t, passenger.Config{
		Spawner:  factory,
		Observer: tracing{},
	}), "/srv/shop", "/srv/wiki")
	require.NoError(t, err)

	for target, said := range map[string]string{"/shop/cart?x=1": "shop /cart?x=1", "/wiki/Home": "wiki /Home"} {
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got, traceparent, _ := strings.Cut(w.Body.String(), "\n")
		require.Equal(t, said, got)
		require.NotEmpty(t, traceparent)
		require.Equal(t, []string{"visit", "app"}, cookieNames(w.Result()))
	}

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/shop/", strings.NewReader(strings.Repeat("x", 3<<20))))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
}

func saying(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "app=1")
		_, _ = io.WriteString(w, name+" "+r.RequestURI+"\n"+r.Header.Get("Traceparent"))
	})
}

func cookieNames(resp *http.Response) []string {
	names := make([]string, 0, 2)
	for _, c := range resp.Cookies() {
		names = append(names, c.Name)
	}

	return names
}
