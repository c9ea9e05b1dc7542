package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/webservers"
)

const (
	// envSecret is what only the victim's processes have in their environment.
	envSecret = "of-the-victim-alone"
	// rootSecret is what only the server has.
	rootSecret = "of-the-server-alone"
)

// neighbours are two users' applications behind nginx and Apache, of which one attacks.
type neighbours struct {
	*flying

	fronts []*webServer
	// classic is the victim's as well, and serves on a port.
	victim, classic, hostile *tenant
	victimUID, hostileUID    int
	victimPID                int
	secret                   string
	load                     *load
}

// Journey 5, many tenants: one of two users' applications does to the other, and to the
// server, all that a program of its user can do. The other responds to each request through
// both web servers meanwhile, by the same process, and nothing of it is taken.
func TestJourneyManyTenants(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	n := startNeighbours(t)
	core, fds := n.core(t), n.fds(t)
	n.load = n.server.load(t, 4, n.askVictim)

	n.reads(t)
	n.connects(t)
	n.floods(t, 3000)
	n.forks(t, 40)
	n.links(t)
	n.forges(t)
	n.stealsPort(t)
	n.hangs(t, 30)
	n.fills(t, 3000, 3000)

	n.load.Progress(t, 50)
	n.load.RequireNoneLost(t)

	for _, w := range n.fronts {
		w.Stop()
	}

	require.Equal(t, core, n.core(t))
	const kept = 8 // connections to processes, as many as they served at a time
	n.requireNoMoreFDs(t, fds+kept)
	require.Less(t, strings.Count(n.Stderr.String(), "\n"), 150, "lines of the log")
	require.NotContains(t, n.Stderr.String(), n.password(t))

	n.stop(t)
	eventuallyWithin(t, deadline, func() error {
		if left := processesOf(t, n.hostileUID); len(left) > 0 {
			return fmt.Errorf("processes of the hostile tenant are left: %v", left)
		}

		return nil
	})
}

func lookUp(t *testing.T, name string) (uid int) {
	t.Helper()
	u, err := user.Lookup(name)
	require.NoError(t, err)
	uid, err = strconv.Atoi(u.Uid)
	require.NoError(t, err)

	return uid
}

func startNeighbours(t *testing.T) *neighbours {
	t.Helper()
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	box := newFlyingSandbox(t)
	n := &neighbours{victimUID: lookUp(t, "games"), hostileUID: lookUp(t, "news")}
	n.flying = startFlyingWith(t, box, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "AWS_SECRET_ACCESS_KEY="+rootSecret, "DEPLOY_TOKEN="+rootSecret)
	}, "--max-connections", "400", "--max-connections-per-client", "40", "--max-instances-per-app", "2",
		"--max-request-queue-size", "10")

	n.victim, n.classic = box.goTenant(t, "victim", n.victimUID), box.goTenant(t, "classic", n.victimUID)
	n.victim.options["env_vars"] = box.markedEnv(t, map[string]string{
		tenantVar: "victim", "SECRET": envSecret,
		"GORACE": "atexit_sleep_ms=0",
	})
	n.secret = filepath.Join(n.victim.root, "secret")
	require.NoError(t, os.WriteFile(n.secret, []byte(envSecret), 0o600))
	require.NoError(t, os.Chown(n.secret, n.victimUID, -1))
	require.NoError(t, os.WriteFile(filepath.Join(n.classic.root, "run"), fmt.Appendf(nil, supervised, python), 0o644))
	n.classic.options["app_start_command"] = `["/bin/sh", "run"]`

	n.hostile = &tenant{
		name:    "hostile",
		root:    box.tenantDir(t, "hostile", n.hostileUID, map[string]string{"passenger_wsgi.py": hostileApp}),
		options: map[string]string{"python": python, "env_vars": box.markedEnv(t, map[string]string{})},
	}
	for _, dir := range []string{
		n.hostile.root, filepath.Join(n.hostile.root, "tmp"),
		filepath.Join(n.hostile.root, "public"),
	} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.Chown(dir, n.hostileUID, -1))
	}

	for _, kind := range webservers.Kinds() {
		if kind.SCGI == kind.Apache { // one of each protocol will do here
			continue
		}

		w := n.startWebServer(t, kind, []*tenant{n.victim, n.classic, n.hostile})
		require.NoError(t, os.Chmod(w.Conf, 0o600))
		n.fronts = append(n.fronts, w)
	}

	require.Len(t, n.fronts, 2)

	for _, w := range n.fronts {
		first := readTenant(t, w.client(n.victim).get(t, "/"))
		require.Equal(t, n.victimUID, first.UID)
		n.victimPID = first.PID
	}

	return n
}

// askVictim asks by each of the web servers, for a page and with a body.
func (n *neighbours) askVictim(ctx context.Context, _ *client) error {
	defer think(ctx)

	for _, w := range n.fronts {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://victim.test/order?1",
			strings.NewReader("an order"))
		if err != nil {
			return err
		}

		a, err := w.client(n.victim).do(r)
		if err != nil {
			return err
		}

		var e tenantEcho
		err = json.Unmarshal([]byte(a.body), &e)
		if err != nil || e.Name != "victim" || e.PID != n.victimPID || e.Length != int64(len("an order")) ||
			e.Target != "/order?1" {
			return fmt.Errorf("%w by %s: %s: %s", errWrong, w.File, a.Status, a.body)
		}
	}

	return nil
}

// report is what an attack came to.
type report struct {
	UID, PID      int
	Env           map[string]string
	Took, Refused map[string]string
}

// attack has the hostile application do something, by one of the web servers, and
// requires that the other one is served meanwhile.
func (n *neighbours) attack(t *testing.T, what string, args map[string]any) *report {
	t.Helper()
	text, err := json.Marshal(args)
	require.NoError(t, err)
	a := n.fronts[0].client(n.hostile).get(t, "/"+what+"?"+url.PathEscape(string(text)))
	require.Equal(t, http.StatusOK, a.StatusCode, "%s: %s", what, a.body)
	r := &report{}
	require.NoError(t, json.Unmarshal([]byte(a.body), r), a.body)
	require.Empty(t, r.Took, "%s: refused was %v", what, r.Refused)
	require.Equal(t, n.hostileUID, r.UID)
	n.load.Progress(t, 4)
	require.Zero(t, n.load.Lost.Load(), "%s: %v", what, n.load.FirstLoss())

	return r
}

func (n *neighbours) reads(t *testing.T) {
	t.Helper()
	i := n.instance(t)
	paths := []string{n.secret, n.passwordFile, n.fronts[0].Conf, n.fronts[1].Conf}
	require.NoError(t, filepath.WalkDir(i.Path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "password.txt") {
			return err
		}

		paths = append(paths, path)

		return nil
	}))
	require.Len(t, paths, 6, "with both passwords of the admin API")
	pids := []int{n.victimPID, n.core(t), n.Cmd.Process.Pid}
	r := n.attack(t, "read", map[string]any{"paths": paths, "pids": pids})
	require.Len(t, r.Refused, 3*len(paths)+9*len(pids))

	for name, value := range r.Env {
		require.NotContains(t, value, rootSecret, name)
		require.NotContains(t, value, envSecret, name)
		require.NotContains(t, value, n.password(t), name)
	}
}

// sockets are those of the victim's processes and of the admin API, as root sees them.
func (n *neighbours) sockets(t *testing.T) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(n.instance(t).Path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		info, err := entry.Info()
		if err != nil {
			return err
		}

		stat, ok := info.Sys().(*syscall.Stat_t)
		if ok && entry.Type() == fs.ModeSocket && int(stat.Uid) != n.hostileUID {
			paths = append(paths, path)
		}

		return nil
	}))

	return paths
}

func (n *neighbours) connects(t *testing.T) {
	t.Helper()
	sockets := n.sockets(t)
	require.GreaterOrEqual(t, len(sockets), 3, "the victim's, the core's and the watchdog's")
	n.attack(t, "connect", map[string]any{"paths": sockets, "front": n.socket, "victim": n.victim.root})
	require.Len(t, n.groups(t), 2)
}

// floods holds more connections than all may have together. Of those of one user, a few
// stay; those of the web servers' user do not notice.
func (n *neighbours) floods(t *testing.T, connections int) {
	t.Helper()
	before := n.fds(t)
	n.attack(t, "flood", map[string]any{"front": n.socket, "n": connections})
	n.requireNoMoreFDs(t, before+40)
	n.Stderr.Await(t, "its client has as many as it may have", 1, n.Ended)
}

func (n *neighbours) forks(t *testing.T, count int) {
	t.Helper()
	n.attack(t, "fork", map[string]any{"n": count})
	require.GreaterOrEqual(t, len(processesOf(t, n.hostileUID)), count)
}

// processesOf are those of a user who has none but a test's.
func processesOf(t *testing.T, uid int) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)

	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}

		info, err := os.Stat(filepath.Join("/proc", e.Name()))
		if err != nil {
			continue // it has ended
		}

		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == uid {
			pids = append(pids, pid)
		}
	}

	return pids
}

// links leads from where the server and the web servers look to what is the victim's.
func (n *neighbours) links(t *testing.T) {
	t.Helper()
	n.attack(t, "links", map[string]any{"secret": n.secret, "victim": n.victim.root})

	for _, w := range n.fronts {
		c := w.client(n.hostile)
		for _, target := range []string{
			"/secret.txt", "/all/secret", "/all/../secret.txt", "/sendfile?" + n.secret, "/sendfile?/all/secret",
			"/sendfile?/secret.txt", "/sendfile?" + n.passwordFile,
		} {
			a := c.get(t, target)
			require.NotContains(t, a.body, envSecret, target)
			require.NotContains(t, a.body, n.password(t), target)
		}
	}
}

// forges sends what only web servers may say as a client of both applications.
func (n *neighbours) forges(t *testing.T) {
	t.Helper()

	evil := []string{
		"X-Passenger-User", "root", "X-Passenger-App-Root", n.hostile.root, "X-Passenger-Options",
		"User, App-Root, App-Start-Command",
		"X-Passenger-Password", n.password(t), "X-Passenger-App-Start-Command", "/usr/bin/id", "X-Passenger-Env-Vars",
		`{"SECRET":"evil"}`,
		"X-Forwarded-For", "192.0.2.66", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.test", "X-Real-Ip",
		"192.0.2.66",
		"X-Original-Url", "/evil", "X-Sendfile-Type", "X-Accel-Redirect", "X-Accel-Mapping", "/=/evil/",
		"!~Passenger-Envvars", "UkVNT1RFX1VTRVIAZXZpbAA=", "!~Passenger-Client-Address", "192.0.2.66",
	}
	for _, w := range n.fronts {
		a := w.client(n.victim).get(t, "/", evil...)
		if a.StatusCode == http.StatusBadRequest { // Apache knows no such names
			a = w.client(n.victim).get(t, "/", evil[:len(evil)-4]...)
		}

		e := readTenant(t, a)
		require.Equal(t, "victim", e.Name)
		require.Equal(t, n.victimPID, e.PID)

		seen := fmt.Sprint(e.Header, e.Env, e.Remote, e.Host)
		for _, forged := range []string{"evil", "192.0.2.66", "https", n.password(t)} {
			require.NotContains(t, seen, forged)
		}
	}

	require.Len(t, n.groups(t), 2)
}

// stealsPort takes the port of the victim's other application while that restarts by
// itself.
func (n *neighbours) stealsPort(t *testing.T) {
	t.Helper()
	get := func() error {
		a := n.fronts[0].client(n.classic).get(t, "/", "Cookie", envSecret)
		if a.StatusCode != http.StatusOK || a.body == "stolen" {
			return fmt.Errorf("%w: %s: %s", errWrong, a.Status, a.body)
		}

		return nil
	}
	require.NoError(t, get())
	port, err := os.ReadFile(filepath.Join(n.classic.root, "port"))
	require.NoError(t, err)
	number, err := strconv.Atoi(strings.TrimSpace(string(port)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(n.classic.root, "stop"), nil, 0o644))
	eventually(t, func() error {
		_, err := os.Stat(filepath.Join(n.classic.root, "stopped"))
		return err
	})
	require.NoError(t, os.Remove(filepath.Join(n.classic.root, "stop")))

	n.attack(t, "steal", map[string]any{"port": number})
	eventuallyWithin(t, deadline, get)
	n.attack(t, "spoils", map[string]any{})
}

// hangs has requests to the hostile application wait, as many as it has processes and
// room in its queue, and more.
func (n *neighbours) hangs(t *testing.T, count int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var hanging sync.WaitGroup

	refused := make(chan int, count)
	for range count {
		c := n.fronts[0].client(n.hostile)
		r := c.request(t, http.MethodGet, "/hang", nil).WithContext(ctx)
		hanging.Go(func() {
			if a, err := c.do(r); err == nil {
				refused <- a.StatusCode
			}
		})
	}

	require.Equal(t, http.StatusServiceUnavailable, <-refused, "beyond the queue")
	n.load.Progress(t, 20)

	for _, pid := range processesOf(t, n.hostileUID) {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && string(comm) != "sleep\n" {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
	}

	cancel()
	hanging.Wait()
}

// fills leaves files in the directory of the process's sockets, and ends.
func (n *neighbours) fills(t *testing.T, deep, full int) {
	t.Helper()
	c := n.fronts[0].client(n.hostile)
	eventuallyWithin(t, deadline, func() error { // those that hung may end yet
		if a := c.get(t, "/"); a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}

		return nil
	})
	before := n.fds(t)
	r := n.attack(t, "fill", map[string]any{"deep": deep, "full": full})
	dir := r.Refused["directory"]
	require.DirExists(t, dir)
	require.Equal(t, http.StatusBadGateway, c.get(t, "/die").StatusCode)
	eventuallyWithin(t, deadline, func() error {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is still there: %w", dir, err)
		}

		return nil
	})
	n.requireNoMoreFDs(t, before)
}
