package passengerotel_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

// clientsTrace is the trace context of a client.
const (
	clientsTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientsSpan   = "b7ad6b7169203331"
	clientsParent = "00-" + clientsTrace + "-" + clientsSpan + "-01"
)

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// stage is an application behind a handler and an SDK that keeps what it gets.
type stage struct {
	*testing.T
	factory  *spawnertest.Factory
	pool     *passenger.Pool
	observer *passengerotel.Observer
	provider *sdktrace.TracerProvider
	recorder *tracetest.SpanRecorder
	reader   *metric.ManualReader
	// handler is the application's, front what the server has in front of it.
	handler, front http.Handler
	// got is the header of the last request that the application got.
	got http.Header
}

// play runs a test in virtual time.
func play(t *testing.T, cfg passengerotel.Config, test func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t, recorder: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
		s.factory = spawnertest.New(spawnertest.Script{
			SpawnDelay: time.Second,
			Handler:    http.HandlerFunc(s.application),
		})
		s.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.recorder))
		meters := metric.NewMeterProvider(metric.WithReader(s.reader))
		if cfg.TracerProvider == nil {
			cfg.TracerProvider = s.provider
		}

		cfg.MeterProvider = meters
		if cfg.Propagator == nil {
			cfg.Propagator = w3c
		}

		var err error
		s.observer, err = passengerotel.New(cfg)
		require.NoError(t, err)

		s.pool = spawnertest.NewPool(t, passenger.Config{
			Spawner:  s.factory,
			Observer: s.observer,
			Logger:   passenger.Silent(),
		})
		s.handler, err = handler.New(s.pool, handler.Config{Logger: passenger.Silent(), Options: *shop()})
		require.NoError(t, err)
		s.front = s.handler
		test(s)
		require.NoError(t, meters.Shutdown(context.Background()))
		require.NoError(t, s.provider.Shutdown(context.Background()))
	})
}

func shop() *passenger.Options {
	return &passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}, MinProcesses: 1}
}

func (s *stage) application(w http.ResponseWriter, r *http.Request) {
	s.got = r.Header
	switch r.URL.Path {
	case "/error":
		http.Error(w, "it failed", http.StatusInternalServerError)
	case "/missing":
		http.NotFound(w, r)
	case "/cut":
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		<-time.After(time.Second) // until the client has it
		panic(http.ErrAbortHandler)
	case "/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Hour):
		}
	}
}

// ask sends a request and returns the status, and the spans that have ended with it.
func (s *stage) ask(method, target string, header ...string) (status int, ended []sdktrace.ReadOnlySpan) {
	s.Helper()
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Header.Set("User-Agent", "test")

	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}

	w := httptest.NewRecorder()
	func() {
		defer func() {
			if e := recover(); e != nil {
				require.Equal(s, http.ErrAbortHandler, e)
			}
		}()
		s.front.ServeHTTP(w, r)
	}()
	synctest.Wait()

	return w.Code, s.ended()
}

// ended returns the spans that have ended since it was called last.
func (s *stage) ended() []sdktrace.ReadOnlySpan {
	defer s.recorder.Reset()

	return s.recorder.Ended()
}

// warm starts the application's process and forgets the spans.
func (s *stage) warm() {
	s.Helper()
	require.NoError(s, s.pool.Start(s.Context(), shop()))
	synctest.Wait()
	require.Len(s, s.ended(), 1)
}

func attributes(span sdktrace.ReadOnlySpan) map[string]any {
	all := map[string]any{}
	for _, a := range span.Attributes() {
		all[string(a.Key)] = a.Value.AsInterface()
	}

	return all
}

// joins fails unless the application's span would be the child of this one.
func (s *stage) joins(span sdktrace.ReadOnlySpan) {
	s.Helper()
	sc := span.SpanContext()
	require.Equal(s, "00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-01", s.got.Get("Traceparent"))
}

func TestARequestIsAServersSpanByTheSemanticConventions(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		status, spans := s.ask(http.MethodGet, "https://u:secret@shop.example:8443/cart?token=secret", "X-Secret",
			"secret")
		require.Equal(s, 200, status)
		require.Len(s, spans, 1)
		span := spans[0]
		require.Equal(s, "GET", span.Name())
		require.Equal(s, trace.SpanKindServer, span.SpanKind())
		require.False(s, span.Parent().IsValid())
		require.Equal(s, codes.Unset, span.Status().Code)
		require.Equal(s, passengerotel.ScopeName, span.InstrumentationScope().Name)
		require.Equal(s, passenger.Version, span.InstrumentationScope().Version)
		require.Contains(s, span.InstrumentationScope().SchemaURL, "opentelemetry.io/schemas/")

		got := attributes(span)
		require.NotEmpty(s, got["passenger.request.id"])
		require.NotZero(s, got["passenger.process.pid"])
		delete(got, "passenger.request.id")
		delete(got, "passenger.process.pid")
		delete(got, "passenger.request.first_byte.duration")
		require.Equal(s, map[string]any{
			"http.request.method": "GET", "url.scheme": "https", "url.path": "/cart", "server.address": "shop.example",
			"server.port": int64(8443), "client.address": "192.0.2.1", "network.protocol.version": "1.1",
			"user_agent.original": "test", "http.response.status_code": int64(200), "passenger.app.name": "shop",
			"passenger.request.cached": false, "passenger.request.queue.duration": 0.0,
		}, got)
		s.joins(span)
	})
}

func TestWhatClientsThinkUpIsBounded(t *testing.T) {
	play(t, passengerotel.Config{IncludeQuery: true}, func(s *stage) {
		s.warm()
		_, spans := s.ask("BREW", "/p\xff?a=1&sig=secret&x%2=2&AWSAccessKeyId=secret&b", "User-Agent", "\xffagent")
		require.Len(s, spans, 1)
		require.Equal(s, "HTTP", spans[0].Name())
		got := attributes(spans[0])
		require.Equal(s, "_OTHER", got["http.request.method"])
		require.Equal(s, "BREW", got["http.request.method_original"])
		require.Equal(s, "/p\ufffd", got["url.path"])
		require.Equal(s, "\ufffdagent", got["user_agent.original"])
		require.Equal(s, "a=1&sig=REDACTED&x%2=REDACTED&AWSAccessKeyId=REDACTED&b", got["url.query"])
	})
}

func TestWhichFailuresAreTheServers(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()

		for path, want := range map[string]struct {
			status int
			kind   any
		}{
			"/error":   {500, "500"},
			"/missing": {404, nil},
			"/cut":     {200, "broken_response"},
			"/slow":    {504, "timeout"},
		} {
			if path == "/slow" {
				s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ctx, cancel := context.WithTimeout(r.Context(), time.Second)
					defer cancel()
					s.handler.ServeHTTP(w, r.WithContext(ctx))
				})
			} else {
				s.front = s.handler
			}

			status, spans := s.ask(http.MethodGet, path)
			require.Equal(s, want.status, status, path)
			require.Len(s, spans, 1, path)
			require.Equal(s, want.kind, attributes(spans[0])["error.type"], path)
			require.Equal(s, want.kind != nil, spans[0].Status().Code == codes.Error, path)
			require.Empty(s, spans[0].Status().Description)
			s.joins(spans[0])
		}
	})
}

func TestAClientThatLeavesIsNoFailureOfTheServer(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, leave := context.WithCancel(r.Context())
			time.AfterFunc(time.Second, leave)
			s.handler.ServeHTTP(w, r.WithContext(ctx))
		})
		_, spans := s.ask(http.MethodGet, "/slow")
		require.Len(s, spans, 1)
		require.Equal(s, codes.Unset, spans[0].Status().Code)
		require.NotContains(s, attributes(spans[0]), "error.type")
		require.NotContains(s, attributes(spans[0]), "http.response.status_code")
		require.Equal(s, time.Second, spans[0].EndTime().Sub(spans[0].StartTime()))
	})
}

// The context of the span is that of the work that the request causes.
func TestTheRequestsContextHasItsSpan(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		var seen trace.SpanContext
		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeDial = func(ctx context.Context, _ *spawnertest.Process) error {
				seen = trace.SpanContextFromContext(ctx)
				return nil
			}
		})
		_, spans := s.ask(http.MethodGet, "/")
		require.Equal(s, spans[0].SpanContext(), seen)
	})
}

func TestTwoObserversMakeTwoSpans(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		other, err := passengerotel.New(passengerotel.Config{TracerProvider: s.provider, Propagator: w3c})
		require.NoError(s, err)
		both := passenger.Observers(s.observer, other)
		e := &passenger.RequestEvent{Method: "GET", Target: "/", Began: time.Now()}
		ctx := both.RequestBegan(s.Context(), e)
		both.RequestEnded(ctx, e)
		require.Len(s, s.ended(), 2)
		other.RequestEnded(context.Background(), e)
		require.Empty(s, s.ended(), "an end without a beginning belongs to no span")
	})
}
