package passenger

import (
	"errors"
	"slices"
	"time"

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

// rememberFailureLocked forgets the oldest of the application that has most, so that one which
// fails again and again does not make the pool forget those of others.
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

// NoteFailedSpawns remembers spawns that failed elsewhere, the newest first: those of a pool that
// was to take this one's
// place. Those of applications that this pool does not have, or has several of that name, are left out.
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
