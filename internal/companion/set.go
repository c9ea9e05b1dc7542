// Package companion keeps the programs running that an application has beside its processes: the workers of a queue, a
// scheduler. A [Set] starts them for a release of the application (set.go), starts each again after its end, with
// pauses that grow (instance.go), and replaces all of them when another release serves. What to run is a [Spec]
// (spec.go).
package companion

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/spawner"
)

// Config configures [New].
type Config struct {
	// App is the name of the application, for the log.
	App string
	// Start starts one companion of the release in the directory root; number counts those of its name from 1. Its
	// error says that nothing is left running, and was logged.
	Start func(ctx context.Context, root string, spec *Spec, number int) (spawner.Process, error)
	// Logger gets what happens to companions.
	Logger logr.Logger
	// SelfChecks makes a state that must not follow another one panic.
	SelfChecks bool
}

// Set is all companions of one application. It is safe for concurrent use.
type Set struct {
	cfg Config
	// forced ends when those that are asked to end must be killed.
	forced context.Context
	force  context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	// current are those of the release that serves, retiring the ones before them that have not ended.
	current, retiring []*instance
	// restarts counts those of a name since the server started.
	restarts map[string]uint64
}

// New returns a Set without companions.
func New(cfg Config) *Set {
	s := &Set{cfg: cfg, restarts: map[string]uint64{}}
	s.forced, s.force = context.WithCancel(context.Background())

	return s
}

// Replace starts companions of the release in the directory root, and asks those before them to end. One that must not
// overlap starts when all of its name have ended. It does nothing after Finish or Stop.
func (s *Set) Replace(specs Specs, root string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.stopped {
		return
	}

	// After restarts that follow each other closely, several releases may be ending.
	before := slices.DeleteFunc(slices.Concat(s.retiring, s.current),
		func(i *instance) bool { return i.state == ended })
	s.current = nil

	for n := range specs {
		spec := &specs[n]
		for number := 1; number <= spec.Count; number++ {
			i := newInstance(s, spec, number, root)
			if !spec.Overlap {
				i.after = namesakes(before, spec.Name)
			}

			s.current = append(s.current, i)
		}
	}

	s.retiring = before
	for _, i := range s.current {
		s.wg.Go(i.run)
	}

	// Last, so that as little time as possible passes without a companion that takes work.
	for _, i := range before {
		i.finish()
	}
}

func namesakes(all []*instance, name string) (found []*instance) {
	for _, i := range all {
		if i.spec.Name == name {
			found = append(found, i)
		}
	}

	return found
}

// Finish asks all companions to end, and does not wait for that. No other is started.
func (s *Set) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true

	for _, all := range [][]*instance{s.current, s.retiring} {
		for _, i := range all {
			i.finish()
		}
	}
}

// Stop is Finish, and returns when nothing of the companions is left. They are killed when ctx ends.
func (s *Set) Stop(ctx context.Context) {
	s.Finish()
	defer s.force()
	defer context.AfterFunc(ctx, s.force)()

	s.wg.Wait()
}

// hasEndedLocked takes an instance off the list of those that have not ended. Those that serve stay, to be shown.
func (s *Set) hasEndedLocked(ended *instance) {
	s.retiring = slices.DeleteFunc(s.retiring, func(i *instance) bool { return i == ended })
}

// EachRunning calls f for each process of the companions. f must not call the Set.
func (s *Set) EachRunning(f func(pid int, spec *Spec)) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, i := range s.current {
		if i.state == running {
			f(i.pid, i.spec)
		}
	}
}

// Recycle asks a companion, of which pid is the process, to end. It is started again unless it never is.
func (s *Set) Recycle(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	// One of an earlier release is about to end in any case.
	for _, i := range s.current {
		if i.state == running && i.pid == pid {
			i.recycleLocked()
		}
	}
}

// Snapshot is what is known of one companion.
type Snapshot struct {
	// App is the name of the application, Name that of the companion, and Number counts those of a name from 1.
	App, Name string
	Number    int
	State     string
	// PID is zero if it does not run.
	PID int
	// Since is when it entered the state.
	Since time.Time
	// Restarts is how often it was started again, and RestartsOfName how often all of its name were since the server
	// started. LastExit is how it ended last; empty means never.
	Restarts       int
	RestartsOfName uint64
	LastExit       string
	// Retiring is true if it belongs to an earlier release.
	Retiring bool
}

// Inspect returns the companions, those of earlier releases last.
func (s *Set) Inspect() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()

	all := make([]Snapshot, 0, len(s.current)+len(s.retiring))
	for _, i := range s.current {
		all = append(all, i.snapshotLocked())
	}

	for _, i := range s.retiring {
		snapshot := i.snapshotLocked()
		snapshot.Retiring = true
		all = append(all, snapshot)
	}

	return all
}
