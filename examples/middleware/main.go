// Command middleware puts Go's own handlers around an application: a time
// limit, a header, and a log line for each request.
//
//	go run ./examples/middleware /srv/shop
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("name the application's directory")
	}

	root, err := filepath.Abs(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}

	pool, err := passenger.New(passenger.Config{})
	if err != nil {
		log.Fatal(err)
	}

	app, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{Root: root}}})
	if err != nil {
		log.Fatal(err)
	}

	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           logged(secured(limited(app, 30*time.Second))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

// limited bounds the time of a request, in the queue and in the application. A
// request that takes longer gets 504.
func limited(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w}

		// Deferred, because a response that breaks off panics with
		// http.ErrAbortHandler.
		defer func() {
			log.Printf("%q %q %d in %v", r.Method, r.URL.Path, rec.status, //nolint:gosec // G706: %q quotes
				time.Since(began))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers the status. Unwrap keeps flushing, WebSockets and
// deadlines working.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
