package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// cluster plays what surrounds pods: a deployment controller, a kubelet and a Service.
type cluster struct {
	testing.TB
	*balancer
	pods []*pod
	made int
	ends sync.WaitGroup

	mu sync.Mutex
	// failures counts the probes of a pod that said that it is not ready.
	failures map[*pod]int
	changed  chan struct{} // has an element when a probe has told something
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{
		TB:       t,
		balancer: newBalancer(t),
		failures: map[*pod]int{},
		changed:  make(chan struct{}, 1),
	}

	return c
}

// run starts a pod, which gets connections when it is ready.
func (c *cluster) run(image string) *pod {
	c.Helper()
	c.made++
	p := newPod(c, fmt.Sprint("pod ", c.made), image)
	p.watch(func(p *pod, ready bool) {
		c.set(p.address, ready)
		c.mu.Lock()
		if !ready {
			c.failures[p]++
		}

		c.mu.Unlock()

		select {
		case c.changed <- struct{}{}:
		default:
		}
	})

	return p
}

func (c *cluster) failed(p *pod) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures[p]
}

func (c *cluster) awaitReady(p *pod) {
	c.Helper()
	eventuallyWithin(c, deadline, func() error {
		if !c.has(p.address) {
			return fmt.Errorf("%s is not ready: %s", p.name, &p.Stderr)
		}

		return nil
	})
}

func (c *cluster) awaitFailures(p *pod, more int) {
	c.Helper()
	before := c.failed(p)
	eventuallyWithin(c, deadline, func() error {
		if n := c.failed(p) - before; n < more {
			return fmt.Errorf("%d of %d probes of %s have failed", n, more, p.name)
		}

		return nil
	})
}

// end ends a pod while the rest continues. The Service leaves it out as late as it may:
// when preStop is over, and before SIGTERM.
func (c *cluster) end(p *pod) {
	for i := range c.pods {
		if c.pods[i] == p {
			c.pods = append(c.pods[:i:i], c.pods[i+1:]...)
			break
		}
	}

	p.stopProbes()
	<-p.probed
	c.set(p.address, false)
	p.Judged = true
	c.Cleanup(c.ends.Wait) // before what newPod has registered
	c.ends.Go(func() {
		if err := p.terminate(); err != nil {
			c.Error(err)
		}
	})
}

// update replaces all pods as the Deployment says: one more at first, and none less. A
// pod that does not become ready ends it: then there are the pods of before.
func (c *cluster) update(image string) {
	c.Helper()

	old := c.pods
	for _, p := range old {
		next := c.run(image)
		c.awaitReady(next)
		c.pods = append(c.pods, next)
		c.end(p)
	}
}

// TestJourneyContainer is journey 8: the life of an application in pods, under load
// from clients with old and with new connections. No request is lost.
func TestJourneyContainer(t *testing.T) {
	t.Parallel()
	requirePods(t)
	c := newCluster(t)

	first := goImage(t, "first")
	for range 2 {
		c.pods = append(c.pods, c.run(first))
	}

	for _, p := range c.pods {
		c.awaitReady(p)
	}

	front := c.front()
	loads := []*load{front.load(t, 2, askOnce), front.load(t, 2, askAfresh)}
	progress := func() {
		for _, l := range loads {
			l.Progress(t, 30)
		}
	}
	progress()
	requireRelease := func(want string) {
		t.Helper()

		for range 2 * len(c.pods) {
			fresh := front.client(t)
			got, err := fresh.release(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got)
			fresh.CloseIdleConnections()
		}
	}
	requireRelease("first")

	// The image's HEALTHCHECK, and a tool in the container.
	for _, p := range c.pods {
		out, err := p.exec(t.Context(), healthCheck(t)...)
		require.NoError(t, err, out)
		out, err = p.exec(t.Context(), "passenger", "status")
		require.NoError(t, err, out)
		require.Contains(t, out, imageApp)
	}

	// A rolling update.
	c.update(goImage(t, "second"))
	progress()
	requireRelease("second")

	// A release that never becomes ready is not promoted, and its log says why.
	broken := c.run(image(t, `{"start_command": "echo 'cannot open the database' >&2; exit 4"}`))
	broken.Stderr.Await(t, imageApp+": does not start: ", 1, broken.Ended)
	c.awaitFailures(broken, 5)
	require.Contains(t, broken.Stderr.String(), "cannot open the database")
	out, err := broken.exec(t.Context(), healthCheck(t)...)
	require.Error(t, err, "the image's health check")
	require.Contains(t, out, "applications do not serve")
	require.NoError(t, broken.probe(t.Context(), &broken.container.LivenessProbe))
	require.False(t, c.hasTaken(broken.address))
	progress()
	requireRelease("second")
	c.end(broken) // kubectl rollout undo
	require.Len(t, c.pods, 2)

	// A node is drained: a pod of it is evicted, as the budget allows, and replaced elsewhere.
	second := goImage(t, "second")
	for _, p := range append([]*pod(nil), c.pods...) {
		c.end(p)
		next := c.run(second)
		c.awaitReady(next)
		c.pods = append(c.pods, next)
		progress()
	}

	// What loses its application leaves the Service until it is back. Its requests wait
	// for the application meanwhile, or it is not asked.
	for _, l := range loads {
		l.RequireNoneLost(t)
	}

	for _, p := range c.pods {
		c.end(p)
	}

	c.ends.Wait()
}

// TestJourneyContainerLeavesTheServiceWhenItsApplicationIsGone follows the readiness
// of a pod, whose application cannot be started any more, and then can.
func TestJourneyContainerLeavesTheServiceWhenItsApplicationIsGone(t *testing.T) {
	t.Parallel()
	requirePods(t)
	c := newCluster(t)
	dir := image(t, fmt.Sprintf(`{
		"start_command": "test ! -e broken && exec %s",
		"envvars": {%q: "1", "GORACE": "atexit_sleep_ms=0"},
		"min_instances": 1
	}`, tenantIn, appVar))
	p := c.run(dir)
	c.awaitReady(p)
	mark := filepath.Join(dir, "broken")
	require.NoError(t, os.WriteFile(mark, nil, 0o600))
	eventually(t, func() error {
		apps := p.apps(t)
		if len(apps) == 0 {
			return nil
		}

		for _, pid := range apps {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone
		}

		return fmt.Errorf("%d processes are there", len(apps))
	})
	c.awaitFailures(p, 2)
	require.False(t, c.has(p.address))
	require.NoError(t, p.probe(t.Context(), &p.container.LivenessProbe), "it is not restarted for that")
	require.NoError(t, os.Remove(mark))
	c.awaitReady(p)
	c.end(p)
}

var healthCheckLine = regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD \[(.+)\]$`)

// healthCheck is the image's.
func healthCheck(t testing.TB) (argv []string) {
	t.Helper()
	m := healthCheckLine.FindSubmatch(readFile(t, filepath.Join(packaging, "Dockerfile")))
	require.NotNil(t, m)

	for word := range strings.SplitSeq(string(m[1]), ", ") {
		arg, err := strconv.Unquote(word)
		require.NoError(t, err)
		argv = append(argv, arg)
	}

	return argv
}

// TestJourneyContainerReapsOrphans: what no process waits for is the first process's to
// wait for.
func TestJourneyContainerReapsOrphans(t *testing.T) {
	t.Parallel()
	p := newPod(t, "pod", goImage(t, "first"))
	p.watch(func(*pod, bool) {})
	p.awaitServing(t)

	c := p.client(t)
	for range 20 {
		require.Equal(t, http.StatusOK, c.get(t, "/orphan").StatusCode)
	}

	c.CloseIdleConnections()
	eventually(t, func() error { return p.zombies(t.Context()) })
	status := string(readFile(t, fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid)))
	require.Regexp(t, `(?m)^NSpid:\t\d+\t1$`, status, "it is process 1")
	require.Regexp(t, fmt.Sprintf(`(?m)^Uid:\t%d\t`, p.spec.SecurityContext.RunAsUser), status)
	require.Regexp(t, `(?m)^NoNewPrivs:\t1$`, status)
	p.requireTerminated(t)
}

// TestJourneyContainerMemory: an application that leaks is replaced before the pod's
// limit is reached, and one that takes all at once costs itself and not the pod.
func TestJourneyContainerMemory(t *testing.T) {
	t.Parallel()
	requirePods(t)
	const limit = 600 << 20
	group := newCgroup(t, limit)
	p := newPod(t, "pod", image(t, `{"start_command": "exec python3 serve.py"}`, "serve.py", leakingApp),
		func(cmd *exec.Cmd) {
			join := "echo $$ > " + filepath.Join(group, "cgroup.procs") + "\n"
			cmd.Args[2] = join + cmd.Args[2]
			cmd.Env = append(cmd.Env, "PASSENGER_MEMORY_LIMIT=200", "PASSENGER_MAX_POOL_SIZE=1",
				"PASSENGER_MIN_INSTANCES=1")
		})
	p.watch(func(*pod, bool) {})
	p.awaitServing(t)
	c := p.client(t)
	first := c.get(t, "/").body
	require.Equal(t, first, c.get(t, "/leak?250").body)
	eventuallyWithin(t, deadline, func() error { // the limit is looked at now and then
		if now := c.get(t, "/").body; now == first {
			return fmt.Errorf("process %s has not been replaced", now)
		}

		return nil
	})

	second := c.get(t, "/").body
	r := c.request(t, http.MethodGet, "/leak?2000", nil)
	_, _ = c.do(r) // it is the one that is lost
	eventuallyWithin(t, deadline, func() error {
		a, err := c.do(c.request(t, http.MethodGet, "/", nil))
		if err != nil {
			return err
		}

		if a.StatusCode != http.StatusOK || a.body == second {
			return fmt.Errorf("%s: %s", a.Status, a.body)
		}

		return nil
	})
	c.CloseIdleConnections()
	p.requireTerminated(t)
}

// leakingApp responds with its pid; /leak?N takes N MB.
const leakingApp = `
import http.server, os
held = []
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass
    def do_GET(self):
        path, _, megabytes = self.path.partition("?")
        if path == "/leak":
            for _ in range(int(megabytes)):
                held.append(bytearray(os.urandom(1 << 20)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`

// TestJourneyContainerReadOnly: an error names a place that cannot be written to and the
// option that names another one, whichever place that is.
func TestJourneyContainerReadOnly(t *testing.T) {
	t.Parallel()
	requirePods(t)

	app := goImage(t, "first")
	for _, test := range []struct {
		name, env, says string
		// serves reports whether it is no reason not to serve.
		serves bool
	}{
		{"registry", "PASSENGER_INSTANCE_REGISTRY_DIR=/srv", "--instance-registry-dir", false},
		{"registry without the sticky bit", "PASSENGER_INSTANCE_REGISTRY_DIR=/tmp", "medium: Memory", false},
		{"log", "PASSENGER_LOG_FILE=/srv/app/log", "--log-file", false},
		{"access log", "PASSENGER_ACCESS_LOG=/srv/app/log", "--access-log", false},
		{"pid file", "PASSENGER_PID_FILE=/srv/app/pid", "--pid-file", false},
		{"transactions", "PASSENGER_TRANSACTION_LOG=/srv/app/log", "--transaction-log", false},
		{"in the background", "PASSENGER_DAEMONIZE=true", "--log-file", false},
		{"buffers", "PASSENGER_DATA_BUFFER_DIR=/srv/app", "--data-buffer-dir", true},
		{"temporary files", "PASSENGER_DATA_BUFFER_DIR=", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, "pod", app, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, test.env) })
			p.watch(func(*pod, bool) {})
			if test.serves {
				p.awaitServing(t)
				if test.says != "" {
					p.Stderr.Await(t, test.says, 1, p.Ended)
				}

				p.requireTerminated(t)

				return
			}

			<-p.Ended
			p.Judged = true
			require.Equal(t, 1, p.Cmd.ProcessState.ExitCode(), "%s", &p.Stderr)
			require.Contains(t, p.Stderr.String(), test.says)
			require.NoError(t, p.nothingLeft())
		})
	}
}

// TestJourneyContainerReadOnlyApplication: an application that writes where it cannot
// shows what to do, by its own words and ours.
func TestJourneyContainerReadOnlyApplication(t *testing.T) {
	t.Parallel()
	requirePods(t)

	for name, files := range map[string][]string{
		"python": {"passenger_wsgi.py", "open('cache', 'w')\n"},
		"node":   {"app.js", "require('fs').writeFileSync('cache', '')\n"},
		"ruby":   {"config.ru", "File.write('cache', '')\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, "pod", image(t, `{"python": "/usr/bin/python3"}`, files...))
			p.watch(func(*pod, bool) {})
			p.Stderr.Await(t, imageApp+": does not start: ", 1, p.Ended)
			text := p.Stderr.String()
			require.Contains(t, text, "writes to a file system that is read-only")
			require.Contains(t, text, "an emptyDir in Kubernetes")
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			out, err := p.exec(ctx, healthCheck(t)...)
			require.Error(t, err)
			require.Contains(t, out, "read-only")
			p.requireTerminated(t)
		})
	}
}
