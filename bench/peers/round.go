package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// warmUp is how long each server gets requests before any is measured, which
// also lets those start their processes that do so one after the other.
const warmUp = 2 * time.Second

// pause lets what a run of wrk has left behind come to its end.
const pause = 200 * time.Millisecond

// target is a server as a scenario asks it.
type target struct {
	name   string
	server *server
	path   string
	script string
	args   []string
}

// round is what one run of wrk against one server showed.
type round struct {
	Rate     float64 `json:"requests_per_second"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	FrontCPU float64 `json:"front_cpu_us_per_request"`
	AppCPU   float64 `json:"app_cpu_us_per_request"`
	// Foreign is the share of the processors that took others than the server and wrk.
	Foreign float64 `json:"foreign_cpu_share"`
	Errors  string  `json:"errors,omitempty"`
	failed  bool
}

// row is what the rounds of a server with n connections showed.
type row struct {
	Name        string  `json:"name"`
	Connections int     `json:"connections"`
	Frontless   bool    `json:"frontless,omitempty"`
	Rounds      []round `json:"rounds"`
	Rate        spread  `json:"requests_per_second"`
	Ratio       spread  `json:"ratio"` // of the first row's rate to this one's
}

// compare measures all targets in turn, again and again: what the machine does
// beside it happens to all of them. The first one is what they are compared to.
func (b *bench) compare(ctx context.Context, what string, targets []target) ([]row, error) {
	for _, t := range targets {
		b.progress.say("%s: %s warms up", what, t.name)
		if r := b.measure(ctx, &t, slices.Max(b.connections), warmUp); r.failed {
			b.progress.warn("%s: %s: %s", what, t.name, r.Errors)
		}
	}

	var rows []row
	for _, connections := range b.connections {
		set := make([]row, len(targets))
		for n := range b.rounds {
			for i, t := range targets {
				r := b.measureInPeace(ctx, &t, connections)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}

				b.progress.say("%s, %d connections, round %d of %d: %s: %.0f req/s %s",
					what, connections, n+1, b.rounds, t.name, r.Rate, r.Errors)
				set[i].Name, set[i].Connections, set[i].Frontless = t.name, connections, t.server.frontless
				set[i].Rounds = append(set[i].Rounds, r)
			}
		}

		for i := range set {
			set[i].summarize(&set[0])
		}

		rows = append(rows, set...)
	}

	return rows, nil
}

// measureInPeace measures again while others have taken too much of the machine, and returns the round that they
// disturbed least.
func (b *bench) measureInPeace(ctx context.Context, t *target, connections int) (best round) {
	for n := range 1 + maxRepeats {
		r := b.measure(ctx, t, connections, b.duration)
		if n == 0 || !r.failed && r.Foreign < best.Foreign {
			best = r
		}

		if best.failed || best.Foreign <= maxForeign || ctx.Err() != nil {
			break
		}

		b.progress.say("%s: others took %.0f %% of the machine", t.name, 100*r.Foreign)
	}

	return best
}

// measure runs wrk once.
func (b *bench) measure(ctx context.Context, t *target, connections int, duration time.Duration) round {
	if err := sleep(ctx, pause); err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	run := load{
		url:         t.server.url + t.path,
		script:      t.script,
		args:        t.args,
		connections: connections,
		duration:    duration,
	}
	before, err := t.server.usage()
	if err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	busyBefore, err := busyTime()
	if err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	began := time.Now()
	result, err := run.run(ctx, b.programs[wrkProgram])
	if err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	elapsed := time.Since(began)
	busyAfter, err := busyTime()
	if err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	after, err := t.server.usage()
	if err != nil {
		return round{Errors: err.Error(), failed: true}
	}

	used := after.minus(before)
	r := round{
		Rate:     result.goodRate(),
		P50:      microseconds(result.p50),
		P99:      microseconds(result.p99),
		FrontCPU: microseconds(used.front) / float64(result.requests),
		AppCPU:   microseconds(used.app) / float64(result.requests),
		Foreign:  foreignShare(busyAfter-busyBefore, used.front+used.app+result.cpu, elapsed),
		Errors:   result.errors(),
	}
	if t.server.ended() {
		r.Errors, r.failed = fmt.Sprintf("%s has ended by itself", t.server.name), true
	}

	return r
}

// summarize leaves out rounds that failed.
func (r *row) summarize(base *row) {
	var ratios []float64
	for i := range r.Rounds {
		if ours, theirs := base.Rounds[i], r.Rounds[i]; !ours.failed && theirs.Rate > 0 {
			ratios = append(ratios, ours.Rate/theirs.Rate)
		}
	}

	r.Rate, r.Ratio = spreadOf(r.figures(func(r *round) float64 { return r.Rate })), spreadOf(ratios)
}

// figures are a figure of each round that did not fail.
func (r *row) figures(figure func(*round) float64) []float64 {
	list := make([]float64, 0, len(r.Rounds))
	for i := range r.Rounds {
		if !r.Rounds[i].failed {
			list = append(list, figure(&r.Rounds[i]))
		}
	}

	return list
}

// errors are those of the first round that had any.
func (r *row) errors() string {
	for i := range r.Rounds {
		if r.Rounds[i].Errors != "" {
			return r.Rounds[i].Errors
		}
	}

	return ""
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
