package apiserver

import (
	"mime"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
)

// RequestStats count an application's requests since the program began.
type RequestStats struct {
	// App is the name of the application's group.
	App string
	// Begun counts the requests, Active those in progress.
	Begun  uint64
	Active int
	// CacheFetches counts the lookups in the turbocache, CacheHits the responses
	// from it.
	CacheFetches, CacheHits uint64
	// Durations, Queued, Responses, RequestBytes and ResponseBytes are those of
	// handler.Figures.
	Durations, Queued           passenger.Histogram
	Responses                   [10]uint64
	RequestBytes, ResponseBytes uint64
}

// Backlog says how many connections wait in the kernel until a program accepts
// them.
type Backlog struct {
	// Listener names the socket, as in "http".
	Listener string
	Waiting  int
}

// Metrics responds to GET with figures of the pool in the text format of Prometheus,
// by application and not by process. stats counts requests; nil: there are no
// figures of them. It asks for no password: mount it where everybody may know
// the applications' names, or use GET /metrics of a Server.
//
// The first 500 applications that it sees have figures of their own until they
// leave the pool. Those that come later are summed, as the application "others".
func Metrics(pool *passenger.Pool, stats func() []RequestStats) http.Handler {
	return metricsHandler(&Config{Pool: pool, RequestStats: stats}, &appNames{})
}

// Metrics returns a handler that responds as GET /metrics does, and asks for no password.
func (s *Server) Metrics() http.Handler { return metricsHandler(&s.cfg, s.apps) }

func metricsHandler(cfg *Config, names *appNames) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeAnswer(w, http.StatusMethodNotAllowed, textType, []byte("this path takes GET, HEAD\n"))
			return
		}

		contentType, body := metricsOf(cfg, names, r.Header)
		writeAnswer(w, http.StatusOK, contentType, body)
	})
}

func (c *call) showMetrics() {
	contentType, body := metricsOf(&c.cfg, c.apps, c.r.Header)
	c.write(http.StatusOK, contentType, body)
}

// metricKind is a type of metrics, as the text format names it.
type metricKind string

const (
	gauge         metricKind = "gauge"
	counter       metricKind = "counter"
	histogramKind metricKind = "histogram"
)

// encoder writes metrics in one of the formats. Labels are names, each with its value.
type encoder interface {
	// family begins a metric; the samples of one must follow each other. One without
	// samples does not show.
	family(name string, kind metricKind, help string)
	sample(value float64, labels ...string)
	histogram(h *passenger.Histogram, labels ...string)
	contentType() string
	bytes() []byte
}

// textOfApp is about how many bytes the text has of each application.
const textOfApp = 9 << 10

// metricsOf returns the metrics in the format that a request with this header asks for.
func metricsOf(cfg *Config, names *appNames, header http.Header) (contentType string, body []byte) {
	s := cfg.Pool.Inspect()
	var requests []RequestStats
	if cfg.RequestStats != nil {
		requests = cfg.RequestStats()
	}

	// Only here are the names known, as a label has them.
	apps := names.limit(figuresOf(&s, requests))

	var e encoder = &exposition{b: make([]byte, 0, (1+len(apps))*textOfApp)}
	if cfg.NativeHistograms && acceptsProtobuf(header) {
		e = &protobuf{out: make(protoMessage, 0, (1+len(apps))*textOfApp/2)}
	}

	writeServerMetrics(e, cfg, &s)
	writeAppMetrics(e, apps)

	if cfg.Companions != nil {
		writeCompanionMetrics(e, cfg.Companions())
	}

	return e.contentType(), e.bytes()
}

// acceptsProtobuf reports whether the client takes the only format that has native histograms.
func acceptsProtobuf(header http.Header) bool {
	for accepted := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		kind, params, err := mime.ParseMediaType(accepted)
		if err != nil || kind != "application/vnd.google.protobuf" ||
			params["proto"] != "io.prometheus.client.MetricFamily" || params["encoding"] != "delimited" {
			continue
		}

		// A weight of zero is a refusal. (Source: RFC 9110, section 12.4.2.)
		if weight, err := strconv.ParseFloat(params["q"], 64); err != nil || weight > 0 {
			return true
		}
	}

	return false
}

func writeServerMetrics(e encoder, cfg *Config, s *passenger.Snapshot) {
	one := func(name, help string, value float64, labels ...string) {
		e.family(name, gauge, help)
		e.sample(value, labels...)
	}
	one("passenger_build_info", "Version of the server, and of the Go it was built with; always 1.", 1,
		"goversion", runtime.Version(), "version", s.Version)

	if !cfg.Started.IsZero() {
		one("process_start_time_seconds", "When the server started, in seconds since 1970.",
			float64(cfg.Started.UnixMilli())/1000)
	}

	one("passenger_pool_max_processes", "Maximum of processes.", float64(s.MaxPoolSize))
	one("passenger_pool_capacity_used", "Processes that are there or being started.", float64(s.CapacityUsed))
	one("passenger_pool_waiting_requests",
		"Requests of applications without a process that wait as the pool is full.", float64(len(s.WaitingForCapacity)))

	// Zeros would say that nothing waits.
	if cfg.Backlogs == nil {
		return
	}

	e.family("passenger_listen_backlog", gauge,
		"Connections that wait in the kernel until the server accepts them, by listener.")

	for _, b := range cfg.Backlogs() {
		e.sample(float64(b.Waiting), "listener", b.Listener)
	}
}
