package hostile_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/scgi"
	"github.com/gopassenger/passenger/internal/test/pipenet"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// booth is a small stage: the handler in a server of net/http, in this process
// and in virtual time. It lives in a bubble of testing/synctest.
type booth struct {
	protocol loaderproto.Protocol
	// response is what requests without an id get, after a delay.
	response string
	delay    time.Duration
	// keeps reports whether the connection stays open then.
	keeps bool
	// streams reports whether requests are not buffered.
	streams bool
	// scgi reports whether requests come by that.
	scgi bool
	// base is the base URI, limit the time that a request may take; zero means any.
	base  string
	limit time.Duration

	pool     *passenger.Pool
	listener *pipenet.Listener
	mu       sync.Mutex
	seen     []*seen
	said     strings.Builder // by net/http
}

// run serves while test runs.
func (b *booth) run(t *testing.T, test func()) {
	t.Helper()
	b.listener = pipenet.NewListener(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})
	factory := spawnertest.New(spawnertest.Script{
		Protocol:         b.protocol,
		SessionKeepAlive: true,
		Concurrency:      spawnertest.Unlimited,
		ServeConn:        b.serveConn,
	})
	var err error
	b.pool, err = passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	cfg := handler.Config{StreamRequests: b.streams}
	cfg.Options.App.Root, cfg.Options.App.BaseURI = "/app", b.base
	app, err := handler.New(b.pool, cfg)
	require.NoError(t, err)
	server := &http.Server{
		Handler:        b.limited(app),
		Protocols:      new(http.Protocols),
		MaxHeaderBytes: 80 << 10,
		ErrorLog:       log.New(lockedWriter{&b.mu, &b.said}, "", 0),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	serve, stop := server.Serve, server.Close
	if b.scgi {
		cgi := &scgi.Server{Handler: b.limited(app)}
		serve, stop = cgi.Serve, cgi.Close
	}

	served := make(chan error, 1)
	go func() { served <- serve(b.listener) }()
	test()
	require.NoError(t, stop())
	require.Error(t, <-served)
	<-time.After(time.Minute) // for connections that net/http closes in its own time

	for _, g := range b.pool.Inspect().Groups {
		require.Zero(t, g.QueueLength)

		for _, p := range g.Processes {
			require.Zero(t, p.Sessions)
		}
	}

	require.NoError(t, b.pool.Close())
	require.Empty(t, factory.LiveProcesses())
	require.NotContains(t, b.said.String(), "panic")
}

func (b *booth) limited(next http.Handler) http.Handler {
	if b.limit == 0 {
		return next
	}

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), b.limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (b *booth) serveConn(p *spawnertest.Process, c net.Conn) {
	br := bufio.NewReader(c)
	for {
		r, err := readRequest(br, b.protocol, p.Info().ConnectPassword)
		if err != nil {
			return
		}

		id, isID := strings.CutPrefix(r.target, idPrefix)
		if !isID {
			b.mu.Lock()
			b.seen = append(b.seen, r)
			b.mu.Unlock()
		}

		body, err := r.readBody(br)
		if err != nil {
			return
		}

		b.mu.Lock()
		r.body, r.whole = body, true
		b.mu.Unlock()
		response := b.response
		if isID {
			response = okOf(len(id), id)
		} else if b.delay > 0 {
			<-time.After(b.delay)
		}

		if _, err := io.WriteString(c, response); err != nil || !isID && !b.keeps {
			return
		}
	}
}

// requests are those that have come to their end, without an id.
func (b *booth) requests() []*seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.seen), func(r *seen) bool { return !r.whole })
}

// exchange sends raw, leaves after a while, and returns what has come.
func (b *booth) exchange(raw string, while time.Duration) (string, error) {
	client, server := net.Pipe()
	if err := b.listener.Connect(context.Background(), fromLoopback{server}); err != nil {
		return "", err
	}

	var got strings.Builder
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.WriteString(client, raw) })
	wg.Go(func() { _, _ = io.Copy(&got, client) })
	<-time.After(while)
	err := client.Close()
	wg.Wait()

	return got.String(), err
}

// forget forgets what was seen.
func (b *booth) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = nil
}

// followUp is a request with an id.
func (b *booth) followUp(id string) error {
	raw, err := b.exchange(request("GET "+idPrefix+id+" HTTP/1.1"), time.Millisecond)
	if err != nil {
		return err
	}

	got := parseResponses(raw, http.MethodGet)
	if len(got) != 1 || got[0].body != id || !got[0].whole {
		return errors.New("request " + id + " got " + raw)
	}

	return nil
}

// fromLoopback gives a pipe the addresses of a TCP connection.
type fromLoopback struct{ net.Conn }

func (fromLoopback) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
}

func (fromLoopback) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
