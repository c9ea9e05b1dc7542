package main

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"
)

const nginxConfig = `%[1]sdaemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid %[2]s/nginx.pid;
error_log stderr error;
events {
	worker_connections 10240;
}
http {
	access_log off;
	client_max_body_size 0;
	client_body_temp_path %[2]s/tmp-body;
	proxy_temp_path %[2]s/tmp-proxy;
	fastcgi_temp_path %[2]s/tmp-fastcgi;
	uwsgi_temp_path %[2]s/tmp-uwsgi;
	scgi_temp_path %[2]s/tmp-scgi;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	upstream app {
%[3]s		keepalive 64;
		keepalive_requests 1000000000;
	}
	server {
		listen %[4]s;
		location / {
%[5]s		}
	}
}
`

const (
	nginxHTTP = `			proxy_pass http://app;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
`
	nginxUWSGI = `			uwsgi_pass app;
			uwsgi_param QUERY_STRING $query_string;
			uwsgi_param REQUEST_METHOD $request_method;
			uwsgi_param CONTENT_TYPE $content_type;
			uwsgi_param CONTENT_LENGTH $content_length;
			uwsgi_param REQUEST_URI $request_uri;
			uwsgi_param PATH_INFO $document_uri;
			uwsgi_param SERVER_PROTOCOL $server_protocol;
			uwsgi_param REMOTE_ADDR $remote_addr;
			uwsgi_param SERVER_PORT $server_port;
			uwsgi_param SERVER_NAME $server_name;
`
)

// withNginx puts nginx in front of what listens on Unix sockets.
func withNginx(s *site, sockets []string, back []command) ([]command, error) {
	return withNginxAs(s, nginxHTTP, sockets, back)
}

func withNginxAs(s *site, pass string, sockets []string, back []command) ([]command, error) {
	var as string
	if os.Geteuid() == 0 {
		as = "user root;\n"
	}

	var upstream strings.Builder
	for _, socket := range sockets {
		fmt.Fprintf(&upstream, "\t\tserver unix:%s;\n", socket)
	}

	config, err := s.write("nginx.conf", fmt.Sprintf(nginxConfig, as, s.dir, upstream.String(), s.addr, pass))
	if err != nil {
		return nil, err
	}

	argv := []string{s.programs[nginxProgram], "-p", s.dir, "-e", "stderr", "-c", config}

	return append(back, command{argv: argv, front: anything}), nil
}

const caddyConfig = `{
	admin off
	auto_https off
}
http://%[1]s {
	bind %[2]s
	reverse_proxy%[3]s {
		transport http {
			keepalive_idle_conns_per_host 64
		}
	}
}
`

// withCaddy puts Caddy in front of what listens on Unix sockets.
func withCaddy(s *site, sockets []string, back []command) ([]command, error) {
	var upstreams strings.Builder
	for _, socket := range sockets {
		upstreams.WriteString(" unix/" + socket)
	}

	host, _, _ := strings.Cut(s.addr, ":")
	config, err := s.write("Caddyfile", fmt.Sprintf(caddyConfig, s.addr, host, upstreams.String()))
	if err != nil {
		return nil, err
	}

	argv := []string{s.programs[caddyProgram], "run", "--config", config, "--adapter", "caddyfile"}

	return append(back, command{argv: argv, front: anything}), nil
}

// Debian's figures for the event MPM stay as they are.
const apacheConfig = `ServerName 127.0.0.1
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/httpd.pid
ErrorLog /dev/stderr
LogLevel error
Listen %[2]s
%[3]sInclude %[4]s/mpm_event.load
IncludeOptional %[4]s/mpm_event.conf
Include %[4]s/authz_core.load
Include %[4]s/passenger.load
Include %[4]s/passenger.conf
KeepAlive On
MaxKeepAliveRequests 0
PassengerInstanceRegistryDir %[1]s
PassengerDisableSecurityUpdateCheck on
PassengerDisableAnonymousTelemetry on
PassengerMaxPoolSize %[5]s
PassengerMinInstances %[5]s
PassengerAppRoot %[6]s
PassengerAppEnv production
PassengerAppType %[7]s
PassengerStartupFile %[8]s
%[9]s %[10]s
DocumentRoot %[1]s/public
<Directory %[1]s/public>
	Require all granted
</Directory>
`

var apacheFront = regexp.MustCompile(`^(\S*apache2 |Passenger core)`)

const apacheName = "apache + passenger"

// apachePeer is Apache with Phusion's module.
func apachePeer(interpreter, directive, startupFile string) peer {
	types := map[string]string{nodeProgram: "node", pythonProgram: "wsgi", rubyProgram: "rack"}
	needs := slices.Compact([]string{apacheProgram, apacheModule, interpreter})

	return peer{name: apacheName, needs: needs, commands: func(s *site) ([]command, error) {
		as, err := unprivileged()
		if err != nil {
			return nil, err
		}

		if err := os.Mkdir(s.socket("public"), 0o755); err != nil { //nolint:gosec // G301: the server's workers read it
			return nil, err
		}

		config, err := s.write("httpd.conf", fmt.Sprintf(apacheConfig, s.dir, s.addr, as, apacheMods, workers,
			s.app, types[interpreter], startupFile, directive, s.programs[interpreter]))
		if err != nil {
			return nil, err
		}

		argv := []string{s.programs[apacheProgram], "-f", config, "-DFOREGROUND"}

		return []command{{argv: argv, front: apacheFront}}, nil
	}}
}

// unprivileged makes Apache, which refuses to serve as root, become the user nobody.
func unprivileged() (string, error) {
	if os.Geteuid() != 0 {
		return "", nil
	}

	nobody, err := user.Lookup("nobody")
	if err != nil {
		return "", fmt.Errorf("there is no user for Apache's workers: %w", err)
	}

	return fmt.Sprintf("User nobody\nGroup \"#%s\"\n", nobody.Gid), nil
}
