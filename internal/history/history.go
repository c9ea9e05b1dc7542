// Package history keeps figures of applications for an hour, in memory at a stated bound.
package history

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/status"
)

// The ring has a point for each Interval of an hour. A point takes 36 bytes, so that an application takes 26 KB, and
// all of them at most 5 MB. Of more applications than MaxApps, those that came first are kept.
const (
	Interval = 5 * time.Second
	MaxApps  = 200

	length = int(time.Hour / Interval)
	// recentTicks is how many intervals one of the two parts of the recent time has.
	recentTicks = int(time.Minute / Interval)
)

// Sample is the state of an application at one moment. What it counts must not become less, unless the application
// has begun again.
type Sample struct {
	App       string
	Durations histogram.Snapshot
	// Requests counts the requests that have ended, Errors those with a response of status 5xx.
	Requests, Errors uint64

	Queue, Busy, Processes int
	// Memory is in bytes, CPU in processors.
	Memory int64
	CPU    float64
}

// Ring is the history of all applications. The zero value has none, and it is safe for concurrent use.
type Ring struct {
	mu   sync.Mutex
	apps map[string]*app
	// ticks counts the calls of Record; last is the time of the last one.
	ticks int
	last  time.Time
}

// app is the history of one application.
type app struct {
	// since is the tick of its first sample, which has no point: there is nothing to compare it with. seen is that of
	// its last one.
	since, seen int
	points      []point
	before      Sample
	// older and newer begin the recent time: newer takes the place of older after recentTicks.
	older, newer baseline
}

type baseline struct {
	tick   int
	at     time.Time
	sample Sample
}

// point is a status.Point without its time, packed.
type point struct {
	requests, errors, p50, p95, p99, memory, cpu float32
	queue, busy, processes                       uint16
}

// Record adds the state of all applications at a moment, which is Interval after the one before.
func (r *Ring) Record(at time.Time, samples []Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.apps == nil {
		r.apps = map[string]*app{}
	}

	span := at.Sub(r.last).Seconds()
	r.ticks++
	r.last = at

	for _, s := range samples {
		a := r.apps[s.App]
		switch {
		case a != nil && a.seen != r.ticks:
			a.add(r.ticks, s, span)
		case a == nil && len(r.apps) < MaxApps:
			first := baseline{r.ticks, at, s}
			a = &app{
				since: r.ticks,
				older: first,
				newer: first,
			}
			r.apps[s.App] = a
		default:
			// Of two samples of a name the first counts, and of too many applications those that came first.
			continue
		}

		a.seen, a.before = r.ticks, s
		if r.ticks-a.newer.tick >= recentTicks {
			a.older, a.newer = a.newer, baseline{r.ticks, at, s}
		}
	}

	for name, a := range r.apps {
		switch {
		case r.ticks-a.seen >= length:
			delete(r.apps, name)
		case a.seen != r.ticks:
			// It has left the pool.
			a.put(r.ticks, point{})
		}
	}
}

// add adds the point between the sample before and this one.
func (a *app) add(tick int, s Sample, span float64) {
	between := difference(s, a.before, span)
	a.put(tick, point{
		requests:  float32(between.Requests),
		errors:    float32(between.Errors),
		p50:       float32(between.P50),
		p95:       float32(between.P95),
		p99:       float32(between.P99),
		memory:    float32(s.Memory),
		cpu:       float32(s.CPU),
		queue:     small(s.Queue),
		busy:      small(s.Busy),
		processes: small(s.Processes),
	})
}

// put writes the point of a tick. The memory grows with the points.
func (a *app) put(tick int, p point) {
	i := (tick - a.since - 1) % length
	if i == len(a.points) {
		a.points = append(a.points, p)
		return
	}

	a.points[i] = p
}

func difference(s, before Sample, span float64) status.Recent {
	if span <= 0 {
		return status.Recent{}
	}

	durations := s.Durations.Since(before.Durations)

	return status.Recent{
		Span: span,
		// The application may have begun again.
		Requests: float64(s.Requests-min(s.Requests, before.Requests)) / span,
		Errors:   float64(s.Errors-min(s.Errors, before.Errors)) / span,
		P50:      durations.Quantile(.5).Seconds(),
		P95:      durations.Quantile(.95).Seconds(),
		P99:      durations.Quantile(.99).Seconds(),
	}
}

func small(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }

// Figures returns the history of all applications, ordered by name, with at most the newest points of each.
func (r *Ring) Figures(points int) []status.Figures {
	r.mu.Lock()
	defer r.mu.Unlock()

	all := make([]status.Figures, 0, len(r.apps))
	for name, a := range r.apps {
		all = append(all, r.figures(name, a, points))
	}

	slices.SortFunc(all, func(a, b status.Figures) int { return strings.Compare(a.App, b.App) })

	return all
}

// App returns the history of one application with at most the newest points; false means that there is none.
func (r *Ring) App(name string, points int) (status.Figures, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()

	a := r.apps[name]
	if a == nil {
		return status.Figures{}, false
	}

	return r.figures(name, a, points), true
}

func (r *Ring) figures(name string, a *app, points int) status.Figures {
	f := status.Figures{App: name}
	// An application that has left has no recent time.
	if a.seen == r.ticks {
		f.Recent = difference(a.before, a.older.sample, r.last.Sub(a.older.at).Seconds())
	}

	n := min(len(a.points), max(points, 0))
	for age := n - 1; age >= 0; age-- {
		tick := r.ticks - age
		f.Points = append(f.Points, a.points[(tick-a.since-1)%length].at(r.last.Add(-time.Duration(age)*Interval)))
	}

	return f
}

func (p *point) at(t time.Time) status.Point {
	return status.Point{
		At:        t,
		Requests:  p.requests,
		Errors:    p.errors,
		P50:       p.p50,
		P95:       p.p95,
		P99:       p.p99,
		Queue:     int(p.queue),
		Busy:      int(p.busy),
		Processes: int(p.processes),
		Memory:    p.memory,
		CPU:       p.cpu,
	}
}
