package loaders_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders/goapp"
)

// beGoApp makes the test binary the application of the tests here.
const beGoApp = "PASSENGER_TEST_BE_GOAPP"

func TestMain(m *testing.M) {
	if os.Getenv(beGoApp) != "" {
		if err := goapp.Serve(goAppHandler()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		os.Exit(0)
	}

	os.Exit(m.Run())
}

func goAppHandler() http.Handler {
	finish := make(chan os.Signal, 1)
	signal.Notify(finish, syscall.SIGUSR2)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("printed in a request")
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/ignore_body", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ignored") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}

		_, _ = w.Write(body)
	})
	mux.HandleFunc("/show_env", func(w http.ResponseWriter,
		r *http.Request,
	) {
		_ = json.NewEncoder(w).Encode(r.Header)
	})
	mux.HandleFunc("/client", func(w http.ResponseWriter, r *http.Request) {
		host, port, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host, port = "unknown", "0"
		}

		family := map[bool]string{true: "IPv6", false: "IPv4"}[strings.Contains(host, ":")]
		_, _ = fmt.Fprintf(w, "%s %s %s %d", host, family, port, len(r.Header))
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("waiting")
		<-finish
		_, _ = io.WriteString(w, "finished")
	})

	return mux
}

func goSpec(t *testing.T, options ...func(*spec)) *spec {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)

	s := &spec{argv: []string{self}, env: []string{beGoApp + "=1", "PORT=0", "GORACE=atexit_sleep_ms=0"}}
	for _, o := range options {
		o(s)
	}

	return s
}

func TestGoApp(t *testing.T) {
	t.Parallel()
	p := start(t, goSpec(t))
	require.Equal(t, loaderproto.HTTPSession, p.address(t).Protocol)
	require.Zero(t, p.address(t).Concurrency)
	require.Equal(t, p.cmd.Process.Pid, p.ready.PID)
	p.requireProtected(t)
	c := p.http(t)
	require.Equal(t, "hello", c.get(t, "/").body)
	require.Equal(t, "hello", c.get(t, "/").body)
	p.out.await(t, "printed in a request\n")
	p.requireCleanStop(t)
	require.NotContains(t, p.out.String(), "Direct access", "a stop in order is no news")
}

func TestGoAppGracefulStop(t *testing.T) {
	t.Parallel()

	for name, stop := range map[string]func(*process){
		"stdin":   func(p *process) { p.closeStdin(t) },
		"SIGTERM": func(p *process) { require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, goSpec(t))
			idle, busy := p.http(t), p.http(t)
			require.Equal(t, "hello", idle.get(t, "/").body)
			busy.send(t, "/wait")
			p.out.await(t, "waiting")
			stop(p)
			_, err := idle.br.ReadByte()
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
			require.Equal(t, "finished", busy.read(t).body)
			require.Zero(t, p.exitCode(t))
		})
	}
}

func TestGoAppSockets(t *testing.T) {
	t.Parallel()
	p := start(t, goSpec(t, tcpOnly))
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, p.address(t).Address.String())
	require.Equal(t, "hello", p.http(t).get(t, "/").body)

	p, err := startFailure(t, goSpec(t, func(s *spec) { s.request.SocketDir = "/tmp/" + strings.Repeat("x", 100) }))
	require.Equal(t, loaderproto.AppError, err.Kind)
	require.Contains(t, err.Message.Text, "shorter than 108 bytes")
	require.Equal(t, 1, p.exitCode(t))
}
