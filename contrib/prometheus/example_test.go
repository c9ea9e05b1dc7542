package passengerprometheus_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	passengerprometheus "github.com/gopassenger/passenger/contrib/prometheus"
)

func Example() {
	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
	if err != nil {
		log.Fatal(err)
	}

	pool, err := passenger.New(passenger.Config{
		Observer: observer,
		// Played processes; a program leaves this out.
		Spawner: spawnertest.New(spawnertest.Script{Handler: http.NotFoundHandler()}),
	})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()
	shop, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}},
	})
	if err != nil {
		log.Fatal(err)
	}

	collector, err := passengerprometheus.New(passengerprometheus.Config{
		Pool:     pool,
		Observer: observer,
		Handlers: passengerprometheus.HandlersOf(shop),
	})
	if err != nil {
		log.Fatal(err)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", shop)

	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/missing", nil))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))

	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, `app="shop",state="enabled"`) || strings.Contains(line, "requests_total{") ||
			strings.Contains(line, "request_duration_seconds_count") || strings.Contains(line, `class="4xx"`) {
			fmt.Print(line)
		}
	}

	// Output:
	// passenger_app_processes{app="shop",state="enabled"} 1
	// passenger_app_request_duration_seconds_count{app="shop"} 1
	// passenger_app_requests_total{app="shop"} 1
	// passenger_app_responses_total{app="shop",class="4xx"} 1
}
