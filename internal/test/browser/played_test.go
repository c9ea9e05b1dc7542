package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/dashboard"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/status"
)

// played is an instance that a test plays. It changes with each look.
type played struct {
	// apps and processes are how many there are, processes of each.
	names     []string
	processes int
	// still keeps it from changing.
	still bool
	start time.Time

	mu        sync.Mutex
	looks     int
	restarted []string
	detached  []int
	// err is why there is nothing to show.
	err error
}

func play(apps, processes int) *played {
	p := &played{processes: processes, start: time.Now()}

	known := []string{"shop", "billing", "blog", "images", "api", "search", "archive", "mail", "wiki"}
	for i := range apps {
		name := fmt.Sprintf("app%03d", i)
		if i < len(known) {
			name = known[i]
		}

		p.names = append(p.names, "/srv/"+name+" (production)")
	}

	return p
}

// wave is a number from 0 to 1 that is another for each application and moment.
func wave(seed int, at float64) float64 {
	x := float64(seed*37%101) + at/7
	return (math.Sin(x) + math.Sin(x*2.3+1)/2 + math.Sin(x*11.7)/4 + 1.75) / 3.5
}

func (p *played) now() (int, time.Time) {
	at := 0
	if !p.still {
		at = p.looks
	}

	return at, p.start.Add(time.Duration(at) * time.Second)
}

// Pool implements dashboard.Source.
func (p *played) Pool(context.Context) (*dashboard.Pool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.err != nil {
		return nil, p.err
	}

	p.looks++
	at, now := p.now()
	pool := &dashboard.Pool{Version: "1.0.0", At: now, MaxPoolSize: len(p.names)*p.processes + 6}

	for i, name := range p.names {
		pool.CapacityUsed += p.processes
		pool.Groups = append(pool.Groups, p.group(i, name, at, now))
	}

	return pool, nil
}

func (p *played) group(i int, name string, at int, now time.Time) dashboard.Group {
	g := dashboard.Group{
		Name:         name,
		AppRoot:      strings.TrimSuffix(name, " (production)"),
		AppType:      []string{"rack", "wsgi", "node", "rack", "go"}[i%5],
		Environment:  "production",
		ReleaseRoot:  strings.TrimSuffix(name, " (production)") + "/releases/20261129",
		ReleaseMade:  p.start.Add(-9 * time.Hour),
		Generation:   3,
		MaxProcesses: 8,
		Counts: passenger.Counts{
			Spawns: 41, SpawnFailures: 2, HealthChecks: 39, Exits: 1, Crashes: 1, Restarts: 5, RestartFailures: 1,
			Limits: passenger.LimitCounts{Memory: 3, RequestTime: 1},
		},
	}

	load := wave(i, float64(at)/5)
	for j := range p.processes {
		busy := int(math.Round(load*6)) - j
		pr := dashboard.Process{
			PID:         4000 + 100*i + j,
			State:       passenger.ProcessEnabled,
			Generation:  3,
			Concurrency: 5,
			Sessions:    min(max(busy, 0)*2, 5),
			Processed:   uint64(1000*j + 60*at + 345),
			Spawned:     p.start.Add(-time.Duration(17+40*j) * time.Minute),
			LastUsed:    now,
			Metrics: procstat.Process{
				PrivateDirty: procstat.Known(int64(90+11*j)<<20 + int64(load*2e7)),
				CPU:          procstat.Known(load * 60),
				Processes:    1 + j%2,
			},
		}

		if i%7 == 0 && j == 0 {
			pr.LongSessions = min(pr.Sessions, 2)
		}

		g.Processes = append(g.Processes, pr)
	}

	switch i % 10 {
	case 3:
		g.QueueLength = 1 + at%5
	case 4:
		g.Spawning = 1
		g.Restarting = true
		g.Processes[0].State = passenger.ProcessDetached
		g.Processes[0].Generation = 2
	case 6:
		g.Processes = nil
	case 8:
		g.Processes[0].State = passenger.ProcessDisabled
		g.Processes[0].Sessions = 0
	}

	if i == 1 {
		g.DeploymentError = &dashboard.DeploymentError{
			At: p.start.Add(-4 * time.Minute), Message: "the application needs 'flask', which is not installed",
		}
	}

	return g
}

// Figures implements dashboard.Source.
func (p *played) Figures(_ context.Context, app string, points int) (all []status.Figures, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	at, _ := p.now()
	for i, name := range p.names {
		if app != "" && app != name {
			continue
		}

		f := status.Figures{App: name}
		for n := points - 1; n >= 0; n-- {
			tick := at/5 - n
			load := wave(i, float64(tick))
			point := status.Point{
				At:        p.start.Add(time.Duration(tick) * 5 * time.Second),
				Requests:  float32(load * 48),
				P50:       float32(0.018 + 0.01*load),
				P95:       float32(0.08 + 0.15*load*load),
				P99:       float32(0.2 + 0.9*load*load*load),
				Busy:      int(load * float64(p.processes)),
				Processes: p.processes,
				Memory:    float32(p.processes) * (110e6 + 2e7*float32(load)),
				CPU:       float32(load * 2.2),
			}
			if load > 0.85 {
				point.Errors, point.Queue = point.Requests/20, int(30*(load-0.85))
			}

			if i%10 == 6 {
				point = status.Point{At: point.At}
			}

			f.Points = append(f.Points, point)
		}

		last := &f.Points[len(f.Points)-1]
		f.Recent = status.Recent{Span: 90, P50: float64(last.P50), P95: float64(last.P95), P99: float64(last.P99)}
		all = append(all, f)
	}

	return all, nil
}

// Requests implements dashboard.Source.
func (p *played) Requests(context.Context) (all []dashboard.Request, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	_, now := p.now()
	for i, r := range []dashboard.Request{
		{State: "WAITING_FOR_APP_OUTPUT", Method: "GET", Path: "/reports/2026/november?token=canary", PID: 4001},
		{State: "WAITING_FOR_APP_OUTPUT", Method: "GET", Path: "/cable", PID: 4000, ResponseBytes: 81234},
		{State: "BUFFERING_REQUEST_BODY", Method: "POST", Path: "/uploads"},
		{State: "CHECKING_OUT_SESSION", Method: "GET", Path: "/products/42"},
		{State: "WAITING_FOR_APP_OUTPUT", Method: "PUT", Path: "/cart", PID: 4002, AppDone: true, ResponseBytes: 4096},
	} {
		r.App, r.ID, r.Host, r.RemoteAddr = p.names[0], fmt.Sprintf("8f0c91ae%02x", i), "shop.example", "203.0.113.9"
		r.Began = now.Add(-time.Duration(40/(i+1)) * time.Second)
		all = append(all, r)
	}

	return all, nil
}

// Failures implements dashboard.Source.
func (p *played) Failures(context.Context) ([]passenger.FailedSpawn, error) {
	return []passenger.FailedSpawn{{
		At: p.start.Add(-25 * time.Minute), GroupName: p.names[0], Report: spawner.Report{
			ID:       "5f0c91ae",
			AppName:  p.names[0],
			AppRoot:  "/srv/shop",
			Category: "error reported by the application",
			Summary:  "the application needs 'flask', which is not installed",
			Advice:   "Install the application's dependencies: pip install -r requirements.txt",
			Message: "Traceback (most recent call last):\n  … 2 frames of the loader\n" +
				"  File \"/srv/shop/passenger_wsgi.py\", line 1, in <module>\n    from flask import Flask\nModuleNotFoundError: No module named 'flask'\n",
			Output:     "reading /srv/shop/shop.toml\n",
			Step:       "load application",
			ExitStatus: "exit status 1",
			Command:    "/usr/bin/python3 wsgi-loader.py",
			User:       "shop",
		},
	}}, nil
}

// Incidents implements dashboard.Source.
func (p *played) Incidents(context.Context) ([]dashboard.Incident, error) {
	return []dashboard.Incident{{
		ID: "20261129-1", At: p.start.Add(-50 * time.Minute), Cause: "request_time", PID: 4003, App: p.names[0],
		Summary: "a request took longer than max_request_time (30 s): the process is killed",
	}}, nil
}

// Incident implements dashboard.Source.
func (*played) Incident(_ context.Context, id string) (json.RawMessage, error) {
	if id != "20261129-1" {
		return nil, fs.ErrNotExist
	}

	return json.RawMessage(`{"id": "20261129-1", "at": "2026-11-29T08:00:00Z", "cause": "request_time", "app": "shop",
		"summary": "a request takes too long", "pid": 4003, "limit": "max_request_time", "others": [],
		"request": {"id": "8f0c", "method": "GET", "path": "/slow", "age": 31.2, "queued": 0.002, "state": "WAITING_FOR_APP_OUTPUT"},
		"processes": [{"pid": 4003, "memory": 123456789, "backtraces": ["thread 1", "  app.rb:12 in sleep", "  app.rb:3 in call"],
			"output": ["GET /slow started", "SELECT 1"], "tree": [{"pid": 4003, "command": "ruby", "rss": 123456789,
			"threads": [{"tid": 4003, "name": "ruby", "state": "S", "waitsIn": "hrtimer_nanosleep", "stack": []}]
		}]}]}`), nil
}

// Restart implements dashboard.Source.
func (p *played) Restart(_ context.Context, app string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restarted = append(p.restarted, app)

	return nil
}

// Detach implements dashboard.Source.
func (p *played) Detach(_ context.Context, pid int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detached = append(p.detached, pid)

	return nil
}

// anyone is a door that gives each caller the same access.
type anyone dashboard.Access

func (a anyone) Admit(http.ResponseWriter, *http.Request, dashboard.Access) dashboard.Access {
	return dashboard.Access(a)
}

func (anyone) SignIn() bool { return true }

// serveDashboard returns the address of the page of a source.
func serveDashboard(t *testing.T, source dashboard.Source, access dashboard.Access) string {
	t.Helper()
	return serveBehind(t, source, anyone(access))
}

func serveBehind(t *testing.T, source dashboard.Source, door dashboard.Door) string {
	t.Helper()
	h := dashboard.New(dashboard.Config{
		Source: source,
		Door:   door,
		Title:  "d7Y2MA3f",
		Logger: logr.Discard(),
	})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)

	return server.URL + dashboard.Path
}

// orders are what was ordered so far.
type orders struct {
	restarted []string
	detached  []int
}

func (p *played) ordered() orders {
	p.mu.Lock()
	defer p.mu.Unlock()

	return orders{p.restarted, p.detached}
}

func (p *played) looked() int {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.looks
}
