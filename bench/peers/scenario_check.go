package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// allowedGrowth is how much more than before a request may cost: what is measured varies by less on a quiet machine.
const allowedGrowth = 1.05

// checkRow is what a request costs the front of two builds of ours.
type checkRow struct {
	App         string  `json:"app"`
	Connections int     `json:"connections"`
	What        string  `json:"what"`
	Before      float64 `json:"before"`
	Now         float64 `json:"now"`
	// Ratio is of now to before, and Counts says that it decides.
	Ratio  float64 `json:"ratio"`
	Counts bool    `json:"counts"`
}

func (r *checkRow) isWorse() bool { return r.Counts && r.Ratio > allowedGrowth }

type checkTable struct {
	Rows []checkRow `json:"rows"`
}

func (t *checkTable) print(w io.Writer) {
	fmt.Fprintln(w, "app\tconns\tof a request\tbefore\tnow\tnow/before\t")

	for i := range t.Rows {
		r := &t.Rows[i]
		verdict := ""
		if r.isWorse() {
			verdict = "! more than 5 % worse"
		}

		fmt.Fprintf(w, "%s\t%d\t%s\t%.2f\t%.2f\t%.2f\t%s\n", r.App, r.Connections, r.What, r.Before, r.Now, r.Ratio,
			verdict)
	}
}

// checkBuilds compares another build of ours, which was before, with this one.
func checkBuilds(ctx context.Context, b *bench, found func(section) error) error {
	if b.before == "" || b.programs[straceProgram] == "" {
		return errors.New("the scenario check needs another build of passenger, which -before names, and strace")
	}

	var worse []error
	for _, app := range b.apps {
		t, err := b.checkApp(ctx, app)
		if err != nil {
			return err
		}

		if err := found(section{Title: "check, " + app, Table: t}); err != nil {
			return err
		}

		for i := range t.Rows {
			if r := &t.Rows[i]; r.isWorse() {
				worse = append(worse, fmt.Errorf("%s, %d connections: %s of a request: %.2f before, %.2f now", r.App,
					r.Connections, r.What, r.Before, r.Now))
			}
		}
	}

	return errors.Join(worse...)
}

func (b *bench) checkApp(ctx context.Context, app string) (*checkTable, error) {
	ours := b.installed(app, peersOf(app)[:1])
	if len(ours) == 0 {
		return nil, fmt.Errorf("%s: nothing that runs it is installed", app)
	}

	targets := make([]target, 0, 2)
	for _, p := range []peer{ours[0].ofBuild("before", b.before), ours[0].ofBuild("now", b.programs[oursProgram])} {
		s, err := b.serve(ctx, &p, app)
		if err != nil {
			return nil, err
		}

		defer s.end()
		targets = append(targets, target{name: p.name, server: s, path: "/"})
	}

	rows, err := b.compare(ctx, "check, "+app, targets)
	if err != nil {
		return nil, err
	}

	t := &checkTable{}
	for i := 0; i < len(rows); i += len(targets) {
		t.Rows = append(t.Rows, cpuRow(app, &rows[i], &rows[i+1]))
	}

	calls := make([]map[string]float64, len(targets))
	for i := range targets {
		if calls[i], err = b.countCalls(ctx, &targets[i]); err != nil {
			return nil, err
		}
	}

	t.Rows = append(t.Rows, b.callRows(app, calls[0], calls[1])...)

	return t, nil
}

// ofBuild is a peer of ours that runs another program.
func (p *peer) ofBuild(name, program string) peer {
	other := *p
	other.name = name
	other.commands = func(s *site) ([]command, error) {
		own := *s
		own.programs = maps.Clone(s.programs)
		own.programs[oursProgram] = program

		return p.commands(&own)
	}

	return other
}

// cpuRow has the median of the rounds' ratios: what else the machine does happens to both programs of a round.
func cpuRow(app string, before, now *row) checkRow {
	var ratios, old, own []float64
	for i := range before.Rounds {
		a, b := &before.Rounds[i], &now.Rounds[i]
		if a.failed || b.failed || a.FrontCPU == 0 {
			continue
		}

		ratios = append(ratios, b.FrontCPU/a.FrontCPU)
		old, own = append(old, a.FrontCPU), append(own, b.FrontCPU)
	}

	return checkRow{
		App:         app,
		Connections: before.Connections,
		What:        "CPU, µs",
		Before:      median(old),
		Now:         median(own),
		Ratio:       median(ratios),
		Counts:      true,
	}
}

// waiting are system calls whose number depends on how the threads meet, more than on the program.
var waiting = []string{
	"epoll_pwait", "futex", "nanosleep", "sched_yield", "tgkill", "getpid", "rt_sigreturn", "madvise",
	"restart_syscall",
}

// callRows has a row for each system call that is made in one of twenty requests or more, and one for all that count.
func (b *bench) callRows(app string, before, now map[string]float64) []checkRow {
	names := map[string]bool{}
	for _, calls := range []map[string]float64{before, now} {
		for name := range calls {
			names[name] = true
		}
	}

	all := checkRow{App: app, Connections: b.connections[0], What: "system calls that do not wait", Counts: true}

	var rows []checkRow
	for name := range names {
		r := checkRow{App: app, Connections: b.connections[0], What: name, Before: before[name], Now: now[name]}
		r.Ratio = r.Now / r.Before
		if !slices.Contains(waiting, name) {
			all.Before += r.Before
			all.Now += r.Now
		}

		if max(r.Before, r.Now) >= 0.05 && r.Before > 0 {
			rows = append(rows, r)
		}
	}

	slices.SortFunc(rows, func(a, b checkRow) int { return strings.Compare(a.What, b.What) })
	all.Ratio = all.Now / all.Before

	return append(rows, all)
}

// countTime is how long system calls are counted, which slows the front down.
const countTime = 3 * time.Second

// countCalls returns how many system calls of each name the front makes for a request.
func (b *bench) countCalls(ctx context.Context, t *target) (map[string]float64, error) {
	out := filepath.Join(b.dir, "strace-"+t.name)
	args := []string{"-f", "-c", "-U", "calls,name", "-o", out}
	fronts := 0

	err := t.server.each(func(p process, front bool) error {
		if front {
			fronts++
			args = append(args, "-p", strconv.Itoa(p.pid))
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	strace := exec.CommandContext(ctx, b.programs[straceProgram], args...)
	says, err := strace.StderrPipe()
	if err != nil {
		return nil, err
	}

	if err := strace.Start(); err != nil {
		return nil, err
	}

	lines := bufio.NewScanner(says)
	for attached := 0; attached < fronts && lines.Scan(); {
		if !strings.Contains(lines.Text(), " attached") {
			_ = strace.Wait()
			return nil, fmt.Errorf("strace: %s", lines.Text())
		}

		attached++
	}

	go func() { _, _ = io.Copy(io.Discard, says) }()

	run := load{url: t.server.url + t.path, connections: b.connections[0], duration: countTime}
	result, err := run.run(ctx, b.programs[wrkProgram])
	_ = strace.Process.Signal(syscall.SIGINT)
	_ = strace.Wait() // which tells the signal

	if err != nil {
		return nil, err
	}

	table, err := os.ReadFile(out) //nolint:gosec // G304: a file of ours
	if err != nil {
		return nil, err
	}

	return parseCalls(string(table), result.requests)
}

// parseCalls reads strace's table of calls and names.
func parseCalls(table string, requests int64) (map[string]float64, error) {
	calls := map[string]float64{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) != 2 || f[1] == "total" {
			continue
		}

		if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
			calls[f[1]] += float64(n) / float64(requests)
		}
	}

	if len(calls) == 0 {
		return nil, fmt.Errorf("strace counted nothing: %q", table)
	}

	return calls, nil
}
