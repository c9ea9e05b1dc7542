package e2e_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// reload runs passenger reload.
func (s *server) reload(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), append([]string{"reload"}, args...)...)
	cmd.Env, cmd.Dir = s.Cmd.Env, s.Dir
	out, err := cmd.CombinedOutput()

	return string(out), err
}

func writePassengerfile(t testing.TB, dir, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"), []byte(text), 0o600))
}

// A configuration that is wrong when it is read again is refused as a whole, with the line that is wrong, and the
// old one stays.
// Faults: G12, P16.
func TestBadConfigurationIsRefusedWholeOnReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePassengerfile(t, dir, `{"min_instances": 1}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.requireApps(t, 1)

	core, apps := s.core(t), s.apps(t)
	for _, wrong := range []struct{ text, told string }{
		{"{\n  \"min_instances\": 2,\n  \"max_pool_size\" 3\n}", "Passengerfile.json, line 3, is not valid"},
		{`{"min_instances": 2, "max_pool_size": "many"}`, "max_pool_size must be a whole number"},
		{`{"min_instances": 2, "max_pool_size": 0}`, "max_pool_size is 0"},
		{`{"min_instances": 2, "pid_file": "p"}`, "pid_file was not set and is " + filepath.Join(dir, "p") + " now"},
		{`{"ctls": ["hook_attached_process=/bin/true"]}`, `ctls was not set and is {"hook_attached_process":"/bin/true"} now`},
		{`{"drain_delay": 3}`, "drain_delay was 0 and is 3 now"},
		{`{"min_instances": 2, "app_type": "cobol"}`, "cobol"},
	} {
		writePassengerfile(t, dir, wrong.text)
		out, err := s.reload(t)
		require.Error(t, err, wrong.text)
		require.Contains(t, out, wrong.told)
	}

	require.Equal(t, core, s.core(t))
	require.Equal(t, apps, s.apps(t))
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)

	// What was refused does not count when the core is replaced for another reason.
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	s.requireApps(t, 1)
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
}

// A configuration that is right counts from then on, and no request is lost.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePassengerfile(t, dir, `{"min_instances": 1}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.requireApps(t, 1)
	held := s.client(t).background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	core, app := s.core(t), s.apps(t)[0]

	l := s.load(t, 4, askOnce)
	writePassengerfile(t, dir, `{"min_instances": 2}`)
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.Contains(t, out, "serves with its configuration as it is now")
	config, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, string(config), `"min_instances":2`)
	pid, err := os.ReadFile(filepath.Join(s.instance(t).Path, "core.pid"))
	require.NoError(t, err)
	require.NotEqual(t, strconv.Itoa(core), string(pid))
	eventually(t, func() error {
		text, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/pool.txt", nil)
		if err == nil && strings.Count(string(text), "* PID") < 2 {
			err = errors.New("the new processes are not all there")
		}

		return err
	})
	require.NoError(t, syscall.Kill(app, syscall.SIGUSR1))
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode)
	l.RequireNoneLost(t)
	s.requireApps(t, 2)
	require.NotContains(t, s.apps(t), app)

	// It counts for the core that comes after it, too.
	next := s.core(t)
	require.NoError(t, syscall.Kill(next, syscall.SIGKILL))
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	s.requireApps(t, 2)
}

// The files that a reload has brought are opened again, and those that it has taken away are no longer there to be.
func TestLogsOfAReloadAreReopened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "access.log")
	s := start(t, &launch{dir: dir, args: testApp(t)})
	reopen := func(socket, path string) error {
		_, err := s.admin(t, socket).Call(t.Context(), http.MethodPost, path, nil)
		return err
	}
	require.ErrorContains(t, reopen("watchdog_api", "/reopen_logs.json"), "NO_LOG_FILE")
	require.ErrorContains(t, reopen("core_api", "/reinherit_logs.json"), "NO_LOG_FILE")

	writePassengerfile(t, dir, `{"access_log": "access.log"}`)
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.NoError(t, os.Rename(log, log+".1"))
	require.NoError(t, reopen("watchdog_api", "/reopen_logs.json"))
	require.NoError(t, reopen("core_api", "/reinherit_logs.json"))
	require.FileExists(t, log)

	writePassengerfile(t, dir, `{}`)
	out, err = s.reload(t)
	require.NoError(t, err, out)
	require.ErrorContains(t, reopen("watchdog_api", "/reopen_logs.json"), "NO_LOG_FILE")
}

// Tools find the instance of a directory by what the instance directory says.
func TestApplicationsOfAReloadAreThoseOfTheInstance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shop, blog := filepath.Join(dir, "shop"), filepath.Join(dir, "blog")
	require.NoError(t, errors.Join(os.Mkdir(shop, 0o700), os.Mkdir(blog, 0o700)))
	writePassengerfile(t, dir, `{"min_instances": 0, "apps": [{"dir": "shop"}]}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	before := s.instance(t)
	require.Equal(t, []string{shop}, before.Properties.AppRoots)

	writePassengerfile(t, dir, `{"min_instances": 0, "apps": [{"dir": "shop"}, {"dir": "blog", "path": "/blog"}]}`)
	out, err := s.reload(t)
	require.NoError(t, err, out)

	after := s.instance(t)
	require.Equal(t, []string{shop, blog}, after.Properties.AppRoots)
	require.Equal(t, before.Name, after.Name)
	require.Equal(t, before.Path, after.Path)
}
