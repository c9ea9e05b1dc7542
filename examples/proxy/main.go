// Command proxy is a server with routes of its own that mounts two
// applications by host, and stops without losing a request.
//
//	go run ./examples/proxy shop.example=/srv/shop blog.example=/srv/blog
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(mounts []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := logr.FromSlogHandler(slog.Default().Handler())

	// One pool for all applications: it shares the host among them.
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 10, Logger: logger})
	if err != nil {
		return err
	}

	server := &http.Server{Addr: "127.0.0.1:8080", ReadHeaderTimeout: 10 * time.Second}
	if server.Handler, err = newMux(pool, server, logger, mounts); err != nil {
		return err
	}

	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()

	select {
	case err := <-failed:
		_ = pool.Close()
		return err
	case <-ctx.Done():
	}

	// First no more requests, then no more processes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Print(err)
	}

	return pool.Shutdown(ctx)
}

func newMux(
	pool *passenger.Pool, server *http.Server, logger logr.Logger, mounts []string,
) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })

	for _, mount := range mounts {
		host, dir, ok := strings.Cut(mount, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not HOST=DIRECTORY", mount)
		}

		root, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}

		app, err := handler.New(pool, handler.Config{
			Options: passenger.Options{App: spawner.App{Root: root}, MaxProcesses: 4},
			Logger:  logger,
		})
		if err != nil {
			return nil, err
		}

		// Shutdown would wait for streams of events, which do not end by themselves.
		server.RegisterOnShutdown(app.Drain)
		mux.Handle(host+"/", app)
	}

	return mux, nil
}
