package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/incident"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

func TestBacktracesDoNotHurtALivingProcess(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	c := s.client(t)
	held := c.background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	pid := c.get(t, "/pid").body

	for range 3 {
		require.Contains(t, s.tool(t, "backtraces", pid), "app_test.go:")
	}

	n, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(n, syscall.SIGUSR1)) // releases the request
	require.Equal(t, pid, (<-held).body)
}

// busy are applications that tell their process, after two seconds for /slow.
var busy = []struct {
	name, file, source string
	args               func(t testing.TB) []string
}{
	{"ruby", "config.ru", `run lambda { |env|
  if env["PATH_INFO"] == "/slow"
    STDERR.puts "It has begun."
    sleep 2
  end
  [200, {}, [Process.pid.to_s]]
}
`, rackArgs},
	{"python", "passenger_wsgi.py", `import os, sys, time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("It has begun.", file=sys.stderr, flush=True)
        time.sleep(2)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`, nil},
	{"node", "app.js", `require('http').createServer((request, response) => {
  if (request.url === '/slow') {
    require('fs').writeSync(2, 'It has begun.\n');
    const end = Date.now() + 2000;
    while (Date.now() < end) {}
  }
  response.end(String(process.pid));
}).listen();
`, func(t testing.TB) []string {
		interpreters.Find(t, "node", "node")
		return []string{"--max-request-time", "60"}
	}},
}

func TestBacktracesInterruptNoRequest(t *testing.T) {
	t.Parallel()

	for _, app := range busy {
		t.Run(app.name, func(t *testing.T) {
			t.Parallel()

			args := []string{"--max-pool-size", "1"}
			if app.args != nil {
				args = append(args, app.args(t)...)
			}

			s := start(t, &launch{dir: newDir(t, map[string]string{app.file: app.source}), args: args})
			c := s.client(t)
			pid := c.get(t, "/").body

			// The thread of Node.js that shows them starts beside the first requests.
			for tries := 1; strings.Contains(s.tool(t, "backtraces", pid), "(none:"); tries++ {
				require.Less(t, tries, 20)
			}

			slow := c.background(t, "/slow")
			s.Stderr.Await(t, "It has begun.", 1, s.Ended)

			for range 2 {
				require.Contains(t, s.tool(t, "backtraces", pid), app.file)
			}

			require.Equal(t, pid, (<-slow).body)
			require.Equal(t, pid, c.get(t, "/").body)
		})
	}
}

func TestBacktracesOfProcessesOfOtherUsers(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)

	for _, test := range []struct {
		tenant *tenant
		says   string
	}{
		{box.pythonTenant(t, "a", daemonUID), "passenger_loader/worker.py"},
		{box.goTenant(t, "b", binUID), "goapp.Serve"},
	} {
		pid := f.byHTTP(t, test.tenant, "/").PID
		seen, err := f.admin(t, "core_api").Call(t.Context(), http.MethodPost, "/pool/backtraces.json",
			fmt.Appendf(nil, `{"pid":%d}`, pid))
		require.NoError(t, err)
		r, err := incident.Decode(seen)
		require.NoError(t, err)
		require.Contains(t, strings.Join(r.Processes[0].Backtraces, "\n"), test.says, r.Processes[0].NoBacktraces)
		require.Equal(t, pid, f.byHTTP(t, test.tenant, "/").PID)
	}
}
