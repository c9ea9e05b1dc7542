package tools_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// releases is a tree with two releases, and the link current to the first.
func releases(t testing.TB) (root string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)

	for _, name := range []string{"1", "2"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "releases", name, "tmp"), 0o755))
	}

	require.NoError(t, os.Symlink("releases/1", filepath.Join(root, "current")))

	return root
}

// TestRestartAppByAnyNameOfTheDirectory has a server behind a link.
func TestRestartAppByAnyNameOfTheDirectory(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	root := releases(t)
	current := filepath.Join(root, "current")
	s := newBox(t).serve(t, current, "--start-command", self, "--envvar", appVar+"=1", "--envvar",
		"GORACE=atexit_sleep_ms=0")
	s.pids(t, 1)

	for _, test := range []struct{ dir, arg string }{
		{"/", current},
		{"/", current + "/"},
		{"/", filepath.Join(root, "releases", "1")},
		{"/", filepath.Join(root, "releases", "1") + "/"},
		{"/", filepath.Join(root, "releases")},
		{"/", root + "/releases/../current/."},
		{root, "current"},
		{root, "current/"},
		{root, "./releases/1"},
		{current, "."},
		{filepath.Join(root, "releases", "1"), "."},
		{filepath.Join(root, "releases"), "1/"},
		{filepath.Join(root, "releases", "1", "tmp"), ".."},
	} {
		cmd := s.command(t.Context(), "passenger-config", "restart-app", test.arg)
		cmd.Dir = test.dir
		r := finish(t, cmd)
		require.Zero(t, r.status, "%v: %s", test, r.stderr)
		require.Equal(t, "Restarting "+s.name+"\n", r.stdout, test)
	}

	for _, arg := range []string{
		filepath.Join(root, "releases", "2"), filepath.Join(root, "current", "tmp"),
		filepath.Join(root, "currents"),
	} {
		r := s.run(t, "passenger-config", "restart-app", arg)
		require.Equal(t, 1, r.status, arg)
		require.Contains(t, r.stderr, "These applications are running:\n  "+s.name+"\n", arg)
	}

	// The link leads elsewhere, and the release before it still runs.
	require.NoError(t, os.Remove(current))
	require.NoError(t, os.Symlink("releases/2", current))
	require.Zero(t, s.run(t, "passenger-config", "restart-app", filepath.Join(root, "releases", "2"), "--wait").status)
	require.Equal(t, 1, s.run(t, "passenger-config", "restart-app", filepath.Join(root, "releases", "1")).status)
}

// TestServerStartedInsideALink keeps to the link if the environment tells it, and
// else says what it keeps to.
func TestServerStartedInsideALink(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)

	for _, told := range []bool{true, false} {
		root := releases(t)
		current := filepath.Join(root, "current")
		b := newBox(t)
		cmd := b.command(context.WithoutCancel(t.Context()), "passenger", "start", "--address", "127.0.0.1", "--port",
			"0",
			"--environment", "production", "--start-command", self, "--envvar", appVar+"=1", "--envvar",
			"GORACE=atexit_sleep_ms=0")

		cmd.Dir = current
		for i, entry := range cmd.Env {
			if strings.HasPrefix(entry, "PWD=") {
				cmd.Env[i] = "PWD=/nowhere"
			}
		}

		dir := filepath.Join(root, "releases", "1")
		cmd.Env = append(cmd.Env, "PWD=/nowhere")
		if told {
			cmd.Env, dir = append(cmd.Env, "PWD="+current), current
		}

		s := &server{
			box:     b,
			dir:     dir,
			name:    dir + " (production)",
			Program: boxed.Program{Cmd: cmd, Merged: true},
			client:  &http.Client{Transport: &http.Transport{}, Timeout: deadline},
		}
		s.begin(t)
		s.pids(t, 1)
		pinned := "the application's directory is " + dir + ", and stays so when the link " + current + " is switched"
		require.Equal(t, !told, strings.Contains(s.Stdout.String(), pinned), s.Stdout.String())

		r := s.run(t, "passenger-config", "restart-app", current+"/")
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, "Restarting "+s.name+"\n", r.stdout)
	}
}
