package e2e_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// router is the process that passes transactions on; zero means that there is none.
func (s *server) router() int {
	for _, pid := range s.Children(s.Cmd.Process.Pid) {
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.HasSuffix(string(line),
			"\x00ust-router\x00") {
			return pid
		}
	}

	return 0
}

// records are the whole ones in a file, by what they are. The last one may still be being written.
func records(t *testing.T, path string) map[string][]map[string]any {
	t.Helper()
	log, err := os.ReadFile(path)
	require.NoError(t, err)

	found := map[string][]map[string]any{}
	for line := range strings.Lines(string(log)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}

		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		kind, _ := record["kind"].(string)
		found[kind] = append(found[kind], record)
	}

	return found
}

// Transactions go to a file, also after their router was killed, and after the
// core was.
func TestTransactionLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--transaction-log", path)})
	c := s.client(t)
	served := 0
	await := func() {
		eventually(t, func() error {
			c.get(t, "/path?secret")
			served++
			if n := len(records(t, path)["request"]); n < 5 || n < served/2 {
				return fmt.Errorf("%d of %d requests are in the log", n, served)
			}

			return nil
		})
	}
	await()
	first := records(t, path)
	require.NotEmpty(t, first["spawn"])
	require.NotEmpty(t, first["attach"])
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "/path")
	require.NotContains(t, string(text), "secret")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o007)

	router := s.router()
	require.NoError(t, syscall.Kill(router, syscall.SIGKILL))
	eventually(t, func() error {
		c.get(t, "/while/it/is/gone")
		if now := s.router(); now == 0 || now == router {
			return errors.New("the router was not replaced")
		}

		return nil
	})
	seen := len(records(t, path)["request"])
	eventually(t, func() error {
		c.get(t, "/later")
		if len(records(t, path)["request"]) == seen {
			return errors.New("nothing comes any more")
		}

		return nil
	})
	c.CloseIdleConnections()
	require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))
	seen = len(records(t, path)["request"])
	c = s.client(t)
	eventually(t, func() error {
		c.get(t, "/after/the/core")
		if len(records(t, path)["request"]) == seen {
			return errors.New("nothing comes of the new core")
		}

		return nil
	})
	c.get(t, "/last")
	c.CloseIdleConnections()
	s.stop(t)
	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "/last", "what there is at the end is passed on")
}

// Without it there is no such process.
func TestNoTransactions(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")
	require.NotZero(t, s.core(t))
	require.Zero(t, s.router())
}

// decoded is a request's body without its coding.
func decoded(r *http.Request) io.Reader {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body
	}

	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return strings.NewReader(err.Error())
	}

	return z
}

// A collector gets traces, with the trace that the client has begun. One that hangs
// costs nothing but them.
func TestTransactionsForACollector(t *testing.T) {
	t.Parallel()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	var mu sync.Mutex
	var got []string
	release := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(decoded(r))
		mu.Lock()
		got = append(got, r.URL.Path+" "+r.Header.Get("Api-Key")+" "+string(body))
		mu.Unlock()
		<-release
	}))
	defer collector.Close()
	defer close(release)
	s := start(t, &launch{
		dir: t.TempDir(), args: append(testApp(t), "--otlp-endpoint", collector.URL),
		env: []string{"OTEL_EXPORTER_OTLP_HEADERS=api-key=hush"},
	})
	c := s.client(t)
	a := c.get(t, "/traced", "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	require.Equal(t, "app: GET /traced", a.body)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(got, ""), trace)
	}, deadline, interval)

	for range 1000 {
		require.Equal(t, http.StatusOK, c.get(t, "/").StatusCode)
	}

	mu.Lock()
	require.True(t, strings.HasPrefix(got[0], "/v1/traces hush {"), "%.80s", got[0])
	mu.Unlock()

	for pid, line := range s.Processes() {
		require.NotContains(t, line, "hush", "of %d", pid)
	}

	require.NotContains(t, s.Stderr.String(), "hush")
	c.CloseIdleConnections()
	s.stop(t)
}
