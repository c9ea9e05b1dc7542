// Command testapp is the application of the tests.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/coder/websocket"
	"github.com/gopassenger/passenger/loaders/goapp"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", describe)
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/websocket", echo)
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/cut", cut)
	mux.HandleFunc("/file", file)
	if err := goapp.Serve(mux); err != nil {
		log.Fatal(err)
	}
}

// hello notes a request of the test's, by its name, in the file that SEEN names.
func hello(w http.ResponseWriter, r *http.Request) {
	if name := r.Header.Get("X-Request-Name"); name != "" && note(name) != nil {
		panic(http.ErrAbortHandler)
	}

	_, _ = io.WriteString(w, "hello\n")
}

// note adds a line to the file, to which other processes add theirs.
func note(line string) error {
	f, err := os.OpenFile(os.Getenv("SEEN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, //nolint:gosec // the test names it
		0o600)
	if err != nil {
		return err
	}

	_, err = f.WriteString(line + "\n")

	return errors.Join(err, f.Close())
}

// describe says what the application got.
func describe(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}

	_ = json.NewEncoder(w).Encode(map[string]any{
		"pid":     os.Getpid(),
		"target":  r.RequestURI,
		"host":    r.Host,
		"header":  r.Header,
		"length":  len(body),
		"setting": os.Getenv("SETTING"),
		"env":     goapp.Env(r),
	})
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}

	defer func() { _ = conn.CloseNow() }()

	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// events sends one, and no end before the client goes.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: first\n\n")
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}

	<-r.Context().Done()
}

func cut(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "begun")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// file tries to have a file sent by the web server, which is not allowed.
func file(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Sendfile", "/etc/passwd")
	w.Header().Set("X-Accel-Redirect", "/secret")
	_, _ = io.WriteString(w, "the application's")
}
