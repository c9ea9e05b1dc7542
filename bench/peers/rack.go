package main

import "fmt"

func rackPeers() []peer {
	return []peer{
		oursPeer(rubyProgram, "--ruby"),
		originalPeer(rubyProgram, "--ruby"),
		apachePeer(rubyProgram, "PassengerRuby", "config.ru"),
		{
			name:  "nginx + unicorn",
			needs: []string{nginxProgram, unicornProgram},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app.socket")}
				config, err := s.write("unicorn.rb", fmt.Sprintf("worker_processes %s\nlisten %q, backlog: 1024\n",
					workers, sockets[0]))
				if err != nil {
					return nil, err
				}

				argv := []string{s.programs[unicornProgram], "--config-file", config, "--env", "production"}

				return withNginx(s, sockets, []command{{argv: argv}})
			},
		},
		{name: "nginx + puma", needs: []string{nginxProgram, pumaProgram}, commands: func(s *site) ([]command, error) {
			sockets := []string{s.socket("app.socket")}
			return withNginx(s, sockets, []command{puma(s, "unix://"+sockets[0])})
		}},
		{name: "caddy + puma", needs: []string{caddyProgram, pumaProgram}, commands: func(s *site) ([]command, error) {
			sockets := []string{s.socket("app.socket")}
			return withCaddy(s, sockets, []command{puma(s, "unix://"+sockets[0])})
		}},
		{name: "puma", frontless: true, needs: []string{pumaProgram}, commands: func(s *site) ([]command, error) {
			return []command{puma(s, "tcp://"+s.addr)}, nil
		}},
	}
}

func puma(s *site, bind string) command {
	return command{argv: []string{
		s.programs[pumaProgram], "--workers", workers, "--threads", "1:1", "--environment", "production", "--bind",
		bind,
	}}
}
