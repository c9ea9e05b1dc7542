package apiserver

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
)

// appFigures are those of all applications of a name.
type appFigures struct {
	name                           string
	byState                        [len(processStates)]int
	spawning, queued, sessions     int
	longSessions                   int
	restarting, resisting, failing bool
	memory                         int64
	cpu                            float64
	minProcesses, maxProcesses     int
	// unlimited: one of them has no maximum.
	unlimited bool
	// slots are those of the enabled processes, taken those with a session. endless: one process
	// has no limit.
	slots, taken int
	endless      bool
	// started is when the present generation began; zero means unknown.
	started time.Time

	// counts and requests have what only grows, but RequestStats.Active.
	counts     passenger.Counts
	spawnTimes passenger.Histogram
	// requests are valid if hasRequests.
	requests    RequestStats
	hasRequests bool
}

var processStates = [...]passenger.ProcessState{
	passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled, passenger.ProcessDetached,
}

func (f *appFigures) addGroup(g *passenger.GroupSnapshot) {
	one := appFigures{
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

	f.addGauges(&one)
	f.addCounters(&one)
}

// addGauges adds what goes up and down.
func (f *appFigures) addGauges(other *appFigures) {
	for state, n := range other.byState {
		f.byState[state] += n
	}

	f.spawning += other.spawning
	f.queued += other.queued
	f.sessions += other.sessions
	f.longSessions += other.longSessions
	f.restarting = f.restarting || other.restarting
	f.resisting = f.resisting || other.resisting
	f.failing = f.failing || other.failing
	f.memory += other.memory
	f.cpu += other.cpu
	f.minProcesses += other.minProcesses
	f.maxProcesses += other.maxProcesses
	f.unlimited = f.unlimited || other.unlimited
	f.slots += other.slots
	f.taken += other.taken
	f.endless = f.endless || other.endless
	f.requests.Active += other.requests.Active
	f.hasRequests = f.hasRequests || other.hasRequests

	if other.started.After(f.started) {
		f.started = other.started
	}
}

// counters are all that only grow.
func (f *appFigures) counters() [32]*uint64 {
	c, l, r := &f.counts, &f.counts.Limits, &f.requests

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

func (f *appFigures) histograms() [3]*passenger.Histogram {
	return [...]*passenger.Histogram{&f.spawnTimes, &f.requests.Durations, &f.requests.Queued}
}

// addCounters adds what other has counted.
func (f *appFigures) addCounters(other *appFigures) {
	own := f.counters()
	for i, value := range other.counters() {
		*own[i] += *value
	}

	// Applications with one group, as most are, need no copy.
	histograms := f.histograms()
	for i, h := range other.histograms() {
		if len(histograms[i].Counts) == 0 {
			*histograms[i] = *h // they are never changed in place
		} else {
			*histograms[i] = histograms[i].Add(*h)
		}
	}
}

// figuresOf are ordered by name.
func figuresOf(s *passenger.Snapshot, stats []RequestStats) []*appFigures {
	byName := map[string]*appFigures{}

	of := func(name string) *appFigures {
		// Two names may be the same label, and two samples with the same labels cost a scraper all of them.
		name = labelOf(name)
		if byName[name] == nil {
			byName[name] = newAppFigures(name)
		}

		return byName[name]
	}
	for i := range s.Groups {
		of(s.Groups[i].Name).addGroup(&s.Groups[i])
	}

	for i := range stats {
		one := &appFigures{requests: stats[i], hasRequests: true}
		f := of(stats[i].App)
		f.addGauges(one)
		f.addCounters(one)
	}

	all := make([]*appFigures, 0, len(byName))
	for _, f := range byName {
		all = append(all, f)
	}

	slices.SortFunc(all, func(a, b *appFigures) int { return cmp.Compare(a.name, b.name) })

	return all
}

func newAppFigures(name string) *appFigures { return &appFigures{name: name} }

// labelOf makes a valid label value of a name, which on Unix may consist of any bytes.
func labelOf(name string) string { return strings.ToValidUTF8(name, "\ufffd") }
