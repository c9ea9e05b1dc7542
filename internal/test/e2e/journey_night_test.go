package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// nightApp leaks memory in a process of its own, hangs, and has lost its database.
const nightApp = `
const { spawn } = require('child_process')
const leak = "globalThis.leaked = Buffer.alloc(400 << 20, 1); console.log('leaked'); setInterval(() => {}, 1e6)"
require('http').createServer((req, res) => {
	switch (req.url) {
	case '/leak':
		spawn(process.execPath, ['-e', leak])
			.stdout.once('data', () => res.end(String(process.pid)))
		return
	case '/hang':
		console.error('waiting for the payment service')
		return
	case '/orders':
		console.error('Error: connect ECONNREFUSED 127.0.0.1:5432')
		res.statusCode = 500
		res.end('the database is gone')
		return
	}
	res.end(String(process.pid))
}).listen(3000)
`

// Journey 4, three in the morning: a process leaks, a request hangs, the database is
// gone. Status, figures and log say which process and which request, since when, and
// what was done about it; healthy requests do not suffer.
func TestJourneyThreeInTheMorning(t *testing.T) {
	t.Parallel()
	node := interpreters.Find(t, "node", "node", "nodejs")
	address := "127.0.0.1:" + freePort(t)
	logFile := filepath.Join(t.TempDir(), "server.log")
	s := start(t, &launch{dir: newDir(t, map[string]string{"app.js": nightApp}), args: []string{
		"--nodejs", node, "--environment", prodEnv, "--min-instances", "2", "--max-pool-size", "2",
		"--memory-limit", "300", "--max-request-time", "8", "--metrics-address", address, "--dashboard",
		"--log-file", logFile,
	}})
	s.processed(t)
	_, unfollow := s.follow(t, &s.Stderr, "-n", "all") // what the log says is read as an operator does it
	c := s.client(t)
	watching := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	figures := func() string { return watching.get(t, "/metrics").body }
	before := s.processed(t)
	healthy := s.load(t, 2, func(ctx context.Context, c *client) error {
		defer think(ctx)
		return askOnce(ctx, c)
	})

	// The database.
	require.Equal(t, http.StatusInternalServerError, c.get(t, "/orders").StatusCode)
	s.Stderr.Await(t, "ECONNREFUSED 127.0.0.1:5432", 1, s.Ended)
	require.Regexp(t, `passenger_app_requests_total\{[^}]*\} [1-9]`, figures())
	require.Regexp(t, `passenger_app_responses_total\{[^}]*class="5xx"\} 1\n`, figures())

	// The leak is in a child of the process that counts as a whole.
	leaking, err := strconv.Atoi(c.get(t, "/leak").body)
	require.NoError(t, err)
	s.Stderr.Await(t, "replacing a process that uses too much memory", 1, s.Ended)
	require.Regexp(t, `replacing a process that uses too much memory.* pid=`+strconv.Itoa(leaking)+
		` bytes=\d+ limit=\d+`, s.Stderr.String())
	eventuallyWithin(t, deadline, func() error {
		if _, there := s.processed(t)[leaking]; there {
			return errors.New("the process that leaks is there")
		}

		return nil
	})
	require.Contains(t, before, leaking)

	leak := s.incident(t, "replacing a process that uses too much memory")
	require.Equal(t, leaking, leak.PID)
	require.Len(t, leak.Processes, 1)
	require.Len(t, leak.Processes[0].Tree, 2, "the child that has the memory is shown")
	require.Greater(t, leak.Processes[0].Tree[1].RSS.Or(0), int64(300<<20))
	require.Regexp(t, `passenger_app_limits_total\{[^}]*kind="memory"\} 1\n`, figures())

	// What hangs is shown while it does, and then what was done about it.
	asked := time.Now()
	hung := c.background(t, "/hang")
	var shown struct {
		Requests []struct {
			ID, Path, State string
			PID             int
			StartedAt       time.Time
		}
	}
	eventually(t, func() error {
		text := s.tool(t, "status", "--show=requests", "--no-header")
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			return err
		}

		for _, r := range shown.Requests {
			if r.Path == "/hang" && r.PID != 0 {
				require.WithinRange(t, r.StartedAt, asked.Add(-time.Second), time.Now())
				shown.Requests = shown.Requests[:0]
				shown.Requests = append(shown.Requests, r)

				return nil
			}
		}

		return fmt.Errorf("the request is not shown: %s", text)
	})
	hanging := shown.Requests[0]
	require.Regexp(t, fmt.Sprintf(`\* PID: %d +Sessions: [1-9]`, hanging.PID), s.tool(t, "status"))
	require.Regexp(t, `passenger_app_requests_active\{[^}]*\} [1-9]`, figures())

	a := <-hung
	require.NoError(t, a.err)
	require.GreaterOrEqual(t, a.StatusCode, 500)
	killed := "killing a process whose request exceeded its time limit"
	s.Stderr.Await(t, killed, 1, s.Ended)
	line := lineOf(s.Stderr.String(), killed)
	require.Contains(t, line, fmt.Sprintf("pid=%d ", hanging.PID))
	require.Contains(t, line, " path=/hang ")
	s.Stderr.Await(t, "requestId="+hanging.ID, 1, s.Ended)
	require.Contains(t, s.Stderr.String(), "waiting for the payment service", "what it was doing")

	// The kill hides nothing: who looks later finds it by the log, the command, the page and the figures.
	end := s.incident(t, killed)
	require.Equal(t, hanging.ID, end.Request.ID)
	require.Equal(t, "GET /hang", end.Request.Method+" "+end.Request.Path)
	require.GreaterOrEqual(t, end.Request.Age, 7.0)
	require.Contains(t, strings.Join(end.Processes[0].Output, "\n"), "waiting for the payment service")
	require.NotEmpty(t, end.Processes[0].Backtraces, end.Processes[0].NoBacktraces)
	require.Contains(t, s.tool(t, "incidents"), end.ID)
	require.Contains(t, s.tool(t, "incidents", end.ID), "/hang")

	page := watching.get(t, "/dashboard")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, watching.get(t, "/dashboard/incident?id="+end.ID).body, hanging.ID)
	require.Regexp(t, `passenger_app_limits_total\{[^}]*kind="request_time"\} 1\n`, figures())
	require.Contains(t, s.tool(t, "explain", "/"), "a request that came now would ")
	s.processed(t)

	healthy.Progress(t, 50)
	healthy.Stop()

	// Those that the killed process had at that moment end with it, one of each client at most.
	require.LessOrEqual(t, healthy.Lost.Load(), int64(2), "%v", healthy.FirstLoss())
	unfollow()
	s.stop(t)
}

func lineOf(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}

	return ""
}
