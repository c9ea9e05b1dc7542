package passenger

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// Process is one process of an application. Pool.mu guards its fields but
// group, proc and info.
type Process struct {
	group *Group
	proc  spawner.Process
	info  *spawner.Info

	// What a get and a close touch lies together.
	sessions    int
	concurrency int // of all sockets together; 0: no limit
	processed   uint64
	// lastUsed is when the last session closed, or else the process was
	// attached, by Pool.now.
	lastUsed time.Duration
	// routeID is the process's in Group.routes, while it is enabled.
	routeID uint32
	// seq orders the processes of a pool by when they were attached.
	seq uint32
	// generation is the group's when the process was started.
	generation uint32
	state      processState
	exited     bool
	stopping   bool
	idle       node[Process] // in Pool.idle
	sockets    []Socket      // of firstSocket, mostly
	// firstSocket is the storage of sockets if there is just one.
	firstSocket [1]Socket

	member node[Process] // in the list of its state
	// onDetach are called when the process is to end.
	onDetach map[*Session]func()
}

func newProcess(g *Group, proc spawner.Process, generation uint32) *Process {
	info := proc.Info()
	pr := &Process{group: g, proc: proc, info: info, generation: generation}
	pr.sockets = pr.firstSocket[:]
	if n := len(info.Sockets); n > 1 {
		pr.sockets = make([]Socket, n)
	}
	for i := range info.Sockets {
		n := info.Sockets[i].Concurrency
		switch force := g.opts.ForceMaxConcurrentRequestsPerProcess; {
		case force < 0:
			n = 0
		case force > 0:
			n = force
		}
		pr.sockets[i] = Socket{spec: &info.Sockets[i], concurrency: n}
		pr.concurrency += n
	}
	if slices.ContainsFunc(pr.sockets, func(s Socket) bool { return s.concurrency == 0 }) {
		pr.concurrency = 0
	}
	return pr
}

func (pr *Process) full() bool { return pr.concurrency > 0 && pr.sessions >= pr.concurrency }

// busyness compares processes of any concurrency: the share that is taken, or
// the sessions themselves where there is no limit.
func (pr *Process) busyness() uint64 { return busyness(pr.sessions, pr.concurrency) }

func busyness(sessions, concurrency int) uint64 {
	n := uint64(min(max(sessions, 0), math.MaxInt32))
	if concurrency > 0 {
		return n * math.MaxInt32 / uint64(concurrency)
	}
	return n
}

// open takes a place for one request. The process has room.
func (pr *Process) open() *Session {
	socket := &pr.sockets[0]
	if len(pr.sockets) > 1 {
		socket = pr.leastBusySocket()
	}
	socket.sessions++
	pr.sessions++
	pr.idle.leave()
	p := pr.group.pool
	p.sessions++
	if pr.state == stateEnabled {
		pr.group.routes.update(pr)
	}
	s := &Session{process: pr, socket: socket}
	if c := socket.takeIdle(); c != nil {
		s.conn, s.reused = c, true
	}
	return s
}

func (pr *Process) leastBusySocket() *Socket {
	best := &pr.sockets[0]
	for i := range pr.sockets {
		s := &pr.sockets[i]
		if busyness(s.sessions, s.concurrency) < busyness(best.sessions, best.concurrency) {
			best = s
		}
	}
	return best
}

// release gives the place of a session back.
func (pr *Process) release(fx *effects, socket *Socket) {
	g := pr.group
	socket.sessions--
	pr.sessions--
	pr.processed++
	g.pool.sessions--
	pr.lastUsed = g.pool.now()
	if pr.state == stateDetached {
		g.drainStep(fx, pr)
		return
	}
	if pr.sessions == 0 {
		g.pool.idle.push(&pr.idle, pr)
	}
	if pr.state == stateEnabled {
		g.routes.update(pr)
		if g.queue.len() > 0 {
			g.settle(fx)
		}
	}
}

// moveTo changes the state and the lists that follow from it.
func (pr *Process) moveTo(fx *effects, to processState) {
	if !slices.Contains(processMoves[pr.state], to) {
		pr.group.pool.impossible(fx, fmt.Errorf("process %d moved from %s to %s", pr.info.PID, pr.state, to))
	}
	g := pr.group
	if pr.state == stateEnabled {
		g.routes.remove(pr)
	}
	pr.member.leave()
	if pr.state.usesCapacity() {
		g.pool.capacityUsed--
	}
	if to.usesCapacity() {
		g.pool.capacityUsed++
	}
	pr.state = to
	g.list(to).push(&pr.member, pr)
	if to == stateEnabled {
		g.routes.add(pr)
	}
}

// announceEnd tells long sessions that the process is to end.
func (pr *Process) announceEnd(fx *effects) {
	for _, f := range pr.onDetach {
		fx.after(f)
	}
	pr.onDetach = nil
}

func (pr *Process) connectFailed(fx *effects, err error) {
	if pr.state == stateDetached {
		return
	}
	fx.log(pr.group.pool, "Detaching a process that does not answer", "app", pr.group.name, "pid", pr.info.PID, "error", err.Error())
	pr.group.detach(fx, pr)
}
