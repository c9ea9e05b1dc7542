package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

const fastConnections = 16

// slowRound is what a server did for fast clients, by themselves and beside
// slow ones.
type slowRound struct {
	Alone       round   `json:"alone"`
	Beside      round   `json:"beside"`
	RSSAlone    float64 `json:"front_rss_alone"`
	RSSBeside   float64 `json:"front_rss_beside"`
	Downloading int64   `json:"downloading"` // slow clients whose responses have begun
	Lost        int64   `json:"lost"`        // slow clients that the server sent away
	Reason      string  `json:"reason,omitempty"`
	Recovered   bool    `json:"recovered"` // responds when they are gone
}

type slowRow struct {
	Name   string      `json:"name"`
	Rounds []slowRound `json:"rounds"`
	Error  string      `json:"error,omitempty"`
}

type slowTable struct {
	Rows []slowRow `json:"rows"`
}

// slowClients measures fast clients with and without slow ones beside them.
func slowClients(ctx context.Context, b *bench, found func(section) error) error {
	fronts := slices.DeleteFunc(wsgiPeers(), func(p peer) bool { return p.frontless })
	peers := b.installed("slow", fronts)

	rows := make([]slowRow, len(peers))
	for n := range b.rounds {
		for i := range peers {
			rows[i].Name = peers[i].name
			b.progress.say("slow, round %d of %d: %s", n+1, b.rounds, peers[i].name)

			r, err := b.measureSlow(ctx, &peers[i])
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err != nil:
				b.progress.warn("slow: %v", err)
				rows[i].Error = err.Error()
			default:
				rows[i].Rounds = append(rows[i].Rounds, *r)
				b.progress.say("slow, round %d of %d: %s: %.0f req/s alone, %.0f beside %s",
					n+1, b.rounds, peers[i].name, r.Alone.Rate, r.Beside.Rate, r.Reason)
			}
		}
	}

	doing := map[string]string{slowBoth: "send or receive", slowUploads: "send", slowDownloads: "receive"}[b.slowKind]
	title := fmt.Sprintf("slow, wsgi: %d fast clients, alone and beside %d that %s a byte a second", fastConnections,
		b.slowClients, doing)

	return found(section{Title: title, Table: &slowTable{Rows: rows}})
}

func (b *bench) measureSlow(ctx context.Context, p *peer) (*slowRound, error) {
	s, err := b.serve(ctx, p, "wsgi")
	if err != nil {
		return nil, err
	}
	defer s.end()
	fast := target{name: p.name, server: s, path: "/"}
	if warm := b.measure(ctx, &fast, fastConnections, warmUp); warm.failed {
		return nil, fmt.Errorf("%s: %s", p.name, warm.Errors)
	}

	r := slowRound{Alone: b.measure(ctx, &fast, fastConnections, b.duration)}
	alone, err := s.frontRSS()
	if err != nil {
		return nil, err
	}

	slow, err := startSlow(ctx, s.addr(), b.slowKind, b.slowClients)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	defer slow.end()
	r.Beside = b.measure(ctx, &fast, fastConnections, b.duration)
	beside, err := s.frontRSS()
	if err != nil {
		return nil, err
	}

	r.RSSAlone, r.RSSBeside = float64(alone), float64(beside)
	r.Downloading, r.Lost = slow.begun.Load(), slow.lost.Load()
	if reason := slow.reason.Load(); reason != nil {
		r.Reason = (*reason).Error()
	}

	slow.end()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r.Recovered = checkResponses(ctx, s.url) == nil

	return &r, nil
}

func (t *slowTable) print(w io.Writer) {
	fmt.Fprintln(w, "peer\treq/s alone\tbeside\tbeside/alone\tmin..max\tp99 alone\tbeside\tfront RSS "+
		"alone\tbeside\tdownloading\tlost\t")

	for i := range t.Rows {
		r := &t.Rows[i]
		if len(r.Rounds) == 0 {
			fmt.Fprintf(w, "%s\tfailed\t\t\t\t\t\t\t\t\t\t%s\n", r.Name, mark(r.Error))
			continue
		}

		figure := func(of func(*slowRound) float64) float64 {
			list := make([]float64, len(r.Rounds))
			for i := range r.Rounds {
				list[i] = of(&r.Rounds[i])
			}

			return median(list)
		}
		ratio := r.ratio()
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.2f..%.2f\t%s\t%s\t%.1f MB\t%.1f MB\t%.0f\t%.0f\t%s\n", r.Name,
			figure(func(r *slowRound) float64 { return r.Alone.Rate }),
			figure(func(r *slowRound) float64 { return r.Beside.Rate }),
			ratio.Median, ratio.Min, ratio.Max,
			latency(figure(func(r *slowRound) float64 { return r.Alone.P99 })),
			latency(figure(func(r *slowRound) float64 { return r.Beside.P99 })),
			figure(func(r *slowRound) float64 { return r.RSSAlone })/megabyte,
			figure(func(r *slowRound) float64 { return r.RSSBeside })/megabyte,
			figure(func(r *slowRound) float64 { return float64(r.Downloading) }),
			figure(func(r *slowRound) float64 { return float64(r.Lost) }),
			mark(r.errors()))
	}
}

// ratio is the rate beside slow clients to that without, which a server has at
// all only if it responds.
func (r *slowRow) ratio() spread {
	list := make([]float64, 0, len(r.Rounds))
	for i := range r.Rounds {
		if alone := r.Rounds[i].Alone; !alone.failed {
			list = append(list, r.Rounds[i].Beside.Rate/alone.Rate)
		}
	}

	return spreadOf(list)
}

func (r *slowRow) errors() string {
	if r.Error != "" {
		return r.Error
	}

	for i := range r.Rounds {
		switch n := &r.Rounds[i]; {
		case n.Alone.Errors != "":
			return n.Alone.Errors
		case n.Beside.Errors != "":
			return "beside: " + n.Beside.Errors
		case n.Reason != "":
			return n.Reason
		case !n.Recovered:
			return "does not respond for 10 s when they have gone"
		}
	}

	return ""
}
