package passenger

import (
	"context"
	"time"
)

// observe tells the observer, after unlocking.
func (g *group) observe(fx *effects, tell func(Observer)) {
	if o := g.pool.cfg.Observer; o != nil {
		fx.after(func() { tell(o) })
	}
}

func (g *group) observeProcess(fx *effects, tell func(Observer, *ProcessEvent), pr *process) {
	if g.pool.cfg.Observer == nil {
		return
	}

	e := &ProcessEvent{
		AppName:    g.name,
		AppRoot:    g.opts.App.Root,
		PID:        pr.info.PID,
		GUPID:      pr.info.GUPID,
		Generation: pr.generation,
		At:         time.Now(),
		Processed:  pr.processed,
		Exited:     pr.exited,
	}
	g.observe(fx, func(o Observer) { tell(o, e) })
}

// observedSpawn is a spawn that somebody is told of.
func (a *spawnAttempt) observedSpawn(ctx context.Context) {
	o := a.group.pool.cfg.Observer
	if o == nil {
		a.proc, a.err = a.spawn(ctx)
		return
	}

	e := SpawnEvent{
		ID:         a.group.pool.eventIDs.Add(1),
		AppName:    a.release.app.GroupName,
		AppRoot:    a.release.app.Root,
		Generation: a.release.generation,
		RestartID:  a.restartID,
		Began:      time.Now(),
	}
	began := e
	o.SpawnBegan(&began)
	a.proc, a.err = a.spawn(ctx)
	e.Took, e.Err = time.Since(e.Began), a.err
	if a.proc != nil {
		e.PID = a.proc.Info().PID
	}

	o.SpawnEnded(&e)
}

func (g *group) observeRestartBegan(fx *effects, r *restart) {
	r.began = time.Now()
	r.id = g.pool.eventIDs.Add(1)
	r.generation = g.release.generation
	e := g.restartEvent(r)
	g.observe(fx, func(o Observer) { o.RestartBegan(e) })
}

func (g *group) observeRestartEnded(fx *effects, r *restart, err error) {
	e := g.restartEvent(r)
	e.Took, e.Err = time.Since(r.began), err
	g.observe(fx, func(o Observer) { o.RestartEnded(e) })
}

func (g *group) restartEvent(r *restart) *RestartEvent {
	return &RestartEvent{
		ID:         r.id,
		AppName:    g.name,
		AppRoot:    g.opts.App.Root,
		Generation: r.generation,
		Blocking:   !r.rolling,
		Began:      r.began,
	}
}
