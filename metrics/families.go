package metrics

import "github.com/gopassenger/passenger"

// PoolFamilies returns the metrics of a pool, which must not be changed.
func PoolFamilies() []PoolFamily { return poolFamilies }

// AppFamilies returns the metrics of applications, which must not be changed.
func AppFamilies() []AppFamily { return appFamilies }

var poolFamilies = []PoolFamily{
	{
		"passenger_pool_max_processes", "Maximum of processes.",
		func(s *passenger.Snapshot) float64 { return float64(s.MaxPoolSize) },
	},
	{
		"passenger_pool_capacity_used", "Processes that are there or being started.",
		func(s *passenger.Snapshot) float64 { return float64(s.CapacityUsed) },
	},
	{
		"passenger_pool_waiting_requests",
		"Requests of applications without a process that wait as the pool is full.",
		func(s *passenger.Snapshot) float64 { return float64(len(s.WaitingForCapacity)) },
	},
}

// gauge, flag and counter return a family without a second label.
func gauge(name, help string, value func(*App) float64) AppFamily {
	return byLabel(Gauge, name, help, "", func(a *App, set func(string, float64)) { set("", value(a)) })
}

func flag(name, help string, on func(*App) bool) AppFamily {
	return gauge(name, help, func(a *App) float64 {
		if on(a) {
			return 1
		}

		return 0
	})
}

func counter(name, help string, value func(*App) uint64) AppFamily {
	return byLabel(Counter, name, help, "", func(a *App, set func(string, float64)) { set("", float64(value(a))) })
}

func distribution(name, help string, of func(*App) *passenger.Histogram) AppFamily {
	return AppFamily{Name: name, Help: help, Kind: Histogram, histogram: of}
}

// byLabel returns a family with a second label, if label is not empty.
func byLabel(kind Kind, name, help, label string, samples func(*App, func(string, float64))) AppFamily {
	return AppFamily{Name: name, Help: help, Kind: kind, Label: label, samples: samples}
}

func ofRequests(f AppFamily) AppFamily {
	f.OfRequests = true
	return f
}

// The values of the label outcome.
const (
	Success  = "success"
	Failure  = "failure"
	Replaced = "replaced"
)

// maxClass is the last class of statuses that HTTP has. Up to it, there is a sample from the beginning, so that a rate
// begins with zero.
const maxClass = 5

var classes = [StatusClasses]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"}

// ClassOf returns the value of the label class for a status, as 2xx; "none" is for clients that left before they got
// one. Programs use few statuses, but clients choose which, so a label for each would let them make time series.
func ClassOf(status int) string { return classes[min(max(status/100, 0), StatusClasses-1)] }

// FirstClasses are the classes that have a sample from the beginning.
func FirstClasses() []string { return classes[:maxClass+1] }

var appFamilies = []AppFamily{
	byLabel(Gauge, "passenger_app_processes", "Processes by their state.", "state",
		func(a *App, set func(string, float64)) {
			for i, state := range processStates {
				set(state, float64(a.byState[i]))
			}
		}),
	gauge("passenger_app_processes_spawning", "Processes that are being started.",
		func(a *App) float64 { return float64(a.spawning) }),
	gauge("passenger_app_processes_min", "Minimum of processes.",
		func(a *App) float64 { return float64(a.minProcesses) }),
	gauge("passenger_app_processes_max", "Maximum of processes; zero means as many as the pool allows.",
		func(a *App) float64 {
			if a.unlimited {
				return 0
			}

			return float64(a.maxProcesses)
		}),
	gauge("passenger_app_waiting_requests", "Requests that wait for a process.",
		func(a *App) float64 { return float64(a.queued) }),
	gauge("passenger_app_sessions", "Requests that processes work on.",
		func(a *App) float64 { return float64(a.sessions) }),
	gauge("passenger_app_long_sessions",
		"Requests that processes work on and that are WebSockets or streams of events.",
		func(a *App) float64 { return float64(a.longSessions) }),
	byLabel(Gauge, "passenger_app_busy_ratio",
		"Taken share of what the enabled processes take at once; absent where one has no limit.", "",
		func(a *App, set func(string, float64)) {
			if a.slots > 0 && !a.endless {
				set("", float64(a.taken)/float64(a.slots))
			}
		}),
	gauge("passenger_app_memory_bytes",
		"Memory of the processes' own and of what they have started, swapped or not, as far as it is known.",
		func(a *App) float64 { return float64(a.memory) }),
	gauge("passenger_app_cpu_ratio",
		"Processors that are busy for the processes and what they have started, as far as it is known.",
		func(a *App) float64 { return a.cpu }),
	byLabel(Gauge, "passenger_app_start_time_seconds",
		"When the present generation of processes began, in seconds since 1970; absent for others.", "",
		func(a *App, set func(string, float64)) {
			if !a.started.IsZero() && a.Name != Others {
				set("", float64(a.started.UnixMilli())/1000)
			}
		}),
	byLabel(Counter, "passenger_app_spawns_total",
		"Attempts to start a process that have ended, by outcome.", "outcome",
		func(a *App, set func(string, float64)) {
			set(Success, float64(a.counts.Spawns-a.counts.SpawnFailures))
			set(Failure, float64(a.counts.SpawnFailures))
		}),
	byLabel(Counter, "passenger_app_health_checks_total",
		"Starts whose health path or warm-up was asked for, by outcome.", "outcome",
		func(a *App, set func(string, float64)) {
			set(Success, float64(a.counts.HealthChecks-a.counts.HealthFailures))
			set(Failure, float64(a.counts.HealthFailures))
		}),
	counter("passenger_app_crashes_total",
		"Processes that ended by themselves with a status other than zero, or by a signal.",
		func(a *App) uint64 { return a.counts.Crashes }),
	byLabel(Counter, "passenger_app_restarts_total",
		"Restarts that have ended, by outcome; replaced ones gave way to another restart.", "outcome",
		func(a *App, set func(string, float64)) {
			c := &a.counts
			set(Success, float64(c.Restarts-c.RestartFailures-c.RestartsReplaced))
			set(Failure, float64(c.RestartFailures))
			set(Replaced, float64(c.RestartsReplaced))
		}),
	flag("passenger_app_restarting", "Whether a restart is in progress.",
		func(a *App) bool { return a.restarting }),
	flag("passenger_app_deployment_error", "Whether the last restart failed, so that old processes serve.",
		func(a *App) bool { return a.resisting }),
	flag("passenger_app_spawn_error", "Whether the last process that was started did not start.",
		func(a *App) bool { return a.failing }),
	byLabel(Counter, "passenger_app_limits_total", "Requests and processes that met a limit, by kind.", "kind",
		func(a *App, set func(string, float64)) {
			l := &a.counts.Limits
			set("request_time", float64(l.RequestTime))
			set("queue_time", float64(l.QueueTime))
			set("queue_length", float64(l.QueueLength))
			set("memory", float64(l.Memory))
			set("hard_memory", float64(l.HardMemory))
			set("requests", float64(l.Requests))
			set("unresponsive", float64(l.Unresponsive))
			set("drain_time", float64(l.DrainTime))
		}),
	ofRequests(counter("passenger_app_requests_total", "Requests that have begun.",
		func(a *App) uint64 { return a.requests.Begun })),
	ofRequests(gauge("passenger_app_requests_active", "Requests in progress.",
		func(a *App) float64 { return float64(a.requests.Active) })),
	ofRequests(byLabel(Counter, "passenger_app_responses_total",
		"Responses by the class of their status; none means that the client left before.", "class",
		func(a *App, set func(string, float64)) {
			for class, n := range a.requests.Responses {
				if class <= maxClass || n > 0 {
					set(classes[class], float64(n))
				}
			}
		})),
	ofRequests(byLabel(Counter, "passenger_app_body_bytes_total",
		"Bytes of the bodies of requests (in) and responses (out); WebSockets have none.", "direction",
		func(a *App, set func(string, float64)) {
			set("in", float64(a.requests.RequestBytes))
			set("out", float64(a.requests.ResponseBytes))
		})),
	ofRequests(counter("passenger_app_cache_fetches_total", "Lookups in the turbocache.",
		func(a *App) uint64 { return a.requests.CacheFetches })),
	ofRequests(counter("passenger_app_cache_hits_total", "Responses from the turbocache.",
		func(a *App) uint64 { return a.requests.CacheHits })),
	distribution("passenger_app_spawn_duration_seconds", "How long starts of processes took.",
		func(a *App) *passenger.Histogram { return &a.spawnTimes }),
	ofRequests(distribution("passenger_app_request_duration_seconds",
		"How long requests took to the end of their responses; not WebSockets and streams of events.",
		func(a *App) *passenger.Histogram { return &a.requests.Durations })),
	ofRequests(distribution("passenger_app_request_queue_seconds",
		"How long requests waited for a process that got one.",
		func(a *App) *passenger.Histogram { return &a.requests.Queued })),
}
