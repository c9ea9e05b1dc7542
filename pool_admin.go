package passenger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/hooks"
)

// ErrNoSuchProcess says that the pool has no process with that id.
var ErrNoSuchProcess = errors.New("passenger: no such process")

// ErrPoolFull says that the pool has no room for another process.
var ErrPoolFull = errors.New("passenger: the pool is full")

// ErrAppDetached is what a get returns whose application was detached.
var ErrAppDetached = errors.New("passenger: the application was detached")

// Disable lets a process, named by its GUPID or pid, take no more requests,
// and waits until it has none. If it is the only one, another one is started
// first. A process that is disabled already is no error.
//
// Errors: ErrNoSuchProcess, ErrCannotDisable with its cause, ErrEnabled,
// ErrProcessDetached, ErrClosed; ctx's, with which the process is disabled later.
func (p *Pool) Disable(ctx context.Context, id string) error {
	result := make(chan error, 1)
	err := p.withProcess(id, func(fx *effects, pr *process) {
		pr.byAdmin = true
		pr.group.disable(fx, pr, func(err error) { result <- err })
	})
	if err != nil {
		return err
	}

	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Enable lets a process take requests again that was disabled. One that does
// already is no error. Errors: ErrNoSuchProcess, ErrClosed.
func (p *Pool) Enable(id string) error {
	return p.withProcess(id, func(fx *effects, pr *process) {
		pr.group.enable(fx, pr)
	})
}

// DetachProcess takes a process out of the pool: it finishes its requests and
// ends. Another one takes its place if it is needed. Errors: ErrNoSuchProcess,
// ErrClosed.
func (p *Pool) DetachProcess(id string) error {
	return p.withProcess(id, func(fx *effects, pr *process) { pr.group.detach(fx, pr) })
}

func (p *Pool) withProcess(id string, change func(*effects, *process)) (err error) {
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}

		pr := p.findProcess(id)
		if pr == nil {
			err = fmt.Errorf("%w: %s", ErrNoSuchProcess, id)
			return
		}

		change(fx, pr)
	})

	return err
}

// findProcess looks at all processes: it is for people.
func (p *Pool) findProcess(id string) *process {
	for g := range p.allGroups {
		for pr := range g.allProcesses {
			if pr.info.GUPID == id || strconv.Itoa(pr.info.PID) == id {
				return pr
			}
		}
	}

	return nil
}

// DetachApp takes the applications of this group name out of the pool and waits
// until nothing is left of them: processes finish their requests and end, those
// that are being started and preloaders are ended. Gets that wait for them are
// answered with ErrAppDetached; one that comes later starts the application anew. It
// also waits for what an earlier call has left, whose context had ended.
//
// Errors: ErrNoSuchApp, ErrClosed; ctx's, with which processes end later.
func (p *Pool) DetachApp(ctx context.Context, name string) error {
	var leaving []*group
	var err error
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}

		first := p.groups[name]
		delete(p.groups, name)

		for g := first; g != nil; g = g.namesake {
			g.byAdmin = true
			g.remove(fx)
		}

		// Another call may have given up waiting for some.
		for _, g := range p.leaving {
			if g.name == name {
				leaving = append(leaving, g)
			}
		}

		if len(leaving) == 0 {
			err = fmt.Errorf("%w: %s", ErrNoSuchApp, name)
		}
	})
	if err != nil {
		return err
	}

	for _, g := range leaving {
		select {
		case <-g.gone:
		case <-p.closed: // nothing of any application is left
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

// remove ends the group, which leaves the pool when nothing is left of it.
func (g *group) remove(fx *effects) {
	g.removed = true
	g.pool.leaving = append(g.pool.leaving, g)
	g.forgetReleaseDirs()
	g.vacancy.leave()
	g.fire(fx, hooks.Event{Name: hooks.BeforeDestroySupergroup})
	g.claim.leave()
	g.stopRetry()
	g.giveUpAttempts()
	g.retire(g.release)
	if g.restart != nil {
		g.endRestart(fx, ErrAppDetached)
	}

	for pr := range g.allProcesses {
		g.takeOut(fx, pr)
	}

	g.failQueue(fx, ErrAppDetached)
	g.failStarts(ErrAppDetached)
}

// SetMaxPoolSize changes Config.MaxPoolSize. Of the processes that are too many then,
// idle ones end at once and others when they are idle. Errors: those of
// Config.Validate.
func (p *Pool) SetMaxPoolSize(n int) error {
	return p.setConfig(func(c *Config) { c.MaxPoolSize = n })
}

// SetPoolIdleTime changes Config.PoolIdleTime.
func (p *Pool) SetPoolIdleTime(d time.Duration) {
	_ = p.setConfig(func(c *Config) { c.PoolIdleTime = d }) // every value is one
}

func (p *Pool) setConfig(change func(*Config)) (err error) {
	p.update(func(*effects) {
		cfg := p.cfg
		change(&cfg)
		if err = cfg.Validate(); err != nil {
			return
		}

		cfg.setDefaults()
		p.cfg.MaxPoolSize, p.cfg.PoolIdleTime = cfg.MaxPoolSize, cfg.PoolIdleTime // the rest is read without the lock

		p.stopTimer(p.collector)
		p.armCollector()
		p.stopTimer(p.cleaner)
		p.armCleaner()
	})

	return err
}
