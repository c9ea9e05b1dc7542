package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// idleRow is the memory of a front before and after n clients came,
// asked once, and stayed.
type idleRow struct {
	Name      string    `json:"name"`
	Clients   int       `json:"clients"`
	Before    []float64 `json:"rss_before"`
	After     []float64 `json:"rss_after"`
	Lost      int       `json:"lost"`
	PerClient spread    `json:"bytes_per_client"`
	failure   error
}

type idleTable struct {
	Rows []idleRow `json:"rows"`
}

const bareName = "net/http by itself"

func idlePeers() []peer {
	bare := peer{name: bareName, commands: func(s *site) ([]command, error) {
		return []command{{argv: []string{s.self, "bare", s.addr}, front: anything}}, nil
	}}
	fronts := slices.DeleteFunc(nodePeers(), func(p peer) bool {
		return p.frontless || p.name == apacheName // Apache has room for some hundred clients
	})

	return append([]peer{fronts[0], bare}, fronts[1:]...)
}

// idleClients tells what a client costs that keeps its connection.
func idleClients(ctx context.Context, b *bench, found func(section) error) error {
	peers := b.installed("idle", idlePeers())

	rows := make([]idleRow, len(peers))
	for n := range b.rounds {
		for i := range peers {
			rows[i].Name, rows[i].Clients = peers[i].name, b.idleClients
			b.progress.say("idle, round %d of %d: %s", n+1, b.rounds, peers[i].name)
			if err := b.measureIdle(ctx, &peers[i], &rows[i]); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}

				b.progress.warn("idle: %v", err)
				rows[i].failure = err

				continue
			}

			last := len(rows[i].After) - 1
			b.progress.say("idle, round %d of %d: %s: %.1f MB, %.1f MB before",
				n+1, b.rounds, peers[i].name, rows[i].After[last]/megabyte, rows[i].Before[last]/megabyte)
		}
	}

	for i := range rows {
		rows[i].summarize()
	}

	title := fmt.Sprintf("idle, %d clients that asked once and keep their connection", b.idleClients)

	return found(section{Title: title, Table: &idleTable{Rows: rows}})
}

func (b *bench) measureIdle(ctx context.Context, p *peer, r *idleRow) error {
	s, err := b.serve(ctx, p, nodeProgram)
	if err != nil {
		return err
	}
	defer s.end()
	if warm := b.measure(ctx, &target{server: s, path: "/"}, slices.Max(b.connections), warmUp); warm.failed {
		return fmt.Errorf("%s: %s", p.name, warm.Errors)
	}

	before, err := s.frontRSS()
	if err != nil {
		return err
	}

	clients, err := openIdle(ctx, s.addr(), b.idleClients)
	defer clients.close()
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}

	if err := sleep(ctx, time.Second); err != nil {
		return err
	}

	after, err := s.frontRSS()
	if err != nil {
		return err
	}

	r.Before, r.After = append(r.Before, float64(before)), append(r.After, float64(after))
	r.Lost += clients.lost(ctx)

	return nil
}

func (r *idleRow) summarize() {
	each := make([]float64, len(r.Before))
	for i := range r.Before {
		each[i] = (r.After[i] - r.Before[i]) / float64(r.Clients)
	}

	r.PerClient = spreadOf(each)
}

func (t *idleTable) print(w io.Writer) {
	var bare float64
	for i := range t.Rows {
		if t.Rows[i].Name == bareName {
			bare = t.Rows[i].PerClient.Median
		}
	}

	fmt.Fprintln(w, "peer\tfront RSS before\tafter\tbytes/client\tmin..max\tabove net/http\t")

	for i := range t.Rows {
		r := &t.Rows[i]
		if len(r.Before) == 0 {
			fmt.Fprintf(w, "%s\tfailed\t\t\t\t\t! %v\n", r.Name, r.failure)
			continue
		}

		above := "-"
		if bare != 0 {
			above = fmt.Sprintf("%+.0f", r.PerClient.Median-bare)
		}

		fmt.Fprintf(w, "%s\t%.1f MB\t%.1f MB\t%.0f\t%.0f..%.0f\t%s\t%s\n", r.Name, median(r.Before)/megabyte,
			median(r.After)/megabyte,
			r.PerClient.Median, r.PerClient.Min, r.PerClient.Max, above, mark(r.errors()))
	}
}

func (r *idleRow) errors() string {
	var parts []string
	if r.failure != nil {
		parts = append(parts, r.failure.Error())
	}

	if r.Lost > 0 {
		parts = append(parts, fmt.Sprintf("%d clients lost their connection", r.Lost))
	}

	return strings.Join(parts, ", ")
}
