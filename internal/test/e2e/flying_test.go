package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// Users that every Linux system has.
const (
	daemonUID = 1
	binUID    = 2
	nobodyUID = 65534
)

func requireRoot(t testing.TB) {
	t.Helper()
	interpreters.Root(t, "to become other users")
}

func TestFlying(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)

	f := startFlying(t, box)
	for _, line := range []string{
		"Starting Flying Passenger ", "made a password", "Starting PassengerAgent...",
		"PassengerAgent started on PID " + fmt.Sprint(f.Cmd.Process.Pid),
		"PassengerAgent initialized properly", upAndListening,
	} {
		require.Contains(t, f.Stderr.String(), line)
	}

	info, err := os.Lstat(f.socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), info.Mode().Perm())
	properties := f.instance(t).Properties
	require.Equal(t, "flying", properties.IntegrationMode)
	require.Contains(t, properties.ServerSoftware, "Flying Passenger")
	require.Empty(t, f.groups(t))

	a, b := box.goTenant(t, "a", daemonUID), box.goTenant(t, "b", binUID)
	byHTTP := f.byHTTP(t, a, "/x?y", "X-Passenger-User", "root", "X-Other", "1", "X-Forwarded-For", "192.0.2.9")
	require.Equal(t, "a", byHTTP.Name)
	require.Equal(t, "/x?y", byHTTP.Target)
	require.Equal(t, "1", byHTTP.Header.Get("X-Other"))
	require.Equal(t, "192.0.2.9, 127.0.0.1", byHTTP.Header.Get("X-Forwarded-For"), byHTTP.Header)
	require.NotContains(t, byHTTP.Env, "REMOTE_USER")
	params := f.params(t, a)
	params["REMOTE_USER"], params["HTTP_REMOTE_USER"] = "alice", "mallory"
	reply, err := f.bySCGI(t, http.MethodPost, "/x?y", "body", params)
	require.NoError(t, err)
	bySCGI := readTenant(t, reply)
	require.Equal(t, "alice", bySCGI.Env["REMOTE_USER"])
	require.Equal(t, byHTTP.PID, bySCGI.PID)
	require.Equal(t, int64(len("body")), bySCGI.Length)
	require.Equal(t, "192.0.2.7", bySCGI.Header.Get("X-Forwarded-For"), bySCGI.Header)

	for _, e := range []*tenantEcho{byHTTP, bySCGI} {
		for name := range e.Header {
			require.NotContains(t, name, "Passenger-")
		}

		require.NotContains(t, e.Env, "PASSENGER_PASSWORD")
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", e.PID))
		require.NoError(t, err)
		require.NotContains(t, string(environ), f.password(t))
	}

	require.Equal(t, "b", f.byHTTP(t, b, "/").Name)
	require.Equal(t, map[string]string{a.root: a.root + " (production)", b.root: b.root + " (production)"}, f.groups(t))
	require.NotContains(t, f.Stderr.String(), f.password(t))
	config, err := f.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, string(config), `"pool_idle_time"`)
	require.NotContains(t, string(config), f.password(t))

	f.stop(t)
	require.NoFileExists(t, f.socket)
}

// Without the right password nothing of a request counts.
func TestFlyingPassword(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)

	right := f.password(t)
	for name, password := range map[string]string{
		"none": "", "wrong": "wrong-wrong-wrong-wrong", "a part": right[:20],
		"more": right + "x",
	} {
		header := f.header(t, a)
		header[1] = password
		reply := f.client(t).get(t, "/", header...)
		require.Equal(t, http.StatusForbidden, reply.StatusCode, name)
		require.Equal(t, "Forbidden\n", reply.body)
		params := f.params(t, a)
		params["PASSENGER_PASSWORD"] = password

		// What a client sends is not what the web server does.
		params["HTTP_X_PASSENGER_PASSWORD"], params["HTTP_PASSENGER_PASSWORD"] = right, right
		bySCGI, err := f.bySCGI(t, http.MethodGet, "/", "", params)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, bySCGI.StatusCode, name)
		require.Equal(t, "Forbidden\n", bySCGI.body)
	}

	require.Equal(t, 1, strings.Count(f.Stderr.String(), "requests are refused"))
	require.Empty(t, f.groups(t))

	reply := f.client(t).get(t, "/", append(f.header(t, a), "X-Passenger-App-Root", "relative")...)
	require.Equal(t, http.StatusInternalServerError, reply.StatusCode)
	require.NotContains(t, reply.body, "relative")
	f.Stderr.Await(t, "app_root is", 1, f.Ended)
}

// As root, applications run as their owners, and root's as the user nobody.
func TestFlyingUsers(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)

	f := startFlying(t, box)
	for name, test := range map[string]struct {
		uid  int
		user string
		want int
	}{
		"daemons":  {daemonUID, "", daemonUID},
		"bins":     {binUID, "", binUID},
		"roots":    {0, "", nobodyUID},
		"asked":    {daemonUID, "bin", binUID},
		"askroots": {daemonUID, "root", nobodyUID},
	} {
		a := box.goTenant(t, name, test.uid)
		if test.user != "" {
			a.options["user"] = test.user
		}

		e := f.byHTTP(t, a, "/")
		require.Equal(t, test.want, e.UID, name)
		require.NotEqual(t, 0, e.GID, name)
	}

	// A client cannot ask for a user, nor join another application.
	a := box.goTenant(t, "plain", daemonUID)
	require.Equal(t, daemonUID, f.byHTTP(t, a, "/", "X-Passenger-User", "bin", "X-Passenger-App-Group-Name", "x",
		"X_Passenger_User", "bin").UID)
	params := f.params(t, a)
	params["HTTP_X_PASSENGER_USER"], params["HTTP_PASSENGER_USER"] = "bin", "bin"
	reply, err := f.bySCGI(t, http.MethodGet, "/", "", params)
	require.NoError(t, err)
	require.Equal(t, daemonUID, readTenant(t, reply).UID)

	python := box.pythonTenant(t, "python", binUID)
	require.Equal(t, binUID, f.byHTTP(t, python, "/").UID)
}

func TestFlyingWithoutUserSwitching(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box, "--no-user-switching", "--default-user", "bin")
	a := box.goTenant(t, "a", daemonUID)
	require.Equal(t, binUID, f.byHTTP(t, a, "/").UID)
}

// The whole server runs as another user than root, who has started it.
func TestFlyingAsAUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	box := newFlyingSandbox(t)
	for _, dir := range []string{box.Tmp, filepath.Join(box.Dir, "run")} {
		require.NoError(t, os.Chown(dir, binUID, binUID))
	}

	f := startFlying(t, box, "--user", "bin")
	e := f.byHTTP(t, box.goTenant(t, "a", daemonUID), "/")
	require.Equal(t, binUID, e.UID)
	require.Equal(t, binUID, e.GID)

	for _, pid := range []int{f.Cmd.Process.Pid, f.core(t)} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(t, err)
		require.Contains(t, string(status), "Uid:\t2\t2\t2\t2\nGid:\t2\t2\t2\t2\n")
		require.Contains(t, string(status), "CapEff:\t0000000000000000\n")
	}

	asked := box.goTenant(t, "b", daemonUID)
	asked.options["user"] = "daemon"
	reply := f.client(t).get(t, "/", f.header(t, asked)...)
	require.Equal(t, http.StatusInternalServerError, reply.StatusCode, "it cannot become that user")
}

// Two tenants that have chosen the same name for their applications do not get
// each other's requests.
func TestFlyingSameGroupName(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a, b := box.goTenant(t, "a", daemonUID), box.goTenant(t, "b", binUID)

	a.options["app_group_name"], b.options["app_group_name"] = "shop", "shop"
	for range 3 {
		require.Equal(t, "a", f.byHTTP(t, a, "/").Name)
		require.Equal(t, "b", f.byHTTP(t, b, "/").Name)
	}

	require.Equal(t, map[string]string{a.root: "shop", b.root: "shop"}, f.groups(t))
}

// Two applications at two paths of one host.
func TestFlyingBaseURI(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a, b := box.goTenant(t, "a", daemonUID), box.goTenant(t, "b", binUID)
	a.options["base_uri"], b.options["base_uri"] = "/shop/", "/shop/blog"
	require.Equal(t, "a", f.byHTTP(t, a, "/shop/x").Name)
	e := f.byHTTP(t, b, "/shop/blog/x?y")
	require.Equal(t, "b", e.Name)
	require.Equal(t, "/shop/blog/x?y", e.Target)
	require.Equal(t, http.StatusNotFound, f.client(t).get(t, "/shopping", f.header(t, a)...).StatusCode)
	reply, err := f.bySCGI(t, http.MethodGet, "/shop", "", f.params(t, b))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, reply.StatusCode)
}

// What processes are started with changes with a restart.
func TestFlyingChangedOptions(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)
	a.options["stat_throttle_rate"] = "0"
	before := f.byHTTP(t, a, "/")
	a.options["env_vars"] = strings.ReplaceAll(a.options["env_vars"], `"a"`, `"changed"`)
	now := f.byHTTP(t, a, "/")
	require.Equal(t, before.PID, now.PID)
	require.Equal(t, "a", now.Name)
	require.Equal(t, "changed", now.Env[tenantVar], "for requests it counts at once")
	require.NoError(t, os.Mkdir(filepath.Join(a.root, "tmp"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(a.root, "tmp", "restart.txt"), nil, 0o644))
	eventually(t, func() error {
		if e := f.byHTTP(t, a, "/"); e.Name != "changed" {
			return fmt.Errorf("the process is %q", e.Name)
		}

		return nil
	})
	require.Len(t, f.groups(t), 1)
}

// What no client asks for any more goes, as does what was removed.
func TestFlyingRemovedApp(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box, "--pool-idle-time", "1")
	a, kept := box.goTenant(t, "a", daemonUID), box.goTenant(t, "kept", binUID)
	kept.options["min_instances"] = "1"
	f.byHTTP(t, a, "/")
	pid := f.byHTTP(t, kept, "/").PID
	require.Len(t, f.groups(t), 2)
	require.NoError(t, os.RemoveAll(a.root))
	eventually(t, func() error {
		if groups := f.groups(t); len(groups) != 1 {
			return fmt.Errorf("the pool has %v", groups)
		}

		return nil
	})
	require.Equal(t, pid, f.byHTTP(t, kept, "/").PID)
	require.Len(t, f.apps(t), 1)
	reply := f.client(t).get(t, "/", f.header(t, a)...)
	require.Equal(t, http.StatusInternalServerError, reply.StatusCode)
}

// The core is killed while clients ask: no client is refused.
func TestFlyingCoreIsKilled(t *testing.T) {
	t.Parallel()
	const kills, clients = 5, 4
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)
	f.byHTTP(t, a, "/")
	params := f.params(t, a)

	l := f.load(t, clients, func(context.Context, *client) error {
		_, err := f.bySCGI(t, http.MethodGet, "/", "", params) //nolint:contextcheck // what has begun gets a response
		return err
	})
	for range kills {
		l.killCore(t, f.server, 20*clients)
	}

	l.Stop()
	f.byHTTP(t, a, "/")
}

// Requests that have come by SCGI or HTTP get their responses before the end.
func TestFlyingShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	const requests = 20
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)
	a.options["env_vars"] = box.markedEnv(t, map[string]string{appVar: "1", "GORACE": "atexit_sleep_ms=0"})
	params, header := f.params(t, a), f.header(t, a)

	replies := make(chan fetched, 2*requests)
	for range requests {
		go func() {
			reply, err := f.bySCGI(t, http.MethodGet, "/hold", "", params)
			replies <- fetched{reply, err}
		}()
		client := f.client(t)
		request := client.request(t, http.MethodGet, "/hold", nil, header...)
		go func() {
			reply, err := client.do(request)
			replies <- fetched{reply, err}
		}()
	}

	f.Stderr.Await(t, heldText(2*requests), 1, f.Ended)
	apps := f.apps(t)
	require.Len(t, apps, 1)
	f.signal(t, syscall.SIGTERM)
	f.Stdout.Await(t, stopping, 1, f.Ended)
	eventually(t, func() error {
		if _, err := f.bySCGI(t, http.MethodGet, "/pid", "", params); err == nil {
			return errors.New("the server takes requests")
		}

		return nil
	})
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGUSR1))

	for range 2 * requests {
		a := <-replies
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Equal(t, fmt.Sprint(apps[0]), a.body)
	}

	f.requireExit(t, 0)
	require.NoFileExists(t, f.socket)
}

// A second daemon that takes the socket's place keeps it when the first one ends.
func TestFlyingSocketOfANewerDaemon(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	first := startFlying(t, box)
	require.NoError(t, os.Remove(first.socket))
	second := startFlying(t, box)
	first.signal(t, syscall.SIGTERM)
	<-first.Ended
	first.Judged = true
	require.Equal(t, "a", second.byHTTP(t, box.goTenant(t, "a", daemonUID), "/").Name)
}

func TestFlyingRefusesToStart(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		prepare func(t *testing.T, run string)
		args    []string
		want    string
	}{
		"mode":     {nil, []string{"--socket-mode", "0777"}, "socket_mode"},
		"argument": {nil, []string{"/srv/app"}, "passenger: 'passenger flying' takes no argument"},
		"daemon":   {nil, []string{"--daemonize"}, "--log-file"},
		"user":     {nil, []string{"--default-user", "nosuchuser"}, "nosuchuser"},
		"password": {func(t *testing.T, run string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(run, "s.password"), []byte("change-me"), 0o600))
		}, nil, "fewer than 16"},
		"directory": {func(t *testing.T, run string) {
			t.Helper()
			require.NoError(t, os.Chmod(run, 0o777))
		}, nil, "others than root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "user" || name == "directory" {
				requireRoot(t)
			}

			box := newFlyingSandbox(t)
			if test.prepare != nil {
				test.prepare(t, filepath.Join(box.Dir, "run"))
			}

			out, err := box.flyingCommand(t, test.args...).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), test.want)
			require.NoFileExists(t, filepath.Join(box.Dir, "run", "s"))
			box.RequireClean(t)
		})
	}
}

func TestFlyingProgram(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	config := filepath.Join(box.Dir, "flying.json")
	log := filepath.Join(box.Dir, "flying.log")
	require.NoError(t, os.WriteFile(config, []byte(`{"max_pool_size": 3, "log_file": "flying.log", "unknown": 1}`),
		0o600))
	program := filepath.Join(box.Dir, "flying-passenger")
	require.NoError(t, os.Link(filepath.Join(built, "passenger"), program))
	f := &flying{
		server:       &server{sandbox: box},
		socket:       filepath.Join(box.Dir, "run", "s"),
		passwordFile: filepath.Join(box.Dir, "password"),
	}
	f.url = "unix:" + f.socket
	f.Cmd = box.command(context.WithoutCancel(t.Context()), &launch{})
	f.Cmd.Path, f.Cmd.Args = program, []string{
		program, "--socket-file", f.socket, "--config-file", config,
		"--password-file", f.passwordFile, "--daemonize",
	}
	out, err := f.Cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Flying Passenger serves in the background on "+f.socket)
	require.Contains(t, string(out), `unknown option "unknown"`)
	settings, err := f.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(settings), " ", ""), `"max_pool_size":3`)
	require.FileExists(t, f.socket+".pid")
	reply := f.client(t).get(t, "/", f.header(t, box.goTenant(t, "a", daemonUID))...)
	require.Equal(t, "a", readTenant(t, reply).Name)
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(content), upAndListening)
	_, err = f.admin(t, "watchdog_api").Call(t.Context(), http.MethodPost, "/shutdown.json", nil)
	require.NoError(t, err)
	box.RequireClean(t)

	require.NoFileExists(t, f.socket)
	require.NoFileExists(t, f.socket+".pid")
}
