package metrics

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
)

// App has the sums of all groups of a name.
type App struct {
	// Name is a valid value of a label.
	Name string

	byState                        [len(processStates)]int
	spawning, queued, sessions     int
	longSessions                   int
	restarting, resisting, failing bool
	memory                         int64
	cpu                            float64
	minProcesses, maxProcesses     int
	// unlimited reports whether one of them has no maximum.
	unlimited bool
	// slots are those of the enabled processes, taken those with a session. endless reports
	// whether one process has no limit.
	slots, taken int
	endless      bool
	// started is when the present generation began; zero means unknown.
	started time.Time

	// counts and requests have what only grows, but Requests.Active.
	counts     passenger.Counts
	spawnTimes passenger.Histogram
	// requests are valid if hasRequests.
	requests    Requests
	hasRequests bool
}

var processStates = [...]passenger.ProcessState{
	passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled, passenger.ProcessDetached,
}

func (a *App) addGroup(g *passenger.GroupSnapshot) {
	one := App{
		spawning:     g.Spawning,
		queued:       g.QueueLength,
		restarting:   g.Restarting,
		resisting:    g.DeploymentError != nil,
		failing:      g.LastSpawnError != nil,
		minProcesses: g.MinProcesses,
		maxProcesses: max(g.MaxProcesses, 0),
		unlimited:    g.MaxProcesses <= 0,
		started:      g.ReleaseMade,
		counts:       g.Counts,
		spawnTimes:   g.SpawnTimes,
	}
	for i := range g.Processes {
		p := &g.Processes[i]
		if state := slices.Index(processStates[:], p.State); state >= 0 {
			one.byState[state]++
		}

		one.sessions += p.Sessions
		one.longSessions += p.LongSessions
		one.memory += p.Metrics.RealMemory().Or(0)
		one.cpu += p.Metrics.CPU.Or(0) / 100

		// The others take no requests, so that their slots are not free.
		if p.State == passenger.ProcessEnabled {
			one.slots += p.Concurrency
			one.taken += p.Sessions
			one.endless = one.endless || p.Concurrency == 0
		}
	}

	a.addGauges(&one)
	a.addCounters(&one)
}

// addGauges adds what goes up and down.
func (a *App) addGauges(other *App) {
	for state, n := range other.byState {
		a.byState[state] += n
	}

	a.spawning += other.spawning
	a.queued += other.queued
	a.sessions += other.sessions
	a.longSessions += other.longSessions
	a.restarting = a.restarting || other.restarting
	a.resisting = a.resisting || other.resisting
	a.failing = a.failing || other.failing
	a.memory += other.memory
	a.cpu += other.cpu
	a.minProcesses += other.minProcesses
	a.maxProcesses += other.maxProcesses
	a.unlimited = a.unlimited || other.unlimited
	a.slots += other.slots
	a.taken += other.taken
	a.endless = a.endless || other.endless
	a.requests.Active += other.requests.Active
	a.hasRequests = a.hasRequests || other.hasRequests

	if other.started.After(a.started) {
		a.started = other.started
	}
}

// counters are all that only grow.
func (a *App) counters() [32]*uint64 {
	c, l, r := &a.counts, &a.counts.Limits, &a.requests

	return [...]*uint64{
		&c.Spawns, &c.SpawnFailures, &c.HealthChecks, &c.HealthFailures, &c.Crashes, &c.Exits,
		&c.Restarts, &c.RestartFailures, &c.RestartsReplaced,
		&l.RequestTime, &l.QueueTime, &l.QueueLength, &l.Memory, &l.HardMemory, &l.Requests, &l.Unresponsive,
		&l.DrainTime,
		&r.Begun, &r.CacheFetches, &r.CacheHits, &r.RequestBytes, &r.ResponseBytes,
		&r.Responses[0], &r.Responses[1], &r.Responses[2], &r.Responses[3], &r.Responses[4],
		&r.Responses[5], &r.Responses[6], &r.Responses[7], &r.Responses[8], &r.Responses[9],
	}
}

func (a *App) histograms() [3]*passenger.Histogram {
	return [...]*passenger.Histogram{&a.spawnTimes, &a.requests.Durations, &a.requests.Queued}
}

// addCounters adds what other has counted.
func (a *App) addCounters(other *App) {
	own := a.counters()
	for i, value := range other.counters() {
		*own[i] += *value
	}

	// Applications with one group, as most are, need no copy.
	histograms := a.histograms()
	for i, h := range other.histograms() {
		if len(histograms[i].Counts) == 0 {
			*histograms[i] = *h // they are never changed in place
		} else {
			*histograms[i] = histograms[i].Add(*h)
		}
	}
}

// sum returns the applications in the order of their names.
func sum(s *passenger.Snapshot, requests []Requests) []*App {
	byName := map[string]*App{}

	of := func(name string) *App {
		// Two names may be the same label, and two samples with the same labels cost a scraper all of them.
		name = LabelOf(name)
		if byName[name] == nil {
			byName[name] = &App{Name: name}
		}

		return byName[name]
	}
	for i := range s.Groups {
		of(s.Groups[i].Name).addGroup(&s.Groups[i])
	}

	for i := range requests {
		one := &App{requests: requests[i], hasRequests: true}
		a := of(requests[i].AppName)
		a.addGauges(one)
		a.addCounters(one)
	}

	all := make([]*App, 0, len(byName))
	for _, a := range byName {
		all = append(all, a)
	}

	slices.SortFunc(all, func(a, b *App) int { return cmp.Compare(a.Name, b.Name) })

	return all
}

// LabelOf makes a valid value of a label of a name, which on Unix may consist of any bytes.
func LabelOf(name string) string { return strings.ToValidUTF8(name, "\ufffd") }
