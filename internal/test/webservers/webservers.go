// Package webservers runs nginx and Apache for tests, with the configurations of
// docs/webservers.
package webservers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// TB is what *testing.T and *testing.B are.
type TB interface {
	interpreters.TB
	Cleanup(f func())
	Error(args ...any)
	Failed() bool
	Logf(format string, args ...any)
}

// Kind is a web server with one of the configurations.
type Kind struct {
	File string
	// SCGI reports whether it speaks that with Passenger, and not HTTP.
	SCGI, Apache bool
}

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{
		{File: "nginx-scgi.conf", SCGI: true},
		{File: "nginx-proxy.conf"},
		{File: "apache-scgi.conf", SCGI: true, Apache: true},
		{File: "apache-proxy.conf", Apache: true},
	}
}

func (k Kind) find(t TB) (path string) {
	t.Helper()
	if k.Apache {
		return interpreters.Find(t, "apache", "apache2", "httpd", "/usr/sbin/apache2")
	}

	return interpreters.Find(t, "nginx", "nginx", "/usr/sbin/nginx")
}

// Site is what users have to change in a configuration of the documents.
type Site struct {
	// Name is that of the host.
	Name string
	// Root is the directory of the application, and Public that of its files.
	Root, Public string
	// Socket and Password are Passenger's.
	Socket, Password string
}

// Configuration is that for users below docs, the project's documentation, with a
// site at an address.
func (k Kind) Configuration(t TB, docs, addr string, site *Site) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "webservers", k.File)) //nolint:gosec // G304: tests choose it
	if err != nil {
		t.Fatal(err)
	}

	return strings.NewReplacer(
		"listen 80;", "listen "+addr+";",
		"<VirtualHost *:80>", "<VirtualHost "+addr+">",
		"shop.example.com", site.Name,
		"/srv/shop/public", site.Public,
		"/srv/shop", site.Root,
		"/run/passenger/passenger.sock", site.Socket,
		`"change-me"`, `"`+site.Password+`"`,
	).Replace(string(text))
}

// nginx returns a whole configuration.
func (s *Server) nginx(sites string) string {
	var temp strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", what, s.dir, what)
	}

	return fmt.Sprintf(`daemon off; pid %s/pid; error_log stderr info; worker_processes 1; worker_shutdown_timeout 10s;
events {}
http {
access_log off; default_type application/octet-stream; large_client_header_buffers 4 32k;
%s
%s
}
`, s.dir, temp.String(), sites)
}

// ApacheModules is the directory of Apache's modules.
func ApacheModules(t TB) (dir string) {
	t.Helper()

	for _, d := range []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"} {
		if _, err := os.Stat(d); err == nil {
			dir = d
		}
	}

	if dir == "" {
		interpreters.Missing(t, "apache", "no modules of Apache are known")
	}

	return dir
}

// apache returns a whole configuration.
func (s *Server) apache(sites string) string {
	s.t.Helper()
	modules := ApacheModules(s.t)

	var load strings.Builder
	for _, m := range []string{
		"mpm_event", "authz_core", "proxy", "proxy_scgi", "proxy_http", "headers", "env",
		"rewrite", "unixd",
	} {
		file := filepath.Join(modules, "mod_"+m+".so")
		if _, err := os.Stat(file); err == nil { // else it is built in
			fmt.Fprintf(&load, "LoadModule %s_module %s\n", m, file)
		}
	}

	user := ""
	if os.Geteuid() == 0 {
		user = "User nobody\nGroup #65534\n"
	}

	return fmt.Sprintf(`ServerRoot %[1]s
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
LogLevel warn
LimitRequestFieldSize 32000
GracefulShutdownTimeout 10
%[2]s%[3]sServerName localhost
Listen %[4]s
<IfModule mpm_event_module>
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
MinSpareThreads 1
MaxSpareThreads 32
</IfModule>
%[5]s
`, s.dir, load.String(), user, s.Addr, sites)
}
