package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/interpreters"
)

// front is a kind of web server with one of the configurations of
// docs/webservers.
type front struct {
	file   string
	apache bool
}

var fronts = []front{{"nginx-scgi.conf", false}, {"nginx-proxy.conf", false}, {"apache-scgi.conf", true}, {"apache-proxy.conf", true}}

// webServer is one in front of a flying server.
type webServer struct {
	front
	t      testing.TB
	dir    string
	addr   string
	path   string
	args   []string
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
}

// forEachFront runs a test with each of them before two applications, whose hosts
// are their names and ".test".
func forEachFront(t *testing.T, test func(t *testing.T, f *flying, w *webServer, tenants []*tenant)) {
	t.Helper()
	for _, kind := range fronts {
		t.Run(kind.file, func(t *testing.T) {
			t.Parallel()
			name, candidates := "nginx", []string{"nginx", "/usr/sbin/nginx"}
			if kind.apache {
				name, candidates = "apache", []string{"apache2", "httpd", "/usr/sbin/apache2"}
			}
			path := interpreters.Find(t, name, candidates...)
			box := newFlyingSandbox(t)
			f := startFlying(t, box)
			tenants := []*tenant{box.goTenant(t, "go", daemonUID), box.pythonTenant(t, "python", binUID)}
			test(t, f, f.startWebServer(t, kind, path, tenants), tenants)
		})
	}
}

func (f *flying) startWebServer(t testing.TB, kind front, path string, tenants []*tenant) *webServer {
	t.Helper()
	w := &webServer{front: kind, t: t, path: path, dir: filepath.Join(f.dir, "web")}
	require.NoError(t, os.Mkdir(w.dir, 0o755))
	for range 5 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		w.addr = l.Addr().String()
		require.NoError(t, l.Close())
		var sites strings.Builder
		for i, a := range tenants {
			sites.WriteString(w.site(f, a, i == 0))
		}
		if kind.apache {
			w.args = []string{"-f", w.apacheConf(sites.String()), "-DFOREGROUND"}
		} else {
			w.args = []string{"-p", w.dir, "-c", w.nginxConf(sites.String())}
		}
		if w.start() {
			t.Cleanup(func() { w.stop() })
			return w
		}
	}
	require.FailNow(t, "no port is free")
	return nil
}

// start reports whether the port was free.
func (w *webServer) start() bool {
	w.t.Helper()
	w.cmd, w.output, w.exited = exec.CommandContext(context.WithoutCancel(w.t.Context()), w.path, w.args...), &output{}, make(chan struct{})
	w.cmd.Stdout, w.cmd.Stderr, w.cmd.WaitDelay = w.output, w.output, patience
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(w.t, w.cmd.Start())
	cmd, exited := w.cmd, w.exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its output says more
		// Apache forgets children that it has just started when it is told to end.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-w.exited:
			require.Contains(w.t, strings.ToLower(w.output.String()), "address already in use")
			return false
		case <-tick.C:
			if c, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", w.addr); err == nil {
				_ = c.Close()
				return true
			}
		}
	}
}

// stop ends it when all of its requests have been answered.
func (w *webServer) stop() {
	w.t.Helper()
	signal := syscall.SIGQUIT
	if w.apache {
		signal = syscall.SIGWINCH
	}
	if w.t.Failed() {
		signal = syscall.SIGTERM
		w.t.Logf("the web server: %s", w.output)
	}
	// Until it has begun to look for signals, Apache misses this one.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for end, ended := time.After(deadline), false; !ended; {
		_ = w.cmd.Process.Signal(signal)
		select {
		case <-w.exited:
			ended = true
		case <-again.C:
		case <-end:
			_ = w.cmd.Process.Kill()
			<-w.exited
			w.t.Error("the web server does not end")
			ended = true
		}
	}
}

// reload makes it start again without closing its socket.
func (w *webServer) reload() {
	w.t.Helper()
	signal := syscall.SIGHUP
	if w.apache {
		signal = syscall.SIGUSR1
	}
	require.NoError(w.t, w.cmd.Process.Signal(signal))
}

// site is the configuration for users, with what they are told to change changed,
// and more options.
func (w *webServer) site(f *flying, a *tenant, first bool) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "webservers", w.file))
	require.NoError(w.t, err)
	text := string(b)
	if !first { // what is there once for all sites
		if _, rest, ok := strings.Cut(text, "map $http_upgrade"); ok {
			_, text, _ = strings.Cut(rest, "}\n")
		}
	}
	listen := ""
	if first {
		listen = "Listen " + w.addr + "\n"
	}
	public := filepath.Join(a.root, "public")
	for from, to := range map[string]string{
		"listen 80;":                     "listen " + w.addr + ";",
		"<VirtualHost *:80>":             listen + "<VirtualHost " + w.addr + ">",
		"/run/passenger/passenger.sock":  f.socket,
		"DocumentRoot /srv/shop/public":  "DocumentRoot " + public,
		"<Directory /srv/shop/public>":   "<Directory " + public + ">",
		"root /srv/shop/public;":         "root " + public + ";",
		`"change-me"`:                    `"` + f.password(w.t) + `"`,
		"server_name shop.example.com;":  "server_name " + a.name + ".test;",
		"ServerName shop.example.com":    "ServerName " + a.name + ".test",
		"PASSENGER_APP_ROOT /srv/shop":   "PASSENGER_APP_ROOT " + a.root,
		"X-Passenger-App-Root /srv/shop": "X-Passenger-App-Root " + a.root,
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	require.NotContains(w.t, strings.ReplaceAll(text, "#", ""), "/srv/shop\n")
	options := map[string]string{"load_shell_envvars": "off"}
	maps.Copy(options, a.options)
	listed := "App-Root, App-Env"
	var params, headers strings.Builder
	for name, value := range options {
		header := strings.ReplaceAll(name, "_", "-")
		listed += ", " + header
		param := "PASSENGER_" + strings.ToUpper(name)
		if w.apache {
			fmt.Fprintf(&params, "SetEnv %s '%s'\n", param, value)
			fmt.Fprintf(&headers, "RequestHeader set X-Passenger-%s '%s'\n", header, value)
		} else {
			fmt.Fprintf(&params, "scgi_param %s '%s';\n", param, value)
			fmt.Fprintf(&headers, "proxy_set_header X-Passenger-%s '%s';\n", header, value)
		}
	}
	for _, line := range []struct{ of, more string }{
		{"SetEnv PASSENGER_APP_ENV production\n", params.String()},
		{"scgi_param PASSENGER_APP_ENV production;\n", params.String()},
		{"RequestHeader set X-Passenger-App-Env production\n", headers.String()},
		{"proxy_set_header X-Passenger-App-Env production;\n", headers.String()},
	} {
		text = strings.ReplaceAll(text, line.of, line.of+line.more)
	}
	return strings.ReplaceAll(text, `"App-Root, App-Env"`, `"`+listed+`"`)
}

func (w *webServer) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func (w *webServer) nginxConf(sites string) string {
	w.t.Helper()
	var temp strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", what, w.dir, what)
	}
	return w.write("nginx.conf", fmt.Sprintf(`daemon off; pid %s/pid; error_log stderr info; worker_processes 1; worker_shutdown_timeout 10s;
events {}
http {
access_log off; default_type application/octet-stream;
%s
%s
}
`, w.dir, temp.String(), sites))
}

func (w *webServer) apacheConf(sites string) string {
	w.t.Helper()
	modules := ""
	for _, d := range []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"} {
		if _, err := os.Stat(d); err == nil {
			modules = d
		}
	}
	if modules == "" {
		interpreters.Missing(w.t, "apache", "no modules of Apache are known")
	}
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_scgi", "proxy_http", "headers", "env", "unixd"} {
		file := filepath.Join(modules, "mod_"+m+".so")
		if _, err := os.Stat(file); err == nil { // else it is built in
			fmt.Fprintf(&load, "LoadModule %s_module %s\n", m, file)
		}
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "User nobody\nGroup #65534\n"
	}
	return w.write("apache.conf", fmt.Sprintf(`ServerRoot %[1]s
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
LogLevel warn
GracefulShutdownTimeout 10
%[2]s%[3]sServerName localhost
<IfModule mpm_event_module>
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
MinSpareThreads 1
MaxSpareThreads 32
</IfModule>
%[4]s
`, w.dir, load.String(), user, sites))
}

// client asks an application by its host.
func (w *webServer) client(a *tenant) *client {
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
		},
	}
	return &client{base: "http://" + a.name + ".test", Client: &http.Client{
		Transport: transport, Timeout: deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errStatus is an answer of the web server's.
var errStatus = errors.New("the web server had an error")

func (w *webServer) pid(a *tenant) (int, error) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+a.name+".test/", nil)
	if err != nil {
		return 0, err
	}
	answer, err := w.client(a).do(r)
	if err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode, fmt.Errorf("%w: %s: %s", errStatus, answer.Status, answer.body)
	}
	return readTenant(w.t, answer).PID, nil
}
