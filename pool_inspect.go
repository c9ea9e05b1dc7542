package passenger

import (
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// Snapshot is the state of a pool at one moment. It shares nothing with the
// pool.
type Snapshot struct {
	MaxPoolSize  int
	CapacityUsed int
	// WaitingForCapacity are the gets whose application has no process,
	// because the pool is full.
	WaitingForCapacity int
	// Groups are ordered by name.
	Groups []GroupSnapshot
}

// GroupSnapshot is the state of an application.
type GroupSnapshot struct {
	Name        string
	AppRoot     string
	Environment string
	// ReleaseRoot is where the links led that AppRoot may consist of, when the
	// present generation began; empty until it has started a process.
	ReleaseRoot string
	// Generation counts the restarts.
	Generation uint32
	// Restarting: a restart goes on.
	Restarting bool
	// DeploymentError is why the last restart was called off; nil: it was not.
	DeploymentError *DeploymentError
	// QueueLength counts the gets that wait.
	QueueLength int
	// Spawning: a process is being started.
	Spawning bool
	// Processes are in the order in which they were attached, those that are
	// being stopped last.
	Processes []ProcessSnapshot
}

// ProcessSnapshot is the state of a process.
type ProcessSnapshot struct {
	PID   int
	GUPID string
	// State is enabled, disabling, disabled or detached.
	State string
	// Generation is the group's when it was started.
	Generation uint32
	// Concurrency is how many requests it takes at once; 0: no limit.
	Concurrency int
	Sessions    int
	// Processed counts the sessions that were closed.
	Processed uint64
	// Spawned is when it was ready, LastUsed when its last session was closed,
	// or else when it was attached.
	Spawned, LastUsed time.Time
	Sockets           []spawner.Socket
}

// Inspect returns the state of the pool.
func (p *Pool) Inspect() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Snapshot{MaxPoolSize: p.cfg.MaxPoolSize, CapacityUsed: p.capacityUsed}
	for g := range p.starving.all {
		s.WaitingForCapacity += g.queue.len()
	}
	for g := range p.allGroups {
		s.Groups = append(s.Groups, g.inspect())
	}
	slices.SortFunc(s.Groups, func(a, b GroupSnapshot) int {
		return strings.Compare(a.Name+"\x00"+a.AppRoot, b.Name+"\x00"+b.AppRoot)
	})
	return s
}

func (g *group) inspect() GroupSnapshot {
	s := GroupSnapshot{
		Name: g.name, AppRoot: g.opts.App.Root, Environment: g.opts.App.Environment,
		ReleaseRoot: g.release.root, Generation: g.release.generation,
		Restarting: g.restart != nil, DeploymentError: g.resisted,
		QueueLength: g.queueLength(), Spawning: len(g.attempts) > 0,
	}
	for _, l := range g.lists() {
		for pr := range l.all {
			s.Processes = append(s.Processes, pr.inspect())
		}
	}
	return s
}

func (pr *process) inspect() ProcessSnapshot {
	return ProcessSnapshot{
		PID: pr.info.PID, GUPID: pr.info.GUPID, State: pr.state.String(), Generation: pr.generation,
		Concurrency: pr.concurrency, Sessions: pr.sessions, Processed: pr.processed,
		Spawned: pr.info.SpawnEnded, LastUsed: pr.group.pool.epoch.Add(pr.lastUsed), Sockets: slices.Clone(pr.info.Sockets),
	}
}
