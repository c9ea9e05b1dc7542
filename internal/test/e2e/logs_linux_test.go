package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
	"github.com/gopassenger/passenger/internal/test/pty"
)

// awaitContent waits until a file has a text, and returns all of it.
func awaitContent(t *testing.T, path, text string) string {
	t.Helper()
	var content []byte
	eventuallyWithin(t, deadline, func() (err error) {
		if content, err = os.ReadFile(path); err == nil && !strings.Contains(string(content), text) {
			err = fmt.Errorf("%s has %q", path, content)
		}

		return err
	})

	return string(content)
}

func say(text string) string { return "/say?" + url.QueryEscape(text) }

// logs runs passenger logs.
func (s *server) logs(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	cmd := s.command(t.Context(), &launch{})
	cmd.Args = append([]string{cmd.Args[0], "logs"}, args...)
	b, err := cmd.CombinedOutput()

	return string(b), err
}

// On a terminal, an application's output is as it came, and each request has a line.
func TestTerminalShowsLogsForPeople(t *testing.T) {
	t.Parallel()
	p, err := pty.Open(200, 50)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "shop")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "public"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "public", "a.txt"), []byte("1234"), 0o600))
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(t.Context(), &launch{dir: dir, args: append(testApp(t), "--address", "127.0.0.1", "--port", "0")})
	s.Cmd.Stdin, s.Cmd.Stdout, s.Cmd.Stderr = p.Program, p.Program, p.Program
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s.Judged = true
	s.Start(t, nil)
	shown := func(pattern string) []string {
		t.Helper()
		var found []string
		eventuallyWithin(t, deadline, func() error {
			if found = regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(p.Screen.String()); found == nil {
				return fmt.Errorf("%s is not shown: %q", pattern, p.Screen.String())
			}

			return nil
		})

		return found
	}
	s.url = strings.TrimSuffix(shown(`^Accessible via: +(\S+)\r$`)[1], "/")
	c := s.client(t)
	c.get(t, say("\x1b[31mred\x1b[2J\x1b[0m"))
	found := shown(`^shop\[(\d+)\] \x1b\[31mred\\x1b\[2J\x1b\[0m\r$`)
	pid, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	require.Contains(t, s.apps(t), pid)
	shown(`^GET /say\?\S+ 200 \d+ B [0-9.]+ ms\r$`)
	c.get(t, "/a.txt")
	shown(`^GET /a\.txt 200 4 B [0-9.]+ ms\r$`)
	c.CloseIdleConnections()
	out, err := s.logs(t)
	require.Error(t, err)
	require.Contains(t, out, "goes to standard error, which is /dev/pts/")
	s.signal(t, syscall.SIGTERM)
	<-s.Ended
	require.Equal(t, 0, s.Cmd.ProcessState.ExitCode(), "%v", s.Cmd.ProcessState)
	s.RequireClean(t)
}

// With log_format json, all lines are objects, and those of an application stay such.
func TestLogsInJSON(t *testing.T) {
	t.Parallel()
	s := &server{sandbox: newSandbox(t)}
	dir := t.TempDir()
	writePassengerfile(t, dir, `{"threads": 3}`)
	s.Cmd = s.command(t.Context(), &launch{
		dir: dir, args: append(testApp(t), "--address", "127.0.0.1", "--port", "0", "--log-format", "json"),
	})
	s.run(t)
	const told = "the server takes requests on "
	s.Stdout.Await(t, told, 1, s.Ended)
	s.url = regexp.MustCompile(told + `(http://[0-9.:]+)`).FindStringSubmatch(s.Stdout.String())[1]
	c := s.client(t)
	c.get(t, say(`{"level":"warn","n":1}`))
	c.get(t, say("a line"))
	s.Stderr.Await(t, `"app_line":{"level":"warn","n":1}`, 1, s.Ended)
	s.Stderr.Await(t, `"msg":"a line"`, 1, s.Ended)
	c.CloseIdleConnections()

	_, err := s.reload(t)
	require.NoError(t, err)
	s.Stderr.Await(t, "unknown option", 2, s.Ended)
	s.stop(t)

	for line := range strings.Lines(s.Stdout.String() + s.Stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// A forced end is no exception.
func TestForcedEndInJSON(t *testing.T) {
	t.Parallel()
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(t.Context(), &launch{
		dir: t.TempDir(), args: append(testApp(t), "--address", "127.0.0.1", "--port", "0", "--log-format", "json"),
	})
	s.run(t)
	const told = "the server takes requests on "
	s.Stdout.Await(t, told, 1, s.Ended)
	s.url = regexp.MustCompile(told + `(http://[0-9.:]+)`).FindStringSubmatch(s.Stdout.String())[1]
	held := s.client(t).background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, "Stopping: ", 1, s.Ended)
	s.signal(t, syscall.SIGTERM)
	<-held
	s.requireExit(t, 1)
	require.Contains(t, s.Stderr.String(), "the shutdown was forced")

	for line := range strings.Lines(s.Stdout.String() + s.Stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// Neither is a start that fails once the configuration is known.
func TestFailedStartInJSON(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	defer taken.Close()

	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)

	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(t.Context(), &launch{
		dir: t.TempDir(), args: append(testApp(t), "--address", "127.0.0.1", "--port", port, "--log-format", "json"),
	})
	s.run(t)
	s.requireExit(t, 1)
	require.Contains(t, s.Stderr.String(), "is in use by another program")

	for line := range strings.Lines(s.Stdout.String() + s.Stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// Two applications have a file each, by paths relative to the file that names them; the
// third one's output is in the server's log.
func TestApplicationsHaveFilesForTheirOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"shop", "blog", "wiki"}

	apps := make([]map[string]any, 0, len(names))
	for _, name := range names {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		app := map[string]any{"dir": name, "hosts": []string{name + ".test"}}
		if name != "wiki" {
			app["app_log_file"] = name + ".log"
		}

		apps = append(apps, app)
	}

	file, err := json.Marshal(map[string]any{"apps": apps})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"), file, 0o600))
	log := filepath.Join(dir, "server.log")
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--log-file", log)})
	c := s.client(t)

	sayTo := func(name, text string) {
		t.Helper()
		r := c.request(t, "GET", say(text), nil)
		r.Host = name + ".test"
		reply, err := c.Do(r)
		require.NoError(t, err)
		require.Equal(t, 200, reply.StatusCode)
		require.NoError(t, reply.Body.Close())
	}
	for _, name := range names {
		sayTo(name, "said by "+name)
	}

	require.Equal(t, "said by shop\n", awaitContent(t, filepath.Join(dir, "shop.log"), "\n"))
	require.Equal(t, "said by blog\n", awaitContent(t, filepath.Join(dir, "blog.log"), "\n"))
	server := awaitContent(t, log, "said by wiki")
	require.NotContains(t, server, "said by shop")

	// Each is shown by its name.
	out, err := s.logs(t, filepath.Join(dir, "shop"))
	require.NoError(t, err, out)
	require.Equal(t, "said by shop\n", out)
	out, err = s.logs(t, "wiki")
	require.NoError(t, err, out)
	require.Contains(t, out, "said by wiki")
	require.NotContains(t, out, "app="+filepath.Join(dir, "shop"))
	out, err = s.logs(t)
	require.NoError(t, err, out)
	require.Contains(t, out, "said by wiki")
	require.Contains(t, out, "is in "+filepath.Join(dir, "shop.log"))
	out, err = s.logs(t, "none")
	require.Error(t, err)
	require.Contains(t, out, "there is no application 'none'")
	out, err = s.logs(t, "-n", "many")
	require.Error(t, err)
	require.Contains(t, out, "it must be 0 or more, or all")

	// Followed over a rotation.
	var followed printed.Output
	ended, end := s.follow(t, &followed, "-n", "0", "blog")
	eventuallyWithin(t, deadline, func() error {
		sayTo("blog", "before")
		if n, _ := followed.Count("before"); n == 0 {
			return errors.New("not followed yet")
		}

		return nil
	})
	blog := filepath.Join(dir, "blog.log")
	require.NoError(t, os.Rename(blog, blog+".1"))
	s.signal(t, syscall.SIGUSR1)
	eventuallyWithin(t, deadline, func() error {
		_, err := os.Stat(blog)
		return err
	})
	sayTo("blog", "after the rotation")
	followed.Await(t, "after the rotation", 1, ended)
	end()
	require.Contains(t, awaitContent(t, blog, "after"), "after the rotation\n")
	c.CloseIdleConnections()
	s.stop(t)
}

// A flood of output leaves the log small, with a count of what is missing, and the
// application serves meanwhile. What comes later is whole.
func TestFloodOfOutputIsCut(t *testing.T) {
	t.Parallel()
	const rate = 64 << 10
	log := filepath.Join(t.TempDir(), "log")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t),
		"--log-file", log, "--max-output-rate", strconv.Itoa(rate), "--force-max-concurrent-requests-per-process",
		"0")})
	c := s.client(t)
	c.get(t, "/")
	began := time.Now()
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		if reply, err := c.Get(s.url + "/flood"); err == nil {
			_ = reply.Body.Close()
		}
	}()

	for done := false; !done; {
		require.Equal(t, 200, c.get(t, "/pid").StatusCode)

		select {
		case <-flooding:
			done = true
		default:
		}
	}

	content := awaitContent(t, log, "droppedBytes=")
	most := int(time.Since(began).Seconds()+6) * rate * 3
	require.Less(t, len(content), most)
	require.Positive(t, bytes.Count([]byte(content), []byte(`msg="flood`)))

	eventuallyWithin(t, deadline, func() error {
		c.get(t, say("whole again"))
		b, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(b), `msg="whole again"`) {
			err = errors.New("nothing is logged after the flood")
		}

		return err
	})
	c.CloseIdleConnections()
	s.stop(t)
}

// What an application prints at once, as when it starts, is whole.
func TestOrdinaryOutputIsWhole(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--log-file", log)})
	c := s.client(t)
	const lines = 512
	c.get(t, fmt.Sprintf("/flood?%d", lines))
	c.get(t, say("the end"))
	content := awaitContent(t, log, `msg="the end"`)
	require.Equal(t, lines, strings.Count(content, `msg="flood`))
	require.NotContains(t, content, "droppedBytes")
	c.CloseIdleConnections()
	s.stop(t)
}

// What is wrong with the log's settings is one sentence, before anything starts.
func TestLogSettingsAreRefused(t *testing.T) {
	t.Parallel()

	box := newSandbox(t)
	for _, test := range []struct{ flag, value, want string }{
		{"--log-format", "xml", `log_format is "xml": it must be text, plain or json`},
		{"--max-output-rate", "-1", "max_output_rate is -1: it must be 0 (no limit) or more"},
		{"--app-log-file", "/nonexistent/app.log", "app_log_file: cannot open the log file: "},
	} {
		cmd := box.command(t.Context(), &launch{
			dir:  t.TempDir(),
			args: append(testApp(t), "--port", "0", "--address", "127.0.0.1", test.flag, test.value),
		})
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), test.want)
		box.RequireClean(t)
	}
}

// Under Flying as root, an application's file is where only root can replace it; others
// are refused, and nothing is lost.
func TestFlyingAppLogFile(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	good, bad := box.goTenant(t, "good", daemonUID), box.goTenant(t, "bad", binUID)
	file := filepath.Join(box.Dir, "good.log")
	good.options["app_log_file"] = file
	theirs := filepath.Join(bad.root, "bad.log")
	bad.options["app_log_file"] = theirs
	c := f.client(t)
	require.Equal(t, 200, c.get(t, "/print?of-the-good", f.header(t, good)...).StatusCode)
	require.Equal(t, 200, c.get(t, "/print?of-the-bad", f.header(t, bad)...).StatusCode)

	require.Equal(t, "of-the-good\n", awaitContent(t, file, "\n"))
	requireOwner(t, 0, file)
	f.Stderr.Await(t, "msg=of-the-bad", 1, f.Ended)
	f.Stderr.Await(t, "others than root could replace what is in the directory", 1, f.Ended)
	require.NotContains(t, f.Stderr.String(), "of-the-good")
	require.NoFileExists(t, theirs)

	// It is opened again with the others.
	require.NoError(t, os.Rename(file, file+".1"))
	f.signal(t, syscall.SIGUSR1)
	eventuallyWithin(t, deadline, func() error {
		if _, err := os.Stat(file); err != nil {
			return err
		}

		return f.hasClosed(t, file+".1")
	})
	require.Equal(t, 200, c.get(t, "/print?after", f.header(t, good)...).StatusCode)
	awaitContent(t, file, "after\n")
	out, err := f.logs(t, good.root)
	require.NoError(t, err, out)
	require.Equal(t, "after\n", out)
	out, err = f.logs(t, "good")
	require.NoError(t, err, out)
	c.CloseIdleConnections()
}

// hasClosed is an error while the core has a file open.
func (s *server) hasClosed(t testing.TB, path string) error {
	t.Helper()

	dir := s.proc(t, "fd")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)

	for _, e := range entries {
		if target, _ := os.Readlink(filepath.Join(dir, e.Name())); target == path { // a closed one has no target
			return fmt.Errorf("%s is open", path)
		}
	}

	return nil
}
