package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/testapp"
)

const (
	canary   = "canary of the start"
	markup   = "<script>alert(1)</script>"
	maxLog   = 16 << 20
	prodEnv  = "production"
	develEnv = "development"
)

// behave starts an application of package testapp.
func behave(t *testing.T, environment, behaviour string, params ...string) *server {
	t.Helper()

	args := append(binaryArgs(t), "--environment", environment, "--min-instances", "0")
	for name, value := range testapp.Env(behaviour, params...) {
		args = append(args, "--envvar", name+"="+value)
	}

	return start(t, &launch{dir: t.TempDir(), args: args, env: littleGarbage()})
}

var errorID = regexp.MustCompile(`\b[0-9a-f]{8}\b`)

func TestFailedStart(t *testing.T) {
	t.Parallel()
	t.Run(prodEnv, func(t *testing.T) {
		t.Parallel()
		s := behave(t, prodEnv, "exit", "status=3", "print="+canary+markup+"\n")
		c := s.client(t)
		page := c.get(t, "/")
		require.Equal(t, http.StatusInternalServerError, page.StatusCode)
		require.Contains(t, page.Header.Get("Content-Type"), "text/html")

		for _, detail := range []string{canary, markup, "exit status", s.Marker, "Output", built} {
			require.NotContains(t, page.body, detail)
		}

		id := errorID.FindString(page.body[strings.Index(page.body, "Error ID"):])
		require.NotEmpty(t, id, page.body)
		s.Stderr.Await(t, id, 1, s.Ended)
		require.Contains(t, s.Stderr.String(), "exit status 3")

		a := c.get(t, "/", "Accept", "application/json")
		require.Equal(t, http.StatusInternalServerError, a.StatusCode)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.NotContains(t, a.body, canary)
		var body struct {
			Status  int    `json:"status"`
			ErrorID string `json:"errorId"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &body))
		require.Equal(t, http.StatusInternalServerError, body.Status)
		require.NotEmpty(t, body.ErrorID)
		require.NotEqual(t, id, body.ErrorID)
		s.Stderr.Await(t, body.ErrorID, 1, s.Ended)
		require.Empty(t, s.apps(t))
	})
	t.Run(develEnv, func(t *testing.T) {
		t.Parallel()
		s := behave(t, develEnv, "exit", "status=3", "print="+canary+markup+"\n")
		page := s.client(t).get(t, "/")
		require.Equal(t, http.StatusInternalServerError, page.StatusCode)
		require.Contains(t, page.body, canary)
		require.Contains(t, page.body, "exit status 3")
		require.Contains(t, page.body, "&lt;script&gt;")
		require.NotContains(t, page.body, markup)
		s.Stderr.Await(t, errorID.FindString(page.body[strings.Index(page.body, "Error ID"):]), 1, s.Ended)
	})
	t.Run("stopped while it starts", func(t *testing.T) {
		t.Parallel()
		s := behave(t, prodEnv, "silent", "print="+canary+"\n")
		waiting := s.client(t).background(t, "/")
		s.Stderr.Await(t, canary, 1, s.Ended)
		s.signal(t, syscall.SIGTERM)
		s.Stdout.Await(t, stopping, 1, s.Ended)
		s.signal(t, syscall.SIGTERM)
		a := <-waiting
		if a.err == nil {
			require.GreaterOrEqual(t, a.StatusCode, http.StatusInternalServerError)
		}

		s.requireExit(t, 1)
	})
}

// The log of an application that prints a lot costs neither requests nor
// memory.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := behave(t, prodEnv, "flood", "bytes=20000000")

	c := s.client(t)
	for range 3 {
		require.Equal(t, "hello", c.get(t, "/").body)
	}

	require.Less(t, s.peakMemory(t), maxMemory)
	require.Contains(t, s.Stderr.String(), "xxxxxxxx")
}
