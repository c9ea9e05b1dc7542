package passengerprometheus

import (
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/prometheus/client_golang/prometheus"
)

// The names, labels and texts are those of package apiserver, which a test compares.
const (
	requestsName = "passenger_app_requests_total"
	requestsHelp = "Requests that have begun."
	activeName   = "passenger_app_requests_active"
	activeHelp   = "Requests that go on."
)

// family is a metric and the function that reads its value from a T.
type family[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

func poolGauge(name, help string, value func(*passenger.Snapshot) int) family[*passenger.Snapshot] {
	return family[*passenger.Snapshot]{
		prometheus.NewDesc(name, help, nil, nil),
		prometheus.GaugeValue,
		func(s *passenger.Snapshot) float64 { return float64(value(s)) },
	}
}

func byApp[T any](name string, kind prometheus.ValueType, help string, value func(T) float64) family[T] {
	return family[T]{prometheus.NewDesc(name, help, []string{"app"}, nil), kind, value}
}

func appGauge(name, help string, value func(*appFigures) float64) family[*appFigures] {
	return byApp(name, prometheus.GaugeValue, help, value)
}

var buildInfoDesc = prometheus.NewDesc(
	"passenger_build_info", "Which version runs; always 1.", []string{"version"}, nil)

var poolFamilies = []family[*passenger.Snapshot]{
	poolGauge("passenger_pool_max_processes", "How many processes there may be.",
		func(s *passenger.Snapshot) int { return s.MaxPoolSize }),
	poolGauge("passenger_pool_capacity_used", "How many of them there are or are being started.",
		func(s *passenger.Snapshot) int { return s.CapacityUsed }),
	poolGauge("passenger_pool_waiting_requests",
		"Requests of applications without a process that wait as the pool is full.",
		func(s *passenger.Snapshot) int { return len(s.WaitingForCapacity) }),
}

var processesDesc = prometheus.NewDesc(
	"passenger_app_processes", "Processes by their state.", []string{"app", "state"}, nil)

var appFamilies = []family[*appFigures]{
	appGauge("passenger_app_processes_spawning", "Processes that are being started.",
		func(a *appFigures) float64 { return float64(a.spawning) }),
	appGauge("passenger_app_processes_min", "How many processes there are to be at least.",
		func(a *appFigures) float64 { return float64(a.minProcesses) }),
	appGauge("passenger_app_processes_max", "How many processes there may be; 0: as many as the pool allows.",
		func(a *appFigures) float64 {
			if a.unlimited {
				return 0
			}

			return float64(a.maxProcesses)
		}),
	appGauge("passenger_app_waiting_requests", "Requests that wait for a process.",
		func(a *appFigures) float64 { return float64(a.queued) }),
	appGauge("passenger_app_sessions", "Requests that processes work at.",
		func(a *appFigures) float64 { return float64(a.sessions) }),
	appGauge("passenger_app_memory_bytes",
		"Memory of the processes' own and of what they have started, swapped or not, as far as it is known.",
		func(a *appFigures) float64 { return float64(a.memory) }),
	appGauge("passenger_app_cpu_ratio",
		"Processors that are busy for the processes and what they have started, as far as it is known.",
		func(a *appFigures) float64 { return a.cpu }),
	byApp("passenger_app_restarts_total", prometheus.CounterValue, "Restarts since the application came to the pool.",
		func(a *appFigures) float64 { return float64(a.restarts) }),
	appGauge("passenger_app_restarting", "Whether a restart goes on.",
		func(a *appFigures) float64 { return flag(a.restarting) }),
	appGauge("passenger_app_deployment_error", "Whether old processes serve on, as new ones do not start.",
		func(a *appFigures) float64 { return flag(a.resisting) }),
	appGauge("passenger_app_spawn_error", "Whether the last process that was started did not start.",
		func(a *appFigures) float64 { return flag(a.failing) }),
}

var requestFamilies = []family[*requestFigures]{
	byApp(requestsName, prometheus.CounterValue, requestsHelp,
		func(r *requestFigures) float64 { return float64(r.begun) }),
	byApp(activeName, prometheus.GaugeValue, activeHelp,
		func(r *requestFigures) float64 { return float64(r.active) }),
}

var cacheFamilies = []family[*requestFigures]{
	byApp("passenger_app_cache_fetches_total", prometheus.CounterValue, "Looks into the turbocache.",
		func(r *requestFigures) float64 { return float64(r.fetches) }),
	byApp("passenger_app_cache_hits_total", prometheus.CounterValue, "Answers from the turbocache.",
		func(r *requestFigures) float64 { return float64(r.hits) }),
}

func flag(on bool) float64 {
	if on {
		return 1
	}

	return 0
}

var processStates = []passenger.ProcessState{
	passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled, passenger.ProcessDetached,
}

// appFigures are the sums of all applications of a name.
type appFigures struct {
	byState                        map[passenger.ProcessState]int
	spawning, queued, sessions     int
	restarts                       uint64
	restarting, resisting, failing bool
	memory                         int64
	cpu                            float64
	minProcesses, maxProcesses     int
	// unlimited means that one of them has no maximum.
	unlimited bool
}

func (a *appFigures) add(g *passenger.GroupSnapshot) {
	a.spawning += g.Spawning
	a.queued += g.QueueLength
	a.restarts += uint64(g.Generation)
	a.restarting = a.restarting || g.Restarting
	a.resisting = a.resisting || g.DeploymentError != nil
	a.failing = a.failing || g.LastSpawnError != nil
	a.minProcesses += g.MinProcesses
	a.unlimited = a.unlimited || g.MaxProcesses <= 0

	a.maxProcesses += max(g.MaxProcesses, 0)
	for i := range g.Processes {
		p := &g.Processes[i]
		a.byState[p.State]++
		a.sessions += p.Sessions
		a.memory += p.Metrics.RealMemory().Or(0)
		a.cpu += p.Metrics.CPU.Or(0) / 100
	}
}

// figuresOf includes applications without a process that requests name.
func figuresOf(s *passenger.Snapshot, requests map[string]*requestFigures) map[string]*appFigures {
	apps := map[string]*appFigures{}

	of := func(name string) *appFigures {
		if apps[name] == nil {
			apps[name] = &appFigures{byState: map[passenger.ProcessState]int{}}
		}

		return apps[name]
	}
	for name := range requests {
		of(name)
	}

	for i := range s.Groups {
		of(label(s.Groups[i].Name)).add(&s.Groups[i])
	}

	return apps
}

// requestFigures are the sums of all handlers of an application.
type requestFigures struct {
	begun, fetches, hits uint64
	active               int
}

func requestsOf(handlers []*handler.Handler) map[string]*requestFigures {
	apps := map[string]*requestFigures{}
	for _, h := range handlers {
		s := h.Inspect()
		name := label(s.AppName)
		if apps[name] == nil {
			apps[name] = &requestFigures{}
		}

		r := apps[name]
		r.begun += s.RequestsBegun
		r.active += len(s.Requests)
		r.fetches += s.Turbocaching.Fetches
		r.hits += s.Turbocaching.Hits
	}

	return apps
}

// label makes a valid label value of a name, which on Unix may consist of any bytes.
func label(name string) string { return strings.ToValidUTF8(name, "\ufffd") }
