package tools_test

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/procstat"
)

func TestMemoryStats(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)

	app := s.get(t)
	for _, command := range [][]string{{"passenger-memory-stats"}, {"passenger", "memory-stats"}} {
		r := s.run(t, command[0], command[1:]...)
		require.Zero(t, r.status, r.stderr)
		require.Regexp(t, `^Version: `+passenger.Version+"\nDate   : "+date+`

-+ Apache processes -+
(?s:.*)### Processes: \d+
### Total private dirty RSS: \d+\.\d\d MB( \(\?\))?


-+ Nginx processes -+
(?s:.*)### Processes: \d+
### Total private dirty RSS: \d+\.\d\d MB( \(\?\))?


-+ Passenger processes -+
PID +VMSize +Private +Name
-+
(?s:.*)### Processes: \d+
### Total private dirty RSS: \d+\.\d\d MB( \(\?\))?
$`, r.stdout)

		for _, pid := range []int{s.Cmd.Process.Pid, s.instance(t).Properties.CorePID, app} {
			require.Regexp(t, `(?m)^`+strconv.Itoa(pid)+` +\d+\.\d MB +\d+\.\d MB +/`, r.stdout)
		}
	}

	short := s.run(t, "passenger-memory-stats", "--no-apache", "--no-nginx").stdout
	require.NotContains(t, short, "Apache")
	require.NotContains(t, short, "Nginx")
	var report struct {
		Apache, Nginx *admin.MemoryTable
		Passenger     admin.MemoryTable
	}
	require.NoError(t, json.Unmarshal([]byte(s.run(t, "passenger-memory-stats", "--json", "--no-apache").stdout),
		&report))
	require.Nil(t, report.Apache)
	require.NotNil(t, report.Nginx)
	require.GreaterOrEqual(t, len(report.Passenger.Processes), 3)
	require.Positive(t, report.Passenger.TotalPrivateDirty)
	require.Equal(t, 1, s.run(t, "passenger-memory-stats", "x").status)
}

// Preloaders count, too, of which the API does not tell.
func TestMemoryStatsOfPreloaders(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "ruby", "ruby")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ru"),
		[]byte("run lambda { |env| [200, {}, [Process.pid.to_s]] }\n"), 0o600))
	s := newBox(t).serve(t, dir)
	pid := s.get(t)
	app, err := procstat.Read(pid)
	require.NoError(t, err)
	preloader, known := app.PPID.Get()
	require.True(t, known)
	require.NotEqual(t, s.instance(t).Properties.CorePID, preloader)

	out := s.run(t, "passenger-memory-stats").stdout
	for _, pid := range []int{pid, preloader} {
		require.Regexp(t, `(?m)^`+strconv.Itoa(pid)+` `, out)
	}
}

// What belongs to others is shown without what may not be read.
func TestMemoryStatsWithoutRights(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newBox(t).start(t)
	r := s.runAs(t, carol, "passenger-memory-stats", "--no-apache", "--no-nginx")
	require.Zero(t, r.status)
	require.Regexp(t, `(?m)^`+strconv.Itoa(s.Cmd.Process.Pid)+` +\d+\.\d MB +\? +/`, r.stdout)
	require.Contains(t, r.stdout, " MB (?)\n")
	require.Contains(t, r.stderr, "*** WARNING: Please run this tool with 'sudo'")
	require.Contains(t, r.stderr, s.instance(t).Name+" does not tell its processes")
}

func TestSystemMetrics(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	r := b.run(t, "passenger-config", "system-metrics")
	require.Zero(t, r.status, r.stderr)

	for _, pattern := range []string{
		`(?m)^------------- General -------------$`, `(?m)^Kernel version    : \S+$`,
		`(?m)^Uptime            : (\d+[dhm] )*\d+s$`,
		`(?m)^Load averages     : \d+\.\d\d, \d+\.\d\d, \d+\.\d\d$`, `(?m)^Processes         : \d+, \d+ running$`,
		`(?m)^Average CPU usage : +\d+%  -- +\d+% user, +\d+% nice, +\d+% system, +\d+% idle$`,
		`(?m)^  CPU 1           : +\d+%  -- `,
		`(?m)^RAM total         : +\d+ MB$`, `(?m)^RAM used          : +\d+ MB \(\d+%\)$`,
	} {
		require.Regexp(t, pattern, r.stdout)
	}

	some := b.run(t, "passenger-config", "system-metrics", "--no-cpu", "--no-memory").stdout
	require.Contains(t, some, "General")
	require.NotContains(t, some, "CPU")
	require.NotContains(t, some, "RAM")

	var m admin.SystemMetrics
	require.NoError(t, json.Unmarshal([]byte(b.run(t, "passenger-config", "system-metrics", "--json",
		"--no-general").stdout), &m))
	require.Nil(t, m.General)
	require.Positive(t, m.Memory.Total)
	require.Equal(t, m.Memory.Total, m.Memory.Used+m.Memory.Free)
	require.Len(t, m.CPU.CPUs, m.CPU.Count)
	var x struct {
		Version string `xml:"version,attr"`
		Kernel  string `xml:"general>kernel_version"`
		Total   uint64 `xml:"memory_metrics>ram_total"`
	}
	require.NoError(t, xml.Unmarshal([]byte(b.run(t, "passenger-config", "system-metrics", "--xml").stdout), &x))
	require.Equal(t, "1.0", x.Version)
	require.NotEmpty(t, x.Kernel)
	require.Equal(t, m.Memory.Total>>10, x.Total)

	cmd := b.command(t.Context(), "passenger-config", "system-metrics", "--stdin", "--no-cpu", "--no-general")
	cmd.Stdin = strings.NewReader("\n\n")
	require.Equal(t, 3, strings.Count(finish(t, cmd).stdout, "RAM total"))

	for _, seconds := range []string{"0", "-1", "NaN", "1e300"} {
		require.Equal(t, 1, b.run(t, "passenger-config", "system-metrics", "--watch="+seconds).status)
	}
}

// validate-install looks at this host, so that only what it has made is certain. It does so in the same way whatever
// the user's own servers are configured for.
func TestValidateInstall(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	home := t.TempDir()
	config := filepath.Join(home, ".passenger", "standalone", "config.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(config), 0o700))
	require.NoError(t, os.WriteFile(config, []byte(`{"daemonize": true, "ssl": true, "ssl_port": 8443, `+
		`"pid_file": "/nowhere/pid", "metrics_address": "192.0.2.1:9000", "dashboard": true, "socket_file": "/nowhere/s"}`),
		0o600))

	cmd := b.command(t.Context(), "passenger-config", "validate-install", "--json")
	cmd.Env = append(cmd.Env, "HOME="+home, "PASSENGER_LOG_FORMAT=json", "PASSENGER_START_COMMAND=/nowhere/program")
	r := finish(t, cmd)
	var v struct {
		Verdict admin.Verdict
		Results []admin.Result
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v), r.stdout)
	worst := admin.OK

	verdicts := map[string]admin.Verdict{}
	for _, result := range v.Results {
		verdicts[result.Group+" "+result.Name] = result.Verdict
		if result.Verdict == admin.Failed || result.Verdict == admin.Warning && worst != admin.Failed {
			worst = result.Verdict
		}

		if result.Verdict == admin.Warning || result.Verdict == admin.Failed {
			require.NotEmpty(t, result.Detail, result.Name)
			require.NotEmpty(t, result.Advice, result.Name)
		}
	}

	require.Equal(t, worst, v.Verdict)
	require.Equal(t, map[admin.Verdict]int{admin.OK: 0, admin.Failed: 1, admin.Warning: 2}[worst], r.status)

	for _, name := range []string{
		"Installation program in PATH", "Instances registry",
		"Instances sockets in the registry", "Instances instances",
	} {
		require.Equal(t, admin.OK, verdicts[name], "%s\n%s", name, r.stdout)
	}

	for _, language := range []string{"Ruby", "Python", "Node.js", "PHP"} {
		if verdicts[language+" interpreter"] == admin.OK {
			require.NotEqual(t, admin.Failed, verdicts[language+" application"], r.stdout)
		}
	}

	require.Empty(t, b.list().Instances)
	require.Empty(t, b.list().Stale)
	left, err := filepath.Glob(filepath.Join(built, "psg*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestValidateInstallFindsFaults(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	missing := filepath.Join(b.registry, "none")
	cmd := b.command(t.Context(), "passenger-config", "validate-install", "--no-apps", "--no-summary")
	cmd.Env = append(cmd.Env, instancedir.RegistryVariable+"="+missing, "PATH=/nowhere")
	r := finish(t, cmd)
	require.Equal(t, 1, r.status, r.stdout)
	require.Contains(t, r.stdout, " ✗ registry: cannot create an instance directory: there is no registry directory "+
		missing)
	require.Contains(t, r.stdout, "   What to do: choose another one with --instance-registry-dir")
	require.Contains(t, r.stdout, " ! program in PATH: passenger is not in PATH\n   What to do: add "+built+" to PATH")
	require.Contains(t, r.stdout, " - interpreter: no ruby in PATH")
	require.NotContains(t, r.stdout, "errors,")
}

func TestAbout(t *testing.T) {
	t.Parallel()
	b := newBox(t)

	version := "gopassenger " + passenger.Version + "\n"
	for _, command := range [][]string{
		{"passenger-config", "about", "version"},
		{"passenger", "about", "version"},
		{"passenger-config", "--version"},
		{"passenger-status", "--version"},
		{"passenger", "--version"},
	} {
		require.Equal(t, result{version, "", 0}, b.run(t, command[0], command[1:]...))
	}

	var a struct {
		Version, Executable, Registry string
		Registries                    []string
	}
	require.NoError(t, json.Unmarshal([]byte(b.run(t, "passenger", "about", "--json").stdout), &a))
	require.Equal(t, b.registry, a.Registry)
	require.Equal(t, []string{b.registry}, a.Registries)
	require.Equal(t, filepath.Join(built, "passenger"), a.Executable)
	r := b.run(t, "passenger-config", "about", "root")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "has no root: it is one binary")
	require.Equal(t, r, b.run(t, "passenger-config", "--root"))
	require.Equal(t, result{"yes\n", "", 0}, b.run(t, "passenger-config", "--compiled"))
	require.Contains(t, b.run(t, "passenger-config").stdout, "restart-app")
	r = b.run(t, "passenger-config", "nothing")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, `there is no command "nothing"`)
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))

	pid := strconv.Itoa(h.pool.Inspect().Groups[0].Processes[0].PID)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"status", ""}, []string{h.dir.Name() + "\t"}},
		{[]string{"config", "api-call", "--instance", ""}, []string{h.dir.Name() + "\t"}},
		{[]string{"restart-app", ""}, []string{"/apps/shop\n", "/apps/blog\n"}},
		{[]string{"restart-app", "--name", ""}, []string{"shop\n", "blog\n"}},
		{[]string{"detach-process", ""}, []string{pid + "\tblog\n"}},
		{[]string{"status", "--show", ""}, []string{"backtraces\n"}},
	} {
		r := h.run(t, "passenger", append([]string{"__complete"}, test.args...)...)
		for _, text := range test.want {
			require.Contains(t, r.stdout, text, test.args)
		}
	}

	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := h.run(t, "passenger", "completion", shell)
		require.Zero(t, r.status)
		require.Contains(t, r.stdout, "passenger")
	}
}

func TestMan(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	dir := filepath.Join(b.registry, "man")
	require.Zero(t, b.run(t, "passenger", "man", dir).status)

	for _, name := range []string{
		"passenger", "passenger-start", "passenger-status", "passenger-memory-stats",
		"passenger-config", "passenger-restart-app", "passenger-config-restart-app",
	} {
		page, err := os.ReadFile(filepath.Join(dir, name+".1"))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(page), "."), name)
	}
}
