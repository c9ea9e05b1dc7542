package admin

import (
	"context"
	"fmt"
	"time"
)

// Verdict is how a check ends.
type Verdict string

// The verdicts. A check that is skipped has nothing to look at.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "error"
	Skipped Verdict = "skipped"
)

// Result is what a check found.
type Result struct {
	// Group is what the check is about, Name what it looks at.
	Group   string  `json:"group"`
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Detail is what there is, Advice what to do about it.
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// Host says what of this host is checked.
type Host struct {
	// Program is the path of this binary, which is started for applications.
	Program string
	// Getenv is os.Getenv.
	Getenv func(string) string
	// Registry is where instances would go, Buffers what does not fit into
	// memory.
	Registry, Buffers string
	// NoApps leaves out what starts applications.
	NoApps bool
}

// checkTimeout is how long one check may take.
const checkTimeout = 60 * time.Second

// check is one check of the host.
type check struct {
	group, name string
	run         func(context.Context, *Host) Result
}

// Check makes all checks, one after the other, and tells report of each before
// and after it. It returns early when ctx ends, whose error it returns.
func (h *Host) Check(ctx context.Context, begin func(name string), end func(Result)) error {
	for _, c := range checks() {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		begin(c.name)
		end(h.run(ctx, c))
	}

	return ctx.Err()
}

func (h *Host) run(ctx context.Context, c check) Result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r := c.run(ctx, h)
	r.Group, r.Name = c.group, c.name

	return r
}

func checks() []check {
	all := []check{
		{"Installation", "program in PATH", checkPath},
		{"Installation", "other programs of the name", checkOthers},
	}
	all = append(all, registryChecks()...)

	all = append(all, systemChecks()...)
	for _, l := range languages {
		all = append(all, l.checks()...)
	}

	return all
}

func ok(format string, args ...any) Result {
	return Result{Verdict: OK, Detail: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Result {
	return Result{Verdict: Skipped, Detail: fmt.Sprintf(format, args...)}
}

func warn(advice, format string, args ...any) Result {
	return Result{Verdict: Warning, Detail: fmt.Sprintf(format, args...), Advice: advice}
}

func fail(advice, format string, args ...any) Result {
	return Result{Verdict: Failed, Detail: fmt.Sprintf(format, args...), Advice: advice}
}
