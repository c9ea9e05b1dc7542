package spawner

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// process is a process that is ready.
type process struct {
	info   Info
	child  *child
	config *Config
	// byPort reports whether the process does not wait for the end of its stdin.
	byPort bool
	// tracer is nil if the process cannot say what it is doing.
	tracer tracer
	env    *environment

	mu       sync.Mutex
	stopping bool
	timers   []*time.Timer
}

func (p *process) Info() *Info             { return &p.info }
func (p *process) Exited() <-chan struct{} { return p.child.exited }
func (p *process) ExitStatus() string      { return p.child.exitStatus() }

// Ending is what a Process may be that knows before Exited that it is ending.
type Ending interface {
	Process
	// IsEnding reports whether the process has begun to end: the system closes its connections, one by one, before it
	// is gone.
	IsEnding() bool
}

var _ Ending = (*process)(nil)

func (p *process) IsEnding() bool { return isEnding(p.child.pid) }

func (p *process) Stop(ctx context.Context) {
	p.beginStop()

	select {
	case <-p.child.gone:
	case <-ctx.Done():
		p.child.signal(syscall.SIGKILL)
		<-p.child.gone
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	for _, t := range p.timers {
		t.Stop()
	}
}

func (p *process) beginStop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return
	}

	p.stopping = true
	_ = p.child.admin.CloseWrite() // fails when the process is gone
	delay := p.config.TermDelay
	// It does not read its stdin, so that SIGTERM is all that asks it to end.
	if p.byPort {
		delay = 0
	}

	p.timers = []*time.Timer{
		time.AfterFunc(delay, func() { p.child.signal(syscall.SIGTERM) }),
		time.AfterFunc(p.config.ShutdownTimeout, func() { p.child.signal(syscall.SIGKILL) }),
	}
}
