package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// The ways to let a release serve.
const (
	byRestartApp  = "restart-app"
	byRestartFile = "restart.txt"
	byReload      = "reload"
)

// deploys are a server behind a Capistrano tree, under load.
type deploys struct {
	*testing.T
	*capistrano
	kind     *releaseKind
	s        *server
	c        *client
	admin    *client
	messages <-chan string
	load     *load
	// serving is the release that serves.
	serving int
}

const keptReleases = 5 // Capistrano's keep_releases

func (d *deploys) page(n int) string {
	return fmt.Sprintf("%d %s /uploads/photo.txt", n, d.asset(n))
}

// write makes a release and switches the link.
func (d *deploys) write(n int, f fault) {
	d.T.Helper()
	d.make(n)
	d.kind.write(d.T, d.release(n), d.page(n), n, f)
	d.use(n)
}

func startDeployment(t *testing.T, kind *releaseKind, more ...string) *deploys {
	t.Helper()
	args := append(kind.args(t), more...)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	d := &deploys{
		T:          t,
		capistrano: &capistrano{TB: t, dir: dir},
		kind:       kind,
		serving:    1,
	}
	d.write(1, noFault)

	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	d.messages = messages
	address := "127.0.0.1:" + freePort(t)
	d.s = startIn(t, box, &launch{dir: d.current(), env: []string{env}, args: append(args,
		"--environment", prodEnv, "--min-instances", "2", "--max-pool-size", "2", "--metrics-address", address,
		"--health-path", "/up", "--warmup-path", "/", "--warmup-required", "--envvar", "PYTHONDONTWRITEBYTECODE=1")})
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	d.s.processed(t)
	d.c = d.s.client(t)
	d.admin = (&server{sandbox: box, url: "http://" + address}).client(t)
	d.load = d.s.load(t, 3, askPage)

	return d
}

// thinkTime is how long a client looks at a page. Clients that do not think take all there is of a small machine. In a
// long run they think less.
func thinkTime() time.Duration {
	if longtests.Enabled() {
		return 10 * time.Millisecond
	}

	return 100 * time.Millisecond
}

// askPage asks for a page and then for its assets, as a browser does.
func askPage(ctx context.Context, c *client) error {
	get := func(path string) (*reply, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
		if err != nil {
			return nil, err
		}

		a, err := c.do(r)
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: the response is %s: %.200s", path, a.Status, a.body)
		}

		return a, err
	}

	page, err := get("/")
	if err != nil {
		return err
	}

	parts := strings.Fields(page.body)
	if len(parts) != 3 {
		return fmt.Errorf("the page is %.200q", page.body)
	}

	for path, want := range map[string]string{parts[1]: parts[0], parts[2]: "a photo"} {
		if a, err := get(path); err != nil || a.body != want {
			return fmt.Errorf("the page of release %s names %s: %w", parts[0], path,
				errors.Join(err, fmt.Errorf("it is %q", replyBody(a))))
		}
	}

	think(ctx)

	return nil
}

func think(ctx context.Context) {
	thought := time.NewTimer(thinkTime())
	defer thought.Stop()

	select {
	case <-thought.C:
	case <-ctx.Done():
	}
}

func replyBody(a *reply) string {
	if a == nil {
		return ""
	}

	return a.body
}

// do lets what the link leads to serve; told is what the command says, if it is one.
func (d *deploys) do(by string) (told string, err error) {
	d.T.Helper()

	switch by {
	case byRestartApp:
		return d.s.restartApp(d.T, d.current())
	case byReload:
		return d.s.reload(d.T)
	default:
		path := filepath.Join(d.current(), "tmp", "restart.txt")
		_ = os.Remove(path) // two files within a tick of the clock would be the same
		return "", os.WriteFile(path, nil, 0o600)
	}
}

// succeed lets a release serve that is well, and checks that all tell so.
func (d *deploys) succeed(n int, by string) {
	d.T.Helper()
	told, err := d.do(by)
	d.requireDone(n, by, told, err)
}

// requireDone is for what a command that has ended tells.
func (d *deploys) requireDone(n int, by, told string, err error) {
	d.T.Helper()
	before := d.serving
	require.NoError(d.T, err, "%s: %s", by, told)
	if by == byRestartApp {
		require.Contains(d.T, told, ": 2 of 2 processes replaced in ")
	}

	if by == byReload {
		require.Contains(d.T, awaitMessage(d.T, d.messages), "RELOADING=1\n")
		require.Equal(d.T, "STATUS=\nREADY=1", awaitMessage(d.T, d.messages))
	}

	d.serving = n
	d.requireServes()

	for _, open := range []int{before, n} {
		require.Equal(d.T, fmt.Sprint(open), d.c.get(d.T, d.asset(open)).body,
			"pages of release %d may be open after %s", open, by)
	}
}

// requireServes waits until the processes of the release serve alone, which the whole
// server says.
func (d *deploys) requireServes() {
	d.T.Helper()
	eventuallyWithin(d.T, deadline, func() error {
		if body := d.c.get(d.T, "/").body; body != d.page(d.serving) {
			return fmt.Errorf("not release %d but %q serves", d.serving, body)
		}

		if status := d.s.tool(d.T, "status"); !strings.Contains(status, "\n  Release : "+d.release(d.serving)+"\n") {
			return fmt.Errorf("the status is not of release %d: %s", d.serving, status)
		}

		return nil
	})
	require.Equal(d.T, fmt.Sprint(d.serving), d.c.get(d.T, "/page.txt").body)
	require.Equal(d.T, http.StatusOK, d.admin.get(d.T, "/readyz").StatusCode)
	require.Empty(d.T, d.messages, "systemd gets more than that")
}

// fail deploys a release that is broken: all tell why, and the one before serves on.
func (d *deploys) fail(n int, f fault, ways ...string) {
	d.T.Helper()
	d.write(n, f)
	tells := d.kind.faults[f].tells
	require.NotEmpty(d.T, tells)
	before := d.s.processed(d.T)

	for _, by := range ways {
		failures := strings.Count(d.s.tool(d.T, "status", "--show=errors"), "Error ID")

		told, err := d.do(by)
		switch by {
		case byRestartFile:
			require.NoError(d.T, err)
		case byReload:
			require.Contains(d.T, awaitMessage(d.T, d.messages), "RELOADING=1\n")
			status := awaitMessage(d.T, d.messages)
			require.True(d.T, strings.HasPrefix(status, "STATUS=The reload has failed: "), status)
			require.True(d.T, strings.HasSuffix(status, "\nREADY=1"), status)

			fallthrough
		default:
			require.Error(d.T, err, "%s: %s: %s", f, by, told)
			requireTells(d.T, told, tells, by)
		}

		var shown string
		eventuallyWithin(d.T, deadline, func() error {
			d.c.get(d.T, "/") // the application looks for restart.txt when it is asked
			if shown = d.s.tool(d.T, "status", "--show=errors"); strings.Count(shown, "Error ID") <= failures {
				return errors.New(by + ": the failure is not shown: " + shown)
			}

			return nil
		})
		requireTells(d.T, shown, tells, "status after "+by)
		requireTells(d.T, d.s.Stderr.String(), tells, "the log after "+by)

		for pid := range before {
			require.Contains(d.T, d.s.processed(d.T), pid, "%s: %s: an old process is gone", f, by)
		}

		d.requireServes()
	}
}

func requireTells(t testing.TB, text string, tells []string, where string) {
	t.Helper()

	text = strings.ReplaceAll(text, `\"`, `"`)
	for _, tell := range tells {
		require.Contains(t, text, tell, where)
	}
}

// rollBack lets older files serve again, and browsers get them.
func (d *deploys) rollBack(n int, by string) {
	d.T.Helper()
	newer := d.c.get(d.T, "/page.txt")
	require.Equal(d.T, fmt.Sprint(d.serving), newer.body)
	d.use(n)
	d.succeed(n, by)

	for _, header := range [][]string{
		{"If-Modified-Since", newer.Header.Get("Last-Modified")},
		{"If-None-Match", newer.Header.Get("ETag")},
	} {
		require.NotEmpty(d.T, header[1])
		a := d.c.get(d.T, "/page.txt", header...)
		require.Equal(d.T, http.StatusOK, a.StatusCode, header)
		require.Equal(d.T, fmt.Sprint(n), a.body)
	}
}

// prune removes the releases before the last ones.
func (d *deploys) prune(last int) {
	d.T.Helper()

	for n := range last - keptReleases + 1 {
		if n != d.serving {
			require.NoError(d.T, os.RemoveAll(d.release(n)))
		}
	}
}

// Releases of each kind of application are deployed, by each way to restart, under
// load. Some are broken, some rolled back. No request fails. A long run
// has twenty of each kind, and the file that the server looks for every ten seconds takes its turn, too.
func TestDeploys(t *testing.T) {
	t.Parallel()

	for i := range releaseKinds {
		kind := &releaseKinds[i]
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			deployMany(t, kind)
		})
	}
}

func deployMany(t *testing.T, kind *releaseKind) {
	t.Helper()
	releases := longtests.Rounds(t, 7, 20)
	ways, broken := []string{byRestartApp, byReload, byRestartApp}, []string{byRestartApp, byReload}
	boot, well, lazy, byFile, back := 2, 3, 4, 5, []int{7}
	if longtests.Enabled() {
		ways, broken = append(ways, byRestartFile), append(broken, byRestartFile)
		boot, well, lazy, byFile, back = 4, 7, 9, 6, []int{11, 17}
	} else if kind.name == "go" {
		broken = append(broken, byRestartFile)
	}

	d := startDeployment(t, kind)

	for n := 2; n <= releases; n++ {
		by := ways[n%len(ways)]
		switch {
		case n == boot:
			d.fail(n, bootFault, broken...)
		case n == well:
			d.fail(n, wellFault, broken[:kind.patience()]...)
		case n == lazy:
			d.fail(n, lazyFault, byRestartApp, byReload)
		case slices.Contains(back, n):
			d.write(n, noFault)
			d.succeed(n, by)
			d.rollBack(n-1, ways[(n+1)%len(ways)])
		case n == byFile:
			by = byRestartFile
			fallthrough
		default:
			d.write(n, noFault)
			d.succeed(n, by)
		}

		d.prune(n)
		d.load.Progress(t, 5)
	}

	d.load.RequireNoneLost(t)
	t.Logf("%d pages with their assets were served", d.load.Served.Load())
}
