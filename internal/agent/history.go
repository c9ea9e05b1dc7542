package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/history"
	"github.com/gopassenger/passenger/status"
)

// recordHistory adds the figures of all applications to the history, until ctx ends.
func (s *Server) recordHistory(ctx context.Context) {
	tick := time.NewTicker(history.Interval)
	defer tick.Stop()

	for {
		s.history.Record(time.Now(), s.sample())

		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// figures returns the history of the application of this name, or of all for an empty name, with at most the newest
// points of each.
func (s *Server) figures(app string, points int) (all []status.Figures) {
	if app == "" {
		all = s.history.Figures(points)
	} else if f, ok := s.history.App(app, points); ok {
		all = []status.Figures{f}
	}

	addresses := map[string]string{}
	for _, hosted := range s.cfg.Apps {
		app := hosted.Config.options().App
		// Several entries may be one application.
		if before := addresses[app.Name()]; before != "" {
			addresses[app.Name()] = before + ", " + hosted.Addresses()
		} else {
			addresses[app.Name()] = hosted.Addresses()
		}
	}

	for i := range all {
		all[i].Address = addresses[all[i].App]
	}

	return all
}

// sample returns the state of each application. Applications of one name are one here.
func (s *Server) sample() []history.Sample {
	pool := s.pool.Inspect()
	samples := make([]history.Sample, 0, len(pool.Groups))
	places := map[string]int{}
	of := func(name string) *history.Sample {
		i, ok := places[name]
		if !ok {
			i = len(samples)
			places[name] = i
			samples = append(samples, history.Sample{App: name})
		}

		return &samples[i]
	}

	for i := range pool.Groups {
		addProcesses(of(pool.Groups[i].Name), &pool.Groups[i])
	}

	for _, h := range s.site.handlers() {
		figures := h.Figures()
		one := of(figures.AppName)
		one.Durations = one.Durations.Add(figures.Durations)
		one.Errors += figures.Responses[http.StatusInternalServerError/100]

		for _, n := range figures.Responses {
			one.Requests += n
		}
	}

	return samples
}

func addProcesses(to *history.Sample, g *passenger.GroupSnapshot) {
	to.Queue += g.QueueLength

	for i := range g.Processes {
		p := &g.Processes[i]
		if p.State != passenger.ProcessDetached {
			to.Processes++
			if p.Sessions > 0 {
				to.Busy++
			}
		}

		to.Memory += p.Metrics.RealMemory().Or(0)

		// From percent of one processor to processors.
		to.CPU += p.Metrics.CPU.Or(0) / 100
	}
}
