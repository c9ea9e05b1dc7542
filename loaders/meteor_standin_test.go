package loaders_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// The stand-ins for Meteor work by themselves, the way the real one does.

type meteorReport struct {
	RootURL        string `json:"ROOT_URL"`
	MeteorSettings string `json:"METEOR_SETTINGS"`
	ForwardedCount string `json:"HTTP_FORWARDED_COUNT"`
	Environment    string `json:"NODE_ENV"`
	Settings       map[string]any
	Argv           []string
	CWD            string
	PID            int
}

// meteorProcess starts a program that is to listen on port.
func meteorProcess(t *testing.T, dir string, env []string, port string, argv ...string) *process {
	t.Helper()
	p := &process{done: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), append([]string{"ROOT_URL=", "METEOR_SETTINGS=", "PORT=" + port}, env...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		<-p.done
	})

	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	return port
}

func meteorGet(t *testing.T, port string) (report meteorReport) {
	t.Helper()
	var res *http.Response
	require.Eventually(t, func() (ready bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port, http.NoBody)
		if err != nil {
			return false
		}

		res, err = http.DefaultClient.Do(req)

		return err == nil
	}, deadline, 10*time.Millisecond)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&report))

	return report
}

func meteorTool(t *testing.T) string {
	t.Helper()
	interpreters.Find(t, "node", "node")
	return absolute(t, "testdata/meteor/meteor")
}

func TestMeteorToolStandIn(t *testing.T) {
	t.Parallel()
	tool, app := meteorTool(t), absolute(t, "testdata/meteor/app")
	settings := filepath.Join(t.TempDir(), "settings.json")
	require.NoError(t, os.WriteFile(settings, []byte(`{"public": {"a": 1}}`), 0o600))

	port := freePort(t)
	argv := []string{"run", "--port", "127.0.0.1:" + port, "--production", "--settings", settings}
	p := meteorProcess(t, app, []string{"ROOT_URL=http://example.com/app"}, port, append([]string{tool}, argv...)...)
	p.out.await(t, "=> App running at: http://example.com/app")
	report := meteorGet(t, port)
	require.Equal(t, "http://example.com/app", report.RootURL)
	require.Equal(t, "production", report.Environment)
	require.Equal(t, map[string]any{"public": map[string]any{"a": 1.0}}, report.Settings)
	require.Equal(t, argv, report.Argv)
	require.NotEqual(t, p.cmd.Process.Pid, report.PID)

	port = freePort(t)
	q := meteorProcess(t, app, nil, port, tool, "run", "--port", port)
	q.out.await(t, "=> App running at: http://localhost:"+port)
	report = meteorGet(t, port)
	require.Equal(t, "http://localhost:"+port+"/", report.RootURL)
	require.Equal(t, "development", report.Environment)
	require.Empty(t, report.Settings)
}

// The end of the tool is that of the application, however it comes.
func TestMeteorToolStandInStops(t *testing.T) {
	t.Parallel()

	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			p := meteorProcess(t, absolute(t, "testdata/meteor/app"), nil, port, meteorTool(t), "run", "--port",
				"127.0.0.1:"+port)
			p.out.await(t, "=> App running at")
			app := meteorGet(t, port).PID
			require.NoError(t, p.cmd.Process.Signal(signal))
			p.exitCode(t)
			status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			require.Equal(t, signal, status.Signal())
			if signal == syscall.SIGKILL {
				// Its parent may not have waited for it yet, but it does not listen.
				require.Eventually(t, func() bool { return !isListening(t, port) }, deadline, 10*time.Millisecond)
			} else {
				require.ErrorIs(t, syscall.Kill(app, 0), syscall.ESRCH)
			}
		})
	}
}

func isListening(t *testing.T, port string) bool {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}

	_ = conn.Close()

	return true
}

// The tool runs on when the application has ended.
func TestMeteorToolStandInCrash(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	p := meteorProcess(t, absolute(t, "testdata/meteor/app"), nil, port, meteorTool(t), "run", "--port", "127.0.0.1:"+
		port)
	p.out.await(t, "=> App running at")
	meteorGet(t, port)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/crash", http.NoBody)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.Error(t, err)
	p.out.await(t, "=> Exited with code: 3\n=> Your application is crashing. Waiting for file change.")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.exitCode(t)
}

func TestMeteorToolStandInRefuses(t *testing.T) {
	t.Parallel()

	app := absolute(t, "testdata/meteor/app")
	for want, c := range map[string]struct {
		dir  string
		argv []string
	}{
		"You're not in a Meteor project directory": {t.TempDir(), []string{"run", "--port", "1"}},
		"is not a Meteor command":                  {app, []string{"walk"}},
		"unknown option":                           {app, []string{"run", "--fast"}},
		"must be of the form [host:]port":          {app, []string{"run", "--port", "$PORT"}},
		"file not found":                           {app, []string{"run", "--settings", "/nowhere"}},
	} {
		p := meteorProcess(t, c.dir, nil, "", append([]string{meteorTool(t)}, c.argv...)...)
		require.Equal(t, 1, p.exitCode(t), want)
		require.Contains(t, p.out.String(), want)
	}
}

func TestMeteorBundleStandIn(t *testing.T) {
	t.Parallel()
	node := interpreters.Find(t, "node", os.Getenv("PASSENGER_TEST_NODE"), "node")
	bundle := absolute(t, "testdata/meteor/bundle")
	main := filepath.Join(bundle, "main.js")

	port := freePort(t)
	p := meteorProcess(t, t.TempDir(), []string{
		"BIND_IP=127.0.0.1", "ROOT_URL=http://localhost/app", `METEOR_SETTINGS={"a":1}`, "HTTP_FORWARDED_COUNT=1",
	}, port, node, main)
	require.Equal(t, meteorReport{
		RootURL:        "http://localhost/app",
		MeteorSettings: `{"a":1}`,
		ForwardedCount: "1",
		CWD:            filepath.Join(bundle, "programs", "server"),
		PID:            p.cmd.Process.Pid,
	}, meteorGet(t, port))

	for want, env := range map[string][]string{
		"Must pass options.rootUrl or set ROOT_URL in the server environment": nil,
		"METEOR_SETTINGS are not valid JSON": {
			"METEOR_SETTINGS={",
			"ROOT_URL=http://localhost",
		},
	} {
		p := meteorProcess(t, bundle, env, strconv.Itoa(0), node, main)
		require.Equal(t, 1, p.exitCode(t), want)
		require.Contains(t, p.out.String(), want)
	}
}
