package testapp

import (
	"context"
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
		// working directory exists is that path answered by 200, before by 503.
		"generic": func(p *player) { p.serveGeneric(os.Getenv("PORT")) },
		// Serves on the port that is its last argument.
		"generic-argument": func(p *player) {
			arg := os.Args[len(os.Args)-1]
			p.serveGeneric(arg[strings.LastIndex(arg, "=")+1:])
		},
		// Serves when nobody else does on its port any more.
		"generic-patient": func(p *player) {
			for {
				if l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+os.Getenv("PORT")); err == nil {
					check(l.Close())
					p.serveGeneric(os.Getenv("PORT"))
				}
				<-time.After(time.Millisecond)
			}
		},
		// Listens on a port of its own.
		"generic-elsewhere": func(p *player) { p.serveGeneric("0") },
		// Ends because it cannot have its port, which it says is in use.
		"generic-taken": func(*player) {
			_, _ = os.Stderr.WriteString("listen tcp 127.0.0.1:" + os.Getenv("PORT") + ": bind: address already in use\n")
			os.Exit(1)
		},
	}
}

func (p *player) serveGeneric(port string) {
	l := p.listen("tcp", net.JoinHostPort("127.0.0.1", port))
	handler := p.handler()
	health := p.param("health", "")
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if health != "" && r.URL.Path == health {
			if _, err := os.Stat(filepath.Base(health)); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		handler.ServeHTTP(w, r)
	})}
	check(s.Serve(l))
}
