package main

import (
	"context"
	"os/exec"
	"slices"
	"time"
)

func asgiPeers() []peer {
	return []peer{
		withUvicorn(oursPeer(pythonProgram, "--python")),
		{
			name:  "nginx + gunicorn, uvicorn",
			needs: []string{nginxProgram, gunicornProgram, uvicornModule},
			commands: func(s *site) ([]command, error) {
				sockets := []string{s.socket("app.socket")}
				return withNginx(s, sockets, []command{gunicornOfUvicorn(s, "unix:"+sockets[0])})
			},
		},
		{
			name:      "gunicorn, uvicorn",
			frontless: true,
			needs:     []string{gunicornProgram, uvicornModule},
			commands: func(s *site) ([]command, error) {
				return []command{gunicornOfUvicorn(s, s.addr)}, nil
			},
		},
		{
			name:      "uvicorn",
			frontless: true,
			needs:     []string{pythonProgram, uvicornModule},
			commands: func(s *site) ([]command, error) {
				return []command{{argv: []string{
					s.programs[pythonProgram], "-m", "uvicorn", "--workers", workers, "--host", "127.0.0.1",
					"--port", s.port, "--no-access-log", "--lifespan", "off", "passenger_asgi:application",
				}}}, nil
			},
		},
	}
}

func withUvicorn(p peer) peer {
	p.needs = append(slices.Clone(p.needs), uvicornModule)
	return p
}

func gunicornOfUvicorn(s *site, bind string) command {
	return command{argv: []string{
		s.programs[gunicornProgram], "--workers", workers, "--bind", bind, "--worker-tmp-dir", s.dir,
		"--worker-class", "uvicorn.workers.UvicornWorker", "passenger_asgi:application",
	}}
}

// findUvicorn returns the Python that has uvicorn, which gunicorn and we use as well.
func findUvicorn() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	python := lookPath("/usr/bin/python3", "python3")
	if python == "" || exec.CommandContext(ctx, python,
		"-c", "import uvicorn, httptools, uvloop").Run() != nil {
		return ""
	}

	return python
}
