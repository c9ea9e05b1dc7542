package e2e_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// The process that was asked to break closes each connection as soon as a request comes,
// but lives.
const breakableApp = `let broken = false;
require('http').createServer((request, response) => {
  if (broken) return request.socket.destroy();
  broken = request.url === '/break';
  response.statusCode = request.url === '/500' ? 500 : 200;
  response.end(String(process.pid));
}).listen();
`

func TestProcessThatClosesEachConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "node", "node", "nodejs")
	s := start(t, &launch{
		dir:  newDir(t, map[string]string{"app.js": breakableApp}),
		args: []string{"--max-unanswered-requests", "3"},
	})
	c := s.client(t)

	pid := c.get(t, "/").body
	for range 9 {
		require.Equal(t, http.StatusInternalServerError, c.get(t, "/500").StatusCode)
	}

	require.Equal(t, pid, c.get(t, "/break").body, "responses of any status are responses")

	for range 3 {
		require.Equal(t, http.StatusBadGateway, c.get(t, "/").StatusCode)
	}

	got := c.get(t, "/")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.NotEqual(t, pid, got.body)
	old, err := strconv.Atoi(pid)
	require.NoError(t, err)
	s.requireGone(t, old)
	require.Contains(t, s.Stderr.String(), "detaching a process that does not respond")
}
