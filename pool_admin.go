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

// ErrAppDetached is what a get returns whose application was detached.
var ErrAppDetached = errors.New("passenger: the application was detached")

// Disable lets a process, named by its GUPID or pid, take no more requests,
// and waits until it has none. If it is the only one, another one is started
// first. A process that is disabled already is no error.
//
// Errors: ErrNoSuchProcess, ErrCannotDisable, ErrEnabled, ErrProcessDetached,
// ErrClosed; ctx's, with which the process is disabled later.
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
		pr.byAdmin = false
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

// DetachApp takes the applications of this group name out of the pool and
// waits until their processes are gone. Gets that wait for them are answered
// with ErrAppDetached; one that comes later starts the application anew.
//
// Errors: ErrNoSuchApp, ErrClosed; ctx's, with which processes end later.
func (p *Pool) DetachApp(ctx context.Context, name string) error {
	var left []<-chan struct{}
	var err error
	p.update(func(fx *effects) {
		g := p.groups[name]
		switch {
		case p.state != poolOpen:
			err = ErrClosed
			return
		case g == nil:
			err = fmt.Errorf("%w: %s", ErrNoSuchApp, name)
			return
		}
		delete(p.groups, name)
		for ; g != nil; g = g.namesake {
			ends := g.remove(fx)
			if len(ends) > 0 {
				p.leaving = append(p.leaving, g)
			}
			left = append(left, ends...)
		}
	})
	if err != nil {
		return err
	}
	for _, gone := range left {
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// remove ends the group; what it returns are the ends of its processes.
func (g *group) remove(fx *effects) (gone []<-chan struct{}) {
	g.removed = true
	g.forgetReleaseDirs()
	g.vacancy.leave()
	g.fire(fx, hooks.Event{Name: hooks.BeforeDestroySupergroup})
	g.claim.leave()
	g.stopRetry()
	g.giveUpAttempts()
	g.release.retired = true
	g.closeRetired(g.release)
	if g.restart != nil {
		g.endRestart(fx, ErrAppDetached)
	}
	for pr := range g.allProcesses {
		g.takeOut(fx, pr)
	}
	g.failQueue(fx, ErrAppDetached)
	g.failStarts(ErrAppDetached)
	for pr := range g.detached.all {
		gone = append(gone, pr.proc.Exited())
	}
	return gone
}

// SetMaxPoolSize changes how many processes there may be, at least 1. Of those
// that are too many then, idle ones end at once and others when they are idle.
func (p *Pool) SetMaxPoolSize(n int) {
	p.update(func(*effects) { p.cfg.MaxPoolSize = max(n, 1) })
}

// SetPoolIdleTime changes Config.PoolIdleTime.
func (p *Pool) SetPoolIdleTime(d time.Duration) {
	p.update(func(*effects) {
		p.cfg.PoolIdleTime = d
		p.stopTimer(p.collector)
		p.armCollector()
		p.stopTimer(p.cleaner)
		p.armCleaner()
	})
}
