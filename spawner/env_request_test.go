package spawner_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// What a program says of a request by WithEnv, an application in Node.js asks its loader
// for.
func TestEnvironmentOfARequestIsDecodedByApplicationsInNode(t *testing.T) {
	t.Parallel()
	node := interpreters.Find(t, "node", "node")
	dir := t.TempDir()
	const app = `require('http').createServer((req, res) => {
	res.end(JSON.stringify([PhusionPassenger.requestEnv(req), req.headers['x-plan'] || '']));
}).listen(3000);
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.js"), []byte(app), 0o600))

	pool, err := passenger.New(passenger.Config{Spawner: newFixture(t), SelfChecks: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	h, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{Root: dir, NodeJS: node}}})
	require.NoError(t, err)

	env := handler.Env{"REMOTE_USER": "alice é", "EMPTY": "", "HTTP_X_PLAN": "gold", "__proto__": "x"}
	for _, with := range []handler.Env{env, nil} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("X-Plan", "silver")
		if with != nil {
			r = r.WithContext(handler.WithEnv(r.Context(), with))
		}

		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body)

		var got []any
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(body, &got), string(body))
		want := map[string]any{}

		plan := "silver"
		for name, value := range with {
			want[name], plan = value, "gold"
		}

		require.Equal(t, []any{want, plan}, got)
	}
}
