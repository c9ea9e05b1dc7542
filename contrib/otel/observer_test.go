package passengerotel_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
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
		s.factory = spawnertest.New(spawnertest.Script{SpawnDelay: time.Second, Handler: http.HandlerFunc(s.application)})
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

		s.pool = spawnertest.NewPool(t, passenger.Config{Spawner: s.factory, Observer: s.observer, Logger: passenger.Silent()})
		s.handler, err = handler.New(s.pool, handler.Config{Logger: passenger.Silent(), Options: *options("shop")})
		require.NoError(t, err)
		s.front = s.handler
		test(s)
		require.NoError(t, meters.Shutdown(context.Background()))
		require.NoError(t, s.provider.Shutdown(context.Background()))
	})
}

func options(name string) *passenger.Options {
	return &passenger.Options{App: spawner.App{Root: "/srv/" + name, GroupName: name}, MinProcesses: 1}
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
	require.NoError(s, s.pool.Start(s.Context(), options("shop")))
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
		status, spans := s.ask(http.MethodGet, "https://user:secret@shop.example:8443/cart?token=secret", "X-Secret", "secret")
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

func TestTheClientsTraceIsLinkedUnlessItIsTrusted(t *testing.T) {
	for name, trust := range map[string]func(context.Context, *passenger.RequestEvent) bool{
		"nobody": nil,
		"no": func(_ context.Context, e *passenger.RequestEvent) bool {
			return e.Header.Get("X-Proxy") == "ours"
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{TrustParent: trust}, func(s *stage) {
				s.warm()
				_, spans := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Tracestate", "theirs=1", "Baggage", "theirs=1")
				require.Len(s, spans, 1)
				require.False(s, spans[0].Parent().IsValid())
				require.NotEqual(s, clientsTrace, spans[0].SpanContext().TraceID().String())
				require.Len(s, spans[0].Links(), 1)
				require.Equal(s, clientsSpan, spans[0].Links()[0].SpanContext.SpanID().String())
				s.joins(spans[0])
				require.NotContains(s, s.got, "Tracestate", "two traces are not mixed")
				require.NotContains(s, s.got, "Baggage")
			})
		})
	}
}

func TestATrustedClientsSpanIsTheParent(t *testing.T) {
	play(t, passengerotel.Config{TrustParent: passengerotel.TrustAll}, func(s *stage) {
		s.warm()
		_, spans := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Tracestate", "theirs=1", "Baggage", "theirs=1")
		require.Len(s, spans, 1)
		require.Equal(s, clientsSpan, spans[0].Parent().SpanID().String())
		require.True(s, spans[0].Parent().IsRemote())
		require.Equal(s, clientsTrace, spans[0].SpanContext().TraceID().String())
		require.Empty(s, spans[0].Links())
		s.joins(spans[0])
		require.Equal(s, "theirs=1", s.got.Get("Tracestate"))
		require.Equal(s, "theirs=1", s.got.Get("Baggage"))

		_, spans = s.ask(http.MethodGet, "/", "Traceparent", "nonsense")
		require.False(s, spans[0].Parent().IsValid())
		s.joins(spans[0])
	})
}

func TestAnUnsampledTrustedParentIsPassedOnAsSuch(t *testing.T) {
	play(t, passengerotel.Config{TrustParent: passengerotel.TrustAll}, func(s *stage) {
		s.warm()
		status, spans := s.ask(http.MethodGet, "/", "Traceparent", strings.TrimSuffix(clientsParent, "1")+"0")
		require.Equal(s, 200, status)
		require.Empty(s, spans)
		require.True(s, strings.HasPrefix(s.got.Get("Traceparent"), "00-"+clientsTrace))
		require.True(s, strings.HasSuffix(s.got.Get("Traceparent"), "-00"))
	})
}

func TestTheSpanOfMiddlewareIsTheParentAndMeasures(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		s.front = otelhttp.NewHandler(s.handler, "site", otelhttp.WithTracerProvider(s.provider), otelhttp.WithPropagators(w3c))
		_, spans := s.ask(http.MethodGet, "/error", "Traceparent", clientsParent, "Baggage", "theirs=1")
		require.Len(s, spans, 2)
		ours, outer := spans[0], spans[1]
		require.Equal(s, "passenger request", ours.Name())
		require.Equal(s, trace.SpanKindInternal, ours.SpanKind())
		require.Equal(s, outer.SpanContext().SpanID(), ours.Parent().SpanID())
		require.False(s, ours.Parent().IsRemote())
		require.Equal(s, clientsSpan, outer.Parent().SpanID().String(), "whom the middleware believes is its own affair")
		require.Equal(s, int64(500), attributes(ours)["http.response.status_code"])
		require.NotContains(s, attributes(ours), "url.path")
		s.joins(ours)
		require.Equal(s, "theirs=1", s.got.Get("Baggage"))
		require.NotContains(s, s.metrics(), "http.server.request.duration", "otelhttp has counted the request")
		require.NotContains(s, s.metrics(), "http.server.active_requests")
		require.Contains(s, s.metrics(), "passenger.request.queue.duration")
	})
}

func TestARemoteParentThatMiddlewareHasPutIntoTheContextIsBelieved(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			require.Equal(s, 1, baggage.FromContext(ctx).Len())
			s.handler.ServeHTTP(w, r.WithContext(ctx))
		})
		_, spans := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Baggage", "theirs=1")
		require.Equal(s, trace.SpanKindServer, spans[0].SpanKind())
		require.Equal(s, clientsSpan, spans[0].Parent().SpanID().String())
		require.Equal(s, "theirs=1", s.got.Get("Baggage"))
	})
}

func TestWithoutATracerTheClientsHeadersPass(t *testing.T) {
	off := sdktrace.NewTracerProvider()
	require.NoError(t, off.Shutdown(t.Context()))
	play(t, passengerotel.Config{TracerProvider: off}, func(s *stage) {
		require.NoError(s, s.pool.Start(s.Context(), options("shop")))
		status, _ := s.ask(http.MethodGet, "/", "Traceparent", clientsParent)
		require.Equal(s, 200, status)
		require.Equal(s, clientsParent, s.got.Get("Traceparent"))
		require.Contains(s, s.metrics(), "http.server.request.duration")
	})
}

func TestASpawnIsASpan(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		began := time.Now()
		_, spans := s.ask(http.MethodGet, "/")
		require.Len(s, spans, 2)
		spawn, request := spans[0], spans[1]
		require.Equal(s, "passenger spawn", spawn.Name())
		require.Equal(s, trace.SpanKindInternal, spawn.SpanKind())
		require.Equal(s, began, spawn.StartTime())
		require.Equal(s, time.Second, spawn.EndTime().Sub(spawn.StartTime()))
		require.Equal(s, map[string]any{
			"passenger.app.name": "shop", "passenger.generation": int64(0),
			"passenger.process.pid": attributes(request)["passenger.process.pid"],
		}, attributes(spawn))
		require.InDelta(s, 1.0, attributes(request)["passenger.request.queue.duration"], 0.01)
	})
}

func TestASpawnThatFailsIsAnErrorWithoutWhatTheApplicationSaid(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeSpawn = func(context.Context, int, spawner.App) error {
				return errors.New("cannot connect to postgres://shop:secret@db")
			}
		})
		status, spans := s.ask(http.MethodGet, "/")
		require.Equal(s, 500, status)
		require.Len(s, spans, 2)
		for _, span := range spans {
			require.Equal(s, codes.Error, span.Status().Code, span.Name())
			require.Regexp(s, `^cannot start the application: .+ \(error [0-9a-f]{8}\)$`, span.Status().Description)
			require.Equal(s, "spawn_error", attributes(span)["error.type"])
			require.Regexp(s, `^[0-9a-f]{8}$`, attributes(span)["passenger.spawn_error.id"])
			for _, a := range span.Attributes() {
				require.NotContains(s, a.Value.Emit(), "secret")
			}
			require.NotContains(s, span.Status().Description, "secret")
			require.Empty(s, span.Events())
		}
	})
}

func TestARestartIsASpanWithItsSpawnsWithin(t *testing.T) {
	for name, options := range map[string]passenger.RestartOptions{
		"rolling": {}, "blocking": {Method: passenger.RestartBlocking},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{}, func(s *stage) {
				s.warm()
				require.NoError(s, s.pool.Restart(s.Context(), "shop", options))
				synctest.Wait()
				spans := byName(s.ended())
				spawn, restart := spans["passenger spawn"], spans["passenger restart"]
				require.NotNil(s, restart)
				require.False(s, restart.Parent().IsValid())
				require.Equal(s, map[string]any{
					"passenger.app.name": "shop", "passenger.generation": int64(1), "passenger.restart.blocking": name == "blocking",
				}, attributes(restart))
				require.Equal(s, codes.Unset, restart.Status().Code)
				require.NotNil(s, spawn)
				require.Equal(s, restart.SpanContext().SpanID(), spawn.Parent().SpanID())
			})
		})
	}
}

func TestARestartThatFailsIsAnError(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeSpawn = func(context.Context, int, spawner.App) error { return errors.New("secret") }
		})
		require.Error(s, s.pool.Restart(s.Context(), "shop", passenger.RestartOptions{}))
		synctest.Wait()
		for name, span := range byName(s.ended()) {
			require.Equal(s, codes.Error, span.Status().Code, name)
			require.Equal(s, "spawn_error", attributes(span)["error.type"])
			require.NotContains(s, span.Status().Description, "secret")
		}
	})
}

func TestARestartAndItsSpawnsMayBeToldInAnyOrder(t *testing.T) {
	type o = *passengerotel.Observer
	restart := passenger.RestartEvent{ID: 7, AppName: "shop", Generation: 3, Blocking: true, Took: time.Minute}
	spawn := passenger.SpawnEvent{ID: 8, RestartID: 7, AppName: "shop", Generation: 3, Took: time.Second}
	began := func(o o) { o.RestartBegan(&restart) }
	ended := func(o o) { o.RestartEnded(&restart) }
	spawning := func(o o) { o.SpawnBegan(&spawn) }
	spawned := func(o o) { o.SpawnEnded(&spawn) }
	for name, order := range map[string][]func(o){
		"as it happens":               {began, spawning, spawned, ended},
		"spawn first":                 {spawning, began, spawned, ended},
		"whole spawn first":           {spawning, spawned, began, ended},
		"end first":                   {ended, began, spawning, spawned},
		"spawn outlives the restart":  {began, spawning, ended, spawned},
		"spawn after the restart":     {began, ended, spawning, spawned},
		"beginning after all of them": {spawning, spawned, ended, began},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{}, func(s *stage) {
				restart.Began = time.Now()
				spawn.Began = restart.Began
				for _, tell := range order {
					tell(s.observer)
				}
				require.Len(s, s.recorder.Started(), 2, "nothing is left open")
				spans := byName(s.ended())
				require.Len(s, spans, 2)
				require.Equal(s, spans["passenger restart"].SpanContext().SpanID(), spans["passenger spawn"].Parent().SpanID())
				require.Equal(s, map[string]any{
					"passenger.app.name": "shop", "passenger.generation": int64(3), "passenger.restart.blocking": true,
				}, attributes(spans["passenger restart"]))
				require.Equal(s, restart.Began.Add(time.Minute), spans["passenger restart"].EndTime())
				require.Equal(s, restart.Began.Add(time.Second), spans["passenger spawn"].EndTime())
			})
		})
	}
}

func byName(spans []sdktrace.ReadOnlySpan) map[string]sdktrace.ReadOnlySpan {
	all := map[string]sdktrace.ReadOnlySpan{}
	for _, span := range spans {
		all[span.Name()] = span
	}

	return all
}

// metrics are those of a collection, by their names.
func (s *stage) metrics() map[string]metricdata.Metrics {
	s.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(s, s.reader.Collect(context.Background(), &collected))
	all := map[string]metricdata.Metrics{}
	for _, scope := range collected.ScopeMetrics {
		require.Equal(s, passengerotel.ScopeName, scope.Scope.Name)
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}

	return all
}

func TestMetricsByTheSemanticConventions(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.ask(http.MethodGet, "/?token=secret")
		s.ask("BREW", "/error")
		require.NoError(s, s.pool.Restart(s.Context(), "shop", passenger.RestartOptions{}))
		synctest.Wait()
		got := s.metrics()

		duration := got["http.server.request.duration"]
		require.Equal(s, "s", duration.Unit)
		points := duration.Data.(metricdata.Histogram[float64]).DataPoints
		require.Len(s, points, 2)
		want := map[attribute.Distinct]bool{}
		for _, set := range [][]attribute.KeyValue{
			{attribute.String("http.request.method", "GET"), attribute.Int("http.response.status_code", 200)},
			{attribute.String("http.request.method", "_OTHER"), attribute.Int("http.response.status_code", 500), attribute.String("error.type", "500")},
		} {
			all := attribute.NewSet(append(set, attribute.String("url.scheme", "http"),
				attribute.String("network.protocol.version", "1.1"), attribute.String("passenger.app.name", "shop"))...)
			want[all.Equivalent()] = true
		}
		for _, p := range points {
			require.Equal(s, uint64(1), p.Count)
			require.True(s, want[p.Attributes.Equivalent()], p.Attributes.Encoded(attribute.DefaultEncoder()))
			require.Len(s, p.Exemplars, 1, "a trace for the figure")
		}

		for _, p := range got["http.server.active_requests"].Data.(metricdata.Sum[int64]).DataPoints {
			require.Zero(s, p.Value)
		}
		require.Len(s, got["http.server.active_requests"].Data.(metricdata.Sum[int64]).DataPoints, 2)
		require.InDelta(s, 1.0, sum(got["passenger.request.queue.duration"]), 0.01, "the first waited for the start")
		require.InDelta(s, 2.0, sum(got["passenger.spawn.duration"]), 0.01)
		require.InDelta(s, 1.0, sum(got["passenger.restart.duration"]), 0.01)
		require.Equal(s, int64(1), got["passenger.processes"].Data.(metricdata.Sum[int64]).DataPoints[0].Value)
	})
}

func sum(m metricdata.Metrics) (total float64) {
	for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
		total += p.Sum
	}

	return total
}

func TestRequestsThatGoOnAreCounted(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		hold := s.factory.Hold("shop")
		done := make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			done <- w.Code
		}()
		require.NoError(s, hold.Wait(s.Context(), 1))
		require.Equal(s, int64(1), s.metrics()["http.server.active_requests"].Data.(metricdata.Sum[int64]).DataPoints[0].Value)
		hold.Release(nil)
		require.Equal(s, 200, <-done)
		require.Equal(s, int64(0), s.metrics()["http.server.active_requests"].Data.(metricdata.Sum[int64]).DataPoints[0].Value)
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
		require.Empty(s, s.ended(), "an end without a beginning is nobody's")
	})
}
