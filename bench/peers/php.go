package main

import (
	"fmt"
	"os"
)

func phpPeers() []peer {
	fpm := oursPeer(phpProgram, "--php-server",
		"--thread-count", workers, "--max-pool-size", "1", "--min-instances", "1")
	fpm.name = "ours + php-fpm"

	return []peer{
		oursPeer(phpCGIProgram, "--php-server"),
		fpm,
		nginxPHP("nginx + php-fpm", false),
		nginxPHP("nginx + php-fpm, kept open", true),
	}
}

const phpConfig = `[global]
daemonize = no
error_log = /dev/stderr
log_level = error
[app]
listen = %s
%spm = static
pm.max_children = %s
clear_env = no
`

// nginxFastCGI is Debian's fastcgi.conf, and the front controller that all paths go to.
const nginxFastCGI = `			fastcgi_pass app;
			fastcgi_keep_conn %s;
			fastcgi_param SCRIPT_FILENAME %s/index.php;
			fastcgi_param QUERY_STRING $query_string;
			fastcgi_param REQUEST_METHOD $request_method;
			fastcgi_param CONTENT_TYPE $content_type;
			fastcgi_param CONTENT_LENGTH $content_length;
			fastcgi_param SCRIPT_NAME /index.php;
			fastcgi_param REQUEST_URI $request_uri;
			fastcgi_param DOCUMENT_URI $document_uri;
			fastcgi_param DOCUMENT_ROOT $document_root;
			fastcgi_param SERVER_PROTOCOL $server_protocol;
			fastcgi_param REQUEST_SCHEME $scheme;
			fastcgi_param GATEWAY_INTERFACE CGI/1.1;
			fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
			fastcgi_param REMOTE_ADDR $remote_addr;
			fastcgi_param REMOTE_PORT $remote_port;
			fastcgi_param SERVER_ADDR $server_addr;
			fastcgi_param SERVER_PORT $server_port;
			fastcgi_param SERVER_NAME $server_name;
			fastcgi_param REDIRECT_STATUS 200;
`

// nginxPHP is nginx with php-fpm. Connections that stay open occupy children: nginx has to keep as many as there are.
func nginxPHP(name string, keepOpen bool) peer {
	needs := []string{nginxProgram, phpProgram}

	return peer{name: name, needs: needs, commands: func(s *site) ([]command, error) {
		keep, as := "off", ""
		if keepOpen {
			keep = "on"
		}

		argv := []string{s.programs[phpProgram], "--nodaemonize", "--fpm-config"}
		if os.Geteuid() == 0 {
			as = "user = root\n"
		}

		socket := s.socket("app.socket")
		config, err := s.write("php-fpm.conf", fmt.Sprintf(phpConfig, socket, as, workers))
		if err != nil {
			return nil, err
		}

		argv = append(argv, config)
		if as != "" {
			argv = append(argv, "--allow-to-run-as-root")
		}

		pass := fmt.Sprintf(nginxFastCGI, keep, s.app)

		return withNginxAs(s, pass, []string{socket}, []command{{argv: argv}})
	}}
}
