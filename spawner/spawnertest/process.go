package spawnertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// Process is a process of a [Factory]. It is safe for concurrent use.
type Process struct {
	factory *Factory
	app     spawner.App
	info    spawner.Info
	sockets []socket
	exited  chan struct{}

	mu      sync.Mutex
	status  string
	stopped time.Time
	ending  bool
	conns   map[net.Conn]struct{}
}

var _ spawner.Ending = (*Process)(nil)

func (f *Factory) start(ctx context.Context, app spawner.App, script *Script, began time.Time) (*Process, error) {
	f.mu.Lock()
	pid := firstPID + f.started
	f.started++
	f.mu.Unlock()

	p := &Process{factory: f, app: app, exited: make(chan struct{})}
	p.info = spawner.Info{
		PID:             pid,
		UID:             os.Geteuid(),
		GID:             os.Getegid(),
		GUPID:           "dummy-" + strconv.Itoa(pid),
		ConnectPassword: "password-" + strconv.Itoa(pid),
		Sockets:         make([]spawner.Socket, script.sockets()),
		SpawnStarted:    began,
	}

	p.sockets = make([]socket, script.sockets())
	for i := range p.sockets {
		s := &p.sockets[i]
		s.process = p
		if err := s.listen(ctx, script, i); err != nil {
			p.closeSockets()
			return nil, err
		}

		p.info.Sockets[i] = spawner.Socket{
			Socket: loaderproto.Socket{
				Name:        "main",
				Address:     s.address,
				Protocol:    script.protocol(),
				Concurrency: script.concurrency(),
			},
			SessionKeepAlive: script.SessionKeepAlive,
			NamesClient:      script.NamesClient,
			Dial:             s.dial,
			Log:              script.Log,
		}
	}

	if app.Type == "php" {
		scripts := spawner.FindScripts(&app)
		p.info.Scripts = &scripts
	}

	p.info.SpawnEnded = time.Now()

	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, p)
	f.live++

	return p, nil
}

func (p *Process) closeSockets() {
	for i := range p.sockets {
		p.sockets[i].close()
	}
}

// App returns the application that was started.
func (p *Process) App() spawner.App { return p.app }

// Info returns what is known about the process. Its PID is not one of the system.
func (p *Process) Info() *spawner.Info { return &p.info }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitStatus returns how the process ended.
func (p *Process) ExitStatus() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Connections returns the number of connections that the clients of the process have not closed.
func (p *Process) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Stopped reports whether Stop was called.
func (p *Process) Stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.stopped.IsZero()
}

// Stop ends the process after the script's StopDelay, or when ctx ends.
func (p *Process) Stop(ctx context.Context) {
	script := p.factory.current(p.app.Name())
	p.mu.Lock()
	first := p.stopped.IsZero()
	if first {
		p.stopped = time.Now()
	}

	left := script.StopDelay - time.Since(p.stopped)
	p.mu.Unlock()
	if first && script.OnStop != nil {
		script.OnStop(p)
	}

	status := "exit status 0"
	if ctx.Err() != nil {
		status = "signal: killed"
	} else if left > 0 {
		delay := time.NewTimer(left)
		defer delay.Stop()

		select {
		case <-delay.C:
		case <-p.exited:
		case <-ctx.Done():
			status = "signal: killed"
		}
	}

	p.Die(status)
}

// Die makes the process end by itself: Exited is closed, its connections break, and further ones
// are refused. It reports whether the process was alive.
func (p *Process) Die(status string) bool {
	p.mu.Lock()
	if p.status != "" {
		p.mu.Unlock()
		// The other call may still be closing connections.
		<-p.exited

		return false
	}

	p.status = status
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()

	p.closeSockets()

	for c := range conns {
		_ = c.Close()
	}

	p.factory.mu.Lock()
	p.factory.live--
	p.factory.mu.Unlock()
	// Last, so that a test that has seen the end finds no connection and no live process.
	close(p.exited)

	return true
}

// BeginEnd makes the process one that is about to end, as one that was killed: its connections break, and further ones
// are still taken. Die ends it.
func (p *Process) BeginEnd() {
	p.mu.Lock()
	p.ending = true
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()

	for c := range conns {
		_ = c.Close()
	}
}

// IsEnding reports whether BeginEnd was called.
func (p *Process) IsEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ending
}

func (p *Process) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status != ""
}

// track closes c, the end of a connection that the process has, with the process. It fails if the
// process has ended.
func (p *Process) track(c net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != "" {
		return refused()
	}

	if p.conns == nil {
		p.conns = make(map[net.Conn]struct{})
	}

	p.conns[c] = struct{}{}

	return nil
}

func (p *Process) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func (p *Process) String() string { return fmt.Sprintf("process %d of %s", p.info.PID, p.app.Name()) }
