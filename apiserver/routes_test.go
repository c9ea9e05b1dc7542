package apiserver_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestStatuses(t *testing.T) {
	h := newHouse(t).tenants().onUnix()

	restart, detach := "/pool/restart_app_group.json", "/pool/detach_process.json"
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/", "", 404, "no such path"},
		{"GET", "//pool.txt", "", 404, ""},
		{"GET", "/pool.txt/", "", 404, ""},
		{"GET", "/ping", "", 404, ""},
		{"DELETE", "/server/.json/x", "", 404, ""},
		{"DELETE", "/server/a%2fb.json", "", 400, "no request of that id"},
		{"DELETE", "/server/9-9.json", "", 400, "no request of that id"},
		{"DELETE", "/server/" + strings.Repeat("9", 201) + ".json", "", 404, ""},
		{"DELETE", "/server/9%C3%A4.json", "", 404, ""},
		{"OPTIONS", "/pool.txt", "", 405, "GET, HEAD"},
		{"POST", "/pool.txt", "", 405, "GET, HEAD"},
		{"GET", "/gc.json", "", 405, "PUT"},
		{"GET", "/server/1-2.json", "", 405, "DELETE"},
		{"DELETE", "/config.json", "", 405, "GET, HEAD, PUT"},
		{"GET", "/pool.txt?verbose=maybe", "", 400, "verbose is neither"},
		{"GET", "/pool.txt?colorize=2", "", 400, "colorize is neither"},
		{"GET", "/pool/errors.txt?colorize=2", "", 400, "colorize is neither"},
		{"GET", "/pool/errors.txt", "", 200, "No process has failed to start."},
		{"GET", "/pool/errors.json", "", 200, "[]"},
		{"POST", "/pool/errors.json", "", 405, "GET, HEAD"},
		{"GET", "/pool.xml?secrets=x", "", 400, "secrets is neither"},
		{"GET", "/pool.json?secrets=x", "", 400, "secrets is neither"},
		{"GET", "/pool.json?form=x", "", 400, "form can only be snapshot"},
		{"GET", "/pool.txt?%zz&verbose=true", "", 200, "Password: password-1000"},
		{"POST", restart, "", 400, "needs a body"},
		{"POST", restart, " \n", 400, "needs a body"},
		{"POST", restart, "{", 422, "no valid JSON"},
		{"POST", restart, `{"name":"shop"}{}`, 422, "no valid JSON"},
		{"POST", restart, "name=shop", 422, "no valid JSON"},
		{"POST", restart, `"shop"`, 400, "the body cannot be a string"},
		{"POST", restart, "null", 400, "field name"},
		{"POST", restart, `{"restart_method":"rolling"}`, 400, "field name"},
		{"POST", restart, `{"name":7}`, 400, "name cannot be a number"},
		{"POST", restart, `{"name":"shop","restart_method":"gentle"}`, 400, "restart_method is neither"},
		{"POST", restart, `{"name":"shop","wait":"yes"}`, 400, "wait cannot be a string"},
		{"POST", restart, `{"name":"shop","restart_method":"rolling"}`, 200, `{"restarted":true}`},
		{"POST", restart, `{"name":"shop","restart_method":"blocking"}`, 200, `{"restarted":true}`},
		{"POST", restart, `{"name":"none"}`, 200, `{"restarted":false}`},
		{"POST", detach, `{}`, 400, "field pid"},
		{"POST", detach, `{"pid":-5}`, 400, "field pid"},
		{"POST", detach, `{"pid":1.5}`, 400, "pid cannot be a number 1.5"},
		{"POST", detach, `{"pid":"1000"}`, 400, "pid cannot be a string"},
		{"PUT", "/config.json", `{}`, 400, "names no setting"},
		{"PUT", "/config.json", `[]`, 400, "the body cannot be an array"},
		{"PUT", "/config.json", `7`, 400, "the body cannot be a number"},
		{"PUT", "/config.json", `"x"`, 400, "the body cannot be a string"},
		{"PUT", "/config.json", `{"speed":1}`, 400, "there is no such setting"},
		{"PUT", "/config.json", `{"log_level":4}`, 200, `{"status":"ok"}`},
		{"GET", "/config.json", "", 200, `{"log_level":3}`},
		{"GET", "/server.json", "", 200, `{"threads":1}`},
		{"GET", "/ping.json", "", 200, `{"status":"ok"}`},
		{"GET", "/livez", "", 200, "ok\n"},
		{"GET", "/readyz", "", 503, "not ready: the disk is full\n"},
		{"GET", "/backtraces.txt", "", 200, "TestStatuses"},
		{"GET", "/metrics", "", 200, `passenger_app_processes{app="shop",state="enabled"} 1`},
	} {
		t.Run(test.method+" "+test.path+" "+test.body, func(t *testing.T) {
			a := h.ask(test.method, test.path, test.body)
			require.Equal(t, test.status, a.Status, a.Body)
			require.Contains(t, a.Body, test.says)
			require.Equal(t, "no-cache, no-store, must-revalidate", a.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
			if test.status == 405 {
				require.Equal(t, test.says, a.Header.Get("Allow"))
			}

			if test.status >= 400 && test.status != 503 {
				var e struct{ Status, Message string }
				require.NoError(t, json.Unmarshal([]byte(a.Body), &e))
				require.Equal(t, "error", e.Status)
				require.NotEmpty(t, e.Message)
			}
		})
	}

	require.Equal(t, []string{"disconnect a/b", "disconnect 9-9", "log_level 4"}, h.noted())
}

// Faults: R-56.
func TestHeadersThatAreRefused(t *testing.T) {
	h := newHouse(t).onUnix()
	for _, test := range []struct {
		header http.Header
		status int
	}{
		{http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, 422},
		{http.Header{"Upgrade": {"h2c"}}, 422},
		{http.Header{"Origin": {"http://evil.example"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{http.Header{"Sec-Fetch-Site": {"none"}}, 200},
	} {
		a := h.call(request{
			Network: "unix",
			Address: h.socket,
			Method:  "POST",
			Path:    "/shutdown.json",
			Header:  test.header,
		})
		require.Equal(t, test.status, a.Status, test.header)
	}

	require.Empty(t, h.shut, "only the last one was heard")
}

func TestAmbiguousCredentials(t *testing.T) {
	h := newHouse(t)
	q := request{
		Network:  "tcp",
		Address:  h.onTCP(),
		Method:   "GET",
		Path:     "/ping.json",
		Name:     "admin",
		Password: fullPassword,
	}
	a := h.call(q)
	require.Equal(t, 200, a.Status)
	r, err := http.NewRequest(http.MethodGet, "http://x/", http.NoBody)
	require.NoError(t, err)
	r.SetBasicAuth(q.Name, q.Password)
	right := r.Header.Get("Authorization")

	q.Name = ""
	for _, header := range [][]string{
		{right, right},
		{right, "Basic x"},
		{"Bearer " + fullPassword},
		{"Basic"},
		{"Basic !!"},
		{strings.TrimPrefix(right, "Basic ")},
	} {
		q.Header = http.Header{"Authorization": header}
		requireUnauthorized(t, h.call(q), strings.Join(header, " and "))
	}
}

func TestFormsOfThePool(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	a := h.ask("GET", "/pool.xml?secrets=true", "")
	require.Equal(t, "text/xml; charset=utf-8", a.Header.Get("Content-Type"))
	var info struct {
		Version string `xml:"version,attr"`
		Groups  []struct {
			Name string `xml:"name"`
			UID  string `xml:"uid"`
			Key  string `xml:"api_key"`
		} `xml:"supergroups>supergroup>group"`
	}
	require.NoError(t, xml.Unmarshal([]byte(a.Body), &info))
	require.Equal(t, "3", info.Version)
	require.Len(t, info.Groups, 4)
	require.Equal(t, h.group("blog").APIKey, info.Groups[0].Key)

	a = h.ask("GET", "/pool.txt?colorize=true", "")
	require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(a.Body, "\x1b[44m"))

	a = h.ask("GET", "/pool.json", "")
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	var apps map[string]struct {
		Root []struct {
			Value  string
			Source struct{ Type string }
		} `json:"app_root"`
		Processes []struct{ PID int }
	}
	require.NoError(t, json.Unmarshal([]byte(a.Body), &apps))
	require.Len(t, apps, 3, "two have the same name")
	require.Equal(t, "/apps/blog", apps["blog"].Root[0].Value)
	require.Equal(t, "ephemeral", apps["blog"].Root[0].Source.Type)
	require.Equal(t, h.group("blog").Processes[0].PID, apps["blog"].Processes[0].PID)

	a = h.ask("GET", "/pool.json?form=snapshot", "")
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	var s passenger.Snapshot
	require.NoError(t, json.Unmarshal([]byte(a.Body), &s))
	require.Equal(t, passenger.SnapshotSchema, s.Schema)
	require.Len(t, s.Groups, 4)
}

func TestInfo(t *testing.T) {
	h := newHouse(t, func(c *apiserver.Config) { c.Program, c.Version = "", "" }).onUnix()
	for _, path := range []string{"/info.json", "/version.json"} {
		var info map[string]any
		require.NoError(t, json.Unmarshal([]byte(h.ask("GET", path, "").Body), &info))
		require.Equal(t, map[string]any{
			"pid": float64(os.Getpid()), "program_name": "gopassenger core", "program_version": passenger.Version,
			"api_version": "0.3", "api_version_major": 0., "api_version_minor": 3., "passenger_enterprise": false,
		}, info)
	}
}

func TestOrders(t *testing.T) {
	h := newHouse(t).onUnix()
	for _, q := range [][2]string{
		{"PUT", "/gc.json"},
		{"POST", "/shutdown.json"},
		{"POST", "/reopen_logs.json"},
		{"POST", "/reinherit_logs.json"},
		{"DELETE", "/server/1-2.json"},
	} {
		require.JSONEq(t, `{"status":"ok"}`, h.ask(q[0], q[1], "").Body)
	}

	require.Equal(t, []string{"gc", "logs", "logs", "disconnect 1-2"}, h.noted())
	require.Contains(t, h.log.String(), `"method"="POST" "path"="/shutdown.json" "caller"="uid `+
		strconv.Itoa(os.Geteuid())+`" "account"=""`)
	a := h.call(request{
		Network:  "tcp",
		Address:  h.onTCP(),
		Method:   "PUT",
		Path:     "/gc.json",
		Name:     "admin",
		Password: fullPassword,
	})
	require.Equal(t, http.StatusOK, a.Status)
	require.Contains(t, h.log.String(), `"path"="/gc.json" "caller"="127.0.0.1" "account"="admin"`)
	require.NotContains(t, h.log.String(), fullPassword)
}

// TestWithoutFunctions: what an embedder leaves out.
func TestWithoutFunctions(t *testing.T) {
	h := newHouse(t, func(c *apiserver.Config) { *c = apiserver.Config{Pool: c.Pool} }).onUnix()

	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/server.json", "", 200, `{"threads":0}`},
		{"GET", "/config.json", "", 200, `{}`},
		{"PUT", "/config.json", `{"log_level":4}`, 501, "cannot change its settings"},
		{"DELETE", "/server/1-2.json", "", 501, "cannot disconnect"},
		{"POST", "/shutdown.json", "", 501, "cannot be shut down"},
		{"POST", "/reopen_logs.json", "", 500, `"code":"NO_LOG_FILE"`},
		{"POST", "/reinherit_logs.json", "", 500, `"code":"NO_LOG_FILE"`},
		{"PUT", "/gc.json", "", 200, `{"status":"ok"}`},
		{"GET", "/readyz", "", 200, "ok\n"},
	} {
		a := h.ask(test.method, test.path, test.body)
		require.Equal(t, test.status, a.Status, test.path)
		require.Contains(t, a.Body, test.says)
	}
}

func TestFailuresOfFunctions(t *testing.T) {
	h := newHouse(t, func(c *apiserver.Config) {
		c.ReopenLogs = func() error { return errors.New("the disk is full") }
		c.Requests = func() any { return func() {} }
	}).tenants().onUnix()
	a := h.ask("POST", "/reopen_logs.json", "")
	require.Equal(t, 500, a.Status)
	require.JSONEq(t, `{"status":"error","code":"LOG_FILE_OPEN_ERROR","message":"the disk is full"}`, a.Body)
	a = h.ask("POST", "/reinherit_logs.json", "")
	require.Equal(t, 500, a.Status)
	require.Contains(t, a.Body, "INHERIT_ERROR")
	require.Equal(t, 500, h.ask("GET", "/server.json", "").Status)
	require.Contains(t, h.log.String(), "/server.json")

	next := h.factory.Spawns() + 1
	h.factory.Change(func(s *spawnertest.Script) { s.Failures = map[int]error{next: errors.New("it is broken")} })
	a = h.ask("POST", "/pool/restart_app_group.json", `{"name":"shop","wait":true}`)
	require.Equal(t, 500, a.Status)
	require.Contains(t, a.Body, "the old processes keep serving: ")
	require.Contains(t, a.Body, "it is broken")

	held := h.factory.Hold("shop")
	interrupted := make(chan string, 1)
	go func() {
		interrupted <- h.ask("POST", "/pool/restart_app_group.json", `{"name":"shop","wait":true}`).Body
	}()
	require.NoError(t, held.Wait(t.Context(), 1))
	require.NoError(t, h.pool.Close())
	require.Contains(t, <-interrupted, `"code":"RESTART_INTERRUPTED"`)

	for path, body := range map[string]string{
		"restart_app_group": `{"name":"shop"}`,
		"detach_process":    `{"pid":1000}`,
	} {
		a = h.ask("POST", "/pool/"+path+".json", body)
		require.Equal(t, 503, a.Status)
		require.Contains(t, a.Body, "the pool is closed")
	}
}

func newWatchdog(t *testing.T, config apiserver.WatchdogConfig) *apiserver.Server {
	t.Helper()
	s, err := apiserver.NewWatchdog(config)
	require.NoError(t, err)

	return s
}

func TestWatchdog(t *testing.T) {
	h := newHouse(t)
	var logs atomic.Int32
	config := apiserver.WatchdogConfig{
		Accounts:   accounts(),
		Logger:     h.log.Logger(),
		Version:    "7",
		Shutdown:   func() { h.shut <- struct{}{} },
		ReopenLogs: func() error { logs.Add(1); return nil },
	}
	h.server = newWatchdog(t, config)
	h.onUnix()

	tcp := h.onTCP()
	for _, test := range []struct {
		method, path string
		admin        bool
		status       int
		says         string
	}{
		{"GET", "/status.txt", false, 200, "gopassenger watchdog 7, pid "},
		{"GET", "/ping.json", false, 200, "ok"},
		{"GET", "/info.json", false, 200, `"program_name":"gopassenger watchdog","program_version":"7"`},
		{"GET", "/version.json", false, 200, `"api_version":"0.3"`},
		{"GET", "/backtraces.txt", false, 200, "goroutine"},
		{"GET", "/config.json", false, 200, "{}"},
		{"PUT", "/config.json", true, 501, "cannot change"},
		{"POST", "/reopen_logs.json", true, 200, "ok"},
		{"POST", "/reload.json", true, 501, "cannot read"},
		{"POST", "/shutdown.json", true, 200, "ok"},
	} {
		a := h.ask(test.method, test.path, "")
		require.Equal(t, test.status, a.Status, test.path)
		require.Contains(t, a.Body, test.says)
		q := request{
			Network: "tcp",
			Address: tcp,
			Method:  test.method,
			Path:    test.path,
		}
		requireUnauthorized(t, h.call(q), test.path)
		q.Name, q.Password = "ro_admin", readOnlyPassword
		if test.admin {
			requireUnauthorized(t, h.call(q), test.path)
			q.Name, q.Password = "admin", fullPassword
		}

		require.Equal(t, test.status, h.call(q).Status, test.path)
	}

	require.EqualValues(t, 2, logs.Load())

	for _, path := range []string{"/pool.txt", "/server.json", "/gc.json", "/metrics", "/reinherit_logs.json"} {
		require.Equal(t, 404, h.ask("GET", path, "").Status, path)
	}

	if os.Geteuid() == 0 {
		requireUnauthorized(t, becomes(t, alice).call(request{
			Network: "unix",
			Address: h.socket,
			Method:  "GET",
			Path:    "/status.txt",
		}), "alice")
	}

	var refusal error
	config.Reload = func(context.Context) error { return refusal }
	config.Status = func() string { return "all is well\n" }
	h.server = newWatchdog(t, config)
	h.onUnix()
	require.Equal(t, "all is well\n", h.ask("GET", "/status.txt", "").Body)
	require.Equal(t, 200, h.ask("POST", "/reload.json", "").Status)
	refusal = errors.New("port is wrong")
	a := h.ask("POST", "/reload.json", "")
	require.Equal(t, 400, a.Status)
	require.Contains(t, a.Body, "port is wrong")
}

func TestHealth(t *testing.T) {
	failure := errors.New("the disk at /srv is full")
	for _, test := range []struct {
		ready  func() error
		path   string
		status int
		body   string
	}{
		{nil, "/livez", 200, "ok\n"},
		{nil, "/readyz", 200, "ok\n"},
		{func() error { return nil }, "/readyz", 200, "ok\n"},
		{func() error { return failure }, "/readyz", 503, "not ready\n"},
		{func() error { return failure }, "/livez", 200, "ok\n"},
		{func() error { return &apiserver.NotReadyError{Reason: "it ends"} }, "/readyz", 503, `{"reason":"it ends"}` +
			"\n"},
		{func() error {
			return &apiserver.NotReadyError{Reason: "applications do not serve", Applications: []apiserver.UnreadyApp{
				{Name: "a", Root: "/a", Reason: "it exited", ErrorID: "0123abcd"},
			}}
		}, "/readyz", 503, `{"reason":"applications do not serve","applications":[` +
			`{"name":"a","root":"/a","reason":"it exited","error_id":"0123abcd"}]}` + "\n"},
	} {
		a := responseOf(t, apiserver.Health(test.ready), "GET", test.path)
		require.Equal(t, test.status, a.Status)
		require.Equal(t, test.body, a.Body)
		require.Equal(t, "no-cache, no-store, must-revalidate", a.Header.Get("Cache-Control"))
	}

	require.Equal(t, 405, responseOf(t, apiserver.Health(nil), "POST", "/livez").Status)
	require.Equal(t, 404, responseOf(t, apiserver.Health(nil), "GET", "/metrics").Status)
}
