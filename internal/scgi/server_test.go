package scgi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
	"github.com/gopassenger/passenger/internal/test/pipenet"
)

// When the web server goes away the handler learns of it, whatever it does.
func TestGone(t *testing.T) {
	for name, c := range map[string]struct {
		method, body string
		sent         int // of the body
		reads        bool
		want         string
	}{
		"no body":             {"GET", "", 0, false, "<nil>"},
		"a body read":         {"POST", "body", 4, true, "<nil>"},
		"a body not read":     {"POST", "body", 4, false, "<nil>"},
		"a large body":        {"POST", strings.Repeat("x", 100_000), 100_000, true, "<nil>"},
		"half of a body":      {"POST", "body", 2, true, "unexpected EOF"},
		"no byte of the body": {"POST", "body", 0, true, "unexpected EOF"},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				running, done := make(chan struct{}), make(chan string, 1)
				s := newStand(t, func(_ http.ResponseWriter, r *http.Request) {
					close(running)
					var err error
					if c.reads {
						_, err = io.Copy(io.Discard, r.Body)
					}

					<-r.Context().Done()
					done <- fmt.Sprint(err)
				})
				addr := s.path
				if network == "tcp" {
					addr = "127.0.0.1:0"
				}

				l, err := net.Listen(network, addr)
				require.NoError(t, err)
				s.serve(l)
				client, err := net.Dial(network, l.Addr().String())
				require.NoError(t, err)
				defer client.Close()
				text := request(c.method, "/", c.body)
				_, err = io.WriteString(client, text[:len(text)-len(c.body)+c.sent])
				require.NoError(t, err)
				receive(t, running)
				require.NoError(t, client.Close())
				require.Equal(t, c.want, receive(t, done))
			})
		}
	}
}

// A client of a Unix socket that has said all, and says so, has not gone.
func TestHalfClosed(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
			fmt.Fprint(w, "here")
		}
	})
	c := s.dial()
	_, err := io.WriteString(c, request("GET", "/", ""))
	require.NoError(t, err)
	closeWrite(t, c)
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(b), "here")
}

// Writing to a client that has gone fails, and cancels the context.
func TestWriteToGone(t *testing.T) {
	running, closed, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-closed
		_, err := w.Write(make([]byte, 1<<20))
		<-r.Context().Done()
		done <- err
	})
	c := s.dial()
	_, err := io.WriteString(c, request("GET", "/", ""))
	require.NoError(t, err)
	receive(t, running)
	require.NoError(t, c.Close())
	close(closed)
	require.Error(t, receive(t, done))
}

// A deadline of the body's ends a Read, and one that was set too late nothing.
func TestReadDeadline(t *testing.T) {
	errs := make(chan error, 3)
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		errs <- rc.SetReadDeadline(time.Now().Add(-time.Second))
		_, err := r.Body.Read(make([]byte, 10))
		errs <- err
		errs <- rc.SetReadDeadline(time.Time{})
		fmt.Fprint(w, "go on")
		_ = rc.Flush()
		b, err := io.ReadAll(r.Body)
		_ = rc.SetReadDeadline(time.Now().Add(-time.Second))
		fmt.Fprint(w, string(b), err, r.Context().Err())
	})
	c := s.dial()
	text := request("POST", "/", "body")
	_, err := io.WriteString(c, text[:len(text)-4])
	require.NoError(t, err)
	require.NoError(t, receive(t, errs))
	require.ErrorIs(t, receive(t, errs), os.ErrDeadlineExceeded)
	require.NoError(t, receive(t, errs))
	_, err = io.WriteString(c, "body")
	require.NoError(t, err)
	b, err := io.ReadAll(c)
	require.NoError(t, err)

	require.True(t, strings.HasSuffix(string(b), "go onbody<nil> <nil>"), "%q", b)
}

func TestWriteDeadline(t *testing.T) {
	errs := make(chan error, 3)
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		errs <- http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second))
		_, err := w.Write(make([]byte, 1<<20))
		errs <- err
		<-r.Context().Done()
		_, err = w.Write([]byte("more"))
		errs <- err
	})
	_, _ = s.say(request("GET", "/", ""))
	require.NoError(t, receive(t, errs))
	require.ErrorIs(t, receive(t, errs), os.ErrDeadlineExceeded)
	require.ErrorIs(t, receive(t, errs), os.ErrDeadlineExceeded)
}

// Every client gets the response to its own request, also where some are broken off.
func TestParallel(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}

		fmt.Fprint(w, r.RequestURI, string(b))
		if strings.HasSuffix(r.RequestURI, "0") {
			panic(http.ErrAbortHandler)
		}
	})
	var wg sync.WaitGroup

	faults := make(chan string, 40)
	for i := range cap(faults) {
		wg.Go(func() {
			for j := range 25 {
				target, body := fmt.Sprintf("/%d/%d", i, j), strings.Repeat(fmt.Sprintf("%d.%d ", i, j), 1+i*j)
				got, err := s.say(request("POST", target, body))
				broken := strings.HasSuffix(target, "0")
				if broken != (err != nil) || broken && len(body) < 4000 && got != "" || !broken &&
					!strings.HasSuffix(got, "\r\n\r\n"+target+body) {
					faults <- fmt.Sprintf("%s: %q, %v", target, got, err)
					return
				}
			}
		})
	}

	wg.Wait()
	close(faults)

	for f := range faults {
		require.Empty(t, f)
	}
}

// Shutdown lets those finish who have connected, also before their request.
func TestShutdown(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/slow" {
			close(running)
			<-release
		}

		fmt.Fprint(w, "done")
	})
	slow, silent := s.dial(), s.dial()
	_, err := io.WriteString(slow, request("GET", "/slow", ""))
	require.NoError(t, err)
	receive(t, running)
	s.requireReply(request("GET", "/", "")) // so that the silent one is accepted
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
	_, err = net.Dial("unix", s.path)
	require.Error(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	_, err = io.WriteString(silent, request("GET", "/", ""))
	require.NoError(t, err)

	for _, c := range []net.Conn{silent, slow} {
		if c == slow {
			require.Empty(t, ended)
			close(release)
		}

		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Contains(t, string(b), "done")
	}

	require.NoError(t, receive(t, ended))
	l, err := net.Listen("unix", s.path+"2")
	require.NoError(t, err)
	require.ErrorIs(t, s.Serve(l), http.ErrServerClosed)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestClose(t *testing.T) {
	running, done := make(chan struct{}), make(chan struct{})
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		close(done)
	})
	c := s.dial()
	_, err := io.WriteString(c, request("GET", "/", ""))
	require.NoError(t, err)
	receive(t, running)
	require.NoError(t, s.Close())
	receive(t, done)
	_, err = io.ReadAll(c)
	require.Error(t, err)
}

func TestConnStates(t *testing.T) {
	var mu sync.Mutex
	var states []http.ConnState
	s := newStand(t, func(http.ResponseWriter, *http.Request) {})
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, state)
	}
	s.serve(s.listen())
	s.requireReply(request("GET", "/", ""))
	require.NoError(t, s.Shutdown(t.Context()))
	require.Equal(t, []http.ConnState{http.StateNew, http.StateActive, http.StateClosed}, states)
}

// troubled is a listener that has run out of descriptors for a while.
type troubled struct {
	net.Listener
	left int
}

type temporaryError struct{ error }

func (temporaryError) Timeout() bool   { return false }
func (temporaryError) Temporary() bool { return true }

func (l *troubled) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, temporaryError{errors.New("too many open files")}
	}

	return l.Listener.Accept()
}

func TestAcceptGoesOn(t *testing.T) {
	s := newStand(t, func(http.ResponseWriter, *http.Request) {})
	s.serve(&troubled{Listener: s.listen(), left: 3})
	s.requireReply(request("GET", "/", ""))
	require.Equal(t, 3, strings.Count(s.log.String(), "too many open files"))
}

func TestListenerFails(t *testing.T) {
	s := newStand(t, nil)
	l := s.listen()
	require.NoError(t, l.Close())
	err := s.Serve(l)
	require.ErrorIs(t, err, net.ErrClosed)
	require.NotErrorIs(t, err, http.ErrServerClosed)
}

// A head has to be complete in time, from the beginning.
func TestReadHeaderTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		begin string
		want  string
	}{
		"silent":            {"", ""},
		"a part of a head":  {"70:CONTENT", "Status: 408 Request Timeout\r\n"},
		"an incomplete one": {strings.TrimSuffix(request("GET", "/", ""), ","), "Status: 408 Request Timeout\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := pipenet.NewListener(&net.UnixAddr{Name: "pipe", Net: "unix"})
				s := &scgi.Server{Handler: http.NotFoundHandler()}
				served := make(chan error, 1)
				go func() { served <- s.Serve(l) }()
				client, server := net.Pipe()
				require.NoError(t, l.Connect(t.Context(), server))
				began := time.Now()
				_, err := io.WriteString(client, c.begin)
				require.NoError(t, err)
				b, err := io.ReadAll(client)
				require.NoError(t, err)
				require.Equal(t, scgi.DefaultReadHeaderTimeout, time.Since(began).Round(time.Second))
				require.True(t, strings.HasPrefix(string(b), c.want), "%q", b)
				if c.want == "" {
					require.Empty(t, b)
				}

				require.NoError(t, client.Close())
				require.NoError(t, s.Shutdown(t.Context()))
				require.ErrorIs(t, <-served, http.ErrServerClosed)
			})
		})
	}
}

// Without a socket to look into, everything else is the same.
func TestPipes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.NewListener(&net.UnixAddr{Name: "pipe", Net: "unix"})
		gone := make(chan struct{})
		s := &scgi.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s%s%v", r.RequestURI, b, err)
			if r.RequestURI == "/wait" {
				<-r.Context().Done()
				close(gone)
			}
		})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()

		for _, body := range []string{"", "b", "body"} {
			client, server := net.Pipe()
			require.NoError(t, l.Connect(t.Context(), server))
			_, err := io.WriteString(client, request("POST", "/x", body))
			require.NoError(t, err)
			b, err := io.ReadAll(client)
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(string(b), "\r\n\r\n/x"+body+"<nil>"), "%q", b)
		}

		client, server := net.Pipe()
		require.NoError(t, l.Connect(t.Context(), server))
		_, err := io.WriteString(client, request("POST", "/wait", "body"))
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, client.Close())
		<-gone
		require.NoError(t, s.Shutdown(t.Context()))
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

// A client that has sent half a head does not hold up the end of the server.
func TestHalfHeadsDoNotHoldUpShutdown(t *testing.T) {
	t.Parallel() // net/http takes a connection without a request for idle after five seconds
	s := newStand(t, func(http.ResponseWriter, *http.Request) {})
	s.ReadHeaderTimeout = time.Hour
	s.serve(s.listen())
	whole := request("GET", "/", "")
	half, silent := s.dial(), s.dial()
	_, err := io.WriteString(half, whole[:len(whole)/2])
	require.NoError(t, err)
	s.requireReply(whole) // so that the others are accepted

	require.NoError(t, s.Shutdown(t.Context()))

	for _, c := range []net.Conn{half, silent} {
		_, _ = io.ReadAll(c) // it ends
	}
}
