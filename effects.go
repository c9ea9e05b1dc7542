package passenger

import (
	"log/slog"
	"net"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/spawner"
)

// effects collects, under the lock, what is done after unlocking: callbacks,
// logging, and whatever could block.
type effects struct {
	todo []func()
}

// after lets f run after unlocking, in the order of the calls.
func (fx *effects) after(f func()) { fx.todo = append(fx.todo, f) }

func (fx *effects) closeConn(c net.Conn) {
	// Nobody waits for an answer on the connection any more.
	fx.after(func() { _ = c.Close() })
}

func (fx *effects) log(p *Pool, msg string, keysAndValues ...any) {
	fx.after(func() { p.cfg.Logger.Info(msg, keysAndValues...) })
}

// warn is log for what an operator should look into. Loggers that know no warnings
// get it as they get information.
func (fx *effects) warn(p *Pool, msg string, keysAndValues ...any) {
	fx.after(func() { slog.New(logr.ToSlogHandler(p.cfg.Logger)).Warn(msg, keysAndValues...) })
}

func (fx *effects) deliver(w *waiter, s *Session, err error) {
	fx.after(func() { w.deliver(s, err) })
}

// stop ends a process in a goroutine of the pool's.
func (fx *effects) stop(p *Pool, proc spawner.Process) {
	p.wg.Go(func() { proc.Stop(p.killCtx) })
}

// update is the way to change the pool: change runs under the lock, what it left in
// fx after unlocking. Pool.get does the two by itself.
func (p *Pool) update(change func(fx *effects)) {
	if todo := p.apply(change); len(todo) > 0 {
		runAll(todo)
	}
}

// runAll runs what is to be done. Some of it is other people's, callbacks, observers
// and log sinks: one that panics, or ends its goroutine, keeps nothing else from being
// done, and its panic goes on.
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

func (p *Pool) apply(change func(fx *effects)) []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.fx)
	if p.starving.len()+p.hungry.len() > 0 || p.capacityUsed > p.cfg.MaxPoolSize {
		p.assignCapacity(&p.fx)
	}

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

// reportBug reports a state that cannot be, as Config.SelfChecks says. The caller goes
// on as if it had not been asked.
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

// poolTimer changes the pool once, later, unless it is stopped before. Pool.mu
// guards it. Close waits for those that are neither stopped nor over.
type poolTimer struct {
	timer *time.Timer
	over  bool
}

// startTimerLocked runs change after d, under the lock.
func (p *Pool) startTimerLocked(d time.Duration, change func(*effects)) *poolTimer {
	t := &poolTimer{}
	p.wg.Add(1)
	t.timer = time.AfterFunc(max(d, 0), func() {
		defer p.wg.Done()
		p.update(func(fx *effects) {
			if !t.over {
				t.over = true
				change(fx)
			}
		})
	})

	return t
}

// stopTimerLocked makes sure that t changes nothing any more; nil is no timer.
func (p *Pool) stopTimerLocked(t *poolTimer) {
	if t == nil || t.over {
		return
	}

	t.over = true
	if t.timer.Stop() {
		p.wg.Done()
	}
}

func (t *poolTimer) running() bool { return t != nil && !t.over }
