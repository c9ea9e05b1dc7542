package passenger

import (
	"errors"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// MaxFailedSpawns is the number of failed spawns that a pool keeps.
const MaxFailedSpawns = 20

// FailedSpawn describes a failed spawn for people.
type FailedSpawn struct {
	At time.Time `json:"at"`
	// GroupName is the name of the application's group.
	GroupName string `json:"name"`
	spawner.Report
	apiKey string
}

// newFailedSpawn runs without the lock, since it searches texts for secrets.
func (a *spawnAttempt) newFailedSpawn(err error) *FailedSpawn {
	f := &FailedSpawn{At: time.Now(), GroupName: a.group.name, apiKey: a.group.apiKey}
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		f.Report = e.Report()
	} else {
		f.Report = spawner.Report{AppName: a.release.app.GroupName, AppRoot: a.release.app.Root, Summary: err.Error()}
	}

	return f
}

// rememberFailureLocked keeps f. When there are too many, it drops the oldest one of the
// application that has most, so that an application that fails again and again does not displace
// the failures of others.
func (p *Pool) rememberFailureLocked(f *FailedSpawn) {
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

// NoteFailedSpawns adds spawns that failed in another pool, which was to replace this one, the
// newest first. It leaves out those whose group name this pool does not have, or has for several
// applications.
func (p *Pool) NoteFailedSpawns(failures []FailedSpawn) {
	p.update(func(*effects) {
		for _, f := range slices.Backward(failures) {
			if g := p.groups[f.GroupName]; g != nil && g.namesake == nil {
				f.apiKey = g.apiKey
				p.rememberFailureLocked(&f)
			}
		}
	})
}

// FailedSpawns returns the last failed spawns, the newest first.
func (p *Pool) FailedSpawns() []FailedSpawn {
	return p.failedSpawns(func(*FailedSpawn) bool { return true })
}

// FailedSpawnsOf is FailedSpawns for the applications with these API keys.
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
