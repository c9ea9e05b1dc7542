package watchdog

import (
	"sync"
	"syscall"
	"time"
)

// beats is how many heartbeats are due before a missing one counts.
const beats = 4

// dumpTime is how long an agent that hangs may take to say where.
const dumpTime = time.Second

// listen notes what a process that serves says, until it ends.
func (a *agent) listen(p *process) {
	var yield sync.Once
	for {
		m, err := p.link.receive()
		if err != nil {
			return
		}

		if m.Pong {
			p.alive.Store(int64(time.Since(p.ready)))
		}

		if m.Yielded {
			yield.Do(func() { close(p.yielded) })
		}

		if m.Status != nil && a.cfg.Status != nil {
			a.cfg.Status(p.pid(), m.Status)
		}

		if m.Answer != nil {
			p.questions.answer(m.Answer)
		}
	}
}

// watchHeart kills a process that serves and does not respond: it hangs, or was
// stopped. A Go program tells by SIGQUIT what it was doing.
func (a *agent) watchHeart(p *process) {
	timeout := a.dog.cfg.HeartbeatTimeout
	if timeout <= 0 {
		return
	}

	beat := timeout / beats
	ticker := time.NewTicker(beat)
	defer ticker.Stop()

	asked, last := int64(-1), time.Now()
	for silent := 0; ; {
		select {
		case <-p.exited:
			return
		case <-ticker.C:
		}

		now := time.Now()
		if now.Sub(last) > 2*beat {
			// This process was itself stopped, as when the machine is suspended, and
			// so perhaps was the agent: it gets the whole time once more.
			silent = 0
			ticker.Reset(beat)
		}

		last = now
		// A ping that has no response yet need not be sent again.
		if alive := p.alive.Load(); alive != asked {
			asked, silent = alive, 0
			_ = p.link.send(&message{Ping: true})
			continue
		}

		if silent++; silent > beats {
			a.endHanging(p)
			return
		}
	}
}

func (a *agent) endHanging(p *process) {
	a.dog.cfg.Logger.Info("an agent does not respond, and is killed", "agent", a.cfg.Name, "pid", p.pid(), "timeout",
		a.dog.cfg.HeartbeatTimeout.String())
	p.signal(syscall.SIGQUIT)
	dumped := time.NewTimer(dumpTime)
	defer dumped.Stop()

	select {
	case <-p.exited:
	case <-dumped.C:
		p.signal(syscall.SIGKILL)
	}
}

// signal does nothing to a process that has ended.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }
