package apiserver

import (
	"mime"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/metrics"
)

// Backlog says how many connections wait in the kernel until a program accepts
// them.
type Backlog struct {
	// Listener names the socket, as in "http".
	Listener string
	Waiting  int
}

// Metrics responds to GET with figures of the pool in the text format of Prometheus,
// by application and not by process. requests are those of each handler; nil means that there are
// no figures of them. It asks for no password: mount it where everybody may know
// the applications' names, or use GET /metrics of a Server.
//
// The first 500 applications that it sees have figures of their own until they
// leave the pool. Those that come later are summed, as the application "others".
func Metrics(pool *passenger.Pool, requests func() []metrics.Requests) http.Handler {
	return metricsHandler(&Config{Pool: pool, RequestFigures: requests}, &metrics.Apps{})
}

// Metrics returns a handler that responds as GET /metrics does, and asks for no password.
func (s *Server) Metrics() http.Handler { return metricsHandler(&s.cfg, s.apps) }

func metricsHandler(cfg *Config, names *metrics.Apps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeResponse(w, http.StatusMethodNotAllowed, textType, []byte("this path takes GET, HEAD\n"))
			return
		}

		contentType, body := metricsOf(cfg, names, r.Header)
		writeResponse(w, http.StatusOK, contentType, body)
	})
}

func (c *call) showMetrics() {
	contentType, body := metricsOf(&c.cfg, c.apps, c.r.Header)
	c.write(http.StatusOK, contentType, body)
}

// encoder writes metrics in one of the formats. Labels are names, each with its value.
type encoder interface {
	// family begins a metric; the samples of one must follow each other. One without
	// samples does not show.
	family(name string, kind metrics.Kind, help string)
	sample(value float64, labels ...string)
	histogram(h *passenger.Histogram, labels ...string)
	contentType() string
	bytes() []byte
}

// textOfApp is about how many bytes the text has of each application.
const textOfApp = 9 << 10

// metricsOf returns the metrics in the format that a request with this header asks for.
func metricsOf(cfg *Config, names *metrics.Apps, header http.Header) (contentType string, body []byte) {
	s := cfg.Pool.Inspect()
	var requests []metrics.Requests
	if cfg.RequestFigures != nil {
		requests = cfg.RequestFigures()
	}

	apps := names.Sum(&s, requests)

	// Growing to megabytes step by step would cost more than what is written.
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
		e.family(name, metrics.Gauge, help)
		e.sample(value, labels...)
	}
	one("passenger_build_info", "Version of the server, and of the Go it was built with; always 1.", 1,
		"goversion", runtime.Version(), "version", s.Version)

	if !cfg.Started.IsZero() {
		one("process_start_time_seconds", "When the server started, in seconds since 1970.",
			float64(cfg.Started.UnixMilli())/1000)
	}

	for _, f := range metrics.PoolFamilies() {
		one(f.Name, f.Help, f.Value(s))
	}

	// Zeros would say that nothing waits.
	if cfg.Backlogs == nil {
		return
	}

	e.family("passenger_listen_backlog", metrics.Gauge,
		"Connections that wait in the kernel until the server accepts them, by listener.")

	for _, b := range cfg.Backlogs() {
		e.sample(float64(b.Waiting), "listener", b.Listener)
	}
}

func writeAppMetrics(e encoder, apps []*metrics.App) {
	families := metrics.AppFamilies()
	for i := range families {
		f := &families[i]
		e.family(f.Name, f.Kind, f.Help)

		// One slice for all: there are tens of thousands of samples.
		labels := []string{"app", ""}
		if f.Label != "" {
			labels = append(labels, f.Label, "")
		}

		set := func(label string, value float64) {
			if f.Label != "" {
				labels[3] = label
			}

			e.sample(value, labels...)
		}

		for _, a := range apps {
			labels[1] = a.Name
			f.Samples(a, set)

			if h := f.Histogram(a); h != nil {
				e.histogram(h, labels...)
			}
		}
	}
}
