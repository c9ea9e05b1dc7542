package passengerprometheus

import (
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

var processStates = []passenger.ProcessState{
	passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled, passenger.ProcessDetached,
}

// appFigures are the sums of all applications of a name.
type appFigures struct {
	byState                        map[passenger.ProcessState]int
	spawning, queued, sessions     int
	longSessions                   int
	restarting, resisting, failing bool
	memory                         int64
	cpu                            float64
	minProcesses, maxProcesses     int
	// unlimited means that one of them has no maximum.
	unlimited bool
	// slots are those of the enabled processes, taken those with a session. endless means that one
	// process has no limit.
	slots, taken int
	endless      bool
	// started is when the present generation began.
	started time.Time

	counts     passenger.Counts
	spawnTimes passenger.Histogram
}

func (a *appFigures) add(g *passenger.GroupSnapshot) {
	a.spawning += g.Spawning
	a.queued += g.QueueLength
	a.restarting = a.restarting || g.Restarting
	a.resisting = a.resisting || g.DeploymentError != nil
	a.failing = a.failing || g.LastSpawnError != nil
	a.minProcesses += g.MinProcesses
	a.maxProcesses += max(g.MaxProcesses, 0)
	a.unlimited = a.unlimited || g.MaxProcesses <= 0
	a.addCounts(&g.Counts)

	// Before its first start, an application has no buckets that could be added.
	if len(g.SpawnTimes.Counts) > 0 {
		a.spawnTimes = a.spawnTimes.Add(g.SpawnTimes)
	}

	if g.ReleaseMade.After(a.started) {
		a.started = g.ReleaseMade
	}

	for i := range g.Processes {
		p := &g.Processes[i]
		a.byState[p.State]++
		a.sessions += p.Sessions
		a.longSessions += p.LongSessions
		a.memory += p.Metrics.RealMemory().Or(0)
		a.cpu += p.Metrics.CPU.Or(0) / 100

		// The others take no requests, so that their slots are not free.
		if p.State == passenger.ProcessEnabled {
			a.slots += p.Concurrency
			a.taken += p.Sessions
			a.endless = a.endless || p.Concurrency == 0
		}
	}
}

func (a *appFigures) addCounts(c *passenger.Counts) {
	own := &a.counts
	own.Spawns += c.Spawns
	own.SpawnFailures += c.SpawnFailures
	own.HealthChecks += c.HealthChecks
	own.HealthFailures += c.HealthFailures
	own.Crashes += c.Crashes
	own.Restarts += c.Restarts
	own.RestartFailures += c.RestartFailures
	own.RestartsReplaced += c.RestartsReplaced

	own.Limits.RequestTime += c.Limits.RequestTime
	own.Limits.QueueTime += c.Limits.QueueTime
	own.Limits.QueueLength += c.Limits.QueueLength
	own.Limits.Memory += c.Limits.Memory
	own.Limits.HardMemory += c.Limits.HardMemory
	own.Limits.Requests += c.Limits.Requests
	own.Limits.Unresponsive += c.Limits.Unresponsive
	own.Limits.DrainTime += c.Limits.DrainTime
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
	begun, fetches, hits        uint64
	active                      int
	responses                   [10]uint64
	requestBytes, responseBytes uint64
	durations, queued           passenger.Histogram
}

func requestsOf(handlers []*handler.Handler) map[string]*requestFigures {
	apps := map[string]*requestFigures{}
	for _, h := range handlers {
		s, figures := h.Inspect(), h.Figures()
		name := label(s.AppName)
		if apps[name] == nil {
			apps[name] = &requestFigures{}
		}

		r := apps[name]
		r.begun += s.RequestsBegun
		r.active += len(s.Requests)
		r.fetches += s.Turbocaching.Fetches
		r.hits += s.Turbocaching.Hits
		r.requestBytes += figures.RequestBytes
		r.responseBytes += figures.ResponseBytes
		r.durations = r.durations.Add(figures.Durations)
		r.queued = r.queued.Add(figures.Queued)

		for class, n := range figures.Responses {
			r.responses[class] += n
		}
	}

	return apps
}

// label makes a valid label value of a name, which on Unix may consist of any bytes.
func label(name string) string { return strings.ToValidUTF8(name, "\ufffd") }
