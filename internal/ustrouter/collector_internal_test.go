package ustrouter

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// collector is one in memory, which responds as a test says.
type collector struct {
	t       *testing.T
	respond func(attempt int, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	at     []time.Time
	bodies []string
	header []http.Header
	urls   []string
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	zip, err := gzip.NewReader(r.Body)
	require.NoError(c.t, err)
	body, err := io.ReadAll(zip)
	require.NoError(c.t, err)
	require.NoError(c.t, r.Body.Close())
	c.mu.Lock()
	c.at = append(c.at, time.Now())
	c.bodies = append(c.bodies, string(body))
	c.header = append(c.header, r.Header)
	c.urls = append(c.urls, r.Method+" "+r.URL.String())
	n := len(c.at)
	c.mu.Unlock()

	return c.respond(n, r)
}

func (c *collector) attempts() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Time(nil), c.at...)
}

// spans returns those of the i-th attempt.
func (c *collector) spans(i int) []map[string]any {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var body struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []map[string]any `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(c.bodies[i]), &body))

	return body.ResourceSpans[0].ScopeSpans[0].Spans
}

func responseOf(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}

	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// always responds with a status.
func always(status int) func(int, *http.Request) (*http.Response, error) {
	return func(int, *http.Request) (*http.Response, error) { return responseOf(status, "{}") }
}

func hang(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
