// Package app is the application that the tests have behind middleware: a handler that
// a played process serves as well as a real one.
package app

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// The paths of the application.
const (
	Request   = "/request"
	Body      = "/body"
	Events    = "/events"
	Release   = "/release"
	WebSocket = "/websocket"
	Hints     = "/hints"
	Cut       = "/cut"
)

// Missing is the page behind early hints.
const Missing = "there is no such page"

// Cookie is the name of the cookie that the application sets.
const Cookie = "app"

// Received is what the application got.
type Received struct {
	Method, Target, Host string
	Header               http.Header
}

// Sum is the application's response to a body.
func Sum(length int64, sum []byte) string { return fmt.Sprintf("%d bytes, %x", length, sum) }

// New returns the application.
func New() http.Handler {
	held := &gates{byID: map[string]chan struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc(Request+"/", describe)
	mux.HandleFunc("POST "+Body, sum)
	mux.HandleFunc(Events, held.events)
	mux.HandleFunc(Release, held.release)
	mux.HandleFunc(WebSocket, echo)
	mux.HandleFunc(Hints, hints)
	mux.HandleFunc(Cut, cut)

	return mux
}

func describe(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name:     Cookie,
		Value:    "1",
		HttpOnly: true,
		Secure:   true,
		SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Content-Type", "application/json")
	received := Received{
		Method: r.Method,
		Target: r.RequestURI,
		Host:   r.Host,
		Header: r.Header,
	}
	if err := json.NewEncoder(w).Encode(received); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func sum(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	n, err := io.Copy(hash, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	_, _ = io.WriteString(w, Sum(n, hash.Sum(nil)))
}

// gates are what event streams wait for, by the id that the client has chosen.
type gates struct {
	mu   sync.Mutex
	byID map[string]chan struct{}
}

func (g *gates) gate(id string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	gate := g.byID[id]
	if gate == nil {
		gate = make(chan struct{})
		g.byID[id] = gate
	}

	return gate
}

// events sends one event, and a second one when the client has said that it got the
// first.
func (g *gates) events(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: first\n\n")
	_ = control.Flush()

	select {
	case <-g.gate(r.URL.Query().Get("id")):
		_, _ = io.WriteString(w, "data: second\n\n")
	case <-r.Context().Done():
	}
}

func (g *gates) release(_ http.ResponseWriter, r *http.Request) {
	close(g.gate(r.URL.Query().Get("id")))
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has responded
	}

	defer func() { _ = conn.CloseNow() }()

	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}

		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// hints sends an early hint, and then a page that is not found.
func hints(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Link", "</style.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("Link")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, Missing)
}

// cut breaks off in a body, of a length that is known or not.
func cut(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("length") {
		w.Header().Set("Content-Length", "1000000")
	}

	_, _ = io.WriteString(w, "begun,")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
