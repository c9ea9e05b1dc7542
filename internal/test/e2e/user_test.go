package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// newUsersSandbox is one where the user bin may make files.
func newUsersSandbox(t testing.TB) *sandbox {
	t.Helper()

	box := newFlyingSandbox(t)
	for _, dir := range []string{box.Tmp, filepath.Join(box.Dir, "run")} {
		require.NoError(t, os.Chown(dir, binUID, binUID))
	}

	return box
}

// requireUser checks whose the processes are, and that they have no rights beyond.
func requireUser(t testing.TB, uid int, pids ...int) {
	t.Helper()

	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(t, err)
		require.Contains(t, string(status),
			fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", uid))
		require.Contains(t, string(status), "CapEff:\t0000000000000000\n")
	}
}

// lowPort is one that only root may listen on, where there are such.
func lowPort(t testing.TB) string {
	t.Helper()

	for port := 1023; port > 512; port-- {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			require.NoError(t, l.Close())
			return strconv.Itoa(port)
		}
	}

	require.Fail(t, "no port below 1024 is free")

	return ""
}

// asBin has a server of root's that becomes the user bin.
func (s *sandbox) asBin(t testing.TB, args ...string) *launch {
	t.Helper()
	path, err := tenantBinary()
	require.NoError(t, err)

	return &launch{dir: s.goTenant(t, "a", binUID).root, args: append([]string{
		"--start-command", path, "--envvar", tenantVar + "=a", "--envvar", "GORACE=atexit_sleep_ms=0", "--user", "bin",
	}, args...)}
}

// asUserBin has a command run as the user bin.
func asUserBin(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: binUID, Gid: binUID}}
	cmd.Dir = "/"
}

// The server opens a port that is root's, and makes everything else as the user.
func TestUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	writeHome(t, box, `{"environment": "of root's home"}`)
	pidFile, log := filepath.Join(box.Dir, "run", "pid"), filepath.Join(box.Dir, "run", "log")
	s := &server{sandbox: box}
	port := lowPort(t)
	s.Cmd = box.command(t.Context(), box.asBin(t, "--pid-file", pidFile, "--log-file", log, "--address", "127.0.0.1",
		"--port", port))
	s.run(t)
	s.Stdout.Await(t, "You can stop it", 1, s.Ended)
	s.url = "http://127.0.0.1:" + port
	e := readTenant(t, s.client(t).get(t, "/"))
	require.Equal(t, binUID, e.UID)
	requireUser(t, binUID, s.Cmd.Process.Pid, s.core(t), e.PID)

	for _, file := range []string{pidFile, log, s.instance(t).Path} {
		requireOwner(t, binUID, file)
	}

	// Another configuration is read as the user, but that in root's home as it was.
	_, err := s.admin(t, "watchdog_api").Call(t.Context(), http.MethodPost, "/reload.json", nil)
	require.NoError(t, err)
	config, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, string(config), `"environment":"of root's home"`)
	require.Equal(t, binUID, readTenant(t, s.client(t).get(t, "/")).UID)
	s.stop(t)
	require.NoFileExists(t, pidFile)
}

func requireOwner(t testing.TB, uid int, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.EqualValues(t, uid, stat.Uid, path)
}

// Neither the server's programs nor the application are in the session that root has
// started the server from.
func TestUserHasNothingOfRootsSession(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	l := box.asBin(t)

	names := []string{
		"SUDO_USER", "SUDO_COMMAND", "MAIL", "XDG_RUNTIME_DIR", "XDG_SESSION_ID", "SSH_AUTH_SOCK", "SSH_CONNECTION",
		"DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_ADDRESS", "OLDPWD", "SHELL", "USER", "LOGNAME", "XAUTHORITY",
	}
	for _, name := range names {
		l.env = append(l.env, name+"=of root's session")
	}

	l.env = append(l.env, "KEPT=here")
	s := startIn(t, box, l)
	bin, err := user.LookupId(strconv.Itoa(binUID))
	require.NoError(t, err)

	for _, pid := range []int{s.core(t), readTenant(t, s.client(t).get(t, "/")).PID} {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		require.NoError(t, err)
		require.NotContains(t, string(environ), "of root's session")

		variables := strings.Split(string(environ), "\x00")
		for _, want := range []string{"HOME=" + bin.HomeDir, "USER=bin", "LOGNAME=bin", "KEPT=here"} {
			require.Contains(t, variables, want)
		}
	}
}

// A Unix socket is the user's, and goes at the end.
func TestUserWithASocket(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	socket := filepath.Join(box.Dir, "run", "s")
	s := startIn(t, box, box.asBin(t, "--socket", socket))
	require.Equal(t, binUID, readTenant(t, s.client(t).get(t, "/")).UID)
	requireOwner(t, binUID, socket)
	s.stop(t)
	require.NoFileExists(t, socket)
}

// In the background it is the same, and the log is the user's.
func TestUserInTheBackground(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	l := box.asBin(t)
	d := &daemon{sandbox: box, dir: l.dir, port: freePort(t)}
	out, err := d.run(t, append([]string{
		"start", d.dir, "-d", "--address", "127.0.0.1", "--port", d.port, "--envvar",
		d.Marker,
	}, l.args...)...)
	require.NoError(t, err, out)
	s := &server{sandbox: box, url: d.url()}
	e := readTenant(t, s.client(t).get(t, "/"))
	require.Equal(t, binUID, e.UID)
	log := d.path("passenger." + d.port + ".log")
	requireOwner(t, binUID, log)
	pid, err := strconv.Atoi(strings.TrimSpace(d.content(t, "passenger."+d.port+".pid")))
	require.NoError(t, err)
	requireUser(t, binUID, pid)

	for fd := 1; fd <= 2; fd++ {
		output, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		require.NoError(t, err)
		require.Equal(t, log, output)
	}

	s.client(t).CloseIdleConnections()
	d.stop(t)
	require.Contains(t, d.content(t, log[len(d.dir)+1:]), "Stopped.")
}

// Who is not root cannot become another user, and need not become who they are.
func TestUserWithoutRoot(t *testing.T) {
	t.Parallel()
	var became *launch
	box := newFlyingSandbox(t)
	me, err := user.Current()
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		box = newUsersSandbox(t)
		require.NoError(t, os.Chown(box.Home, binUID, binUID))
		became = box.asBin(t)
		became.change = asUserBin
	} else {
		became = &launch{dir: t.TempDir(), args: append(testApp(t), "--user", me.Username)}
	}

	other := *became
	other.args = append(append([]string{}, became.args...), "--user", "root", "--address", "127.0.0.1", "--port", "0")
	out, err := box.command(t.Context(), &other).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `cannot run as the user "root": only root can become another user`)
	s := startIn(t, box, became)
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
}

// What the user could not read, root does not read either: a link may lead to another user's configuration, with
// secrets. What only the user can read is read.
func TestUsersConfigurationIsReadWithTheUsersRights(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	for _, name := range []string{"Passengerfile.json", "passenger-standalone.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newUsersSandbox(t)
			l := box.asBin(t)
			others := filepath.Join(box.Dir, "others.json")
			require.NoError(t, os.WriteFile(others, []byte(`{"envvars": {"SECRET": "of another user"}}`), 0o600))
			file := filepath.Join(l.dir, name)
			require.NoError(t, os.Symlink(others, file))

			s := &server{sandbox: box}
			s.Cmd = box.command(t.Context(), l)
			s.run(t)
			s.requireExit(t, 1)
			require.Contains(t, s.Stderr.String(), "the user bin, which the server becomes, must be able to read the "+
				"configuration: cannot read the configuration: open "+file+": permission denied")

			require.NoError(t, os.Remove(file))
			require.NoError(t, os.WriteFile(file, []byte(`{"unknown_one": 1}`), 0o600))
			require.NoError(t, os.Chown(file, binUID, binUID))
			own := startIn(t, box, l)
			require.Equal(t, http.StatusOK, own.client(t).get(t, "/").StatusCode)
			require.Equal(t, 1, strings.Count(own.Stderr.String(), "unknown_one"), "one warning")
			own.stop(t)
		})
	}
}
