package tools_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/instancedir"
)

const date = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}`

// layout is what the original prints, line by line.
func layout(s *server, name string) []string {
	const process = `  \* PID: ([\d ]{5}|\d{6,})   Sessions: [\d ]{2}      ` +
		`Processed: [\d ]{5}   Uptime: (\d+[dhm] )*\d+s`

	return []string{
		`Version : ` + regexp.QuoteMeta(passenger.Version),
		`Date    : ` + date,
		`Instance: ` + name + ` \(gopassenger/[0-9.]+\)`,
		``,
		`----------- General information -----------`,
		`Max pool size : 6`,
		`App groups    : 1`,
		`Processes     : 1`,
		`Requests in top-level queue : 0`,
		``,
		`----------- Application groups -----------`,
		regexp.QuoteMeta(s.name) + `:`,
		`  App root: ` + regexp.QuoteMeta(s.dir),
		`  Requests in queue: 0`,
		process,
		`    CPU: (\d+%|n/a) +Memory  : (\d+M|n/a) +   Last used: (\d+[dhm] )*\d+s ago`,
		``,
		``,
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)

	name := s.instance(t).Name
	for _, command := range [][]string{
		{"passenger-status"},
		{"passenger-status", name},
		{"passenger-status", name[:4]},
		{"passenger-status", "--instance", name},
		{"passenger", "status"},
		{"passenger-status", "--pid-identifier", strconv.Itoa(s.Cmd.Process.Pid)},
	} {
		r := s.run(t, command[0], command[1:]...)
		require.Zero(t, r.status, r.stderr)
		require.Empty(t, r.stderr)
		if command[0] == "passenger" {
			serves := "Serves  : " + s.dir + " on " + s.url
			require.Contains(t, r.stdout, "\n"+serves)
			r.stdout = regexp.MustCompile(`(?m)^Serves  : .*\n`).ReplaceAllString(r.stdout, "")
		}

		lines, want := strings.Split(r.stdout, "\n"), layout(s, name)
		require.Len(t, lines, len(want), r.stdout)

		for i, pattern := range want {
			require.Regexp(t, "^"+pattern+"$", lines[i], "line %d of %v", i, command)
		}
	}

	plain := s.run(t, "passenger-status", "--no-header").stdout
	require.True(t, strings.HasPrefix(plain, "----------- General"), plain)
	verbose := s.run(t, "passenger-status", "--verbose").stdout
	require.Regexp(t, `    URL     : http://127\.0\.0\.1:\d+\n    Password: \w+\n`, verbose)
	require.NotContains(t, plain, "Password")
	require.NotContains(t, plain, "\x1b")
	require.Contains(t, s.run(t, "passenger-status", "--force-colors").stdout,
		"\x1b[44m\x1b[33m\x1b[1m----------- General")
}

func TestStatusShow(t *testing.T) {
	t.Parallel()

	s := newBox(t).start(t)
	for _, show := range []string{"--json", "--show=json"} {
		var pool map[string]struct {
			AppRoot []struct{ Value string } `json:"app_root"`
		}
		require.NoError(t, json.Unmarshal([]byte(s.run(t, "passenger-status", show).stdout), &pool))
		require.Len(t, pool, 1)
		require.Equal(t, s.dir, pool[s.name].AppRoot[0].Value)
	}

	var snapshot struct {
		Schema int
		Groups []struct{ Name, AppRoot string }
	}
	require.NoError(t, json.Unmarshal([]byte(s.run(t, "passenger-status", "--show=snapshot").stdout), &snapshot))
	require.Equal(t, passenger.SnapshotSchema, snapshot.Schema)
	require.Len(t, snapshot.Groups, 1)
	require.Equal(t, s.dir, snapshot.Groups[0].AppRoot)

	var info struct {
		Version string `xml:"version,attr"`
		Count   int    `xml:"group_count"`
	}
	for _, args := range [][]string{{"--show=xml"}, {"--show", "xml", "-v"}} {
		text := s.run(t, "passenger-status", args...).stdout
		require.NoError(t, xml.Unmarshal([]byte(text), &info))
		require.Equal(t, "3", info.Version)
		require.Equal(t, 1, info.Count)
		require.Equal(t, len(args) == 3, strings.Contains(text, "<api_key>"), "secrets are for those who ask for them")
	}

	for _, show := range []string{"server", "requests"} {
		r := s.run(t, "passenger-status", "--show="+show)
		require.True(t, strings.HasPrefix(r.stdout, "Version : "))
		_, body, found := strings.Cut(r.stdout, "\n\n")
		require.True(t, found)
		require.True(t, json.Valid([]byte(body)), body)
		require.JSONEq(t, body, s.run(t, "passenger-status", "--json", "--show="+show).stdout)
	}

	require.Contains(t, s.run(t, "passenger-status", "--json", "--show=snapshot").stdout, `"schema"`)
	require.JSONEq(t, "[]", s.run(t, "passenger-status", "--json", "--show=errors").stdout)

	r := s.run(t, "passenger-status", "--show=backtraces", "--force-colors")
	require.Zero(t, r.status)
	require.Regexp(t, "\x1b\\[44m.*goroutine \\d+ ", r.stdout)
}

func TestStatusWithoutInstance(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	r := b.run(t, "passenger-status")
	require.Equal(t, 1, r.status)
	require.Empty(t, r.stdout)
	require.Contains(t, r.stderr, "ERROR: Passenger doesn't seem to be running.")
	require.Contains(t, r.stderr, instancedir.RegistryVariable)

	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"nosuch"}, "ERROR: there doesn't seem to be a Passenger instance running with the name 'nosuch'."},
		{
			[]string{"--pid-identifier", "1"},
			"ERROR: there doesn't seem to be a Passenger instance running with the PID 1.",
		},
		{[]string{"--pid-identifier", "x"}, "ERROR: 'x' is not the PID of a process."},
		{[]string{"a\x1b[2J"}, "with the name 'a?[2J'."},
		{[]string{"--show=nothing"}, "Invalid argument for --show."},
		{[]string{"--show=nothing", "--json"}, "Invalid argument for --show."},
		{[]string{"--show=xml", "--json"}, "ERROR: --show=xml has no form in JSON: leave out --json"},
		{[]string{"--show=backtraces", "--json"}, "ERROR: --show=backtraces has no form in JSON"},
		{[]string{"--nothing"}, "unknown flag: --nothing: 'passenger-status --help' lists the options"},
		{[]string{"a", "b"}, "takes one instance"},
		{[]string{"--watch", "--interval", "0s"}, "too short"},
	} {
		r := b.run(t, "passenger-status", test.args...)
		require.Equal(t, 1, r.status, test.args)
		require.Contains(t, r.stderr, test.want)
		require.Empty(t, r.stdout)
	}
}

func TestStatusOfSeveralInstances(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	first, second := b.open(t), b.open(t, app("shop", alice))
	r := b.run(t, "passenger-status", "--show=snapshot")
	require.Equal(t, 1, r.status)
	require.Regexp(t, `^It appears that multiple Passenger instances are running\. Please
select a specific one by running:

  passenger-status <NAME>

The following Passenger instances are running:

Name                       PID      Description
-{74}
\w{8}                   \d+ +  test/1
\w{8}                   \d+ +  test/1
$`, r.stdout)
	require.Equal(t, 1, b.run(t, "passenger-status", "--show=errors", "--json").status)
	require.Contains(t, b.run(t, "passenger-config", "detach-process", "77").stdout,
		"Please select\na specific one by passing:\n\n  --instance <NAME>\n")

	for _, h := range []*house{first, second} {
		r := b.run(t, "passenger-status", h.dir.Name())
		require.Zero(t, r.status, r.stderr)
		require.Contains(t, r.stdout, "Instance: "+h.dir.Name()+" (test/1)")
	}

	all := b.run(t, "passenger-status")
	require.Zero(t, all.status, all.stderr)
	require.Regexp(t, `(?s)^Version : .*Instance: \w{8} \(test/1\)\n.*\n\nVersion : .*Instance: \w{8} \(test/1\)\n`,
		all.stdout)
	require.Contains(t, all.stdout, "Instance: "+first.dir.Name())
	require.Contains(t, all.stdout, "Instance: "+second.dir.Name())
}

// TestStatusOfCurrentDirectory has two servers, each of which tools tell by the
// directory that they are in.
func TestStatusOfCurrentDirectory(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	servers := []*server{b.start(t), b.start(t)}

	list := b.run(t, "passenger", "list-instances").stdout
	for _, s := range servers {
		require.Contains(t, list, "  "+s.dir+" on "+s.url)
		below := filepath.Join(s.dir, "below")
		require.NoError(t, os.Mkdir(below, 0o700))
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(s.dir, link))

		for _, dir := range []string{s.dir, below, link} {
			for _, show := range []string{"pool", "snapshot"} {
				cmd := b.command(t.Context(), "passenger", "status", "--show="+show)
				cmd.Dir = dir
				r := finish(t, cmd)
				require.Zero(t, r.status, r.stderr)

				for _, other := range servers {
					require.Equal(t, other == s, strings.Contains(r.stdout, other.dir), r.stdout)
				}

				if show == "pool" {
					require.Contains(t, r.stdout, "\nServes  : "+s.dir+" on "+s.url)
				}
			}
		}
	}

	cmd := b.command(t.Context(), "passenger", "status")
	cmd.Dir = "/"
	r := finish(t, cmd)
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stdout, servers[0].dir)
	require.Contains(t, r.stdout, servers[1].dir)
}

// A tenant without root sees its own applications only.
func TestStatusOfTenants(t *testing.T) {
	t.Parallel()
	needRoot(t)

	h := newBox(t).open(t, app("shop", alice), app("blog", bob))
	for _, test := range []struct {
		uid             int
		sees, seesNever []string
	}{
		{0, []string{"shop", "blog", "App groups    : 2"}, nil},
		{alice, []string{"shop", "App groups    : 1"}, []string{"blog"}},
		{bob, []string{"blog", "App groups    : 1"}, []string{"shop"}},
	} {
		for _, show := range []string{"pool", "xml", "json", "snapshot"} {
			r := h.runAs(t, test.uid, "passenger-status", "--show="+show, "--verbose")
			require.Zero(t, r.status, r.stderr)

			for _, text := range test.sees {
				if show == "pool" || !strings.Contains(text, ":") {
					require.Contains(t, r.stdout, text)
				}
			}

			for _, text := range test.seesNever {
				require.NotContains(t, r.stdout, text)
			}
		}
	}

	r := h.runAs(t, carol, "passenger-status")
	require.Equal(t, 2, r.status)
	require.Equal(t, "*** ERROR: You are not authorized to query the status for this Passenger instance. Please try "+
		"again with 'sudo'.\n", r.stderr)
	require.Empty(t, r.stdout)
	require.Equal(t, 2, h.runAs(t, alice, "passenger-status", "--show=server").status)
}

func TestStatusOfEmptyPool(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t)
	r := h.runAs(t, alice, "passenger-status")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stdout, "Passenger is currently not serving any applications.\n")
	require.Contains(t, h.run(t, "passenger-status").stdout, "App groups    : 0")

	for _, args := range [][]string{{"--json"}, {"--show=snapshot"}, {"--show=xml"}, {"--show=errors", "--json"}} {
		r := h.runAs(t, alice, "passenger-status", args...)
		require.Equal(t, 2, r.status, args)
		require.Contains(t, r.stderr, "You are not authorized")
		require.Empty(t, r.stdout)
	}
}

// The instance dies while it is asked.
// Faults: G17.
func TestStatusOfDyingInstanceSaysSo(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	dir := b.create(t)

	l := listen(t, dir.Socket(instancedir.CoreAPI))
	for _, response := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", "nonsense\r\n\r\n"} {
		written := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				_, err = conn.Read(make([]byte, 4096))
			}

			if err == nil {
				_, err = io.WriteString(conn, response)
			}

			if err == nil {
				err = conn.Close()
			}

			written <- err
		}()
		r := b.run(t, "passenger-status")
		require.NoError(t, <-written)
		require.Equal(t, 2, r.status, response)
		require.Contains(t, r.stderr, "*** ERROR: the instance "+dir.Name()+" does not respond")
		require.Empty(t, r.stdout)
	}

	require.NoError(t, l.Close())
	r := b.run(t, "passenger-status")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "does not respond")
	require.Empty(t, b.list().Stale, "it is locked")
}

// A real one is killed while it is asked, and its directory is removed when
// its lock is free.
// Faults: G17.
func TestStatusOfKilledInstanceSaysSo(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	freeze(t, s.instance(t).Properties.CorePID)
	wait := launch(t, s.command(t.Context(), "passenger-status"))
	eventually(t, func() error { return connected(s.instance(t).Socket(instancedir.CoreAPI)) })
	s.kill(t)
	r := wait()
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "does not respond")

	require.Len(t, s.list().Stale, 1)
	r = s.run(t, "passenger-config", "list-instances", "--json")
	require.Equal(t, "[]\n", r.stdout)
	require.Contains(t, r.stderr, "*** Cleaning stale instance directory "+s.registry)
	require.Empty(t, s.list().Stale)
	require.Empty(t, s.run(t, "passenger-config", "list-instances").stderr)
}

// connected: a client waits for a response at the socket.
func connected(path string) error {
	unix, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return err
	}

	if n := strings.Count(string(unix), path+"\n"); n < 2 { // the listener is one
		return fmt.Errorf("no client is connected to %s", path)
	}

	return nil
}
