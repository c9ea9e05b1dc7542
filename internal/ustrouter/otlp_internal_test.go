package ustrouter

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/logged"
)

func write(sink Sink, n int) {
	for range n {
		t := full()
		sink.Write(&t)
	}
}

func config() *Config { return &Config{OTLPEndpoint: "http://collector:4318/"} }

// withCollector runs a test of a sink in virtual time.
func withCollector(t *testing.T, respond func(int, *http.Request) (*http.Response, error),
	test func(*testing.T, *OTLP, *collector, *logged.Buffer),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log logged.Buffer
		c := &collector{t: t, respond: respond}
		o := newOTLP(config(), c, log.Logger())
		test(t, o, c, &log)
		if !o.closed.Load() {
			require.NoError(t, o.Close(t.Context()))
		}

		require.Zero(t, o.queue.bytes.Load())
	})
}

func TestBatches(t *testing.T) {
	withCollector(t, always(200), func(t *testing.T, o *OTLP, c *collector, log *logged.Buffer) {
		write(o, 3)
		elapse(batchInterval - 1)
		write(o, 1)
		synctest.Wait()
		require.Empty(t, c.attempts())
		elapse(1)
		synctest.Wait()
		require.Len(t, c.attempts(), 1)
		require.Len(t, c.spans(0), 4)

		before := time.Now()
		write(o, 2*maxBatch)
		synctest.Wait()
		require.Equal(t, before, time.Now(), "a full batch is not waited for")
		require.Len(t, c.attempts(), 3)
		require.Len(t, c.spans(1), maxBatch-1)
		require.Len(t, c.spans(2), maxBatch-1)
		require.NoError(t, o.Close(t.Context()))
		require.Equal(t, before, time.Now(), "nor is the rest, at the end")
		require.Len(t, c.spans(3), 2)
		require.Equal(t, SinkStats{Written: 4 + 2*maxBatch}, o.Stats())
		require.Equal(t, "POST http://collector:4318/v1/traces", c.urls[0])
		require.Empty(t, log.String())
		require.ErrorIs(t, o.Close(t.Context()), errClosed)
		write(o, 1)
		require.Equal(t, uint64(1), o.Stats().Dropped)
	})
}

// TestRetries: what may help is tried again, further and further apart, for a
// minute.
func TestRetries(t *testing.T) {
	for name, respond := range map[string]func(int, *http.Request) (*http.Response, error){
		"429": always(429), "502": always(502), "503": always(503), "504": always(504),
		"no connection": func(int, *http.Request) (*http.Response, error) { return nil, errNoListener },
		"hangs":         hang,
	} {
		t.Run(name, func(t *testing.T) {
			withCollector(t, respond, func(t *testing.T, o *OTLP, c *collector, log *logged.Buffer) {
				write(o, 2)
				elapse(batchInterval + batchTimeout)
				synctest.Wait()
				at := c.attempts()
				require.Greater(t, len(at), 2)
				require.Less(t, len(at), 20)

				for i, retry := 1, firstRetry; i < len(at); i, retry = i+1, min(2*retry, maxRetry) {
					require.GreaterOrEqual(t, at[i].Sub(at[i-1]), retry/2)
					require.LessOrEqual(t, at[i].Sub(at[i-1]), retry+attemptTimeout)
				}

				require.LessOrEqual(t, at[len(at)-1].Sub(at[0]), batchTimeout)
				require.Equal(t, SinkStats{Dropped: 2}, o.Stats())
				require.Equal(t, 1, log.Count("cannot send transactions"))
				require.Equal(t, 1, log.Count("are lost"))

				c.mu.Lock()
				c.respond = always(200)
				n := len(c.at)
				c.mu.Unlock()
				write(o, 1)
				elapse(2 * batchInterval)
				synctest.Wait()
				require.Len(t, c.attempts(), n+1)
				require.Equal(t, SinkStats{Written: 1, Dropped: 2}, o.Stats())
				require.Equal(t, 1, log.Count("takes them again"))
				spans := c.spans(n)
				require.Equal(t, "passenger dropped", spans[len(spans)-1]["name"])
			})
		})
	}
}

// TestGivesUpAtOnce: what will not help is not tried.
func TestGivesUpAtOnce(t *testing.T) {
	for name, status := range map[string]int{
		"500": 500, "501": 501, "400": 400, "401": 401, "404": 404, "413": 413,
		"307": 307, "304": 304,
	} {
		t.Run(name, func(t *testing.T) {
			withCollector(t, always(status), func(t *testing.T, o *OTLP, c *collector, log *logged.Buffer) {
				for range 2 {
					write(o, maxBatch-1)
					synctest.Wait()
				}

				require.Len(t, c.attempts(), 2)
				require.Equal(t, SinkStats{Dropped: 2 * (maxBatch - 1)}, o.Stats())
				require.Equal(t, 1, log.Count("the status "+name))
				require.Equal(t, 1, log.Count("are lost"))
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		header func(now time.Time) string
		want   time.Duration
	}{
		"seconds": {func(time.Time) string { return "20" }, 20 * time.Second},
		"a date": {
			func(now time.Time) string { return now.Add(30 * time.Second).UTC().Format(http.TimeFormat) },
			30 * time.Second,
		},
		"the past":    {func(now time.Time) string { return now.Add(-time.Hour).UTC().Format(http.TimeFormat) }, 0},
		"nonsense":    {func(time.Time) string { return "-1" }, 0},
		"more":        {func(time.Time) string { return "120" }, 2 * time.Minute},
		"too much":    {func(time.Time) string { return "2147483647" }, maxRetryAfter},
		"more digits": {func(time.Time) string { return "99999999999999999999" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			withCollector(t, func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 {
					return responseOf(503, "", "Retry-After", test.header(time.Now()))
				}

				return responseOf(200, "")
			}, func(t *testing.T, o *OTLP, c *collector, _ *logged.Buffer) {
				write(o, 1)
				elapse(batchInterval + time.Second)
				write(o, 1)
				elapse(maxRetryAfter + time.Minute)
				synctest.Wait()
				at := c.attempts()
				pause := at[1].Sub(at[0])
				require.GreaterOrEqual(t, pause, test.want)
				require.LessOrEqual(t, pause, max(test.want, firstRetry))
				want := SinkStats{Written: 2}
				if test.want > batchTimeout {
					want = SinkStats{Written: 1, Dropped: 1}
				}

				require.Equal(t, want, o.Stats())
			})
		})
	}
}

func TestPartialSuccess(t *testing.T) {
	for body, rejected := range map[string]uint64{
		"":                      0,
		"{}":                    0,
		"x":                     0,
		`{"partialSuccess":{}}`: 0,
		`{"partialSuccess":{"rejectedSpans":"2"}}`:                 2,
		`{"partialSuccess":{"rejectedSpans":3,"errorMessage":""}}`: 3,
		`{"partialSuccess":{"rejectedSpans":"99999"}}`:             5,
		`{"partialSuccess":{"rejectedSpans":-1}}`:                  0,
		`{"partialSuccess":{"rejectedSpans":null}}`:                0,
		`{"partialSuccess":{"rejectedSpans":[1]}}`:                 0,
	} {
		withCollector(t, func(int, *http.Request) (*http.Response, error) { return responseOf(200, body) },
			func(t *testing.T, o *OTLP, _ *collector, _ *logged.Buffer) {
				write(o, 5)
				elapse(batchInterval)
				synctest.Wait()

				require.Equal(t, SinkStats{Written: 5 - rejected, Dropped: rejected}, o.Stats(), body)
			})
	}
}

// TestBrokenCollectorDelaysNothing: to write takes no time, and what waits is
// bounded.
func TestBrokenCollectorDelaysNothing(t *testing.T) {
	withCollector(t, hang, func(t *testing.T, o *OTLP, _ *collector, log *logged.Buffer) {
		began := time.Now()
		write(o, 3*DefaultQueueLength)
		require.Equal(t, began, time.Now())
		require.LessOrEqual(t, o.Stats().Waiting, DefaultQueueLength)
		require.LessOrEqual(t, o.queue.bytes.Load(), int64(maxQueueBytes))
		elapse(time.Minute)
		began = time.Now()
		require.ErrorContains(t, o.Close(t.Context()), "are lost")
		require.LessOrEqual(t, time.Since(began), closeTimeout)
		require.Equal(t, SinkStats{Dropped: 3 * DefaultQueueLength}, o.Stats())
		require.LessOrEqual(t, log.Count("are lost"), 1+int(time.Minute/dropInterval)+1)
	})
}

func TestCloseOfOTLPBounded(t *testing.T) {
	withCollector(t, hang, func(t *testing.T, o *OTLP, _ *collector, _ *logged.Buffer) {
		write(o, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorContains(t, o.Close(ctx),
			"1 transactions were not sent to the collector http://collector:4318/v1/traces")
		require.Equal(t, time.Second, time.Since(began))
	})
}

// TestRealCollector: over HTTP, with headers, which follow no redirect and are
// in no log.
func TestRealCollector(t *testing.T) {
	seen := make(chan *http.Request, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request,
	) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/moved/v1/traces" {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}

		seen <- r
	}))
	defer server.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())

	for endpoint, written := range map[string]uint64{server.URL: 1, server.URL + "/moved": 0, "http://" +
		gone.Addr().String(): 0} {
		var log logged.Buffer
		o, err := NewOTLP(Config{
			OTLPEndpoint: endpoint,
			OTLPHeaders:  Headers{"authorization": "Bearer hidden"},
		}, log.Logger())
		require.NoError(t, err)
		write(o, 1)
		ctx, cancel := context.WithTimeout(t.Context(), closeTimeout)
		if endpoint == "http://"+gone.Addr().String() {
			cancel() // nothing will come of it
		}

		err = o.Close(ctx)
		cancel()
		require.Equal(t, SinkStats{Written: written, Dropped: 1 - written}, o.Stats())
		require.NotContains(t, log.String(), "hidden")
		if written == 0 {
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hidden")
		} else {
			require.NoError(t, err)
		}

		if o.Stats().Written > 0 || endpoint == server.URL+"/moved" {
			r := <-seen
			require.Equal(t, "Bearer hidden", r.Header.Get("Authorization"))
			require.Equal(t, "gzip", r.Header.Get("Content-Encoding"))
			require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		}
	}

	_, err = NewOTLP(Config{OTLPEndpoint: "ftp://x"}, logr.Discard())
	require.ErrorContains(t, err, "ftp")
	_, err = NewOTLP(Config{OTLPEndpoint: "http://x", OTLPHeaders: Headers{"": ""}}, logr.Discard())
	require.ErrorContains(t, err, "header")
}
