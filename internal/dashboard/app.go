package dashboard

import (
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// app is an application as the list shows it. Groups of one name are one, as their figures are.
type app struct {
	Name        string `json:"name"`
	Root        string `json:"root"`
	Type        string `json:"type,omitempty"`
	Environment string `json:"environment,omitempty"`
	// Map has a letter for the state of each process; see stateOf.
	Map string `json:"map"`
	// Busy and Processes count those that take requests, Slots and Taken the requests that these can have and do; zero
	// Slots means no limit. Long is the part of Taken that WebSockets and streams hold.
	Busy      int `json:"busy"`
	Processes int `json:"processes"`
	Slots     int `json:"slots"`
	Taken     int `json:"taken"`
	Long      int `json:"long"`
	Queue     int `json:"queue"`
	Starving  int `json:"starving,omitempty"`
	// Memory is in bytes, CPU in processors.
	Memory figure `json:"memory"`
	CPU    figure `json:"cpu"`
	recent
	Restarts       uint64 `json:"restarts"`
	FailedRestarts uint64 `json:"failedRestarts"`
	Restarting     bool   `json:"restarting,omitempty"`
	// Deployment and Spawn say why the last restart, and the last start of a process, failed.
	Deployment *failed `json:"deployment,omitempty"`
	Spawn      *failed `json:"spawn,omitempty"`

	unlimited bool
}

// recent is status.Recent; Rate and Errors are those of the last interval.
type recent struct {
	Rate   figure `json:"rate"`
	Errors figure `json:"errors"`
	P50    figure `json:"p50"`
	P95    figure `json:"p95"`
	P99    figure `json:"p99"`
}

type failed struct {
	At   moment `json:"at"`
	Text string `json:"text"`
}

// The letters of states of processes.
const (
	stateFull     = "f" // it has no free slot
	stateBusy     = "b"
	stateIdle     = "i"
	stateStarting = "s"
	stateDraining = "d"
	stateDisabled = "x"
)

// stateOf returns the letter of a process; empty means that it has ended.
func stateOf(p *Process) string {
	switch {
	case p.Exited:
		return ""
	case p.Stopping || p.State == passenger.ProcessDetached || p.State == passenger.ProcessDisabling:
		return stateDraining
	case p.State == passenger.ProcessDisabled:
		return stateDisabled
	case p.Concurrency > 0 && p.Sessions >= p.Concurrency:
		return stateFull
	case p.Sessions > 0:
		return stateBusy
	}

	return stateIdle
}

// apps returns the applications of a state, in the order of their names.
func (s *state) apps() []app {
	all := make([]app, 0, len(s.pool.Groups))

	for i := range s.pool.Groups {
		g := &s.pool.Groups[i]
		if n := len(all); n == 0 || all[n-1].Name != g.Name {
			all = append(all, newApp(g, s.figures[g.Name]))
			for _, name := range s.pool.WaitingForCapacity {
				if name == g.Name {
					all[n].Starving++
				}
			}
		}

		all[len(all)-1].add(g)
	}

	return all
}

func newApp(g *Group, f *status.Figures) app {
	a := app{
		Name:        g.Name,
		Root:        g.AppRoot,
		Type:        g.AppType,
		Environment: g.Environment,
	}

	if f == nil {
		return a
	}

	a.P50, a.P95, a.P99 = figure(f.Recent.P50), figure(f.Recent.P95), figure(f.Recent.P99)
	if n := len(f.Points); n > 0 {
		a.Rate, a.Errors = figure(f.Points[n-1].Requests), figure(f.Points[n-1].Errors)
	}

	return a
}

// add adds a group of the name.
func (a *app) add(g *Group) {
	var states strings.Builder
	for i := range g.Processes {
		p := &g.Processes[i]
		states.WriteString(stateOf(p))
		a.Memory += figure(p.Metrics.RealMemory().Or(0))
		a.CPU += figure(p.Metrics.CPU.Or(0) / 100) //nolint:mnd // percent

		// It takes memory until it ends, but no requests.
		if p.State == passenger.ProcessDetached || p.Exited {
			continue
		}

		a.Processes++
		a.Taken += p.Sessions
		a.Long += p.LongSessions
		a.Slots += p.Concurrency
		a.unlimited = a.unlimited || p.Concurrency == 0

		if p.Sessions > 0 {
			a.Busy++
		}
	}

	if a.unlimited {
		a.Slots = 0
	}

	a.Map += states.String() + strings.Repeat(stateStarting, g.Spawning)
	a.Queue += g.QueueLength
	a.Restarts += g.Counts.Restarts
	a.FailedRestarts += g.Counts.RestartFailures
	a.Restarting = a.Restarting || g.Restarting

	if e := g.DeploymentError; e != nil {
		a.Deployment = &failed{moment(e.At), e.Message}
	}

	if e := g.LastSpawnError; e != nil {
		a.Spawn = &failed{moment(e.At), e.Summary}
	}
}

// process is a process as the page of its application shows it.
type process struct {
	PID         int    `json:"pid"`
	State       string `json:"state"`
	Concurrency int    `json:"concurrency"`
	Sessions    int    `json:"sessions"`
	Long        int    `json:"long"`
	Processed   uint64 `json:"processed"`
	Since       moment `json:"since"`
	Used        moment `json:"used"`
	// Memory is that of the process and all that it has started, Children how many these are.
	Memory   figure `json:"memory"`
	CPU      figure `json:"cpu"`
	Children int    `json:"children"`
	// Old reports whether it is of a release before the present one.
	Old bool `json:"old,omitempty"`
}

func newProcess(p *Process, generation uint32) process {
	return process{
		PID:         p.PID,
		State:       stateOf(p),
		Concurrency: p.Concurrency,
		Sessions:    p.Sessions,
		Long:        p.LongSessions,
		Processed:   p.Processed,
		Since:       moment(p.Spawned),
		Used:        moment(p.LastUsed),
		Memory:      figure(p.Metrics.RealMemory().Or(0)),
		CPU:         figure(p.Metrics.CPU.Or(0) / 100), //nolint:mnd // percent
		Children:    max(p.Metrics.Processes-1, 0),
		Old:         p.Generation != generation,
	}
}

// request is a request in progress as the page shows it. Its path has no query, which may hold secrets.
type request struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Began   moment `json:"began"`
	Method  string `json:"method"`
	Host    string `json:"host"`
	Path    string `json:"path"`
	Client  string `json:"client"`
	PID     int    `json:"pid"`
	Bytes   int64  `json:"bytes"`
	AppDone bool   `json:"appDone,omitempty"`
	// Gone means that its client has left.
	Gone bool `json:"gone,omitempty"`
}

// maxRequests is how many requests in progress the page shows, the oldest ones, and maxPath the length of a path.
const (
	maxRequests = 100
	maxPath     = 200
)

// requestsOf returns the requests of an application, the oldest first, and how many there are.
func (s *state) requestsOf(name string) (shown []request, all int) {
	mine := slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return r.App != name })
	slices.SortStableFunc(mine, func(a, b Request) int { return a.Began.Compare(b.Began) })

	for i := range mine[:min(len(mine), maxRequests)] {
		r := &mine[i]

		path, _, _ := strings.Cut(r.Path, "?")
		if len(path) > maxPath { // a client may send 64 KB
			path = strings.ToValidUTF8(path[:maxPath], "") + "…"
		}

		shown = append(shown, request{
			ID:      r.ID,
			State:   r.State,
			Began:   moment(r.Began),
			Method:  r.Method,
			Host:    r.Host,
			Path:    path,
			Client:  r.RemoteAddr,
			PID:     r.PID,
			Bytes:   r.ResponseBytes,
			AppDone: r.AppDone,
			Gone:    r.ClientGone,
		})
	}

	return shown, len(mine)
}

// figure is a number with three digits, which is what the page shows.
type figure float64

// moment is a time in milliseconds, as scripts have it; zero means none.
type moment time.Time
