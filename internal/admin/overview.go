package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

// trendPoints is how many points of the history a trend has.
const trendPoints = 16

// maxNotedIncident is how old an incident is that has a note.
const maxNotedIncident = time.Hour

// Overview is what an instance does, for people: a line for each application.
type Overview struct {
	At   time.Time
	Apps []AppOverview
	// MaxProcesses is how many processes there may be.
	MaxProcesses int
}

// AppOverview is the line of an application. Known values are zero where nothing is known.
type AppOverview struct {
	Name string
	// URL is where it is asked; empty means that it is not known.
	URL string
	// Busy of the Processes have requests. Starting are to come.
	Busy, Processes, Starting int
	// Requests are those a second, P95 is the time that 95 of 100 do not exceed.
	Requests float64
	P95      time.Duration
	Memory   int64
	// CPU is in percent of one processor.
	CPU      float64
	Restarts uint32
	// LastFailure is when it last failed to start, or had an incident; zero means never.
	LastFailure time.Time
	// Notes are sentences about what is not as it should be.
	Notes []string
	// Trend are requests a second of late, the newest last.
	Trend []float32
}

// GetOverview asks an instance. Addresses are where it listens. Live figures are those of the last seconds, others
// those of the last one to two minutes.
func GetOverview(ctx context.Context, client *apiserver.Client, addresses []string, live bool) (*Overview, error) {
	pool, err := client.Pool(ctx)
	if err != nil {
		return nil, err
	}

	figures, err := client.Figures(ctx, trendPoints)
	if err != nil {
		return nil, err
	}

	incidents, err := client.Incidents(ctx)
	if err != nil {
		return nil, err
	}

	return newOverview(pool, figures, incidents, addresses, live), nil
}

// newOverview takes incidents with the newest first.
func newOverview(pool *passenger.Snapshot, figures []status.Figures, incidents []status.Incident, addresses []string,
	live bool,
) *Overview {
	o := &Overview{At: pool.At, MaxProcesses: pool.MaxPoolSize}

	byName := map[string]*status.Figures{}
	for i := range figures {
		byName[figures[i].App] = &figures[i]
	}

	for i := range pool.Groups {
		g := &pool.Groups[i]
		app := newAppOverview(g, pool.At)
		app.URL = strings.Join(addresses, ", ")

		if f := byName[g.Name]; f != nil {
			app.addFigures(f, live)
		}

		of := func(in status.Incident) bool { return in.App == g.Name }
		if i := slices.IndexFunc(incidents, of); i >= 0 {
			app.addIncident(&incidents[i], pool.At)
		}

		o.Apps = append(o.Apps, app)
	}

	return o
}

func newAppOverview(g *passenger.GroupSnapshot, now time.Time) AppOverview {
	app := AppOverview{Name: g.Name, Starting: g.Spawning, Restarts: g.Generation}

	slots, long := 0, 0
	for i := range g.Processes {
		p := &g.Processes[i]
		app.Memory += p.Metrics.RealMemory().Or(0)
		app.CPU += p.Metrics.CPU.Or(0)

		// A process that ends still uses memory, but takes no requests.
		if p.State == passenger.ProcessDetached {
			continue
		}

		app.Processes++
		slots += p.Concurrency
		long += p.LongSessions
		if p.Sessions > 0 {
			app.Busy++
		}
	}

	note := func(format string, args ...any) { app.Notes = append(app.Notes, fmt.Sprintf(format, args...)) }
	if g.Detached {
		note("it was detached, and its last processes end")
	}

	if g.Restarting {
		note("a restart is in progress")
	}

	if g.QueueLength > 0 {
		note("%d wait for a process: see passenger explain", g.QueueLength)
	}

	if long > 0 && slots > 0 {
		note("WebSockets and streams hold %d of %d slots", long, slots)
	}

	if e := g.DeploymentError; e != nil {
		app.LastFailure = e.At

		serving := "old processes serve on"
		if len(g.Processes) == 0 {
			serving = "no old process is left"
		}

		note("the new release does not start, and %s: %s", serving, e.Error())
	}

	if e := g.LastSpawnError; e != nil {
		app.LastFailure = e.At
		note("a start failed %s ago: %s (see passenger status --show=errors)", Age(now.Sub(e.At)), e.Summary)
	}

	return app
}

func (a *AppOverview) addFigures(f *status.Figures, live bool) {
	if f.Address != "" {
		a.URL = f.Address
	}

	a.Requests, a.P95 = f.Recent.Requests, seconds(f.Recent.P95)
	if n := len(f.Points); live && n > 0 {
		a.Requests, a.P95 = float64(f.Points[n-1].Requests), seconds(float64(f.Points[n-1].P95))
	}

	for _, p := range f.Points {
		a.Trend = append(a.Trend, p.Requests)
	}
}

// addIncident takes the application's newest incident into account. Its note does not stay for ever: unlike a failed
// start, no later success takes an incident back.
func (a *AppOverview) addIncident(in *status.Incident, now time.Time) {
	if in.At.After(a.LastFailure) {
		a.LastFailure = in.At
	}

	if age := now.Sub(in.At); age < maxNotedIncident {
		a.Notes = append(a.Notes, fmt.Sprintf("%s ago: %s (see passenger incidents)", Age(age), in.Summary))
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Total sums up all applications.
func (o *Overview) Total() (total AppOverview) {
	for i := range o.Apps {
		a := &o.Apps[i]
		total.Busy += a.Busy
		total.Processes += a.Processes
		total.Starting += a.Starting
		total.Requests += a.Requests
		total.Memory += a.Memory
		total.CPU += a.CPU
	}

	return total
}

// OverviewOrder is what applications are sorted by, and the key that chooses it.
type OverviewOrder rune

// The orders. By figures, the greatest comes first.
const (
	ByName     OverviewOrder = 'n'
	ByRequests OverviewOrder = 'r'
	ByP95      OverviewOrder = 'l'
	ByMemory   OverviewOrder = 'm'
	ByCPU      OverviewOrder = 'c'
	ByBusy     OverviewOrder = 'p'
)

// orders compare two applications, the one that comes first being less.
var orders = map[OverviewOrder]func(a, b *AppOverview) int{
	ByName:     func(_, _ *AppOverview) int { return 0 },
	ByRequests: func(a, b *AppOverview) int { return cmp.Compare(b.Requests, a.Requests) },
	ByP95:      func(a, b *AppOverview) int { return cmp.Compare(b.P95, a.P95) },
	ByMemory:   func(a, b *AppOverview) int { return cmp.Compare(b.Memory, a.Memory) },
	ByCPU:      func(a, b *AppOverview) int { return cmp.Compare(b.CPU, a.CPU) },
	ByBusy:     func(a, b *AppOverview) int { return cmp.Compare(b.Busy, a.Busy) },
}

// Known reports whether there is such an order.
func (o OverviewOrder) Known() bool { return orders[o] != nil }

// Sort sorts the applications, and those that are equal by name.
func (o *Overview) Sort(order OverviewOrder) {
	slices.SortFunc(o.Apps, func(a, b AppOverview) int {
		return cmp.Or(orders[order](&a, &b), strings.Compare(a.Name, b.Name))
	})
}

// Age is about how long ago something was.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0)/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}

	return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
}

// bytesText is a size in as few letters as possible.
func bytesText(n int64) string {
	switch mib := float64(n) / (1 << 20); {
	case n == 0:
		return "-"
	case mib < 1000:
		return fmt.Sprintf("%.0fM", mib)
	case mib < 10240:
		return fmt.Sprintf("%.1fG", mib/1024)
	default:
		return fmt.Sprintf("%.0fG", mib/1024)
	}
}

// rateText is a number a second.
func rateText(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 100:
		return fmt.Sprintf("%.1f", r)
	case r < 10000:
		return fmt.Sprintf("%.0f", r)
	default:
		return fmt.Sprintf("%.0fk", r/1000)
	}
}

func latencyText(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		return fmt.Sprintf("%.0fs", d.Seconds())
	}
}
