package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	none = "0000000000000000"
	// ofCore is what a core of root's has: CAP_CHOWN, CAP_DAC_READ_SEARCH, CAP_KILL,
	// CAP_SETGID, CAP_SETUID, CAP_SETPCAP and CAP_SYS_RESOURCE.
	ofCore uint64 = 1<<0 | 1<<2 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<24
	// ofRootsApps is what applications of root's have besides.
	ofRootsApps uint64 = 1<<1 | 1<<3 | 1<<4 | 1<<10 | 1<<13 | 1<<18 | 1<<27 | 1<<29 | 1<<31
	netRaw      uint64 = 1 << 13
)

// rights are what the kernel says of a thread, by the names in /proc.
type rights map[string]string

// rightsOf returns the rights of each thread of a process.
func rightsOf(t testing.TB, pid int) (threads []rights) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	require.NoError(t, err)

	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}

		r := rights{}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			r[name] = strings.TrimSpace(value)
		}

		threads = append(threads, r)
	}

	require.NotEmpty(t, threads)

	return threads
}

// requireRights checks those of a process. No thread of it has more; those that start
// programs have less.
func requireRights(t testing.TB, pid int, want rights) {
	t.Helper()

	for _, have := range rightsOf(t, pid) {
		for name, value := range want {
			switch {
			case have["Pid"] == have["Tgid"]:
				require.Equal(t, value, have[name], "%s of %s", name, have["Name"])
			case strings.HasPrefix(name, "Cap"):
				require.Zero(t, bits(t, have[name])&^bits(t, value), "%s of a thread of %s", name, have["Name"])
			default:
				require.GreaterOrEqual(t, have[name], value, "%s of a thread of %s", name, have["Name"])
			}
		}
	}
}

func bits(t testing.TB, set string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(set, 16, 64)
	require.NoError(t, err)

	return n
}

// present is a set as far as the system these tests run on has it to give.
func present(t testing.TB, set uint64) string {
	t.Helper()
	return fmt.Sprintf("%016x", set&bits(t, rightsOf(t, os.Getpid())[0]["CapBnd"]))
}

// rightsWith are those of a process that has a set of capabilities.
func rightsWith(t testing.TB, set uint64) rights {
	t.Helper()
	has := present(t, set)
	return rights{"CapInh": none, "CapPrm": has, "CapEff": has, "CapBnd": has, "CapAmb": none, "NoNewPrivs": "0"}
}

// rightsWithout are those of a process that has no capability, and whose setuid programs
// have those of bound at most.
func rightsWithout(t testing.TB, bound uint64) rights {
	t.Helper()
	r := rightsWith(t, 0)
	r["CapBnd"] = present(t, bound)

	return r
}

// kindsOfTenants returns applications of the user bin in all languages, with those that a
// preloader forks, and a program that knows nothing of the server.
func (s *sandbox) kindsOfTenants(t testing.TB) []*tenant {
	t.Helper()
	const rack = `run ->(_env) {
  body = %({"Name": "rack", "PID": #{Process.pid}, "UID": #{Process.uid}})
  [200, {"content-type" => "application/json"}, [body]]
}`
	const node = `require("http").createServer((_, res) => {
  res.end(JSON.stringify({Name: "node", PID: process.pid, UID: process.getuid()}))
}).listen(3000)`
	const plain = `
import http.server, json, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"Name": "plain", "PID": os.getpid(), "UID": os.getuid()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`
	tenants := []*tenant{s.goTenant(t, "go", binUID)}
	if ruby := found("/usr/bin/ruby"); ruby != "" && succeeds(t, ruby, "-e", `require "rack"`) {
		for _, method := range []string{"smart", "direct"} {
			tenants = append(tenants, &tenant{
				name: "rack", root: s.tenantDir(t, "rack-"+method, binUID, map[string]string{"config.ru": rack}),
				options: map[string]string{"ruby": ruby, "spawn_method": method},
			})
		}
	}

	if python := found("/usr/bin/python3"); python != "" {
		for _, method := range []string{"smart", "direct"} {
			tenants = append(tenants, &tenant{
				name: "wsgi-" + method, root: s.tenantDir(t, "wsgi-"+method, binUID,
					map[string]string{"passenger_wsgi.py": wsgiTenant}),
				options: map[string]string{"python": python, "spawn_method": method},
			})
		}

		tenants = append(tenants, &tenant{
			name: "plain", root: s.tenantDir(t, "plain", binUID, map[string]string{"serve.py": plain}),
			options: map[string]string{"app_start_command": python + " serve.py"},
		})
	}

	if path := found("/usr/bin/node"); path != "" {
		tenants = append(tenants, &tenant{
			name: "node", root: s.tenantDir(t, "node", binUID, map[string]string{"app.js": node}),
			options: map[string]string{"nodejs": path},
		})
	}

	return tenants
}

// found returns path if there is such a program, for all users.
func found(path string) string {
	found, err := exec.LookPath(path)
	if err != nil {
		return ""
	}

	return found
}
