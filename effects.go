package passenger

import (
	"log/slog"
	"net"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/spawner"
)

// effects collects, under the lock, what a change causes and must run after unlocking: callbacks,
// log records, and everything that could block.
type effects struct {
	todo []func()
}

// after runs f after unlocking, in the order of the calls.
func (fx *effects) after(f func()) { fx.todo = append(fx.todo, f) }

func (fx *effects) closeConn(c net.Conn) {
	// No request uses the connection any more, so its error concerns no caller.
	fx.after(func() { _ = c.Close() })
}

func (fx *effects) log(p *Pool, msg string, keysAndValues ...any) {
	fx.after(func() { p.cfg.Logger.Info(msg, keysAndValues...) })
}

// warn logs what an operator should look into. A logger without levels logs it as information.
func (fx *effects) warn(p *Pool, msg string, keysAndValues ...any) {
	fx.after(func() { slog.New(logr.ToSlogHandler(p.cfg.Logger)).Warn(msg, keysAndValues...) })
}

func (fx *effects) deliver(w *waiter, s *Session, err error) {
	fx.after(func() { w.deliver(s, err) })
}

// stop ends a process in a goroutine of the pool.
func (fx *effects) stop(p *Pool, proc spawner.Process) {
	p.wg.Go(func() { proc.Stop(p.killCtx) })
}

// update is the way to change the pool: change runs under the lock, the effects it leaves in fx
// after unlocking. Only Pool.get does the two steps by itself.
func (p *Pool) update(change func(fx *effects)) {
	if todo := p.apply(change); len(todo) > 0 {
		runAll(todo)
	}
}

// runAll runs effects. Some of them call foreign code: callbacks, observers, log sinks. If one
// panics or ends its goroutine, the rest still run, and the panic continues.
func runAll(todo []func()) {
	done := 0
	defer func() {
		if done < len(todo) {
			runAll(todo[done:])
		}
	}()

	for done < len(todo) {
		f := todo[done]
		done++
		f()
	}
}

// apply makes a change under the lock, then what follows from it for the whole pool, and returns
// the effects to run.
func (p *Pool) apply(change func(fx *effects)) []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.fx)
	// Capacity is assigned last, so that all claims of the change compete by the same order.
	if p.starving.len()+p.hungry.len() > 0 || p.capacityUsed > p.cfg.MaxPoolSize {
		p.assignCapacity(&p.fx)
	}

	for p.vacant.len() > MaxUnusedApps {
		p.forgetLocked(&p.fx, p.vacant.first())
	}

	// Detached processes may still be ending: Pool.end waits for those.
	if p.state == poolDraining && p.sessions == 0 && p.waiting == 0 {
		p.markDrainedLocked()
	}

	if p.cfg.SelfChecks {
		if err := p.verify(); err != nil {
			p.reportBug(&p.fx, err)
		}
	}

	todo := p.fx.todo
	p.fx.todo = nil

	return todo
}

// reportBug reports a state that must not occur, as Config.SelfChecks says. The caller continues as
// if it had seen nothing.
func (p *Pool) reportBug(fx *effects, err error) {
	switch {
	case p.cfg.SelfChecks && p.cfg.SelfCheckFailed != nil:
		fx.after(func() { p.cfg.SelfCheckFailed(err) })
	case p.cfg.SelfChecks:
		panic(err)
	default:
		fx.after(func() { p.cfg.Logger.Error(err, "BUG: please report this") })
	}
}

// poolTimer changes the pool once, later, unless it is stopped before. Pool.mu guards it. Close
// waits for the timers that are neither stopped nor done.
type poolTimer struct {
	timer *time.Timer
	over  bool
}

// startTimerLocked runs change after d.
func (p *Pool) startTimerLocked(d time.Duration, change func(*effects)) *poolTimer {
	t := &poolTimer{}
	p.wg.Add(1)
	t.timer = time.AfterFunc(max(d, 0), func() {
		defer p.wg.Done()
		p.update(func(fx *effects) {
			// It may have been stopped while it waited for the lock.
			if !t.over {
				t.over = true
				change(fx)
			}
		})
	})

	return t
}

// stopTimerLocked prevents t from changing anything; t may be nil.
func (p *Pool) stopTimerLocked(t *poolTimer) {
	if t == nil || t.over {
		return
	}

	// A timer that has fired already leaves the WaitGroup by itself.
	t.over = true
	if t.timer.Stop() {
		p.wg.Done()
	}
}

func (t *poolTimer) running() bool { return t != nil && !t.over }
