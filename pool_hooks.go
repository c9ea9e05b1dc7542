package passenger

import (
	"time"

	"github.com/gopassenger/passenger/hooks"
)

// hookTimeout bounds how long a process lives on for the hook that is run
// before it is killed.
const hookTimeout = time.Minute

// fire tells the hooks of what happened, after unlocking.
func (g *group) fire(fx *effects, e hooks.Event) {
	p := g.pool
	if !p.hooks.Has(e.Name) {
		return
	}

	e.AppRoot, e.GroupName = g.opts.App.Root, g.name
	fx.after(func() { p.hooks.Fire(e) })
}

func (g *group) fireProcess(fx *effects, name hooks.Name, pr *process) {
	g.fire(fx, hooks.Event{Name: name, PID: pr.info.PID})
}

func (g *group) fireSpawnFailed(fx *effects, f *FailedSpawn, err error) {
	g.fire(fx, hooks.Event{
		Name:            hooks.SpawnFailed,
		Err:             err,
		ErrorMessage:    f.Summary,
		ErrorID:         f.ID,
		AppErrorMessage: f.Said(),
		ErrorAdvice:     f.Advice,
	})
}
