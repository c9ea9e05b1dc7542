// Command journey is a Go program as a user of the library writes it: two applications
// behind one mux, with middleware around them. Its arguments are the address to listen
// on and the directories of the two.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

// run serves until ctx ends, and loses no request then.
func run(ctx context.Context, address, shopDir, wikiDir string) error {
	//nolint:contextcheck,nolintlint // the pool lives longer than any context
	pool, err := passenger.New(passenger.Config{Observer: tracing{}})
	if err != nil {
		return err
	}

	h, err := site(pool, shopDir, wikiDir)
	if err != nil {
		return errors.Join(err, pool.Close()) //nolint:contextcheck,nolintlint // the pool lives longer than any context
	}

	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return errors.Join(err, pool.Close()) //nolint:contextcheck,nolintlint // the pool lives longer than any context
	}

	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	slog.Info("serving", "address", l.Addr().String())

	select {
	case err = <-served:
	case <-ctx.Done():
	}

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()

	return errors.Join(err, server.Shutdown(ending), pool.Shutdown(ending))
}

// site has both applications, each at its path, and the middleware.
func site(pool *passenger.Pool, shopDir, wikiDir string) (http.Handler, error) {
	shop, err := handler.New(pool, handler.Config{Options: passenger.Options{
		App: spawner.App{Root: shopDir, GroupName: "shop", StartCommand: []string{filepath.Join(shopDir, "shop")}},
	}})
	if err != nil {
		return nil, err
	}

	wiki, err := handler.New(pool, handler.Config{Options: passenger.Options{
		App: spawner.App{Root: wikiDir, GroupName: "wiki"},
	}})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("/shop/", http.StripPrefix("/shop", shop))
	mux.Handle("/wiki/", http.StripPrefix("/wiki", wiki))
	h := middleware.Compress(5)(cookie(http.MaxBytesHandler(mux, 2<<20)))

	return otelhttp.NewHandler(middleware.Logger(h), "site",
			otelhttp.WithTracerProvider(trace.NewTracerProvider()),
			otelhttp.WithPropagators(propagation.TraceContext{})),
		nil
}

func cookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{
			Name:     "visit",
			Value:    "1",
			Path:     "/",
			HttpOnly: true,
			Secure:   true,
			SameSite: http.SameSiteLaxMode,
		})
		next.ServeHTTP(w, r)
	})
}

// tracing makes the request's span the parent of the application's.
type tracing struct{ passenger.NoObserver }

// RequestBegan sets traceparent.
func (tracing) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	header := propagation.HeaderCarrier{}
	propagation.TraceContext{}.Inject(ctx, header)
	e.AppHeader = textproto.MIMEHeader(header)

	return ctx
}
