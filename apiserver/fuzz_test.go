package apiserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// newBenchHouse is a pool of many applications, each with a process.
func newBenchHouse(tb testing.TB, groups int) *passenger.Pool {
	tb.Helper()
	pool, err := passenger.New(passenger.Config{
		MaxPoolSize: groups,
		Spawner:     tenantFactory{spawnertest.New(spawnertest.Script{})},
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, pool.Close()) })

	for i := range groups {
		name := "app-" + strconv.Itoa(i)
		s, err := pool.Get(tb.Context(), app(name, name, alice))
		require.NoError(tb, err)
		s.Close(passenger.KeepAlive)
	}

	return pool
}

func responseTo(tb testing.TB, s *apiserver.Server, path string, who [2]string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.SetBasicAuth(who[0], who[1])
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)

	return w
}

// FuzzCalls checks that the response is one of the API's, whatever the credentials and the
// body are, and that no caller without the right ones is served.
func FuzzCalls(f *testing.F) {
	pool := newBenchHouse(f, 2)
	ids := pool.Identities()
	settings := 0
	s, err := apiserver.New(apiserver.Config{
		Pool: pool, Accounts: accounts(),
		ChangeSettings: func(map[string]json.RawMessage) error { settings++; return nil },
	})
	require.NoError(f, err)
	bearer := func(name, password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}

	right := map[string]bool{bearer("admin", fullPassword): true}
	for _, id := range ids {
		right[bearer("api", id.APIKey)] = true
	}

	for _, credentials := range []string{
		"", "Basic", "Basic YXBpOg==", "Basic OjEyMw==", "Bearer x",
		bearer("admin", fullPassword), bearer("admin", fullPassword+"x"), bearer("api", ids[0].APIKey),
	} {
		for _, body := range []string{
			"", "{}", `{"name":"app-0"}`, `{"pid":1}`, `{"pid":1e99}`, "[[[[",
			`{"name":"\ud800"}`, "null", strings.Repeat("[", 20000),
		} {
			f.Add(uint8(0), credentials, body)
			f.Add(uint8(1), credentials, body)
			f.Add(uint8(2), credentials, body)
		}
	}

	paths := []string{"/pool/restart_app_group.json", "/pool/detach_process.json", "/config.json"}
	f.Fuzz(func(t *testing.T, path uint8, credentials, body string) {
		i := int(path) % len(paths)
		method := http.MethodPost
		if i == 2 {
			method = http.MethodPut
		}

		r := httptest.NewRequest(method, paths[i], strings.NewReader(body))
		r.RemoteAddr = "192.0.2." + strconv.Itoa(len(credentials)%250) + ":1"
		r.Header["Authorization"] = []string{credentials}
		before := settings
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !knows(credentials, right) {
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Equal(t, before, settings)
			return
		}

		switch w.Code {
		case http.StatusOK:
			require.True(t, json.Valid([]byte(body)))
		case http.StatusUnprocessableEntity:
			require.False(t, json.Valid([]byte(body)))
		default:
			require.Contains(t, []int{400, 401, 413}, w.Code)
		}

		if w.Code != http.StatusUnauthorized {
			require.True(t, json.Valid(w.Body.Bytes()))
		}
	})
}

// knows reports whether the credentials are right, however they are written.
func knows(credentials string, right map[string]bool) bool {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", credentials)
	name, password, ok := r.BasicAuth()
	if !ok {
		return false
	}

	r.SetBasicAuth(name, password)

	return right[r.Header.Get("Authorization")]
}
