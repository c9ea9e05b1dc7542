package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/incident"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// hanging are applications whose requests for /hang do not end. HERE is the line that hangs, and where the backtrace
// names it by its file and number.
var hanging = []struct {
	name, file, source string
	// where has a %d for the line.
	where string
	args  func(t testing.TB) []string
}{
	{
		"ruby that sleeps", "config.ru",
		`def wait
  sleep # HERE
end

run lambda { |env|
  wait if env["PATH_INFO"] == "/hang"
  [200, {}, ["ok"]]
}
`, `config.ru:%d:in .*wait`, rackArgs,
	},
	{
		"ruby in a loop", "config.ru",
		`run lambda { |env|
  if env["PATH_INFO"] == "/hang"
    i = 0
    while true do i += 1 end # HERE
  end
  [200, {}, ["ok"]]
}
`, `config.ru:%d:in`, func(t testing.TB) []string { return append(rackArgs(t), "--spawn-method", "direct") },
	},
	{
		"wsgi that sleeps", "passenger_wsgi.py",
		`import sys
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        print("It hangs.", file=sys.stderr, flush=True)
        time.sleep(1000)  # HERE
    start_response("200 OK", [])
    return [b"ok"]
`, `passenger_wsgi.py", line %d in application`, nil,
	},
	{
		"wsgi in a loop, threads", "passenger_wsgi.py",
		`def application(environ, start_response):
    while environ["PATH_INFO"] == "/hang": pass  # HERE
    start_response("200 OK", [])
    return [b"ok"]
`, `passenger_wsgi.py", line %d in application`,
		func(testing.TB) []string { return []string{"--thread-count", "2", "--spawn-method", "smart"} },
	},
	{
		// No other thread of Python has its turn meanwhile.
		"wsgi in a function of C", "passenger_wsgi.py",
		`import re


def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        re.match("(a+)+$", "a" * 1000 + "b")  # HERE
    start_response("200 OK", [])
    return [b"ok"]
`, `passenger_wsgi.py", line %d in application`, nil,
	},
	{
		"asgi that awaits", "passenger_asgi.py",
		`import asyncio


async def wait():
    await asyncio.sleep(1000)  # HERE


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/hang":
        await wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`, `passenger_asgi.py", line %d in wait`, func(t testing.TB) []string { return pythonArgs(t, "uvicorn") },
	},
	{
		"node in a loop", "app.js",
		`function spin() {
  while (true) {} // HERE
}
require('http').createServer((request, response) => {
  if (request.url === '/hang') spin();
  response.end('ok');
}).listen();
`, `at spin \(.*app.js:%d:`, func(t testing.TB) []string { interpreters.Find(t, "node", "node"); return nil },
	},
	{
		"php-fpm", "index.php",
		`<?php
function wait() {
    sleep(1000); // HERE
}
if ($_SERVER["REQUEST_URI"] == "/hang") wait();
echo "ok";
`, `sleep\(\) .*index.php:%d`, func(t testing.TB) []string { return []string{"--php-server", findFPM(t)} },
	},
}

func rackArgs(t testing.TB) []string {
	t.Helper()
	if !succeeds(t, "ruby", "-e", `require "rack"`) {
		interpreters.Missing(t, "ruby", "no Ruby that has rack")
	}

	return nil
}

func findFPM(t testing.TB) string {
	t.Helper()

	found, err := filepath.Glob("/usr/sbin/php-fpm*")
	require.NoError(t, err)
	if len(found) == 0 {
		interpreters.Missing(t, "php", "no php-fpm")
	}

	return slices.Max(found)
}

// numberOf returns the number of the first line with a text.
func numberOf(t testing.TB, source, text string) int {
	t.Helper()
	before, _, ok := strings.Cut(source, text)
	require.True(t, ok)

	return strings.Count(before, "\n") + 1
}

var incidentKeys = regexp.MustCompile(`incident=(\S+) incidentFile=(\S+)`)

// incident waits for a line of the log that names an incident, and returns that.
func (s *server) incident(t testing.TB, line string) *incident.Record {
	t.Helper()
	s.Stderr.Await(t, line, 1, s.Ended)
	s.Stderr.Await(t, "incidentFile=", 1, s.Ended)

	for logged := range strings.Lines(s.Stderr.String()) {
		keys := incidentKeys.FindStringSubmatch(logged)
		if keys == nil || !strings.Contains(logged, line) {
			continue
		}

		info, err := os.Stat(keys[2])
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		require.LessOrEqual(t, info.Size(), int64(incident.MaxSize))

		content, err := os.ReadFile(keys[2])
		require.NoError(t, err)
		r, err := incident.Decode(content)
		require.NoError(t, err)
		require.Equal(t, keys[1], r.ID)

		return r
	}

	require.FailNow(t, "no line of the log has the incident", s.Stderr.String())

	return nil
}

func TestIncidentNamesTheLineThatHangs(t *testing.T) {
	t.Parallel()

	for _, app := range hanging {
		t.Run(app.name, func(t *testing.T) {
			t.Parallel()

			args := []string{"--max-request-time", "1"}
			if app.args != nil {
				args = append(args, app.args(t)...)
			}

			s := start(t, &launch{dir: newDir(t, map[string]string{app.file: app.source}), args: args})
			c := s.client(t)
			require.Equal(t, "ok", c.get(t, "/").body)
			require.Equal(t, http.StatusGatewayTimeout, c.get(t, "/hang").StatusCode)

			r := s.incident(t, "killing a process whose request exceeded its time limit")
			where := regexp.MustCompile(fmt.Sprintf(app.where, numberOf(t, app.source, "HERE")))
			require.Len(t, r.Processes, 1)
			require.Regexp(t, where, strings.Join(r.Processes[0].Backtraces, "\n"), r.Processes[0].NoBacktraces)
			require.Equal(t, "/hang", r.Request.Path)
			require.GreaterOrEqual(t, r.Request.Age, 0.9)
			require.NotEmpty(t, r.Processes[0].Tree)
			require.Equal(t, "ok", c.get(t, "/").body, "another process serves")
		})
	}
}

// The process works on after its client has left, which is all the more reason to tell what on.
func TestIncidentNamesTheRequestOfAClientThatHasLeft(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]struct{ args, line, cause string }{
		"too slow": {"--max-request-time=2", "killing a process whose request exceeded its time limit", "request_time"},
		"crashes":  {"--max-request-time=60", "a process ended by itself", "exit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wsgi := hanging[2]
			require.Equal(t, "wsgi that sleeps", wsgi.name)
			s := start(t, &launch{
				dir:  newDir(t, map[string]string{wsgi.file: wsgi.source}),
				args: []string{end.args, "--max-pool-size", "1"},
			})

			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			_, err = io.WriteString(conn, "GET /hang?password=secret HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			s.Stderr.Await(t, "It hangs.", 1, s.Ended)
			pid := s.apps(t)[0]
			require.NoError(t, conn.Close())
			eventually(t, func() error {
				shown := s.tool(t, "status", "--show=requests", "--json")
				if !strings.Contains(shown, `"clientGone": true`) {
					return fmt.Errorf("the server has not seen it yet: %s", shown)
				}

				return nil
			})

			if name == "crashes" {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			}

			r := s.incident(t, end.line)
			require.Equal(t, end.cause, string(r.Cause))
			require.NotNil(t, r.Request)
			require.Equal(t, "GET", r.Request.Method)
			require.Equal(t, "/hang", r.Request.Path)
			require.Equal(t, pid, r.Request.PID)
			require.NotEmpty(t, r.Request.ID)
			require.True(t, r.Request.ClientGone)
			require.Empty(t, r.Others)
		})
	}
}

func TestIncidentOfAProgramOfGoNamesTheLineThatHangs(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--max-request-time", "1")})
	require.Equal(t, http.StatusGatewayTimeout, s.client(t).get(t, "/hold?password=secret").StatusCode)

	r := s.incident(t, "killing a process whose request exceeded its time limit")
	source, err := os.ReadFile("app_test.go")
	require.NoError(t, err)
	line := numberOf(t, string(source), "<-release\n")
	require.Contains(t, strings.Join(r.Processes[0].Backtraces, "\n"), "app_test.go:"+strconv.Itoa(line))
	require.Equal(t, "/hold", r.Request.Path, "queries may have secrets")
	require.Contains(t, strings.Join(r.Processes[0].Output, "\n"), heldText(1))
}

// crashing dies of what is asked for.
const crashing = `import os
import signal
import sys


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)  # HERE


def leak():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))  # LEAK
        os.sched_yield()


def application(environ, start_response):
    sys.stderr.write("asked for %s with %s\n" % (environ["PATH_INFO"], os.environ["SHOP_TOKEN"]))
    sys.stderr.flush()
    {"/crash": crash, "/leak": leak}.get(environ["PATH_INFO"], int)()
    start_response("200 OK", [])
    return [b"ok"]
`

func TestIncidentOfACrash(t *testing.T) {
	t.Parallel()
	dir := newDir(t, map[string]string{"passenger_wsgi.py": crashing})
	s := start(t, &launch{dir: dir, args: []string{"--envvar", "SHOP_TOKEN=battery-staple"}})
	require.Equal(t, http.StatusBadGateway, s.client(t).get(t, "/crash").StatusCode)

	r := s.incident(t, "a process ended by itself")
	require.Equal(t, "signal: segmentation fault", r.Processes[0].ExitStatus)
	backtraces := strings.Join(r.Processes[0].Backtraces, "\n")
	require.Contains(t, backtraces, fmt.Sprintf(`passenger_wsgi.py", line %d in crash`, numberOf(t, crashing, "HERE")))
	require.Equal(t, []string{"asked for /crash with (hidden)"}, r.Processes[0].Output)
	require.Equal(t, "/crash", r.Request.Path)

	// The list, and one of them, by the commands.
	list := incident.List{}
	require.NoError(t, json.Unmarshal([]byte(s.tool(t, "incidents", "--json")), &list))
	require.Len(t, list.Incidents, 1)
	require.Equal(t, r.ID, list.Incidents[0].ID)
	require.Contains(t, s.tool(t, "incidents"), "ended by itself: signal: segmentation fault")
	require.Contains(t, s.tool(t, "incidents", r.ID), "in crash")

	require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	require.Contains(t, s.tool(t, "incidents"), r.ID, "another core has them, too")
}

func TestIncidentOfAProcessThatLeaksMemory(t *testing.T) {
	t.Parallel()
	dir := newDir(t, map[string]string{"passenger_wsgi.py": crashing})
	s := start(t, &launch{dir: dir, args: []string{"--envvar", "SHOP_TOKEN=x", "--hard-memory-limit", "100"}})
	require.Equal(t, http.StatusBadGateway, s.client(t).get(t, "/leak").StatusCode)

	r := s.incident(t, "killing a process that uses too much memory")
	require.Contains(t, strings.Join(r.Processes[0].Backtraces, "\n"), "in leak")
	used, _ := r.Processes[0].Memory.Get()
	require.Greater(t, used, int64(100<<20))
	require.Equal(t, "/leak", r.Request.Path)
}

func TestRequestThatWaitsTooLongTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	app := hanging[2]
	s := start(t, &launch{
		dir:  newDir(t, map[string]string{app.file: app.source}),
		args: []string{"--max-pool-size", "1", "--max-request-queue-time", "5"}, // more than a start takes
	})
	c := s.client(t)
	require.Equal(t, "ok", c.get(t, "/").body)

	hangs := c.background(t, "/hang")
	s.Stderr.Await(t, "It hangs.", 1, s.Ended)
	require.Equal(t, http.StatusGatewayTimeout, c.get(t, "/waits").StatusCode)
	r := s.incident(t, "recorded an incident")
	require.Equal(t, passenger.IncidentQueueTime, r.Cause)
	require.Equal(t, "/waits", r.Request.Path)
	require.Equal(t, "/hang", r.Others[0].Path)
	require.Contains(t, strings.Join(r.Processes[0].Backtraces, "\n"), "in application")

	require.NoError(t, syscall.Kill(r.Processes[0].PID, syscall.SIGKILL))
	require.Equal(t, http.StatusBadGateway, (<-hangs).StatusCode)
}

func TestNoIncidentsAreKeptIfNoneAreWanted(t *testing.T) {
	t.Parallel()
	args := append(testApp(t), "--max-request-time", "1", "--incidents=false")
	s := start(t, &launch{dir: t.TempDir(), args: args})
	require.Equal(t, http.StatusGatewayTimeout, s.client(t).get(t, "/hold").StatusCode)
	s.Stderr.Await(t, "killing a process whose request exceeded its time limit", 1, s.Ended)
	require.NotContains(t, s.Stderr.String(), "incident")
}
