package main

import (
	"regexp"
	"slices"
)

var uwsgiRouter = regexp.MustCompile(`^uWSGI http`)

func wsgiPeers() []peer {
	return []peer{
		oursPeer(pythonProgram, "--python"),
		originalPeer(pythonProgram, "--python"),
		apachePeer(pythonProgram, "PassengerPython", "passenger_wsgi.py"),
		{
			name:  "nginx + gunicorn",
			needs: []string{nginxProgram, gunicornProgram},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app.socket")}
				return withNginx(s, sockets, []command{gunicorn(s, "unix:"+sockets[0])})
			},
		},
		{
			name:  "caddy + gunicorn",
			needs: []string{caddyProgram, gunicornProgram},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app.socket")}
				return withCaddy(s, sockets, []command{gunicorn(s, "unix:"+sockets[0])})
			},
		},
		{
			name:      "gunicorn",
			frontless: true,
			needs:     []string{gunicornProgram},
			commands: func(s *site) ([]command, error) {
				return []command{gunicorn(s, s.addr)}, nil
			},
		},
		{name: "uwsgi http", needs: []string{uwsgiProgram}, commands: func(s *site) ([]command, error) {
			return []command{uwsgi(s, "--http", s.addr, "--http-keepalive")}, nil
		}},
		{
			name:  "nginx + uwsgi",
			needs: []string{nginxProgram, uwsgiProgram},
			commands: func(s *site) ([]command, error) {
				socket := s.socket("app.socket")
				back := uwsgi(s, "--socket", socket, "--listen", "1024")
				back.front = nil

				return withNginxAs(s, nginxUWSGI, []string{socket}, []command{back})
			},
		},
	}
}

func gunicorn(s *site, bind string) command {
	return command{argv: []string{
		s.programs[gunicornProgram], "--workers", workers, "--bind", bind, "--worker-tmp-dir", s.dir,
		"passenger_wsgi:application",
	}}
}

func uwsgi(s *site, listen ...string) command {
	return command{
		argv: slices.Concat([]string{s.programs[uwsgiProgram], "--plugins", "http,python3"}, listen, []string{
			"--master", "--processes", workers, "--auto-procname", "--die-on-term", "--disable-logging",
			"--wsgi-file", "passenger_wsgi.py",
		}),
		front: uwsgiRouter,
	}
}
