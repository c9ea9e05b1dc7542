package passengerprometheus

import (
	"runtime"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/prometheus/client_golang/prometheus"
)

// The names, labels and texts are those of package apiserver, which a test compares.
const (
	requestsName  = "passenger_app_requests_total"
	requestsHelp  = "Requests that have begun."
	activeName    = "passenger_app_requests_active"
	activeHelp    = "Requests in progress."
	responsesName = "passenger_app_responses_total"
	responsesHelp = "Responses by the class of their status; none means that the client left before."
	bytesName     = "passenger_app_body_bytes_total"
	bytesHelp     = "Bytes of the bodies of requests (in) and responses (out); WebSockets have none."
	durationName  = "passenger_app_request_duration_seconds"
	durationHelp  = "How long requests took to the end of their responses; not WebSockets and streams of events."
	queuedName    = "passenger_app_request_queue_seconds"
	queuedHelp    = "How long requests waited for a process that got one."
	spawnName     = "passenger_app_spawn_duration_seconds"
	spawnHelp     = "How long starts of processes took."
)

// family is a metric and the function that sets its samples from a T. Those of a family with a label have one for each
// of its values.
type family[T any] struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	samples func(of T, set func(value float64, label ...string))
}

func poolGauge(name, help string, value func(*passenger.Snapshot) int) family[*passenger.Snapshot] {
	return family[*passenger.Snapshot]{
		prometheus.NewDesc(name, help, nil, nil),
		prometheus.GaugeValue,
		func(s *passenger.Snapshot, set func(float64, ...string)) { set(float64(value(s))) },
	}
}

func appGauge(name, help string, value func(*appFigures) float64) family[*appFigures] {
	return byLabel(name, prometheus.GaugeValue, help, nil,
		func(a *appFigures, set func(float64, ...string)) { set(value(a)) })
}

func appFlag(name, help string, on func(*appFigures) bool) family[*appFigures] {
	return appGauge(name, help, func(a *appFigures) float64 {
		if on(a) {
			return 1
		}

		return 0
	})
}

func counter[T any](name, help string, value func(T) uint64) family[T] {
	return byLabel(name, prometheus.CounterValue, help, nil,
		func(of T, set func(float64, ...string)) { set(float64(value(of))) })
}

func byLabel[T any](
	name string, kind prometheus.ValueType, help string, labels []string,
	samples func(of T, set func(value float64, label ...string)),
) family[T] {
	return family[T]{prometheus.NewDesc(name, help, append([]string{"app"}, labels...), nil), kind, samples}
}

// goVersion is a label of the metric that buildInfoDesc describes.
var goVersion = runtime.Version()

var buildInfoDesc = prometheus.NewDesc("passenger_build_info",
	"Version of the server, and of the Go it was built with; always 1.", []string{"version", "goversion"}, nil)

var poolFamilies = []family[*passenger.Snapshot]{
	poolGauge("passenger_pool_max_processes", "Maximum of processes.",
		func(s *passenger.Snapshot) int { return s.MaxPoolSize }),
	poolGauge("passenger_pool_capacity_used", "Processes that are there or being started.",
		func(s *passenger.Snapshot) int { return s.CapacityUsed }),
	poolGauge("passenger_pool_waiting_requests",
		"Requests of applications without a process that wait as the pool is full.",
		func(s *passenger.Snapshot) int { return len(s.WaitingForCapacity) }),
}

// The values of the label outcome.
const (
	success  = "success"
	failure  = "failure"
	replaced = "replaced"
)

var outcome = []string{"outcome"}

var appFamilies = []family[*appFigures]{
	byLabel("passenger_app_processes", prometheus.GaugeValue, "Processes by their state.", []string{"state"},
		func(a *appFigures, set func(float64, ...string)) {
			for _, state := range processStates {
				set(float64(a.byState[state]), state)
			}
		}),
	appGauge("passenger_app_processes_spawning", "Processes that are being started.",
		func(a *appFigures) float64 { return float64(a.spawning) }),
	appGauge("passenger_app_processes_min", "Minimum of processes.",
		func(a *appFigures) float64 { return float64(a.minProcesses) }),
	appGauge("passenger_app_processes_max", "Maximum of processes; zero means as many as the pool allows.",
		func(a *appFigures) float64 {
			if a.unlimited {
				return 0
			}

			return float64(a.maxProcesses)
		}),
	appGauge("passenger_app_waiting_requests", "Requests that wait for a process.",
		func(a *appFigures) float64 { return float64(a.queued) }),
	appGauge("passenger_app_sessions", "Requests that processes work on.",
		func(a *appFigures) float64 { return float64(a.sessions) }),
	appGauge("passenger_app_long_sessions",
		"Requests that processes work on and that are WebSockets or streams of events.",
		func(a *appFigures) float64 { return float64(a.longSessions) }),
	byLabel("passenger_app_busy_ratio", prometheus.GaugeValue,
		"Taken share of what the enabled processes take at once; absent where one has no limit.", nil,
		func(a *appFigures, set func(float64, ...string)) {
			if a.slots > 0 && !a.endless {
				set(float64(a.taken) / float64(a.slots))
			}
		}),
	appGauge("passenger_app_memory_bytes",
		"Memory of the processes' own and of what they have started, swapped or not, as far as it is known.",
		func(a *appFigures) float64 { return float64(a.memory) }),
	appGauge("passenger_app_cpu_ratio",
		"Processors that are busy for the processes and what they have started, as far as it is known.",
		func(a *appFigures) float64 { return a.cpu }),
	byLabel("passenger_app_start_time_seconds", prometheus.GaugeValue,
		"When the present generation of processes began, in seconds since 1970; absent for others.", nil,
		func(a *appFigures, set func(float64, ...string)) {
			if !a.started.IsZero() {
				set(float64(a.started.UnixMilli()) / 1000)
			}
		}),
	byLabel("passenger_app_spawns_total", prometheus.CounterValue,
		"Attempts to start a process that have ended, by outcome.", outcome,
		func(a *appFigures, set func(float64, ...string)) {
			set(float64(a.counts.Spawns-a.counts.SpawnFailures), success)
			set(float64(a.counts.SpawnFailures), failure)
		}),
	byLabel("passenger_app_health_checks_total", prometheus.CounterValue,
		"Starts whose health path or warm-up was asked for, by outcome.", outcome,
		func(a *appFigures, set func(float64, ...string)) {
			set(float64(a.counts.HealthChecks-a.counts.HealthFailures), success)
			set(float64(a.counts.HealthFailures), failure)
		}),
	counter("passenger_app_crashes_total",
		"Processes that ended by themselves with a status other than zero, or by a signal.",
		func(a *appFigures) uint64 { return a.counts.Crashes }),
	byLabel("passenger_app_restarts_total", prometheus.CounterValue,
		"Restarts that have ended, by outcome; replaced ones gave way to another restart.", outcome,
		func(a *appFigures, set func(float64, ...string)) {
			c := &a.counts
			set(float64(c.Restarts-c.RestartFailures-c.RestartsReplaced), success)
			set(float64(c.RestartFailures), failure)
			set(float64(c.RestartsReplaced), replaced)
		}),
	appFlag("passenger_app_restarting", "Whether a restart is in progress.",
		func(a *appFigures) bool { return a.restarting }),
	appFlag("passenger_app_deployment_error", "Whether the last restart failed, so that old processes serve.",
		func(a *appFigures) bool { return a.resisting }),
	appFlag("passenger_app_spawn_error", "Whether the last process that was started did not start.",
		func(a *appFigures) bool { return a.failing }),
	byLabel("passenger_app_limits_total", prometheus.CounterValue,
		"Requests and processes that met a limit, by kind.", []string{"kind"},
		func(a *appFigures, set func(float64, ...string)) {
			l := &a.counts.Limits
			set(float64(l.RequestTime), "request_time")
			set(float64(l.QueueTime), "queue_time")
			set(float64(l.QueueLength), "queue_length")
			set(float64(l.Memory), "memory")
			set(float64(l.HardMemory), "hard_memory")
			set(float64(l.Requests), "requests")
			set(float64(l.Unresponsive), "unresponsive")
			set(float64(l.DrainTime), "drain_time")
		}),
}

// requestFamilies are what an Observer counts, too.
var requestFamilies = []family[*requestFigures]{
	counter(requestsName, requestsHelp, func(r *requestFigures) uint64 { return r.begun }),
	byLabel(activeName, prometheus.GaugeValue, activeHelp, nil,
		func(r *requestFigures, set func(float64, ...string)) { set(float64(r.active)) }),
	byLabel(responsesName, prometheus.CounterValue, responsesHelp, []string{"class"},
		func(r *requestFigures, set func(float64, ...string)) {
			for digit, n := range r.responses {
				if digit <= maxClass || n > 0 {
					set(float64(n), statusClass(digit*100))
				}
			}
		}),
	byLabel(bytesName, prometheus.CounterValue, bytesHelp, []string{"direction"},
		func(r *requestFigures, set func(float64, ...string)) {
			set(float64(r.requestBytes), "in")
			set(float64(r.responseBytes), "out")
		}),
}

var cacheFamilies = []family[*requestFigures]{
	counter("passenger_app_cache_fetches_total", "Lookups in the turbocache.",
		func(r *requestFigures) uint64 { return r.fetches }),
	counter("passenger_app_cache_hits_total", "Responses from the turbocache.",
		func(r *requestFigures) uint64 { return r.hits }),
}

// histogram is a metric and the function that returns its sample.
type histogram[T any] struct {
	desc *prometheus.Desc
	of   func(T) *passenger.Histogram
}

func newHistogram[T any](name, help string, of func(T) *passenger.Histogram) histogram[T] {
	return histogram[T]{prometheus.NewDesc(name, help, []string{"app"}, nil), of}
}

var (
	spawnTimes = newHistogram(spawnName, spawnHelp,
		func(a *appFigures) *passenger.Histogram { return &a.spawnTimes })
	durations = newHistogram(durationName, durationHelp,
		func(r *requestFigures) *passenger.Histogram { return &r.durations })
	queueTimes = newHistogram(queuedName, queuedHelp,
		func(r *requestFigures) *passenger.Histogram { return &r.queued })
)

// collect sends the sample, if there is something to measure.
func (h *histogram[T]) collect(metrics chan<- prometheus.Metric, of T, app string) {
	s := h.of(of)
	if len(s.Counts) == 0 {
		return
	}

	buckets := make(map[float64]uint64, len(s.Bounds))
	below := uint64(0)

	for i, bound := range s.Bounds {
		below += s.Counts[i]
		buckets[bound] = below
	}

	metrics <- prometheus.MustNewConstHistogram(h.desc, s.Count, s.Sum.Seconds(), buckets, app)
}

// maxClass is the last class of statuses that HTTP has. Up to it, there is a sample from the beginning, so that a rate
// begins with zero.
const maxClass = 5

// statusClass returns 2xx and so on. Programs use few statuses, but clients choose which, so a
// label for each would let them make time series.
func statusClass(status int) string {
	if status == 0 {
		return "none"
	}

	return strconv.Itoa(status/100) + "xx"
}
