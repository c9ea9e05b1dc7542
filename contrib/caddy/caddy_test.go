package passengercaddy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/stretchr/testify/require"
)

// own is the global option by which processes run as the test does.
const own = "passenger {\n user_switching off\n}"

// one is a server with one site.
func one(t *testing.T, directives string) *server {
	t.Helper()
	leakgate.Check(t, leakgate.Marker("OF_CADDY=yes"))
	return start(t, func(s *server) string { return s.global(own) + s.site(0, directives) })
}

func TestRequestsReachTheApplication(t *testing.T) {
	s := one(t, "header X-Middleware yes\nencode gzip\nhandle_path /stripped/* {\n"+app(`env SETTING {env.HOME}
		request_env REMOTE_USER {http.request.header.X-User}`)+"}\nhandle {\n"+app(`env SETTING {env.HOME}
		request_env REMOTE_USER {http.request.header.X-User}`)+"}")

	got := s.get(0, "/a%20b/caf%C3%A9%2F?x=1&y=%2F")
	require.Equal(t, "/a%20b/caf%C3%A9%2F?x=1&y=%2F", got.Target)
	require.Equal(t, s.dir, got.Setting, "placeholders of the environment are Caddy's")
	require.Equal(t, "yes", got.ResponseHeaders.Get("X-Middleware"))
	require.Equal(t, "/cart?x", s.get(0, "/stripped/cart?x").Target)

	r := s.request(http.MethodPost, 0, "/", strings.NewReader(strings.Repeat("x", 1<<20)))
	r.Header.Set("X-User", "alice")
	got = s.ask(r)
	require.Equal(t, 1<<20, got.Length)
	require.Equal(t, "alice", got.Env["REMOTE_USER"], "placeholders of the request are Caddy's")

	resp, err := client(t).Do(s.request(http.MethodGet, 0, "/file", http.NoBody))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "the application's", string(body), "X-Sendfile is off")
	require.Empty(t, resp.Header.Get("X-Sendfile")+resp.Header.Get("X-Accel-Redirect"))
}

func TestStreamsAndCutResponses(t *testing.T) {
	s := one(t, "encode gzip\n"+app(""))

	resp, err := client(t).Do(s.request(http.MethodGet, 0, "/events", http.NoBody))
	require.NoError(t, err)
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: first\n", line)

	conn := s.dialWebSocket()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("ping")))
	_, message, err := conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ping", string(message))
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))

	resp, err = client(t).Do(s.request(http.MethodGet, 0, "/cut", http.NoBody))
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}

	require.Error(t, err, "it looks whole")
}

func (s *server) dialWebSocket() *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url(0, "/websocket"),
		&websocket.DialOptions{HTTPClient: client(s.t)})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.CloseNow() })

	return conn
}

// forging has headers by which a client claims to be another one.
func (s *server) forging() received {
	s.t.Helper()
	r := s.request(http.MethodGet, 0, "/", http.NoBody)
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	r.Header.Set("X-Forwarded-Proto", "https")

	return s.ask(r)
}

func TestCaddyDecidesWhoIsTrusted(t *testing.T) {
	s := one(t, app(""))
	got := s.forging()
	require.Equal(t, []string{"127.0.0.1"}, got.Header["X-Forwarded-For"])
	require.Equal(t, []string{"http"}, got.Header["X-Forwarded-Proto"])

	require.Empty(t, s.reload(s.global(own+"\nservers {\n trusted_proxies static 127.0.0.1/32\n}")+s.site(0, app(""))))
	got = s.forging()
	require.Contains(t, got.Header["X-Forwarded-For"][0], "203.0.113.7")
	require.Equal(t, []string{"https"}, got.Header["X-Forwarded-Proto"])
}

// load asks until it is stopped, and notes what was lost.
type load struct {
	s       *server
	stop    chan struct{}
	asked   atomic.Int64
	clients sync.WaitGroup

	mu sync.Mutex
	// whole are the requests that got a whole response, reset those of which not a byte
	// of one came.
	whole, reset []string
	lost         []error
}

func (s *server) load() *load {
	l := &load{s: s, stop: make(chan struct{})}
	for range 3 {
		c := client(s.t)
		l.clients.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}

				l.ask(c)
			}
		})
	}

	return l
}

func (l *load) ask(c *http.Client) {
	name := strconv.FormatInt(l.asked.Add(1), 10)
	r, err := http.NewRequestWithContext(l.s.t.Context(), http.MethodPost, l.s.url(0, "/hello"), strings.NewReader("x"))
	if err == nil {
		r.Header.Set("X-Request-Name", name)
		r.GetBody = nil // so that the client does not try again by itself
		err = fetch(c, r)
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	switch {
	case err == nil:
		l.whole = append(l.whole, name)
	case reset(err):
		l.reset = append(l.reset, name)
	default:
		l.lost = append(l.lost, fmt.Errorf("request %s: %w", name, err))
	}
}

// fetch wants a whole response of status 200.
func fetch(c *http.Client, r *http.Request) error {
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("the response was cut: %s", err.Error())
	}

	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}

	return nil
}

// end makes sure that each request was served once, but for those that Caddy has refused
// itself: see reset. None of these has reached the application.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.clients.Wait()
	require.Empty(t, l.lost, "of %d requests", l.asked.Load())
	require.NotEmpty(t, l.whole)
	t.Logf("%d of %d requests were reset by Caddy", len(l.reset), l.asked.Load())

	seen, err := os.ReadFile(filepath.Join(l.s.dir, "seen"))
	require.NoError(t, err)
	require.ElementsMatch(t, l.whole, strings.Fields(string(seen)), "%d were reset", len(l.reset))
}

func TestReloadUnderLoadLosesNothingAndKeepsProcesses(t *testing.T) {
	s := one(t, app(""))
	pid := s.get(0, "/").PID
	conn := s.dialWebSocket()

	l := s.load()
	for i := range 5 {
		require.Empty(t, s.reload(s.global(own)+s.site(0, "header X-Version "+strconv.Itoa(i)+"\n"+
			app("max_processes 3\n max_queue_size 500"))))
		got := s.get(0, "/")
		require.Equal(t, pid, got.PID)
		require.Equal(t, strconv.Itoa(i), got.ResponseHeaders.Get("X-Version"))
	}

	l.end(t)

	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("still there")))
	_, message, err := conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "still there", string(message))
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
}

func TestChangedOptionRestartsRolling(t *testing.T) {
	s := one(t, app("env SETTING one"))
	before := s.get(0, "/")
	require.Equal(t, "one", before.Setting)

	l := s.load()
	require.Empty(t, s.reload(s.global(own)+s.site(0, app("env SETTING two"))))
	require.Eventually(t, func() bool { return s.get(0, "/").Setting == "two" }, patience, 20*time.Millisecond)
	l.end(t)
	require.NotEqual(t, before.PID, s.get(0, "/").PID)
	waitGone(t, before.PID)
}

func TestSitesComeAndGo(t *testing.T) {
	python := interpreters.Find(t, "python", "python3")
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "passenger_wsgi.py"), []byte(`import json, os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "target": environ["SCRIPT_NAME"] + "|" + environ["PATH_INFO"]}).encode()]
`), 0o600))
	second := "passenger " + root + " {\n base_uri /wiki\n min_processes 1\n python " + python + "\n}"
	s := one(t, app(""))
	first := s.get(0, "/").PID

	require.Empty(t, s.reload(s.global(own)+s.site(0, app(""))+s.site(1, second)))
	got := s.get(1, "/wiki/page")
	require.Equal(t, "/wiki|/page", got.Target)
	require.Equal(t, first, s.get(0, "/").PID)

	require.Empty(t, s.reload(s.global(own)+s.site(0, app(""))))
	waitGone(t, got.PID)
	require.Equal(t, first, s.get(0, "/").PID)

	require.Empty(t, s.reload(s.global("")+s.site(0, "respond gone")))
	waitGone(t, first)
}

func TestWrongOptionIsRefusedAndTheOldConfigurationServesOn(t *testing.T) {
	s := one(t, app(""))

	pid := s.get(0, "/").PID
	for _, test := range []struct{ options, says string }{
		{"min_proceses 2", `passenger has no option \"min_proceses\": see the list in its README`},
		{"min_processes many", `min_processes is \"many\": it must be a number`},
		{"min_processes -1", `passenger for app: min_processes: -1 is negative: it must be at least 0`},
		{
			"min_processes 3\nmax_processes 2",
			`passenger for app: min_processes: 3 is above max_processes, 2: at most those can be kept`,
		},
		{"max_request_time 30", `max_request_time is \"30\": it must be a time with a unit, such as 30s or 5m`},
		{"max_request_body big", `max_request_body is \"big\": it must be a size, such as 100MB or 1GiB`},
		{"stream_requests perhaps", `stream_requests is \"perhaps\": use on or off`},
		{"env SETTING", `env has 1 arguments: it needs a name and a value`},
		{"type cobol", `passenger for app: unknown app type \"cobol\": use one of`},
		{"spawn_method magic", `passenger for app: unknown spawn method \"magic\": use smart or direct`},
		{"asgi_server apache", `passenger for app: unknown ASGI server \"apache\": use one of auto, uvicorn, hypercorn`},
		{"php_ini nonsense", `passenger for app: `},
		{"error_details loud", `passenger for app: error_details is \"loud\": use auto, on or off`},
		{"sticky_cookie \"a b\"\nsticky_sessions", `passenger for app: sticky_cookie: the name \"a b\" of the cookie`},
		{"environment {http.request.host}", `use a placeholder that does not depend on a request, such as {env.NAME}`},
		{"request_env PATH_INFO {http.request.uri}", `passenger for app: request_env: only the server sets PATH_INFO`},
		{"request_env A=B x", `passenger for app: request_env: the variable \"A=B\" has a name or value`},
		{"name a b", `name has too many arguments: \"b\" is one too many`},
		{"user", `user has no value: write it behind the name`},
	} {
		said := s.reload(s.global(own) + s.site(0, app(test.options)))
		require.Contains(t, said, test.says)
		require.NotContains(t, said, `\n`, "it is one sentence")
		require.Equal(t, pid, s.get(0, "/").PID, "after %s", test.options)
	}

	for global, says := range map[string]string{
		"passenger {\n max_pool_size -1\n}":                      `passenger: max_pool_size is -1: it must be at least 1, or 0 for 6`,
		"passenger {\n user_switching maybe\n}":                  `passenger: user_switching is \"maybe\": use on or off`,
		"passenger {\n user_switching off\n default_user www\n}": `cannot change while Caddy runs: restart it`,
	} {
		require.Contains(t, s.reload(s.global(global)+s.site(0, app(""))), says)
		require.Equal(t, pid, s.get(0, "/").PID, "after %s", global)
	}

	said := s.reload(s.global(own) + s.site(0, app("")) + s.site(1, app("threads 2")))
	require.Contains(t, said, "two sites have this application, with different options: give one of them another name")
	require.Equal(t, pid, s.get(0, "/").PID)
}

func TestStopEndsStreamsAndProcessesAndLosesNoRequest(t *testing.T) {
	s := one(t, app(""))
	pid := s.get(0, "/").PID
	conn := s.dialWebSocket()
	events, err := client(t).Do(s.request(http.MethodGet, 0, "/events", http.NoBody))
	require.NoError(t, err)
	defer events.Body.Close()

	// This one has begun, as 100 Continue says, and ends its body when Caddy takes no more
	// connections.
	body, end := io.Pipe()
	begun := make(chan struct{})
	upload := s.request(http.MethodPost, 0, "/", body)
	upload.Header.Set("Expect", "100-continue")
	upload = upload.WithContext(httptrace.WithClientTrace(t.Context(),
		&httptrace.ClientTrace{Got100Continue: func() { close(begun) }}))
	ended := make(chan error, 1)
	var got received
	go func() {
		var err error
		got, err = s.try(upload)
		ended <- err
	}()

	select {
	case <-begun:
	case err := <-ended:
		require.NoError(t, err)
	}

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[0])), time.Second)
		if err == nil {
			_ = c.Close()
		}

		return err != nil
	}, patience, 10*time.Millisecond)
	_, err = end.Write([]byte("ended"))
	require.NoError(t, err)
	require.NoError(t, end.Close())
	require.NoError(t, <-ended)
	require.Equal(t, len("ended"), got.Length)

	s.waitEnd()
	waitGone(t, pid)
	_, _, err = conn.Read(t.Context())
	require.Error(t, err)
}

func TestAdminAPIShowsAndRestartsApplications(t *testing.T) {
	s := one(t, app(""))
	pid := s.get(0, "/").PID

	status, said := s.admin(http.MethodGet, "/passenger/status", "", "")
	require.Equal(t, http.StatusOK, status)
	var snapshot struct {
		Groups []struct {
			Name      string
			Processes []struct{ PID int }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(said), &snapshot))
	require.Equal(t, "app", snapshot.Groups[0].Name)
	require.Equal(t, pid, snapshot.Groups[0].Processes[0].PID)
	_, said = s.admin(http.MethodGet, "/passenger/status?format=text", "", "")
	require.Contains(t, said, "app")

	status, said = s.admin(http.MethodPost, "/passenger/restart?app=app", "", "")
	require.Equal(t, http.StatusNoContent, status, said)
	require.NotEqual(t, pid, s.get(0, "/").PID)

	for path, expected := range map[string]int{
		"/passenger/restart?app=shop": http.StatusNotFound,
		"/passenger/restart":          http.StatusBadRequest,
		"/passenger/status":           http.StatusMethodNotAllowed,
	} {
		status, _ = s.admin(http.MethodPost, path, "", "")
		require.Equal(t, expected, status, path)
	}
}

func TestConfigurationAsJSON(t *testing.T) {
	s := one(t, app(""))
	pid := s.get(0, "/").PID
	config := s.global(own) + s.site(0, "header X-Form json\n"+
		app("max_request_time 30s\n memory_limit 1GiB\n sticky_sessions"))
	status, adapted := s.admin(http.MethodPost, "/adapt", "text/caddyfile", config)
	require.Equal(t, http.StatusOK, status, adapted)
	var result struct{ Result json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(adapted), &result))
	require.Contains(t, string(result.Result), `"handler":"passenger"`)

	status, said := s.admin(http.MethodPost, "/load", "application/json", string(result.Result))
	require.Equal(t, http.StatusOK, status, said)
	got := s.get(0, "/")
	require.Equal(t, "json", got.ResponseHeaders.Get("X-Form"))
	require.NotEmpty(t, got.ResponseHeaders["Set-Cookie"])
	require.Eventually(t, func() bool { return s.get(0, "/").PID != pid }, patience, 20*time.Millisecond,
		"a memory limit is read by a restart")
}

func TestOutputOfTheApplicationIsInCaddysLog(t *testing.T) {
	root := t.TempDir()
	s := one(t, "passenger "+root+" {\n command sh -c \"echo no database >&2; exit 1\"\n}")
	resp, err := client(t).Do(s.request(http.MethodGet, 0, "/", http.NoBody))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), "no database") }, patience,
		10*time.Millisecond)
	require.Contains(t, s.log.String(), `"logger":"passenger`)
}
