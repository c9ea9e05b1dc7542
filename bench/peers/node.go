package main

import (
	"regexp"
	"slices"
)

// workers is how many processes of an application each peer has.
const workers = "2"

var (
	anything     = regexp.MustCompile(``)
	originalCore = regexp.MustCompile(`^Passenger core`)
)

func nodePeers() []peer {
	return []peer{
		oursPeer(nodeProgram, "--nodejs"),
		originalPeer(nodeProgram, "--nodejs"),
		apachePeer(nodeProgram, "PassengerNodejs", "app.js"),
		{
			name:  "nginx + 2 node",
			needs: []string{nginxProgram, nodeProgram},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app1.socket"), s.socket("app2.socket")}
				return withNginx(s, sockets, plainNode(s, sockets...))
			},
		},
		{
			name:  "caddy + 2 node",
			needs: []string{caddyProgram, nodeProgram},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app1.socket"), s.socket("app2.socket")}
				return withCaddy(s, sockets, plainNode(s, sockets...))
			},
		},
		{name: "ReverseProxy + 2 node", needs: []string{nodeProgram}, commands: func(s *site) ([]command, error) {
			sockets := []string{s.socket("app1.socket"), s.socket("app2.socket")}
			argv := append([]string{s.self, "reverseproxy", s.addr}, sockets...)
			return append(plainNode(s, sockets...), command{argv: argv, front: anything}), nil
		}},
		{
			name:      "node, 1 process",
			frontless: true,
			needs:     []string{nodeProgram},
			commands: func(s *site) ([]command, error) {
				return plainNode(s, s.port), nil
			},
		},
		{
			name:      "node cluster",
			frontless: true,
			needs:     []string{nodeProgram},
			commands: func(s *site) ([]command, error) {
				argv := []string{s.programs[nodeProgram], "cluster.js"}
				return []command{{argv: argv, env: []string{"PORT=" + s.port, "NODE_ENV=production"}}}, nil
			},
		},
	}
}

// plainNode is a process for each port or socket.
func plainNode(s *site, ports ...string) []command {
	commands := make([]command, 0, len(ports)+1)
	for _, port := range ports {
		argv := []string{s.programs[nodeProgram], "app.js"}
		commands = append(commands, command{argv: argv, env: []string{"PORT=" + port, "NODE_ENV=production"}})
	}

	return commands
}

// oursPeer is passenger start with an interpreter.
func oursPeer(interpreter, option string, more ...string) peer {
	return peer{name: oursName, needs: []string{interpreter}, commands: func(s *site) ([]command, error) {
		argv := slices.Concat([]string{
			s.programs[oursProgram], "start", s.app,
			"--address", "127.0.0.1", "--port", s.port, "--environment", "production",
			"--max-pool-size", workers, "--min-instances", workers,
			option, s.programs[interpreter],
		}, more)
		front := regexp.MustCompile("^" + regexp.QuoteMeta(argv[0]) + " (start|core)\\b")

		return []command{{argv: argv, front: front, env: []string{"PASSENGER_INSTANCE_REGISTRY_DIR=" + s.dir}}}, nil
	}}
}

// originalPeer is Phusion's passenger start, without nginx.
func originalPeer(interpreter, option string) peer {
	needs := []string{originalProgram, interpreter}

	return peer{name: "passenger builtin", needs: slices.Compact(needs), commands: func(s *site) ([]command, error) {
		argv := []string{
			s.programs[originalProgram], "start", s.app, "--engine=builtin",
			"--address", "127.0.0.1", "--port", s.port, "--environment", "production",
			"--max-pool-size", workers, "--min-instances", workers,
			option, s.programs[interpreter],
			"--instance-registry-dir", s.dir, "--pid-file", s.socket("pid"), "--log-file", s.socket("log"),
			"--disable-security-update-check", "--disable-anonymous-telemetry",
			"--no-install-runtime", "--no-compile-runtime", "--auto",
		}

		return []command{{argv: argv, front: originalCore}}, nil
	}}
}
