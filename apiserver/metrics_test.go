package apiserver_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/metrics"
)

var update = flag.Bool("update", false, "write the files testdata/*.golden again")

func responseOf(t *testing.T, h http.Handler, method, path string) reply {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))

	return reply{Status: w.Code, Header: w.Header(), Body: w.Body.String()}
}

// metric is a family of the text format of Prometheus.
type metric struct {
	kind, help string
	samples    map[string]float64 // by their labels, behind a histogram's suffix and a space
}

var kinds = []string{"gauge", "counter", "histogram"}

func (m *metric) suffixes() []string {
	if m.kind == "histogram" {
		return []string{"_bucket", "_sum", "_count"}
	}

	return []string{""}
}

var (
	headLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)` +
		`(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (\S+)$`)
)

// parseMetrics accepts only what the format allows and this package writes: each
// family once, HELP, TYPE, then at least one sample, and no two of the same labels.
func parseMetrics(text string) (map[string]*metric, error) {
	families := map[string]*metric{}
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line has no end")
	}

	var name string

	var current *metric
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if head := headLine.FindStringSubmatch(line); head != nil {
			switch {
			case head[1] == "HELP":
				if current != nil && len(current.samples) == 0 || families[head[2]] != nil {
					return nil, fmt.Errorf("at the wrong place: %s", line)
				}

				name, current = head[2], &metric{help: head[3], samples: map[string]float64{}}
				families[name] = current
			case current == nil || head[2] != name || current.kind != "" || !slices.Contains(kinds, head[3]):
				return nil, fmt.Errorf("at the wrong place: %s", line)
			default:
				current.kind = head[3]
			}

			continue
		}

		sample := sampleLine.FindStringSubmatch(line)
		if sample == nil || current == nil || current.kind == "" || strings.HasSuffix(sample[2], ",") ||
			!slices.Contains(current.suffixes(), strings.TrimPrefix(sample[1], name)) {
			return nil, fmt.Errorf("no sample of %s: %s", name, line)
		}

		if current.kind == "counter" != strings.HasSuffix(name, "_total") {
			return nil, fmt.Errorf("the name of a counter ends with _total: %s", name)
		}

		value, err := strconv.ParseFloat(sample[3], 64)
		if err != nil {
			return nil, err
		}

		key := strings.TrimSpace(strings.TrimPrefix(sample[1], name) + " " + sample[2])
		if _, twice := current.samples[key]; twice {
			return nil, fmt.Errorf("twice: %s", line)
		}

		current.samples[key] = value
	}

	if current != nil && len(current.samples) == 0 {
		return nil, fmt.Errorf("no samples of %s", name)
	}

	return families, nil
}

func TestTheParserIsStrict(t *testing.T) {
	const head = "# HELP a b\n# TYPE a gauge\n"
	for _, text := range []string{
		"", head, head + "a 1", head + "b 1\n", head + "a x\n", head + "a 1\na 2\n", "a 1\n", "# TYPE a gauge\na 1\n",
		head + "a{b=\"\\x\"} 1\n", head + "a{b=\"\"c\"} 1\n", head + "a{b=\"c\",} 1\n", head + "a  1\n", head + "\n",
		head + "a 1\n" + head + "a 1\n",
		"# HELP a b\n# TYPE a counter\na 1\n",
	} {
		_, err := parseMetrics(text)
		require.Error(t, err, "%q", text)
	}

	_, err := parseMetrics(head + "a{b=\"c\\\"\\\\\\n\",d=\"e\"} 1.5\n")
	require.NoError(t, err)
}

func TestMetrics(t *testing.T) { synctest.Test(t, testMetrics) }

func testMetrics(t *testing.T) {
	h := newHouse(t).tenants()
	evil := "a\"b\\c\xff{}"
	h.start(app(evil, "evil", alice))
	limited := app("limited", "limited", bob)
	limited.MaxProcesses = 3
	h.start(limited)
	session, err := h.pool.Get(t.Context(), app("blog", "blog", bob))
	require.NoError(t, err)
	defer session.Close(passenger.KeepAlive)
	require.NoError(t, h.pool.Restart(t.Context(), "twin", passenger.RestartOptions{Method: passenger.RestartBlocking}))
	synctest.Wait()
	stats := func() []metrics.Requests {
		return []metrics.Requests{
			{
				AppName:       "shop",
				Begun:         70,
				Active:        2,
				CacheFetches:  10,
				CacheHits:     4,
				Durations:     durations(3*time.Millisecond, time.Second, time.Hour),
				Queued:        durations(0),
				Responses:     [10]uint64{0: 1, 2: 60, 5: 3, 9: 2},
				RequestBytes:  100,
				ResponseBytes: 2000,
			},
			{AppName: "shop", Begun: 7, Active: 1, Durations: durations(time.Minute), Responses: [10]uint64{2: 7}},
			{AppName: "of several\nlines", Begun: 1},
			{AppName: "of several\nlines\xfe", Begun: 2},
			{AppName: "of several\nlines\xff", Begun: 3},
		}
	}
	a := responseOf(t, apiserver.Metrics(h.pool, stats), "GET", "/anything")
	require.Equal(t, 200, a.Status)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", a.Header.Get("Content-Type"))

	file := filepath.Join("testdata", "metrics.golden")
	text := strings.NewReplacer(passenger.Version, "VERSION", runtime.Version(), "GO").Replace(a.Body)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}

	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)

	families, err := parseMetrics(a.Body)
	require.NoError(t, err)
	is := func(want int, name, labels string) {
		require.Contains(t, families, name)
		require.Contains(t, families[name].samples, labels)
		require.Equal(t, want, int(families[name].samples[labels]), name+labels)
	}
	is(20, "passenger_pool_max_processes", "")
	is(6, "passenger_pool_capacity_used", "")
	is(2, "passenger_app_processes", `app="twin",state="enabled"`)
	is(3, "passenger_app_processes_max", `app="limited"`)
	is(2, "passenger_app_restarts_total", `app="twin",outcome="success"`)
	is(0, "passenger_app_restarts_total", `app="twin",outcome="failure"`)
	is(4, "passenger_app_spawns_total", `app="twin",outcome="success"`)
	is(4, "passenger_app_spawn_duration_seconds", `_count app="twin"`)
	is(1, "passenger_app_busy_ratio", `app="blog"`)
	is(67, "passenger_app_responses_total", `app="shop",class="2xx"`)
	is(2, "passenger_app_responses_total", `app="shop",class="9xx"`)
	is(1, "passenger_app_responses_total", `app="shop",class="none"`)
	is(2000, "passenger_app_body_bytes_total", `app="shop",direction="out"`)
	is(1, "passenger_app_request_duration_seconds", `_bucket app="shop",le="0.005"`)
	is(3, "passenger_app_request_duration_seconds", `_bucket app="shop",le="60"`)
	is(4, "passenger_app_request_duration_seconds", `_bucket app="shop",le="+Inf"`)
	is(3661, "passenger_app_request_duration_seconds", `_sum app="shop"`)
	is(5, "passenger_app_requests_total", `app="of several\nlines`+"\ufffd\"")
	is(1, "passenger_app_sessions", `app="blog"`)
	is(77, "passenger_app_requests_total", `app="shop"`)
	is(1, "passenger_app_processes", `app="a\"b\\c`+"\ufffd"+`{}",state="enabled"`)
	is(1, "passenger_app_requests_total", `app="of several\nlines"`)
	require.NotContains(t, a.Body, "1000", "no label is a pid")

	families, err = parseMetrics(responseOf(t, apiserver.Metrics(h.pool, nil), "HEAD", "/").Body)
	require.NoError(t, err)
	require.NotContains(t, families, "passenger_app_requests_total")
	require.Equal(t, 405, responseOf(t, apiserver.Metrics(h.pool, nil), "POST", "/").Status)
}

// durations is a histogram of requests.
func durations(all ...time.Duration) passenger.Histogram {
	h := histogram.New(histogram.ForRequests)
	for _, d := range all {
		h.Observe(d)
	}

	return h.Inspect()
}

func TestMetricsOfTheServer(t *testing.T) {
	h := newHouse(t, func(cfg *apiserver.Config) {
		cfg.Started = time.UnixMilli(1_700_000_000_500)
		cfg.Backlogs = func() []apiserver.Backlog {
			return []apiserver.Backlog{{Listener: "http", Waiting: 3}, {Listener: "https"}}
		}
	})
	families, err := parseMetrics(responseOf(t, h.server.Metrics(), "GET", "/").Body)
	require.NoError(t, err)
	require.Len(t, families, 6)
	require.Equal(t, map[string]float64{"": 1700000000.5}, families["process_start_time_seconds"].samples)
	require.Equal(t, map[string]float64{`listener="http"`: 3, `listener="https"`: 0},
		families["passenger_listen_backlog"].samples)
}

func TestOnlyClientsThatAskGetProtobuf(t *testing.T) {
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	native := func(on bool) http.Handler {
		return newHouse(t, func(cfg *apiserver.Config) { cfg.NativeHistograms = on }).server.Metrics()
	}
	on, off := native(true), native(false)

	for accept, want := range map[string]bool{
		"":                                 false,
		"text/plain":                       false,
		"*/*":                              false,
		"application/vnd.google.protobuf":  false,
		protobuf:                           true,
		protobuf + ";q=0":                  false,
		"text/plain;q=0.5, " + protobuf:    true,
		"x;;, " + protobuf + ";q=0.6, */*": true,
		strings.Replace(protobuf, "delimited", "text", 1): false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Accept", accept)

		w := httptest.NewRecorder()
		on.ServeHTTP(w, r)
		require.Equal(t, want, strings.HasPrefix(w.Header().Get("Content-Type"), "application/"), accept)

		w = httptest.NewRecorder()
		off.ServeHTTP(w, r)
		require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	}
}

func TestMetricsOfAnEmptyPool(t *testing.T) {
	h := newHouse(t)
	families, err := parseMetrics(responseOf(t, apiserver.Metrics(h.pool, nil), "GET", "/").Body)
	require.NoError(t, err)
	require.Len(t, families, 4)
}
