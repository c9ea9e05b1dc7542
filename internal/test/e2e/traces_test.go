package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// tracedApp has a span of its own for each request, as instrumented frameworks do, and sends it to the collector that
// its environment names. It responds with what it got.
const tracedApp = `
import json, os, random, time, urllib.request

direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

def export(traceparent):
    _, trace, parent, _ = traceparent.split('-')
    span = {'traceId': trace, 'spanId': '%016x' % random.getrandbits(64), 'parentSpanId': parent, 'name': 'view',
            'kind': 1, 'startTimeUnixNano': str(time.time_ns()), 'endTimeUnixNano': str(time.time_ns())}
    body = {'resourceSpans': [{'resource': {'attributes': [
        {'key': 'service.name', 'value': {'stringValue': 'application'}}]},
        'scopeSpans': [{'scope': {'name': 'by hand'}, 'spans': [span]}]}]}
    direct.open(urllib.request.Request(os.environ['COLLECTOR'] + '/v1/traces', json.dumps(body).encode(),
                                       {'Content-Type': 'application/json'}))

def application(environ, start_response):
    export(environ['HTTP_TRACEPARENT'])
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps({'traceparent': environ['HTTP_TRACEPARENT'], 'tracestate': environ.get('HTTP_TRACESTATE', ''),
                        'environment': {k: v for k, v in os.environ.items() if k.startswith('OTEL_')}}).encode()]
`

// tracedSpan is what a collector knows of a span.
type tracedSpan struct {
	TraceID      string
	SpanID       string
	ParentSpanID string
	Name         string
	Kind         int
	Service      string
	Attributes   map[string]any
	Links        []struct{ TraceID, SpanID string }
}

// spanCollector takes spans by OTLP over HTTP, as JSON.
type spanCollector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []tracedSpan
	faults []error
	// keys are those of the requests' header.
	keys map[string]bool
}

func startCollector(t *testing.T) *spanCollector {
	t.Helper()
	c := &spanCollector{keys: map[string]bool{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(decoded(r))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.keys[r.Header.Get("Api-Key")] = true

		if err == nil {
			err = c.add(body)
		}

		if err != nil {
			c.faults = append(c.faults, err)
		}
	}))
	t.Cleanup(c.Close)

	return c
}

type otlpAttributes []struct {
	Key   string
	Value map[string]any
}

func (a otlpAttributes) values() map[string]any {
	all := map[string]any{}
	for _, one := range a {
		for _, value := range one.Value {
			all[one.Key] = value
		}
	}

	return all
}

func (c *spanCollector) add(body []byte) error {
	var request struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes otlpAttributes }
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name string
					Kind                                int
					Attributes                          otlpAttributes
					Links                               []struct{ TraceID, SpanID string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}

	for _, r := range request.ResourceSpans {
		service, _ := r.Resource.Attributes.values()["service.name"].(string)

		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, tracedSpan{
					TraceID: s.TraceID, SpanID: s.SpanID, ParentSpanID: s.ParentSpanID, Name: s.Name, Kind: s.Kind,
					Service: service, Attributes: s.Attributes.values(), Links: s.Links,
				})
			}
		}
	}

	return nil
}

// trace waits for n spans of a trace and returns them by their service.
func (c *spanCollector) trace(t *testing.T, id string, n int) map[string]tracedSpan {
	t.Helper()

	found := map[string]tracedSpan{}
	eventually(t, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		clear(found)

		for _, s := range c.spans {
			if s.TraceID == id {
				found[s.Service] = s
			}
		}

		if len(found) < n {
			return fmt.Errorf("%d of %d spans are there: %w", len(found), n, errors.Join(c.faults...))
		}

		return nil
	})

	return found
}

type tracedResponse struct {
	Traceparent, Tracestate string
	Environment             map[string]string
}

func startTraced(t *testing.T, c *spanCollector, args ...string) *server {
	t.Helper()
	interpreters.Find(t, "python", "python3")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passenger_wsgi.py"), []byte(tracedApp), 0o600))

	return start(t, &launch{
		dir:  dir,
		args: append([]string{"--otlp-endpoint", c.URL, "--envvar", "COLLECTOR=" + c.URL}, args...),
		env: []string{
			"OTEL_SERVICE_NAME=front",
			"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=staging",
			"OTEL_EXPORTER_OTLP_HEADERS=api-key=hush",
			"OTEL_EXPORTER_OTLP_TRACES_HEADERS=api-key=hushed%20traces",
			"OTEL_EXPORTER_OTLP_METRICS_HEADERS=api-key=hush",
			"OTEL_EXPORTER_OTLP_LOGS_HEADERS=api-key=hush",
		},
	})
}

func askTraced(t *testing.T, s *server, header ...string) (got tracedResponse, trace, span string) {
	t.Helper()
	a := s.client(t).get(t, "/cart?secret=1", append([]string{"User-Agent", "curl/8"}, header...)...)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))

	parts := strings.Split(got.Traceparent, "-")
	require.Len(t, parts, 4)

	return got, parts[1], parts[2]
}

func TestTheSpansOfClientServerAndApplicationAreOneTrace(t *testing.T) {
	t.Parallel()
	const trace, clientSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	collector := startCollector(t)
	require.NoError(t, collector.add([]byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",`+
		`"value":{"stringValue":"client"}}]},"scopeSpans":[{"spans":[{"traceId":"`+trace+`","spanId":"`+clientSpan+
		`","name":"GET","kind":3}]}]}]}`)))
	s := startTraced(t, collector, "--trusted-proxy", "127.0.0.1")

	got, theirs, _ := askTraced(t, s, "Traceparent", "00-"+trace+"-"+clientSpan+"-01", "Tracestate", "vendor=1")
	require.Equal(t, trace, theirs)
	require.Equal(t, "vendor=1", got.Tracestate)

	// The headers are secrets: neither the application nor its parent has them in its environment.
	for name, value := range got.Environment {
		require.NotContains(t, name, "HEADERS", value)
	}

	require.Equal(t, "front", got.Environment["OTEL_SERVICE_NAME"])
	core, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.core(t)))
	require.NoError(t, err)
	require.Contains(t, string(core), "OTEL_SERVICE_NAME=front")
	require.NotContains(t, string(core), "hush")

	spans := collector.trace(t, trace, 3)
	require.Equal(t, clientSpan, spans["client"].SpanID)
	require.Equal(t, clientSpan, spans["front"].ParentSpanID)
	require.Equal(t, spans["front"].SpanID, spans["application"].ParentSpanID)
	require.Equal(t, 2, spans["front"].Kind, "that of a server")

	attributes := spans["front"].Attributes
	for name, want := range map[string]any{
		"http.request.method":       "GET",
		"url.path":                  "/cart",
		"url.scheme":                "http",
		"http.response.status_code": "200",
		"server.address":            "127.0.0.1",
		"client.address":            "127.0.0.1",
		"user_agent.original":       "curl/8",
		"network.protocol.version":  "1.1",
	} {
		require.Equal(t, want, attributes[name], name)
	}

	require.NotContains(t, attributes, "url.query")
	collector.mu.Lock()
	require.True(t, collector.keys["hushed traces"])
	collector.mu.Unlock()
	s.stop(t)
}

func TestATraceBeginsAtTheServerWhereNoClientIsBelieved(t *testing.T) {
	t.Parallel()
	const trace, clientSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	collector := startCollector(t)
	s := startTraced(t, collector)

	headers := [][]string{
		nil,
		{"Traceparent", "00-" + trace + "-" + clientSpan + "-01", "Tracestate", "vendor=1"},
		{"Traceparent", "00-" + strings.ToUpper(trace) + "-" + clientSpan + "-01"},
	}
	own, ownSpans := make([]string, len(headers)), make([]string, len(headers))

	// A span waits for others, for seconds, until it is sent.
	for i, header := range headers {
		var got tracedResponse
		got, own[i], ownSpans[i] = askTraced(t, s, header...)
		require.NotEqual(t, trace, own[i])
		require.Empty(t, got.Tracestate)
	}

	for i, header := range headers {
		spans := collector.trace(t, own[i], 2)
		require.Empty(t, spans["front"].ParentSpanID)
		require.Equal(t, ownSpans[i], spans["front"].SpanID)
		require.Equal(t, ownSpans[i], spans["application"].ParentSpanID)
		require.Len(t, spans["front"].Links, min(len(header)/4, 1), "of a client whose context is valid")
	}

	s.stop(t)
}

func TestATraceThatIsNotSampledReachesNoCollector(t *testing.T) {
	t.Parallel()
	collector := startCollector(t)
	log := filepath.Join(t.TempDir(), "log")
	s := startTraced(t, collector, "--transaction-sample-rate", "0", "--transaction-log", log, "--trusted-proxy",
		"127.0.0.1")

	got, unsampled, _ := askTraced(t, s)
	require.True(t, strings.HasSuffix(got.Traceparent, "-00"), got.Traceparent)

	const trace = "0af7651916cd43dd8448eb211c80319c"
	_, _, _ = askTraced(t, s, "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	require.Contains(t, collector.trace(t, trace, 2), "front", "its beginning decides")
	require.Len(t, records(t, log)["request"], 2)
	s.stop(t)

	collector.mu.Lock()
	defer collector.mu.Unlock()

	for _, span := range collector.spans {
		require.False(t, span.TraceID == unsampled && span.Service == "front")
	}
}
