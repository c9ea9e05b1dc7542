package apiserver

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/gopassenger/passenger"
)

// RequestStats count an application's requests since the program began.
type RequestStats struct {
	// App is the name of the application's group.
	App string
	// Begun counts the requests, Active those that go on.
	Begun  uint64
	Active int
	// CacheFetches counts the lookups in the turbocache, CacheHits the responses
	// from it.
	CacheFetches, CacheHits uint64
}

// Metrics responds to GET with figures of the pool in the text format of Prometheus,
// by application and not by process. stats counts requests; nil: there are no
// figures of them. It asks for no password: mount it where everybody may know
// the applications' names, or use GET /metrics of a Server.
func Metrics(pool *passenger.Pool, stats func() []RequestStats) http.Handler {
	return metricsHandler(&Config{Pool: pool, RequestStats: stats})
}

// Metrics returns a handler that responds as GET /metrics does, and asks for no password.
func (s *Server) Metrics() http.Handler { return metricsHandler(&s.cfg) }

func metricsHandler(cfg *Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeAnswer(w, http.StatusMethodNotAllowed, textType, []byte("this path takes GET, HEAD\n"))
			return
		}

		writeAnswer(w, http.StatusOK, metricsType, metricsOf(cfg))
	})
}

func (c *call) showMetrics() {
	c.write(http.StatusOK, metricsType, metricsOf(&c.cfg))
}

// appFigures are those of all applications of a name.
type appFigures struct {
	name                           string
	byState                        map[passenger.ProcessState]int
	spawning, queued, sessions     int
	restarts                       uint64
	restarting, resisting, failing bool
	memory                         int64
	cpu                            float64
	minProcesses, maxProcesses     int
	// unlimited: one of them has no maximum.
	unlimited bool
	requests  *RequestStats
}

var processStates = []passenger.ProcessState{
	passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled, passenger.ProcessDetached,
}

func (f *appFigures) add(g *passenger.GroupSnapshot) {
	f.spawning += g.Spawning
	f.queued += g.QueueLength
	f.restarts += uint64(g.Generation)
	f.restarting = f.restarting || g.Restarting
	f.resisting = f.resisting || g.DeploymentError != nil
	f.failing = f.failing || g.LastSpawnError != nil
	f.minProcesses += g.MinProcesses
	f.unlimited = f.unlimited || g.MaxProcesses <= 0

	f.maxProcesses += max(g.MaxProcesses, 0)
	for i := range g.Processes {
		p := &g.Processes[i]
		f.byState[p.State]++
		f.sessions += p.Sessions
		f.memory += p.Metrics.RealMemory().Or(0)
		f.cpu += p.Metrics.CPU.Or(0) / 100
	}
}

// figuresOf are ordered by name.
func figuresOf(s *passenger.Snapshot, stats []RequestStats) []*appFigures {
	byName := map[string]*appFigures{}

	of := func(name string) *appFigures {
		if byName[name] == nil {
			byName[name] = &appFigures{name: name, byState: map[passenger.ProcessState]int{}}
		}

		return byName[name]
	}
	for i := range s.Groups {
		of(s.Groups[i].Name).add(&s.Groups[i])
	}

	for _, r := range stats {
		f := of(r.App)
		if f.requests == nil {
			f.requests = &RequestStats{}
		}

		f.requests.Begun += r.Begun
		f.requests.Active += r.Active
		f.requests.CacheFetches += r.CacheFetches
		f.requests.CacheHits += r.CacheHits
	}

	all := make([]*appFigures, 0, len(byName))
	for _, f := range byName {
		all = append(all, f)
	}

	slices.SortFunc(all, func(a, b *appFigures) int { return cmp.Compare(a.name, b.name) })

	return all
}

func metricsOf(cfg *Config) []byte {
	s := cfg.Pool.Inspect()
	var requests []RequestStats
	if cfg.RequestStats != nil {
		requests = cfg.RequestStats()
	}

	apps := figuresOf(&s, requests)
	e := &exposition{}
	e.one("passenger_build_info", "Which version runs; always 1.", 1, "version", s.Version)
	e.one("passenger_pool_max_processes", "How many processes there may be.", float64(s.MaxPoolSize))
	e.one("passenger_pool_capacity_used", "How many of them there are or are being started.", float64(s.CapacityUsed))
	e.one("passenger_pool_waiting_requests",
		"Requests of applications without a process that wait as the pool is full.", float64(len(s.WaitingForCapacity)))
	writeAppMetrics(e, apps)
	writeRequestMetrics(e, apps)
	if cfg.Companions != nil {
		writeCompanionMetrics(e, cfg.Companions())
	}

	return e.b.Bytes()
}

func writeAppMetrics(e *exposition, apps []*appFigures) {
	byApp := func(name string, kind metricKind, help string, value func(*appFigures) float64) {
		e.family(name, kind, help)

		for _, f := range apps {
			e.sample(name, value(f), "app", f.name)
		}
	}
	flag := func(on bool) float64 {
		if on {
			return 1
		}

		return 0
	}
	const processes = "passenger_app_processes"
	e.family(processes, gauge, "Processes by their state.")

	for _, f := range apps {
		for _, state := range processStates {
			e.sample(processes, float64(f.byState[state]), "app", f.name, "state", state)
		}
	}

	byApp("passenger_app_processes_spawning", gauge, "Processes that are being started.",
		func(f *appFigures) float64 { return float64(f.spawning) })
	byApp("passenger_app_processes_min", gauge, "How many processes there are to be at least.",
		func(f *appFigures) float64 { return float64(f.minProcesses) })
	byApp("passenger_app_processes_max", gauge, "How many processes there may be; 0: as many as the pool allows.",
		func(f *appFigures) float64 {
			if f.unlimited {
				return 0
			}

			return float64(f.maxProcesses)
		})
	byApp("passenger_app_waiting_requests", gauge, "Requests that wait for a process.",
		func(f *appFigures) float64 { return float64(f.queued) })
	byApp("passenger_app_sessions", gauge, "Requests that processes work at.",
		func(f *appFigures) float64 { return float64(f.sessions) })
	byApp("passenger_app_memory_bytes", gauge,
		"Memory of the processes' own and of what they have started, swapped or not, as far as it is known.",
		func(f *appFigures) float64 { return float64(f.memory) })
	byApp("passenger_app_cpu_ratio", gauge,
		"Processors that are busy for the processes and what they have started, as far as it is known.",
		func(f *appFigures) float64 { return f.cpu })
	byApp("passenger_app_restarts_total", counter, "Restarts since the application came to the pool.",
		func(f *appFigures) float64 { return float64(f.restarts) })
	byApp("passenger_app_restarting", gauge, "Whether a restart goes on.",
		func(f *appFigures) float64 { return flag(f.restarting) })
	byApp("passenger_app_deployment_error", gauge, "Whether old processes serve on, as new ones do not start.",
		func(f *appFigures) float64 { return flag(f.resisting) })
	byApp("passenger_app_spawn_error", gauge, "Whether the last process that was started did not start.",
		func(f *appFigures) float64 { return flag(f.failing) })
}

func writeRequestMetrics(e *exposition, apps []*appFigures) {
	byApp := func(name string, kind metricKind, help string, value func(*RequestStats) float64) {
		e.family(name, kind, help)

		for _, f := range apps {
			if f.requests != nil {
				e.sample(name, value(f.requests), "app", f.name)
			}
		}
	}
	byApp("passenger_app_requests_total", counter, "Requests that have begun.",
		func(r *RequestStats) float64 { return float64(r.Begun) })
	byApp("passenger_app_requests_active", gauge, "Requests that go on.",
		func(r *RequestStats) float64 { return float64(r.Active) })
	byApp("passenger_app_cache_fetches_total", counter, "Looks into the turbocache.",
		func(r *RequestStats) float64 { return float64(r.CacheFetches) })
	byApp("passenger_app_cache_hits_total", counter, "Answers from the turbocache.",
		func(r *RequestStats) float64 { return float64(r.CacheHits) })
}
