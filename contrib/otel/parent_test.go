package passengerotel_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

func TestTheClientsTraceIsLinkedUnlessItIsTrusted(t *testing.T) {
	for name, trust := range map[string]func(context.Context, *passenger.RequestEvent) bool{
		"none": nil,
		"no": func(_ context.Context, e *passenger.RequestEvent) bool {
			return e.Header.Get("X-Proxy") == "ours"
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{TrustParent: trust}, func(s *stage) {
				s.warm()
				_, spans := s.ask(http.MethodGet, "/",
					"Traceparent", clientsParent, "Tracestate", "theirs=1", "Baggage", "theirs=1")
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

func TestTheProxiesThatTheHandlerTrustsMayBeTrusted(t *testing.T) {
	require.False(t, passengerotel.TrustProxies(t.Context(), &passenger.RequestEvent{}))
	require.True(t, passengerotel.TrustProxies(t.Context(), &passenger.RequestEvent{TrustedPeer: true}))
}

func TestATrustedClientsSpanIsTheParent(t *testing.T) {
	play(t, passengerotel.Config{TrustParent: passengerotel.TrustAll}, func(s *stage) {
		s.warm()
		_, spans := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Tracestate", "theirs=1", "Baggage",
			"theirs=1")
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
		s.front = otelhttp.NewHandler(s.handler, "site",
			otelhttp.WithTracerProvider(s.provider), otelhttp.WithPropagators(w3c))
		_, spans := s.ask(http.MethodGet, "/error", "Traceparent", clientsParent, "Baggage", "theirs=1")
		require.Len(s, spans, 2)
		ours, outer := spans[0], spans[1]
		require.Equal(s, "passenger request", ours.Name())
		require.Equal(s, trace.SpanKindInternal, ours.SpanKind())
		require.Equal(s, outer.SpanContext().SpanID(), ours.Parent().SpanID())
		require.False(s, ours.Parent().IsRemote())
		require.Equal(s, clientsSpan, outer.Parent().SpanID().String(),
			"which clients the middleware believes is its own affair")
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
			s.handler.ServeHTTP(w, r.WithContext(ctx))
		})
		_, spans := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Baggage", "theirs=1")
		require.Equal(s, trace.SpanKindServer, spans[0].SpanKind())
		require.Equal(s, clientsSpan, spans[0].Parent().SpanID().String())
		require.Equal(s, "theirs=1", s.got.Get("Baggage"))
	})
}

// The handler passes on what its trusted proxies say, which the client is not.
func TestWithoutATracerTheHandlerDecidesAboutTheClientsHeaders(t *testing.T) {
	off := sdktrace.NewTracerProvider()
	require.NoError(t, off.Shutdown(t.Context()))
	play(t, passengerotel.Config{TracerProvider: off}, func(s *stage) {
		require.NoError(s, s.pool.Start(s.Context(), shop()))
		status, _ := s.ask(http.MethodGet, "/", "Traceparent", clientsParent, "Baggage", "theirs=1")
		require.Equal(s, 200, status)
		require.Empty(s, s.got.Get("Traceparent"))
		require.Equal(s, "theirs=1", s.got.Get("Baggage"))
		require.Contains(s, s.metrics(), "http.server.request.duration")
	})
}
