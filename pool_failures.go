package passenger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/spawner"
)

// MaxFailedSpawns is how many failed spawns a pool remembers.
const MaxFailedSpawns = 20

// FailedSpawn is a spawn that failed, as people are told of it.
type FailedSpawn struct {
	At time.Time `json:"at"`
	// GroupName is the application's in the pool.
	GroupName string `json:"name"`
	spawner.Report
	apiKey string
}

// newFailedSpawn is for without the lock, since texts are searched for secrets.
func (a *spawnAttempt) newFailedSpawn(err error) *FailedSpawn {
	f := &FailedSpawn{At: time.Now(), GroupName: a.group.name, apiKey: a.group.apiKey}
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		f.Report = e.Report()
	} else {
		f.Report = spawner.Report{AppName: a.release.app.GroupName, AppRoot: a.release.app.Root, Summary: err.Error()}
	}

	return f
}

// remember forgets the oldest of the application that has most, so that one which
// fails again and again does not make the pool forget those of others.
func (p *Pool) remember(f *FailedSpawn) {
	p.failures = append(p.failures, f)
	if len(p.failures) <= MaxFailedSpawns {
		return
	}

	counts := map[string]int{}

	most := 0
	for _, f := range p.failures {
		counts[f.apiKey]++
		most = max(most, counts[f.apiKey])
	}

	oldest := slices.IndexFunc(p.failures, func(f *FailedSpawn) bool { return counts[f.apiKey] == most })
	p.failures = slices.Delete(p.failures, oldest, oldest+1)
}

// NoteFailedSpawns remembers spawns that failed elsewhere, the newest first: those of a pool that
// was to take this one's
// place. Those of applications that this pool does not have, or has several of that name, are left out.
func (p *Pool) NoteFailedSpawns(failures []FailedSpawn) {
	p.update(func(*effects) {
		for _, f := range slices.Backward(failures) {
			if g := p.groups[f.GroupName]; g != nil && g.namesake == nil {
				f.apiKey = g.apiKey
				p.remember(&f)
			}
		}
	})
}

// FailedSpawns returns the last spawns that failed, the newest first.
func (p *Pool) FailedSpawns() []FailedSpawn {
	return p.failedSpawns(func(*FailedSpawn) bool { return true })
}

// FailedSpawnsOf is FailedSpawns of the applications that have one of these API keys.
func (p *Pool) FailedSpawnsOf(apiKeys []string) []FailedSpawn {
	return p.failedSpawns(func(f *FailedSpawn) bool { return slices.Contains(apiKeys, f.apiKey) })
}

func (p *Pool) failedSpawns(shown func(*FailedSpawn) bool) []FailedSpawn {
	p.mu.Lock()
	defer p.mu.Unlock()

	found := make([]FailedSpawn, 0, len(p.failures))
	for _, f := range slices.Backward(p.failures) {
		if shown(f) {
			found = append(found, *f)
		}
	}

	return found
}

// WriteFailedSpawns writes failures for people, by application.
func WriteFailedSpawns(w io.Writer, failures []FailedSpawn, o TextOptions) error {
	var b strings.Builder
	if len(failures) == 0 {
		b.WriteString("No process has failed to start.\n")
	}

	written := map[string]bool{}
	for i := range failures {
		f := &failures[i]
		if written[f.GroupName] {
			continue
		}

		written[f.GroupName] = true
		o.heading(&b, printable.Line(f.GroupName))

		for j := range failures {
			if failures[j].GroupName == f.GroupName {
				failures[j].writeText(&b)
			}
		}
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func (f *FailedSpawn) writeText(b *strings.Builder) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %-12s: %s\n", name, oneLine(value))
		}
	}
	fmt.Fprintf(b, "%s  cannot start %s: %s\n", f.At.Format("2006-01-02 15:04:05 -0700"), printable.Line(f.AppName),
		oneLine(f.Summary))
	field("Error ID", f.ID)
	field("What to do", f.Advice)
	field("Kind", f.Category)
	field("Failed at", f.Step)
	field("Exit status", f.ExitStatus)
	if f.Preloader {
		field("Process", "the preloader, which loads the application once and forks its processes")
	}

	field("Directory", f.AppRoot)
	field("Environment", f.Environment)
	field("Command", f.Command)
	field("User", f.User)
	writeLines(b, "What the application says", f.Message)
	title := "Output"
	if f.OutputCut {
		title = "The last of its output"
	}

	writeLines(b, title, f.Output)
	b.WriteString("\n")
}

func writeLines(b *strings.Builder, title, text string) {
	if text == "" {
		return
	}

	fmt.Fprintf(b, "  %s:\n", title)

	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(b, "  | %s\n", printable.Line(strings.ReplaceAll(line, "\t", "    ")))
	}
}
