package passenger

import (
	"context"

	"github.com/gopassenger/passenger/spawner"
)

// spawnAttempt is one spawn that goes on without the lock. Its result counts
// only while it is its group's attempt.
type spawnAttempt struct {
	group      *group
	generation uint32
	app        spawner.App
}

// run starts the process and brings it to the group.
func (a *spawnAttempt) run() {
	proc, err := a.spawn(a.group.pool.spawnCtx)
	a.group.pool.update(func(fx *effects) { a.group.spawned(fx, a, proc, err) })
}

func (a *spawnAttempt) spawn(ctx context.Context) (spawner.Process, error) {
	g := a.group
	// Only the attempt that runs touches g.spawner, and a group has one at a
	// time.
	if g.spawner == nil {
		s, err := g.pool.factory.NewSpawner(a.app)
		if err != nil {
			return nil, err
		}
		g.spawner = s
	}
	return g.spawner.Spawn(ctx)
}
