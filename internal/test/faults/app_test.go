//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// Environment variables of the application, which is the test binary.
const (
	appVar = "FAULTS_APP"
	// concurrencyVar is how many requests a process takes at once, 0 for no
	// limit; 1 without it.
	concurrencyVar = "FAULTS_CONCURRENCY"
	// deafVar makes the first process that starts in a directory one that reads
	// nothing of what it is asked.
	deafVar = "FAULTS_DEAF"
)

// testApp returns options that start the test binary as the application.
func testApp(t testing.TB) []string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)

	// The race detector sleeps for a second before a program ends.
	return []string{"--start-command", path, "--envvar", appVar + "=1", "--envvar", "GORACE=atexit_sleep_ms=0"}
}

// unlimited are options for processes that take any number of requests.
var unlimited = []string{"--envvar", concurrencyVar + "=0"}

// app is the running application.
type app struct {
	listener *trickListener
	step     chan struct{}

	mu       sync.Mutex
	released chan struct{} // closed by SIGUSR1
}

// playApp speaks the spawn handshake and serves until its stdin ends.
func playApp() (status int) {
	loader := loaderproto.NewLoader(os.Stdin, os.Stdout)
	options, err := loader.Handshake()
	check(err)
	listener := newTrickListener(filepath.Join(options["socket_dir"], "app"))
	a := &app{listener: listener, step: make(chan struct{}), released: make(chan struct{})}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go a.obey(signals)
	if os.Getenv(deafVar) != "" && firstHere() {
		go listener.acceptOnly()
	} else {
		server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }() // it ends when the listener is closed
	}

	concurrency := 1
	if s, ok := os.LookupEnv(concurrencyVar); ok {
		concurrency, err = strconv.Atoi(s)
		check(err)
	}

	check(loader.Ready(&loaderproto.Ready{PID: os.Getpid(), Sockets: []loaderproto.Socket{{
		Name: "main", Protocol: loaderproto.HTTPSession, Concurrency: concurrency,
		Address: loaderproto.Address{Network: "unix", Addr: listener.path},
	}}}))
	loader.AwaitEnd()

	return 0
}

func firstHere() bool {
	f, err := os.OpenFile("first", os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_ = f.Close()
	}

	return err == nil
}

// obey releases at SIGUSR1 who is held, and at SIGUSR2 accepts again.
func (a *app) obey(signals <-chan os.Signal) {
	for s := range signals {
		if s == syscall.SIGUSR2 {
			a.listener.unclog()
			continue
		}

		a.mu.Lock()
		close(a.released)
		a.released = make(chan struct{})
		a.mu.Unlock()
	}
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	for path, serve := range map[string]http.HandlerFunc{
		// Responds with the process's id.
		"/pid": func(w http.ResponseWriter, _ *http.Request) { say(w, strconv.Itoa(os.Getpid())) },
		// Responds with the query.
		"/query": func(w http.ResponseWriter, r *http.Request) { say(w, r.URL.RawQuery) },
		// As that, and prints that it was there.
		"/serve": func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			logf("served %s. %v", r.URL.RawQuery, err)
			say(w, r.URL.RawQuery)
		},
		// As that, but not before it is released or the client leaves.
		"/hold": func(w http.ResponseWriter, r *http.Request) {
			a.hold(r)
			say(w, r.URL.RawQuery)
		},
		// As that, but whether or not the client leaves.
		"/work": func(w http.ResponseWriter, r *http.Request) {
			a.hold(r.WithContext(context.WithoutCancel(r.Context())))
			say(w, r.URL.RawQuery)
		},
		// Begins a response of the length in the query, chunked if that is 0, and
		// holds then.
		"/begin": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "0" {
				w.Header().Set("Content-Length", r.URL.RawQuery)
			}

			say(w, strings.Repeat("x", 1000))
			_ = http.NewResponseController(w).Flush()
			a.hold(r)
		},
		// Responds with n bytes.
		"/large": func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.URL.RawQuery)
			check(err)
			w.Header().Set("Content-Length", r.URL.RawQuery)
			say(w, strings.Repeat("x", n))
		},
		// Responds with the body's length and checksum.
		"/sum": func(w http.ResponseWriter, r *http.Request) {
			sum := crc32.New(castagnoli)
			n, err := io.Copy(sum, r.Body)
			say(w, summary(n, sum.Sum32(), err))
		},
		// Responds with the body.
		"/echo": func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}

			w.Header().Set("X-Query", r.URL.RawQuery)
			_, _ = w.Write(body)
		},
		// Breaks off before it responds.
		"/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		// Prints the body as it is.
		"/print": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(os.Stdout, r.Body) },
		// Sends an event for each request to /next.
		"/events": a.events,
		"/next": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case a.step <- struct{}{}:
			case <-r.Context().Done():
			}
		},
		"/tunnel": tunnel,
		// Does to its listener what the query says; no connection is kept.
		"/listener": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			a.listener.trick(r.URL.RawQuery)
			say(w, strconv.Itoa(os.Getpid()))
		},
	} {
		mux.HandleFunc(path, serve)
	}

	return mux
}

func (a *app) hold(r *http.Request) {
	a.mu.Lock()
	released := a.released
	a.mu.Unlock()
	logf("holding %s.", r.URL.RawQuery)
	cut := make(chan struct{})
	go func() {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			close(cut)
		}
	}()

	select {
	case <-released:
		return
	case <-r.Context().Done():
	case <-cut:
	}

	logf("left by %s.", r.URL.RawQuery)
}

func (a *app) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.URL.RawQuery != "" {
		w.Header().Set("X-Accel-Buffering", r.URL.RawQuery)
	}

	w.WriteHeader(http.StatusOK)

	for n := 1; ; n++ {
		_ = http.NewResponseController(w).Flush()

		select {
		case <-a.step:
		case <-r.Context().Done():
			logf("left by events.")
			return
		}

		say(w, fmt.Sprintf("id: %d\ndata: %s\n\n", n, strings.Repeat("y", n)))
	}
}

// tunnel changes to bytes that are sent back as they come. It ends its direction
// when the client has ended its own; a line "end" at the beginning of what comes
// makes it end its direction at once.
func tunnel(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	check(err)
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	half, ok := conn.(interface{ CloseWrite() error })
	if first, _ := buffered.Peek(4); string(first) == "end\n" && ok {
		_ = half.CloseWrite()
		rest, err := io.ReadAll(buffered)
		logf("the tunnel got %q. %v", rest, err)

		return
	}

	_, err = io.Copy(conn, buffered)
	logf("the tunnel has ended. %v", err)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func summary(n int64, sum uint32, err error) string { return fmt.Sprintf("%d %x %v", n, sum, err) }

func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func logf(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format+"\n", args...) }

func check(err error) {
	if err != nil {
		logf("the application cannot go on: %v", err)
		os.Exit(70)
	}
}
