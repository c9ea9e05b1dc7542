package passengerotel_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

// collector receives traces by OTLP, as protobuf by HTTP.
type collector struct {
	t   *testing.T
	url string

	mu sync.Mutex
	// spans are by service and name.
	spans map[string]*tracepb.Span
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, spans: map[string]*tracepb.Span{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL

	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collectorpb.ExportTraceServiceRequest
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "this is no request of OTLP", http.StatusBadRequest)
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	for _, ofResource := range request.GetResourceSpans() {
		service := ""
		for _, a := range ofResource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}

		for _, ofScope := range ofResource.GetScopeSpans() {
			for _, span := range ofScope.GetSpans() {
				c.spans[service+": "+span.GetName()] = span
			}
		}
	}

	reply, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}

	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(reply)
}

// provider exports to the collector as a service does, in batches.
func (c *collector) provider(service string) *sdktrace.TracerProvider {
	c.t.Helper()
	exporter, err := otlptracehttp.New(c.t.Context(),
		otlptracehttp.WithEndpointURL(c.url+"/v1/traces"), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	require.NoError(c.t, err)

	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName(service))))
}

func TestACollectorGetsOneTraceOfTheServerAndTheApplication(t *testing.T) {
	for _, protocol := range []loaderproto.Protocol{loaderproto.HTTPSession, loaderproto.HTTP} {
		t.Run(string(protocol), func(t *testing.T) { testCollector(t, protocol) })
	}
}

func testCollector(t *testing.T, protocol loaderproto.Protocol) {
	c := newCollector(t)
	front, app := c.provider("front"), c.provider("shop")
	observer, err := passengerotel.New(passengerotel.Config{TracerProvider: front, Propagator: w3c})
	require.NoError(t, err)

	// The application's own instrumentation, which believes the server in front of it.
	instrumented := withoutUserAgent(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "it failed", http.StatusInternalServerError)
	}), "shop", otelhttp.WithTracerProvider(app), otelhttp.WithPropagators(w3c)))
	factory := spawnertest.New(spawnertest.Script{
		Protocol: protocol,
		Handler:  instrumented,
		UnixDir:  t.TempDir(),
	})
	pool := spawnertest.NewPool(t, passenger.Config{Spawner: factory, Observer: observer, Logger: passenger.Silent()})
	h, err := handler.New(pool, handler.Config{Options: *shop(), Logger: passenger.Silent()})
	require.NoError(t, err)
	ended := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		ended <- struct{}{}
	}))
	defer server.Close()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/caf%C3%A9?token=secret",
		http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Traceparent", clientsParent)
	r.Header.Set("User-Agent", "\xff") // would cost the batch
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	<-ended
	require.NoError(t, pool.Restart(t.Context(), "shop", passenger.RestartOptions{}))
	require.NoError(t, pool.Close())
	server.Close()
	require.NoError(t, front.Shutdown(context.Background()))
	require.NoError(t, app.Shutdown(context.Background()))

	c.mu.Lock()
	defer c.mu.Unlock()
	request, inApp := c.spans["front: POST"], c.spans["shop: POST"]
	require.NotNil(t, request, "%v", c.spans)
	require.NotNil(t, inApp, "%v", c.spans)
	require.Equal(t, request.GetTraceId(), inApp.GetTraceId())
	require.Equal(t, request.GetSpanId(), inApp.GetParentSpanId())
	require.Empty(t, request.GetParentSpanId())
	require.Equal(t, clientsSpan, hex.EncodeToString(request.GetLinks()[0].GetSpanId()))
	require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, request.GetKind())
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, request.GetStatus().GetCode())
	require.LessOrEqual(t, request.GetStartTimeUnixNano(), inApp.GetStartTimeUnixNano())

	restart, spawn := c.spans["front: passenger restart"], c.spans["front: passenger spawn"]
	require.NotNil(t, restart, "%v", c.spans)
	require.Equal(t, restart.GetSpanId(), spawn.GetParentSpanId(), "the last spawn is that of the restart")

	for name, span := range c.spans {
		text, err := proto.Marshal(span)
		require.NoError(t, err)
		if strings.HasPrefix(name, "front: ") {
			require.NotContains(t, string(text), "secret", name)
		}
	}
}

// withoutUserAgent is for otelhttp, whose span would be lost with what is no UTF-8.
func withoutUserAgent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("User-Agent")
		next.ServeHTTP(w, r)
	})
}
