package apiserver

import (
	"github.com/gopassenger/passenger"
)

// appFamily is a metric with samples for each application. set gets the value of the label, if the family has one,
// and that of the sample.
type appFamily struct {
	name    string
	kind    metricKind
	help    string
	label   string
	samples func(f *appFigures, set func(label string, value float64))
}

func appGauge(name, help string, value func(*appFigures) float64) appFamily {
	return appFamily{name, gauge, help, "", func(f *appFigures, set func(string, float64)) { set("", value(f)) }}
}

func appFlag(name, help string, on func(*appFigures) bool) appFamily {
	return appGauge(name, help, func(f *appFigures) float64 {
		if on(f) {
			return 1
		}

		return 0
	})
}

func appCounter(name, help string, value func(*appFigures) uint64) appFamily {
	return appFamily{name, counter, help, "", func(f *appFigures, set func(string, float64)) {
		set("", float64(value(f)))
	}}
}

// requestFamily has samples only for applications whose requests are known.
func requestFamily(f appFamily) appFamily {
	samples := f.samples
	f.samples = func(f *appFigures, set func(string, float64)) {
		if f.hasRequests {
			samples(f, set)
		}
	}

	return f
}

// The values of the label outcome.
const (
	success  = "success"
	failure  = "failure"
	replaced = "replaced"
)

// classes are those of responses, by the first digit of their status. Of none are clients that left before.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"}

var appFamilies = []appFamily{
	{
		"passenger_app_processes", gauge, "Processes by their state.", "state",
		func(f *appFigures, set func(string, float64)) {
			for i, state := range processStates {
				set(state, float64(f.byState[i]))
			}
		},
	},
	appGauge("passenger_app_processes_spawning", "Processes that are being started.",
		func(f *appFigures) float64 { return float64(f.spawning) }),
	appGauge("passenger_app_processes_min", "Minimum of processes.",
		func(f *appFigures) float64 { return float64(f.minProcesses) }),
	appGauge("passenger_app_processes_max", "Maximum of processes; zero means as many as the pool allows.",
		func(f *appFigures) float64 {
			if f.unlimited {
				return 0
			}

			return float64(f.maxProcesses)
		}),
	appGauge("passenger_app_waiting_requests", "Requests that wait for a process.",
		func(f *appFigures) float64 { return float64(f.queued) }),
	appGauge("passenger_app_sessions", "Requests that processes work on.",
		func(f *appFigures) float64 { return float64(f.sessions) }),
	appGauge("passenger_app_long_sessions",
		"Requests that processes work on and that are WebSockets or streams of events.",
		func(f *appFigures) float64 { return float64(f.longSessions) }),
	{
		"passenger_app_busy_ratio", gauge,
		"Taken share of what the enabled processes take at once; absent where one has no limit.", "",
		func(f *appFigures, set func(string, float64)) {
			if f.slots > 0 && !f.endless {
				set("", float64(f.taken)/float64(f.slots))
			}
		},
	},
	appGauge("passenger_app_memory_bytes",
		"Memory of the processes' own and of what they have started, swapped or not, as far as it is known.",
		func(f *appFigures) float64 { return float64(f.memory) }),
	appGauge("passenger_app_cpu_ratio",
		"Processors that are busy for the processes and what they have started, as far as it is known.",
		func(f *appFigures) float64 { return f.cpu }),
	{
		"passenger_app_start_time_seconds", gauge,
		"When the present generation of processes began, in seconds since 1970; absent for others.", "",
		func(f *appFigures, set func(string, float64)) {
			if !f.started.IsZero() && f.name != others {
				set("", float64(f.started.UnixMilli())/1000)
			}
		},
	},
	{
		"passenger_app_spawns_total", counter, "Attempts to start a process that have ended, by outcome.", "outcome",
		func(f *appFigures, set func(string, float64)) {
			set(success, float64(f.counts.Spawns-f.counts.SpawnFailures))
			set(failure, float64(f.counts.SpawnFailures))
		},
	},
	{
		"passenger_app_health_checks_total", counter,
		"Starts whose health path or warm-up was asked for, by outcome.", "outcome",
		func(f *appFigures, set func(string, float64)) {
			set(success, float64(f.counts.HealthChecks-f.counts.HealthFailures))
			set(failure, float64(f.counts.HealthFailures))
		},
	},
	appCounter("passenger_app_crashes_total",
		"Processes that ended by themselves with a status other than zero, or by a signal.",
		func(f *appFigures) uint64 { return f.counts.Crashes }),
	{
		"passenger_app_restarts_total", counter,
		"Restarts that have ended, by outcome; replaced ones gave way to another restart.", "outcome",
		func(f *appFigures, set func(string, float64)) {
			c := &f.counts
			set(success, float64(c.Restarts-c.RestartFailures-c.RestartsReplaced))
			set(failure, float64(c.RestartFailures))
			set(replaced, float64(c.RestartsReplaced))
		},
	},
	appFlag("passenger_app_restarting", "Whether a restart is in progress.",
		func(f *appFigures) bool { return f.restarting }),
	appFlag("passenger_app_deployment_error", "Whether the last restart failed, so that old processes serve.",
		func(f *appFigures) bool { return f.resisting }),
	appFlag("passenger_app_spawn_error", "Whether the last process that was started did not start.",
		func(f *appFigures) bool { return f.failing }),
	{
		"passenger_app_limits_total", counter, "Requests and processes that met a limit, by kind.", "kind",
		func(f *appFigures, set func(string, float64)) {
			l := &f.counts.Limits
			set("request_time", float64(l.RequestTime))
			set("queue_time", float64(l.QueueTime))
			set("queue_length", float64(l.QueueLength))
			set("memory", float64(l.Memory))
			set("hard_memory", float64(l.HardMemory))
			set("requests", float64(l.Requests))
			set("unresponsive", float64(l.Unresponsive))
			set("drain_time", float64(l.DrainTime))
		},
	},
	requestFamily(appCounter("passenger_app_requests_total", "Requests that have begun.",
		func(f *appFigures) uint64 { return f.requests.Begun })),
	requestFamily(appGauge("passenger_app_requests_active", "Requests in progress.",
		func(f *appFigures) float64 { return float64(f.requests.Active) })),
	requestFamily(appFamily{
		"passenger_app_responses_total", counter,
		"Responses by the class of their status; none means that the client left before.", "class",
		func(f *appFigures, set func(string, float64)) {
			for class, n := range f.requests.Responses {
				// The classes that HTTP has show from the beginning, so that a rate begins with zero.
				if class <= 5 || n > 0 {
					set(classes[class], float64(n))
				}
			}
		},
	}),
	requestFamily(appFamily{
		"passenger_app_body_bytes_total", counter,
		"Bytes of the bodies of requests (in) and responses (out); WebSockets have none.", "direction",
		func(f *appFigures, set func(string, float64)) {
			set("in", float64(f.requests.RequestBytes))
			set("out", float64(f.requests.ResponseBytes))
		},
	}),
	requestFamily(appCounter("passenger_app_cache_fetches_total", "Lookups in the turbocache.",
		func(f *appFigures) uint64 { return f.requests.CacheFetches })),
	requestFamily(appCounter("passenger_app_cache_hits_total", "Responses from the turbocache.",
		func(f *appFigures) uint64 { return f.requests.CacheHits })),
}

// appHistograms have a sample where there is something to measure.
var appHistograms = []struct {
	name, help string
	of         func(*appFigures) *passenger.Histogram
}{
	{
		"passenger_app_spawn_duration_seconds", "How long starts of processes took.",
		func(f *appFigures) *passenger.Histogram { return &f.spawnTimes },
	},
	{
		"passenger_app_request_duration_seconds",
		"How long requests took to the end of their responses; not WebSockets and streams of events.",
		func(f *appFigures) *passenger.Histogram { return &f.requests.Durations },
	},
	{
		"passenger_app_request_queue_seconds", "How long requests waited for a process that got one.",
		func(f *appFigures) *passenger.Histogram { return &f.requests.Queued },
	},
}

func writeAppMetrics(e encoder, apps []*appFigures) {
	for i := range appFamilies {
		family := &appFamilies[i]
		e.family(family.name, family.kind, family.help)

		// One slice for all: there are tens of thousands of samples.
		labels := []string{"app", ""}
		if family.label != "" {
			labels = append(labels, family.label, "")
		}

		set := func(label string, value float64) {
			if family.label != "" {
				labels[3] = label
			}

			e.sample(value, labels...)
		}

		for _, f := range apps {
			labels[1] = f.name
			family.samples(f, set)
		}
	}

	for _, h := range appHistograms {
		e.family(h.name, histogramKind, h.help)

		for _, f := range apps {
			if s := h.of(f); len(s.Counts) > 0 {
				e.histogram(s, "app", f.name)
			}
		}
	}
}
