package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/internal/test/printed"
)

// instances are what tools find of the sandbox.
func (s *sandbox) instances() *instancedir.Listing { return instancedir.List([]string{s.Tmp}) }

// instance is the server's own.
func (s *server) instance(t testing.TB) *instancedir.Instance {
	t.Helper()
	i, err := s.instances().Select("")
	require.NoError(t, err)

	return i
}

// admin is a client of an agent's admin API.
func (s *server) admin(t testing.TB, socket string) *apiserver.Client {
	t.Helper()
	i := s.instance(t)
	password, err := i.FullPassword()
	require.NoError(t, err)

	return &apiserver.Client{Socket: i.Socket(socket), Name: instancedir.FullAccount, Password: password}
}

func TestInstance(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")
	require.Equal(t, s.Cmd.Process.Pid, s.instance(t).Properties.WatchdogPID)
	pid, err := os.ReadFile(filepath.Join(s.instance(t).Path, "core.pid"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(s.core(t)), string(pid))

	text, err := s.admin(t, instancedir.CoreAPI).Call(t.Context(), http.MethodGet, "/pool.txt?verbose=true", nil)
	require.NoError(t, err)
	require.Contains(t, string(text), "* PID: "+strconv.Itoa(s.apps(t)[0]))
	config, err := s.admin(t, instancedir.CoreAPI).Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, string(config), `"min_instances"`)
	require.NotContains(t, string(config), boxed.Variable, "environment variables may be secret")
	status, err := s.admin(t, instancedir.WatchdogAPI).Call(t.Context(), http.MethodGet, "/status.txt", nil)
	require.NoError(t, err)
	require.Contains(t, string(status), "watchdog")
}

// Either agent's API ends the whole server, in order.
func TestShutdownByAPI(t *testing.T) {
	t.Parallel()

	for _, agent := range []string{instancedir.CoreAPI, instancedir.WatchdogAPI} {
		t.Run(agent, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
			s.client(t).get(t, "/")
			_, err := s.admin(t, agent).Call(t.Context(), http.MethodPost, "/shutdown.json", nil)
			require.NoError(t, err)
			s.requireExit(t, 0)
			require.Contains(t, s.Stdout.String(), "Stopped.")
		})
	}
}

// The core is killed under load. No connection is refused, and no more requests are lost than were in flight.
// Faults: E1, P3.
func TestKilledCoreRefusesNoConnection(t *testing.T) {
	t.Parallel()
	const clients = 8

	kills := longtests.Rounds(t, 4, 20)
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")

	l := s.load(t, clients, askOnce)
	for range kills {
		l.killCore(t, s, 10*clients)
	}

	l.Stop()
	require.LessOrEqual(t, l.Lost.Load(), int64(kills*clients))
	require.Positive(t, l.Lost.Load(), "the core had nothing to do when it was killed")
	s.client(t).get(t, "/")
}

// When the watchdog is killed, the core ends what there is and itself.
// Faults: E4, P4.
func TestKilledWatchdogLeavesNothing(t *testing.T) {
	t.Parallel()

	for range longtests.Rounds(t, 3, 20) {
		s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
		s.client(t).get(t, "/")
		s.signal(t, syscall.SIGKILL)
		<-s.Ended
		s.Judged = true
		s.RequireClean(t)
		require.Contains(t, s.Stderr.String(), "the watchdog is gone")
	}
}

// When both are killed, the applications see it, and the next start removes
// the instance directory, but never one of a server that lives.
// Faults: E5, P9.
func TestApplicationsEndWhenWatchdogAndCoreAreKilled(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	l := &launch{dir: t.TempDir(), args: testApp(t)}
	dead := startIn(t, box, l)
	dead.client(t).get(t, "/")
	core := dead.core(t)
	dead.signal(t, syscall.SIGSTOP) // it must not see the end of the other
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	dead.signal(t, syscall.SIGKILL)
	<-dead.Ended
	dead.Judged = true
	eventually(t, func() error {
		if left := box.Processes(); len(left) > 0 {
			return fmt.Errorf("processes are left: %v", left)
		}

		return nil
	})
	require.Len(t, box.instances().Stale, 1)

	alive := startIn(t, box, l)
	require.Empty(t, box.instances().Stale)
	require.Contains(t, alive.Stderr.String(), "Cleaning stale instance directory")
	other := startIn(t, box, l)
	require.Len(t, box.instances().Instances, 2)
	alive.client(t).get(t, "/")

	// Each leaves only its own behind for a moment.
	other.signal(t, syscall.SIGTERM)
	<-other.Ended
	other.Judged = true
	require.Len(t, box.instances().Instances, 1)
	alive.client(t).get(t, "/")
}

// A second server on the same port says so and leaves the first alone.
// Faults: E9.
func TestSecondServerOnSamePortLeavesTheFirstAlone(t *testing.T) {
	t.Parallel()
	first := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	port := first.url[strings.LastIndexByte(first.url, ':')+1:]
	box := newSandbox(t)
	out, err := box.command(t.Context(), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--address", "127.0.0.1", "--port", port),
	}).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "in use")
	box.RequireClean(t)
	first.client(t).get(t, "/")
}

// What removes the instance directory does not stop the traffic, and there is
// soon a new one.
// Faults: E6.
func TestRemovedInstanceDirectoryIsRecreated(t *testing.T) {
	t.Parallel()

	for name, damage := range map[string]func(path string) error{
		"removed": os.RemoveAll,
		"emptied": func(path string) error { return os.RemoveAll(filepath.Join(path, "agents.s")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
			c := s.client(t)
			c.get(t, "/")
			old, core := s.instance(t).Path, s.core(t)
			require.NoError(t, damage(old))
			eventually(t, func() error {
				require.Equal(t, "app: GET /", c.get(t, "/").body)

				for _, i := range s.instances().Instances {
					if i.Path != old {
						return nil
					}
				}

				return errors.New("there is no new instance directory")
			})
			s.Stderr.Await(t, "created a new instance directory", 1, s.Ended)
			eventually(t, func() error {
				require.Equal(t, "app: GET /", c.get(t, "/").body)
				if s.core(t) == core {
					return errors.New("the old core is still there")
				}

				return nil
			})
			text, err := s.admin(t, instancedir.CoreAPI).Call(t.Context(), http.MethodGet, "/pool.txt", nil)
			require.NoError(t, err)
			require.Contains(t, string(text), "App groups    : 1")
			require.NoDirExists(t, old)
			c.CloseIdleConnections()
			s.stop(t)
		})
	}
}

// A registry that cannot be used is refused with the reason.
// Faults: E7.
func TestStartRefusesUnusableRegistry(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string) string
		want    string
	}{
		"missing": {
			func(_ *testing.T, dir string) string { return filepath.Join(dir, "none") },
			"there is no registry directory",
		},
		"a file": {func(t *testing.T, dir string) string {
			t.Helper()
			path := filepath.Join(dir, "f")
			require.NoError(t, os.WriteFile(path, nil, 0o600))

			return path
		}, "not a directory"},
		"writable to others": {func(t *testing.T, dir string) string {
			t.Helper()
			path := filepath.Join(dir, "d")
			require.NoError(t, os.Mkdir(path, 0o700))
			require.NoError(t, os.Chmod(path, 0o777))

			return path
		}, "0777"},
		"too long": {func(t *testing.T, dir string) string {
			t.Helper()
			path := filepath.Join(dir, fmt.Sprintf("%090d", 0))
			require.NoError(t, os.Mkdir(path, 0o700))

			return path
		}, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			registry := test.prepare(t, box.Dir)
			l := &launch{
				dir:  t.TempDir(),
				args: append(testApp(t), "--port", "0", "--address", "127.0.0.1", "--instance-registry-dir", registry),
			}
			out, err := box.command(t.Context(), l).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), test.want)
			require.Contains(t, string(out), registry)
			box.RequireClean(t)
		})
	}
}

// What an operator does to a running core: another level of the log, and an end of
// one client.
func TestChangesOfARunningCore(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	core := s.admin(t, instancedir.CoreAPI)

	call := func(method, path, body string) (string, error) {
		reply, err := core.Call(t.Context(), method, path, []byte(body))
		return string(reply), err
	}
	for _, wrong := range []string{
		`{"log_level": 8}`, `{"log_level": "much"}`, `{"port": 1}`,
		`{"log_level": 6, "port": 1}`,
	} {
		_, err := call(http.MethodPut, "/config.json", wrong)
		e, ok := errors.AsType[*apiserver.StatusError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, http.StatusBadRequest, e.Status)
	}

	config, err := call(http.MethodGet, "/config.json", "")
	require.NoError(t, err)
	require.Contains(t, config, `"log_level":3`)
	_, err = call(http.MethodPut, "/config.json", `{"log_level": 7}`)
	require.NoError(t, err)
	config, err = call(http.MethodGet, "/config.json", "")
	require.NoError(t, err)
	require.Contains(t, config, `"log_level":7`)

	ended := make(chan error, 1)
	go func() {
		resp, err := http.Get(s.url + "/hold")
		if err == nil {
			_ = resp.Body.Close()
		}

		ended <- err
	}()
	var shown struct {
		Requests []struct{ ID, Path string }
	}
	eventually(t, func() error {
		text, err := call(http.MethodGet, "/server.json", "")
		if err == nil {
			err = json.Unmarshal([]byte(text), &shown)
		}

		if err == nil && (len(shown.Requests) != 1 || shown.Requests[0].Path != "/hold") {
			err = fmt.Errorf("not yet there: %s", text)
		}

		return err
	})
	_, err = call(http.MethodDelete, "/server/"+shown.Requests[0].ID+".json", "")
	require.NoError(t, err)
	require.Error(t, <-ended)
	s.Stderr.Await(t, "request cut", 1, s.Ended)
}

// Of several instances, a directory names the one that serves it.
func TestDirectoryNamesTheInstance(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	first, second := t.TempDir(), t.TempDir()
	other := startIn(t, box, &launch{dir: first, args: append(testApp(t), "--min-instances", "1")})
	other.Stdout.Await(t, ": started in ", 1, other.Ended)
	s := startIn(t, box, &launch{dir: second, args: append(testApp(t), "--min-instances", "1")})
	s.Stdout.Await(t, ": started in ", 1, s.Ended)

	for _, dir := range []string{first, second} {
		require.Contains(t, s.tool(t, "explain", dir),
			dir+" (development): a request that came now would be served at once")
	}

	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), "explain", filepath.Dir(first))
	cmd.Dir, cmd.Env = s.Dir, s.Env()
	out, err := cmd.Output()
	require.Error(t, err)
	require.Contains(t, string(out), "multiple Passenger instances are running")

	// So it does for a restart.
	before := s.apps(t)
	require.Contains(t, s.tool(t, "restart-app", second, "--wait"), "Restarted "+second)
	require.NotEqual(t, before, s.apps(t))

	cmd = exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), "restart-app", "/")
	cmd.Dir, cmd.Env = s.Dir, s.Env()
	out, err = cmd.Output()
	require.Error(t, err)
	require.Contains(t, string(out), "multiple Passenger instances are running", "both have applications below")

	// Each leaves only its own behind for a moment.
	other.signal(t, syscall.SIGTERM)
	<-other.Ended
	other.Judged = true
}

// An instance that hangs keeps no other from being shown, wherever it is in the list.
func TestStatusShowsWhoRespondsBeforeWhoHangs(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)

	servers := make([]*server, 3)
	for i := range servers {
		servers[i] = startIn(t, box, &launch{dir: t.TempDir(), args: append(testApp(t), "--min-instances", "1")})
		servers[i].Stdout.Await(t, ": started in ", 1, servers[i].Ended)
	}

	hanging := servers[1].core(t)
	signalAll(t, syscall.SIGSTOP, hanging)

	var shown printed.Output
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), "status")
	cmd.Dir, cmd.Env = box.Dir, box.Env()
	cmd.Stdout, cmd.Stderr = &shown, &shown
	require.NoError(t, cmd.Start())

	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(done)
	}()

	shown.Await(t, "Serves  : ", 2, done)
	signalAll(t, syscall.SIGCONT, hanging)
	<-done
	require.True(t, cmd.ProcessState.Success(), shown.String())
	require.Equal(t, 3, strings.Count(shown.String(), "Serves  : "))

	for _, s := range servers {
		s.signal(t, syscall.SIGTERM)
		<-s.Ended
		s.Judged = true
	}
}

// The daemon of Flying does not say in its instance directory which applications it has: it is asked, and other users'
// instances, which could say anything, are not.
func TestPathNamesTheInstanceThatHasTheApplication(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "tenant", daemonUID)
	before := f.byHTTP(t, a, "/").PID

	dir := box.publicDir(t)
	other := startIn(t, box, &launch{dir: dir, args: append(testApp(t), "--min-instances", "1")})
	other.Stdout.Await(t, ": started in ", 1, other.Ended)

	require.Contains(t, f.tool(t, "restart-app", a.root, "--wait"), "Restarted ")
	require.NotEqual(t, before, f.byHTTP(t, a, "/").PID)

	other.signal(t, syscall.SIGTERM)
	<-other.Ended
	other.Judged = true

	f.stop(t)
}
