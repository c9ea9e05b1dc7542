package testapp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
)

func behaviours() map[string]func(*player) {
	all := map[string]func(*player){
		// Serves HTTP on a Unix socket until its stdin ends; noise=text is
		// printed before, pid=n reported. At /daemon it starts a process in a
		// session of its own and responds with its pid.
		"http": serveHTTP,
		// The same on a TCP socket of the loopback, or at address, and reports host. With
		// stops=yes it stops listening when the file stop is there, and makes stopped.
		"tcp": serveTCP,
		// Serves the session protocol; keepalive=yes agrees to that feature.
		"session": serveSession,
		// Serves HTTP but does not end with its stdin.
		"ignore-eof": ignoreEOF,
		// Nor on TERM.
		"stubborn": stubborn,
		// Serves HTTP and leaves a process in its group that ignores TERM.
		"parent": parent,
		// Reads the request, then executes itself and begins again.
		"re-exec": reExec,
		// Has the habits of loaders that know protocol 1.0 only.
		"original": original,
		// Prints bytes=n to stdout and stderr, then serves HTTP.
		"flood": flood,
	}
	maps.Copy(all, failures())
	maps.Copy(all, preloaders())
	maps.Copy(all, generics())

	return all
}

func (p *player) socketPath() string {
	return filepath.Join(p.opts["socket_dir"], "testapp."+strconv.Itoa(os.Getpid()))
}

func (p *player) listen(network, addr string) net.Listener {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), network, addr)
	check(err)
	return l
}

func (p *player) ready(l net.Listener, protocol loaderproto.Protocol, features ...string) {
	p.readyAt(loaderproto.Address{Network: l.Addr().Network(), Addr: l.Addr().String()}, protocol, features...)
}

func (p *player) readyAt(address loaderproto.Address, protocol loaderproto.Protocol, features ...string) {
	s := loaderproto.Socket{
		Name:        "main",
		Protocol:    protocol,
		Concurrency: p.number("concurrency", 1),
		Address:     address,
	}
	check(p.Ready(&loaderproto.Ready{
		Sockets: []loaderproto.Socket{s}, PID: p.number("pid", os.Getpid()), Features: features,
	}))
}

// startHTTP serves in the background; the caller decides when it is over.
func (p *player) startHTTP() {
	if p.opts == nil {
		print(p.param("noise", ""))
		p.handshake()
	}

	l := p.listen("unix", p.socketPath())
	p.serve(l)
	p.ready(l, loaderproto.HTTPSession)
}

func (p *player) serve(l net.Listener) {
	s := &http.Server{Handler: p.handler(), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
			check(err)
		}
	}()
}

func serveHTTP(p *player) {
	p.startHTTP()
	p.AwaitEnd()
}

func serveTCP(p *player) {
	p.handshake()
	l := p.listen("tcp", p.param("address", "127.0.0.1:0"))
	p.serve(l)
	p.readyAt(loaderproto.Address{
		Network: "tcp",
		Addr:    reportedAddress(l, p.param("host", "")),
	}, loaderproto.HTTPSession)
	if p.param("stops", "") != "" {
		awaitFile("stop")
		check(l.Close())
		check(os.WriteFile("stopped", nil, 0o600))
	}

	p.AwaitEnd()
}

// reportedAddress has another host than l if there is one.
func reportedAddress(l net.Listener, host string) string {
	own, port, err := net.SplitHostPort(l.Addr().String())
	check(err)
	if host == "" {
		host = own
	}

	return net.JoinHostPort(host, port)
}

func ignoreEOF(p *player) {
	p.startHTTP()
	hang()
}

func stubborn(p *player) {
	signal.Ignore(syscall.SIGTERM)
	p.startHTTP()
	hang()
}

func flood(p *player) {
	printMuch(p.number("bytes", 1<<20))
	serveHTTP(p)
}

// printMuch prints lines of 64 bytes to stdout and to stderr.
func printMuch(bytes int) {
	chunk := strings.Repeat(strings.Repeat("x", 63)+"\n", 1<<10)
	for written := 0; written < bytes; written += len(chunk) {
		print(chunk)
		_, err := os.Stderr.WriteString(chunk)
		check(err)
	}
}

// state is what /state says of the process.
type state struct {
	PID, PGID, SID, PPID int
	Dir                  string
	Args                 []string
	Env                  []string
	// FDs are the descriptors that were inherited.
	FDs map[string]string
	// NonBlocking are those with O_NONBLOCK.
	NonBlocking []int
	Options     map[string]string
}

func (p *player) handler() http.Handler {
	inherited, nonBlocking := inheritedFDs()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/print", func(_ http.ResponseWriter, r *http.Request) {
		print(r.FormValue("stdout"))
		_, _ = os.Stderr.WriteString(r.FormValue("stderr"))
	})
	mux.HandleFunc("/print-long", func(_ http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("bytes"))
		check(err)

		for chunk := strings.Repeat("x", 1<<20); n > 0; n -= len(chunk) {
			print(chunk)
		}
	})
	mux.HandleFunc("/flood", func(_ http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("bytes"))
		check(err)
		printMuch(n)
	})
	p.addTricks(mux)
	mux.HandleFunc(checkPrefix, checkHTTP)
	mux.HandleFunc("/close-stdout", func(http.ResponseWriter, *http.Request) { check(os.Stdout.Close()) })
	mux.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.FormValue("status"))
		check(err)
		os.Exit(code)
	})
	mux.HandleFunc("/daemon", func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = fmt.Fprint(w, startGrandchild(true))
	})
	mux.HandleFunc("/state", func(w http.ResponseWriter, _ *http.Request) {
		s := state{
			PID:         os.Getpid(),
			PGID:        syscall.Getpgrp(),
			SID:         sessionID(),
			PPID:        os.Getppid(),
			Args:        os.Args,
			Env:         os.Environ(),
			FDs:         inherited,
			NonBlocking: nonBlocking,
			Options:     p.opts,
		}
		s.Dir, _ = os.Getwd()
		_ = json.NewEncoder(w).Encode(s)
	})

	return mux
}

func serveSession(p *player) {
	p.handshake()
	l := p.listen("unix", p.socketPath())
	var features []string
	if p.param("keepalive", "no") == "yes" {
		features = []string{loaderproto.FeatureSessionKeepAlive}
	}

	go func() {
		for {
			c, err := l.Accept()
			check(err)
			go p.session(c, len(features) > 0)
		}
	}()
	p.ready(l, loaderproto.Session, features...)
	p.AwaitEnd()
}

func (p *player) session(c net.Conn, keepAlive bool) {
	defer func() { _ = c.Close() }()

	for in := bufio.NewReader(c); ; {
		h, err := sessionproto.ReadHeader(in)
		if err != nil {
			return
		}

		if h.CheckPassword(p.opts["connect_password"]) != nil {
			return
		}

		if h.IsPing() {
			_, _ = io.WriteString(c, sessionproto.PingReply)
			return
		}

		if checkSession(c, h) {
			return
		}

		length, err := strconv.ParseInt(h["CONTENT_LENGTH"], 10, 64)
		if err != nil && h["CONTENT_LENGTH"] != "" {
			return
		}

		body, err := io.ReadAll(io.LimitReader(in, length))
		if err != nil {
			return
		}

		if len(body) == 0 {
			body = []byte("hello")
		}

		_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body)
		if err != nil || !keepAlive {
			return
		}
	}
}

// parent has children, of which the first is as large as itself.
func parent(p *player) {
	startGrandchild(false)

	for range p.number("children", 1) - 1 {
		check(exec.CommandContext(context.Background(), "sleep", "600").Start())
	}

	serveHTTP(p)
}

func reExec(p *player) {
	p.handshake()
	check(os.Setenv(behaviourVar, "http"))
	err := syscall.Exec(os.Args[0], os.Args, os.Environ()) //nolint:gosec // G702: itself, again
	check(errors.Join(errors.New("exec returned"), err))
}
