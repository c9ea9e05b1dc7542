package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaders/goapp"
)

// appVar makes the test binary an application.
const appVar = "E2E_APP"

// heldText is what the application prints when the nth request is held.
func heldText(n int64) string { return fmt.Sprintf("holding %d requests.", n) }

// playApp serves: /hold responds when the process gets SIGUSR1, /pid with the
// process's id, and everything else with what was asked for. /print prints its
// query, /say the text that it stands for, and /flood 16 MiB, or as many KiB as
// its query says; /length responds with that of the body, /release with the variable
// RELEASE; /orphan leaves a process to others; the response of /cut breaks
// off, and that of /stream has no end.
func playApp() (status int) {
	release := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		<-signals
		close(release)
	}()
	var held atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/hold", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(os.Stderr, heldText(held.Add(1)))
		<-release
		_, _ = io.WriteString(w, strconv.Itoa(os.Getpid()))
	})
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.Itoa(os.Getpid()))
	})

	// Not by the mux, which would clean the path.
	err := goapp.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" || r.URL.Path == "/pid" {
			mux.ServeHTTP(w, r)
			return
		}

		switch r.URL.Path {
		case "/print":
			fmt.Fprintln(os.Stderr, "printed: "+r.URL.RawQuery)
		case "/say":
			text, _ := url.QueryUnescape(r.URL.RawQuery)
			fmt.Println(text)
		case "/flood":
			n := 1 << 14

			_, _ = fmt.Sscan(r.URL.RawQuery, &n)
			for range n {
				fmt.Println(strings.Repeat("flood ", 170)) // 1 KiB
			}
		case "/release":
			_, _ = io.WriteString(w, os.Getenv("RELEASE"))
			return
		case "/cut":
			_, _ = io.WriteString(w, "begun,")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/stream":
			_, _ = io.WriteString(w, "begun,")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()

			return
		case "/orphan":
			// What it leaves behind ends at once, with only process 1 to wait for it.
			_ = exec.Command("sh", "-c", "sleep 0 & exit 0").Run()
			return
		case "/length":
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
			return
		}

		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
		_, _ = fmt.Fprintf(w, "app: %s %s", r.Method, r.RequestURI)
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return 0
}

// testApp returns options that start the test binary as the application.
func testApp(t testing.TB) []string {
	t.Helper()
	return append(binaryArgs(t), "--envvar", appVar+"=1")
}

// binaryArgs returns the options that start the test binary. What it plays is
// up to its environment.
func binaryArgs(t testing.TB) []string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)

	// The race detector sleeps for a second before a program ends.
	return []string{"--start-command", path, "--envvar", "GORACE=atexit_sleep_ms=0"}
}
