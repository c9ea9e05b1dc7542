package testapp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// generics are the behaviours of programs that know nothing of the handshake
// and serve HTTP on the port that the environment names.
func generics() map[string]func(*player) {
	return map[string]func(*player){
		// Serves; with health=path only when the file of that name in the
		// working directory exists is the response for that path 200, before 503.
		"generic": func(p *player) { p.serveGeneric(os.Getenv("PORT")) },
		// Serves on the port that is its last argument.
		"generic-argument": func(p *player) {
			arg := os.Args[len(os.Args)-1]
			p.serveGeneric(arg[strings.LastIndex(arg, "=")+1:])
		},
		// Serves on an address, which may name the port as PORT does.
		"generic-at": func(p *player) {
			p.serveOn(p.listen("tcp", os.Expand(p.param("address", ""), os.Getenv)))
		},
		// Says when it listens at an address, and makes the file stolen of all that it is
		// sent. It responds to each request.
		"thief": func(p *player) {
			l := p.listen("tcp", p.param("address", ""))
			print("listens\n")

			for {
				conn, err := l.Accept()
				check(err)
				go steal(conn)
			}
		},
		// Serves on the Unix socket that the environment names.
		"generic-socket": func(p *player) { p.serveOn(p.listen("unix", os.Getenv("SOCKET"))) },
		// Supervises: its server stops listening when the file stop is there, and makes
		// the file stopped; it listens again when the file again is there.
		"generic-supervisor": func(p *player) {
			address := "127.0.0.1:" + os.Getenv("PORT")
			for {
				l := p.listen("tcp", address)
				go p.serveOn(l)
				awaitFile("stop")
				check(l.Close())
				check(os.WriteFile("stopped", nil, 0o600))
				awaitFile("again")
			}
		},
		"generic-patient": (*player).serveLater,
		// Listens on a port of its own.
		"generic-elsewhere": func(p *player) { p.serveGeneric("0") },
		// Ends because it cannot have its port, which it says is in use.
		"generic-taken": func(*player) {
			_, _ = os.Stderr.WriteString("listen tcp 127.0.0.1:" + os.Getenv("PORT") +
				": bind: address already in use\n")
			os.Exit(1)
		},
	}
}

// serveLater serves when no other program does on its port any more.
func (p *player) serveLater() {
	for {
		if l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+
			os.Getenv("PORT")); err == nil {
			check(l.Close())
			p.serveGeneric(os.Getenv("PORT"))
		}

		<-time.After(time.Millisecond)
	}
}

func steal(conn net.Conn) {
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err == nil {
		check(os.WriteFile("stolen", buf[:n], 0o644)) //nolint:gosec // G306: the test reads it
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthief"))
	}

	_ = conn.Close()
}

// awaitFile returns when there is a file in the working directory.
func awaitFile(name string) {
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}

		<-time.After(time.Millisecond)
	}
}

func (p *player) serveGeneric(port string) {
	p.serveOn(p.listen("tcp", net.JoinHostPort("127.0.0.1", port)))
}

// serveOn returns when l is closed.
func (p *player) serveOn(l net.Listener) {
	handler := p.handler()
	health := p.param("health", "")
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if health != "" && r.URL.Path == health {
				if _, err := os.Stat(filepath.Base(health)); err != nil {
					w.WriteHeader(http.StatusServiceUnavailable)
				}

				return
			}

			handler.ServeHTTP(w, r)
		}),
	}
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		check(err)
	}
}
