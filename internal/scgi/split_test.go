package scgi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
	"github.com/gopassenger/passenger/internal/test/pipenet"
)

// splitStand serves SCGI and HTTP from one listener.
func splitStand(t *testing.T, h http.HandlerFunc) *stand {
	t.Helper()
	s := newStand(t, h)
	forSCGI, forHTTP := scgi.Split(s.listen())
	s.serve(forSCGI)
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(forHTTP) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("the HTTP server does not end: %v", err)
			_ = server.Close()
		}

		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})

	return s
}

func TestSplit(t *testing.T) {
	s := splitStand(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, scgi.Params(r) != nil, string(b), err)
	})

	silent := s.dial() // which no test waits for
	for range 3 {
		require.Equal(t, "truebody<nil>", s.requireReply(request("POST", "/", "body")).body)
		c := s.dial()

		br := bufio.NewReader(c)
		for range 2 { // on one connection
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
			require.NoError(t, err)
			resp, err := http.ReadResponse(br, nil)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "falsebody<nil>", string(b))
		}

		require.NoError(t, c.Close())
	}

	_, err := io.WriteString(silent, request("GET", "/", ""))
	require.NoError(t, err)
	b, err := io.ReadAll(silent)
	require.NoError(t, err)
	require.Contains(t, string(b), "true<nil>")
}

// What is accepted is the socket itself.
func TestSplitKeepsSockets(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("they are wrapped on this system")
	}

	s := newStand(t, nil)
	l := s.listen()
	forSCGI, forHTTP := scgi.Split(l)
	defer forSCGI.Close()
	defer forHTTP.Close()
	require.Equal(t, l.Addr(), forSCGI.Addr())

	for first, b := range map[string]net.Listener{"7": forSCGI, "G": forHTTP, "\x16": forHTTP, "\n": forHTTP} {
		client := s.dial()
		_, err := io.WriteString(client, first+"x")
		require.NoError(t, err)
		c, err := b.Accept()
		require.NoError(t, err)
		require.IsType(t, &net.UnixConn{}, c)
		require.NoError(t, client.Close())
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, first+"x", string(got))
		require.NoError(t, c.Close())
	}
}

// Connections that are no sockets are passed on with their first byte.
func TestSplitTLS(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS()
	defer web.Close()
	forSCGI, forHTTP := scgi.Split(tls.NewListener(s.listen(), web.TLS))
	s.serve(forSCGI)
	defer forHTTP.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	c := tls.Client(s.dial(), &tls.Config{RootCAs: trusted, ServerName: "example.com"})
	_, err := io.WriteString(c, request("POST", "/", "body"))
	require.NoError(t, err)
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(b), "here")
}

func TestSplitClose(t *testing.T) {
	s := newStand(t, nil)
	l := s.listen()
	forSCGI, forHTTP := scgi.Split(l)
	silent := s.dial()
	require.NoError(t, forHTTP.Close())
	require.NoError(t, forHTTP.Close())
	_, err := forHTTP.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	unwanted := s.dial()
	_, err = io.WriteString(unwanted, "GET /")
	require.NoError(t, err)
	_, err = unwanted.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = io.WriteString(s.dial(), "7")
	require.NoError(t, err)
	c, err := forSCGI.Accept()
	require.NoError(t, err)
	require.NoError(t, c.Close())

	require.NoError(t, forSCGI.Close())
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// Where the listener ends, what it has accepted is passed on before.
func TestSplitListenerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.NewListener(&net.UnixAddr{Name: "pipe", Net: "unix"})
		forSCGI, forHTTP := scgi.Split(l)
		late, silent := pipe(t, l), pipe(t, l)
		began := time.Now()
		require.NoError(t, l.Close())
		go func() { _, _ = io.WriteString(late, "1:x,") }()
		c, err := forSCGI.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		_, err = forHTTP.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = silent.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Less(t, time.Since(began), scgi.FirstByteTimeout)
		require.NoError(t, forSCGI.Close())
		require.NoError(t, forHTTP.Close())
	})
}

func pipe(t *testing.T, l *pipenet.Listener) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	require.NoError(t, l.Connect(t.Context(), server))
	t.Cleanup(func() { _ = client.Close() })

	return client
}

func TestSplitFirstByteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.NewListener(&net.UnixAddr{Name: "pipe", Net: "unix"})
		forSCGI, forHTTP := scgi.Split(l)
		silent := pipe(t, l)
		began := time.Now()
		_, err := silent.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, scgi.FirstByteTimeout, time.Since(began))
		slow := pipe(t, l)
		go func() { _, _ = io.WriteString(slow, "1") }()
		c, err := forSCGI.Accept()
		require.NoError(t, err)
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}

			read <- err
		}()
		<-time.After(time.Hour) // the deadline is gone
		require.Empty(t, read)
		require.NoError(t, slow.Close())
		require.ErrorIs(t, <-read, io.EOF)
		require.NoError(t, c.Close())
		require.NoError(t, forSCGI.Close())
		require.NoError(t, forHTTP.Close())
	})
}

// Of more than may wait, the oldest goes.
func TestSplitFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.NewListener(&net.UnixAddr{Name: "pipe", Net: "unix"})
		forSCGI, forHTTP := scgi.Split(l)
		began := time.Now()

		silent := make([]net.Conn, 0, scgi.MaxUndecided+1)
		for range scgi.MaxUndecided + 1 {
			silent = append(silent, pipe(t, l))
		}

		_, err := silent[0].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		go func() { _, _ = io.WriteString(silent[1], "G") }()
		c, err := forHTTP.Accept()
		require.NoError(t, err)
		require.Zero(t, time.Since(began))
		require.NoError(t, c.Close())
		require.NoError(t, forSCGI.Close())
		require.NoError(t, forHTTP.Close())
	})
}

func TestSplitAcceptGoesOn(t *testing.T) {
	s := newStand(t, func(http.ResponseWriter, *http.Request) {})
	forSCGI, forHTTP := scgi.Split(&troubled{Listener: s.listen(), left: 3})
	s.serve(forSCGI)
	defer forHTTP.Close()
	require.Equal(t, "200 OK", s.requireReply(request("GET", "/", "")).status)
}

// Where the listener ends before the servers do, no client that was accepted loses a
// request.
func TestSplitShutdown(t *testing.T) {
	var hits atomic.Int32
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	s := newStand(t, h)
	l := s.listen()
	forSCGI, forHTTP := scgi.Split(l)
	defer forSCGI.Close()
	defer forHTTP.Close()
	server := &http.Server{Handler: h}
	served := make(chan error, 2)
	go func() { served <- s.Serve(forSCGI) }()
	go func() { served <- server.Serve(forHTTP) }()
	scgiText, httpText := request("GET", "/", ""), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

	begun := make([]net.Conn, 0, 20)
	for i := range cap(begun) {
		c := s.dial()
		_, err := io.WriteString(c, []string{scgiText, httpText}[i%2][:1])
		require.NoError(t, err)
		begun = append(begun, c)
	}

	// Those who were before it have been accepted when it gets its response.
	require.Equal(t, "200 OK", s.requireReply(scgiText).status)
	require.NoError(t, l.Close())
	require.ErrorIs(t, receive(t, served), net.ErrClosed)
	require.ErrorIs(t, receive(t, served), net.ErrClosed)
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()

	for i, c := range begun {
		_, err := io.WriteString(c, []string{scgiText, httpText}[i%2][1:])
		require.NoError(t, err)
		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Contains(t, string(b), " 200 OK\r\n")
	}

	require.NoError(t, receive(t, ended))
	require.NoError(t, server.Shutdown(t.Context())) // it would drop requests
	require.EqualValues(t, 21, hits.Load())
}
