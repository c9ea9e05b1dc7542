package goapp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	passwordHeader = "X-Passenger-Connect-Password"

	maxDirectHead   = 128 << 10
	maxDirectFields = 100
)

// directServer gives operators who know the connect password access to this process by HTTP, with
// one request per connection.
type directServer struct {
	server   *http.Server
	listener net.Listener
}

func newDirectServer(password string, app http.Handler) (*directServer, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on 127.0.0.1 for direct access to the process: %w", err)
	}

	guard := &directGuard{app: app, password: sha256.Sum256([]byte(password))}
	server := &http.Server{
		Handler:           guard,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxDirectHead,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, directConnKey{}, conn)
		},
	}
	// directConn has the head of one request only.
	server.SetKeepAlivesEnabled(false)

	return &directServer{server, &directListener{TCPListener: listener}}, nil
}

func (d *directServer) socket() loaderproto.Socket {
	address := loaderproto.Address{Network: "tcp", Addr: d.listener.Addr().String()}

	return loaderproto.Socket{
		Name:        "http",
		Address:     address,
		Protocol:    loaderproto.HTTP,
		Concurrency: 1,
	}
}

func (d *directServer) serve() {
	if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintf(os.Stderr, "Direct access to the process ended: %v\n", err)
	}
}

// close also ends the requests in progress.
func (d *directServer) close() {
	_ = d.server.Close()
	_ = d.listener.Close() // in case it has not begun to serve
}

// directGuard passes the requests that have the connect password to the application.
type directGuard struct {
	app      http.Handler
	password [sha256.Size]byte
}

func (g *directGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _ := r.Context().Value(directConnKey{}).(*directConn)

	fields, lengths := conn.countFields()
	switch {
	case fields > maxDirectFields:
		text := fmt.Sprintf("The request has more than %d header fields.", maxDirectFields)
		http.Error(w, text, http.StatusRequestHeaderFieldsTooLarge)
	case lengths > 1:
		http.Error(w, "The length of the request's body is ambiguous.", http.StatusBadRequest)
	case !g.admits(r):
		fmt.Fprintln(os.Stderr, "Passenger: refused a request with a wrong connect password, by direct access")
		http.Error(w, "Send the process's connect password in the header "+passwordHeader+".", http.StatusForbidden)
	default:
		hideFields(r.Header)
		g.app.ServeHTTP(w, r)
	}
}

// admits compares hashes, so that its time reveals nothing about the password, not even its length.
func (g *directGuard) admits(r *http.Request) bool {
	sent := r.Header.Values(passwordHeader)
	if len(sent) != 1 {
		return false
	}

	sum := sha256.Sum256([]byte(sent[0]))

	return subtle.ConstantTimeCompare(sum[:], g.password[:]) == 1
}

func hideFields(h http.Header) {
	for name := range h {
		// Proxy would be HTTP_PROXY for programs that the application runs by CGI (CVE-2016-5385).
		if name == passwordHeader || name == "Proxy" || strings.ContainsFunc(name, isUnusual) {
			delete(h, name)
		}
	}
}

// isUnusual reports whether r cannot be part of a header name that is mapped to a CGI variable
// without loss.
func isUnusual(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
