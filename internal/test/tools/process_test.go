package tools_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

func TestDetachProcess(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	pid := strconv.Itoa(s.get(t))
	r := s.run(t, "passenger-config", "detach-process", pid)
	require.Zero(t, r.status, r.stderr)
	require.Equal(t, "Process "+pid+" detached.\n", r.stdout)
	require.NotEqual(t, pid, strconv.Itoa(s.get(t)))

	for _, test := range []struct {
		args           []string
		stdout, stderr string
		status         int
	}{
		{[]string{"1"}, "", "Could not detach process 1.\n", 1},
		{[]string{"1", "--ignore-nonexistent-pid"}, "Could not detach process 1.\n", "", 0},
		{[]string{"1", "--ignore-nonexistant-pid"}, "Could not detach process 1.\n", "", 0},
		{[]string{"1", "--json"}, "{\n  \"detached\": false,\n  \"pid\": 1\n}\n", "", 1},
		{[]string{"x"}, "", "ERROR: \"x\" is not the PID of a process.\n", 1},
		{nil, "", "Please pass a PID. See 'passenger-config detach-process --help' for more information.\n", 1},
	} {
		r := s.run(t, "passenger-config", append([]string{"detach-process"}, test.args...)...)
		require.Equal(t, test.status, r.status, test.args)
		require.Equal(t, test.stdout, r.stdout)
		require.Equal(t, test.stderr, r.stderr)
	}
}

func TestDetachProcessIsTenantsOwn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))

	pids := map[string]string{}
	for _, g := range h.pool.Inspect().Groups {
		pids[g.Name] = strconv.Itoa(g.Processes[0].PID)
	}

	r := h.runAs(t, alice, "passenger-config", "detach-process", pids["blog"])
	require.Equal(t, 1, r.status)
	require.Equal(t, "Could not detach process "+pids["blog"]+".\n", r.stderr)
	require.Zero(t, h.runAs(t, alice, "passenger-config", "detach-process", pids["shop"]).status)
	r = h.runAs(t, carol, "passenger-config", "detach-process", pids["blog"])
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "You are not authorized")
}

func TestListInstances(t *testing.T) {
	t.Parallel()

	b := newBox(t)
	for _, program := range []string{"passenger", "passenger-config"} {
		r := b.run(t, program, "list-instances")
		require.Equal(t, result{"There are no Passenger instances running.\n", "", 0}, r)
		require.Equal(t, result{"", "", 0}, b.run(t, program, "list-instances", "-q"))
		require.Equal(t, result{"[]\n", "", 0}, b.run(t, program, "list-instances", "--json"))
	}

	h := b.open(t)
	want := fmt.Sprintf("%-25s  %-7s  %s\n%s\n%-25s  %-7d  %s\n", "Name", "PID", "Description", strings.Repeat("-", 74),
		h.dir.Name(), os.Getpid(), "test/1")
	require.Equal(t, result{want, "", 0}, b.run(t, "passenger-config", "list-instances"))
	var listed []instancedir.Properties
	require.NoError(t, json.Unmarshal([]byte(b.run(t, "passenger-config", "list-instances", "--json").stdout), &listed))
	require.Len(t, listed, 1)
	require.Equal(t, h.dir.Name(), listed[0].Name)
	require.Equal(t, h.dir.Path(), listed[0].InstanceDir.Path)
	require.Equal(t, 1, b.run(t, "passenger-config", "list-instances", "x").status)
}

func TestReopenLogs(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	r := s.run(t, "passenger-config", "reopen-logs", "--ignore-logs-not-available")
	require.Zero(t, r.status, r.stderr)
	require.Equal(t, "Reopening logs for Passenger watchdog\nReopening logs for Passenger core\nAll done\n", r.stdout)
	needRoot(t)
	r = s.runAs(t, alice, "passenger-config", "reopen-logs")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "You are not authorized")
}

// The log says why a core hangs, or starts again and again, and must not be asked of that core.
func TestLogsOfCoreThatDoesNotRespond(t *testing.T) {
	t.Parallel()

	log := filepath.Join(t.TempDir(), "log")
	s := newBox(t).start(t, "--log-file", log)
	core := s.instance(t).Properties.CorePID
	name, socket := s.instance(t).Name, s.instance(t).Socket(instancedir.CoreAPI)
	freeze(t, core)

	wait := launch(t, s.command(t.Context(), "passenger", "logs"))
	eventually(t, func() error { return connected(socket) })
	// As the watchdog does it. How long a core may hang is a matter of a test of its own.
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	r := wait()

	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Zero(t, r.status, r.stderr)
	require.NotEmpty(t, r.stdout)
	require.True(t, strings.HasPrefix(string(content), r.stdout), "%s\n%s", content, r.stdout)
	require.Contains(t, r.stderr, "*** WARNING: the instance "+name+" does not say which applications")
}

// A tool that may not talk to an instance says so, and does not say that it has ended.
func TestToolsWithoutPermission(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newBox(t).start(t)
	require.NoError(t, os.Chmod(filepath.Dir(s.instance(t).Socket("core_api")), 0o700))

	for _, args := range [][]string{
		{"passenger-status"},
		{"passenger-status", "--show=xml"},
		{"passenger-config", "restart-app", s.dir},
		{"passenger-config", "reopen-logs"},
		{"passenger-config", "detach-process", "1"},
		{"passenger-config", "api-call", http.MethodGet, "/ping.json"},
	} {
		r := s.runAs(t, alice, args[0], args[1:]...)
		require.NotZero(t, r.status, args)
		said := r.stdout + r.stderr
		require.Contains(t, said, "you have no permission", args)
		require.Contains(t, said, "It belongs to the user root, who may", args)
		require.Contains(t, said, "sudo", args)
		require.NotContains(t, said, "has ended", args)
	}
}

func TestAPICall(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	order := filepath.Join(s.dir, "order")
	require.NoError(t, os.WriteFile(order, []byte(`{"pid": 1}`), 0o600))

	const ok, detached = "{\"status\":\"ok\"}\n", "{\"detached\":false}\n"
	for _, test := range []struct {
		args   []string
		stdout string
		status int
	}{
		{[]string{http.MethodGet, "/ping.json"}, ok, 0},
		{[]string{"get", "/ping.json"}, ok, 0},
		{[]string{http.MethodGet, "/ping.json", "-a", "watchdog_api"}, ok, 0},
		{[]string{http.MethodGet, "/ping.json", "-S", s.instance(t).Socket(instancedir.CoreAPI)}, ok, 0},
		{[]string{http.MethodPost, "/pool/detach_process.json", "-d", `{"pid": 1}`}, detached, 0},
		{[]string{http.MethodPost, "/pool/detach_process.json", "-f", order}, detached, 0},
		{[]string{http.MethodGet, "/none"}, "{\"status\":\"error\",\"message\":\"there is no such path\"}\n", 1},
		{
			[]string{http.MethodGet, "/none", "--ignore-response-code"},
			"{\"status\":\"error\",\"message\":\"there is no such path\"}\n", 0,
		},
	} {
		r := s.run(t, "passenger-config", append([]string{"api-call"}, test.args...)...)
		require.Equal(t, result{test.stdout, "", test.status}, r, test.args)
	}

	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{http.MethodGet}, "Please pass a method and a path."},
		{[]string{http.MethodGet, "ping"}, "does not begin with a slash"},
		{[]string{http.MethodGet, "/ping.json", "-a", "../x"}, "there is no agent"},
		{[]string{http.MethodGet, "/ping.json", "-S", order}, "does not respond"},
		{[]string{http.MethodGet, "/ping.json", "-f", order + "2"}, "no such file"},
		{[]string{http.MethodGet, "/ping.json", "-d", "x", "-i"}, "none of the others can be"},
	} {
		r := s.run(t, "passenger-config", append([]string{"api-call"}, test.args...)...)
		require.Equal(t, 1, r.status, test.args)
		require.Contains(t, r.stderr, test.want)
	}

	cmd := s.command(t.Context(), "passenger-config", "api-call", "POST", "/pool/detach_process.json", "--stdin",
		"--show-headers")
	cmd.Stdin = strings.NewReader(`{"pid": 1}`)
	r := finish(t, cmd)
	require.True(t, strings.HasPrefix(r.stdout, "HTTP/1.1 200 OK\n"), r.stdout)
	require.Contains(t, r.stdout, "\ncontent-type: application/json\n")
	require.True(t, strings.HasSuffix(r.stdout, "\n\n"+detached), r.stdout)
	needRoot(t)
	r = s.runAs(t, alice, "passenger-config", "api-call", "GET", "/server.json")
	require.Equal(t, result{"Unauthorized\n", "", 1}, r)
}

// A signal ends a tool that waits, with the status that shells expect.
func TestToolsEndBySignal(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	dir := b.create(t)

	l := listen(t, dir.Socket(instancedir.CoreAPI))
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := b.command(t.Context(), "passenger-status")
		wait := launch(t, cmd)
		conn, err := l.Accept() // it waits for a response now
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(sig))
		r := wait()
		require.NoError(t, conn.Close())
		require.Equal(t, result{"", "", 128 + int(sig)}, r)
	}

	require.NoError(t, l.Close())
}
