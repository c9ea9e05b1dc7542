package passengerotel_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

func Example() {
	// A program has otlptracehttp.New here, and a batcher.
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	observer, err := passengerotel.New(passengerotel.Config{
		TracerProvider: provider,
		Propagator:     propagation.TraceContext{},
	})
	if err != nil {
		log.Fatal(err)
	}

	var traceparent string
	pool, err := passenger.New(passenger.Config{
		Observer: observer,
		// Played processes; a program leaves this out.
		Spawner: spawnertest.New(spawnertest.Script{Handler: http.HandlerFunc(func(_ http.ResponseWriter,
			r *http.Request,
		) {
			traceparent = r.Header.Get("Traceparent")
		})}),
	})
	if err != nil {
		log.Fatal(err)
	}

	shop, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}},
	})
	if err != nil {
		log.Fatal(err)
	}

	shop.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/cart", nil))
	if err := pool.Close(); err != nil {
		log.Fatal(err)
	}

	for _, span := range exporter.GetSpans() {
		joins := strings.Contains(traceparent, span.SpanContext.SpanID().String())
		fmt.Println(span.Name, span.SpanKind, "parent of the application's span:", joins)
	}

	_ = provider.Shutdown(context.Background())
	// Output:
	// passenger spawn internal parent of the application's span: false
	// GET server parent of the application's span: true
}
