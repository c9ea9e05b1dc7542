package passenger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// processState is the state of a process: which list of its group it is on.
type processState uint8

const (
	// stateNew means that it is on no list yet.
	stateNew processState = iota
	// stateEnabled means that it gets requests.
	stateEnabled
	// stateDisabling means that it gets no requests, unless no process is enabled, and has sessions left.
	stateDisabling
	// stateDisabled means that it gets no requests and has no sessions, but one for out-of-band work.
	stateDisabled
	// stateDetached means that it has left the pool, and ends when its last session does.
	stateDetached
)

func (s processState) String() string {
	switch s {
	case stateNew:
		return "new"
	case stateEnabled:
		return "enabled"
	case stateDisabling:
		return "disabling"
	case stateDisabled:
		return "disabled"
	case stateDetached:
		return "detached"
	}

	return fmt.Sprintf("processState(%d)", uint8(s))
}

// processMoves are the allowed changes of state.
var processMoves = map[processState][]processState{
	stateNew:       {stateEnabled},
	stateEnabled:   {stateDisabling, stateDisabled, stateDetached},
	stateDisabling: {stateEnabled, stateDisabled, stateDetached},
	stateDisabled:  {stateEnabled, stateDetached},
	stateDetached:  {},
}

// usesCapacity reports whether a process in state s counts against the limits.
func (s processState) usesCapacity() bool {
	switch s {
	case stateEnabled, stateDisabling, stateDisabled:
		return true
	case stateNew, stateDetached:
		return false
	}

	return false
}

// process is one process of an application. Pool.mu guards its fields but group, proc and info. Its
// methods need the lock, apart from killAfterHook.
type process struct {
	group *group
	proc  spawner.Process
	info  *spawner.Info

	// Fields that each get and each Close use lie together, for the sake of the cache.
	sessions    int
	concurrency int // of all sockets together; zero means no limit
	processed   uint64
	// lastUsed is when the last session was closed, or the process was attached, by Pool.now.
	lastUsed time.Duration
	// routeID is its index in group.routes while it is enabled.
	routeID uint32
	// seq orders the processes of a pool by their attachment.
	seq uint32
	// generation is that of the group when the process was started.
	generation uint32
	// root is that of its release; see release.root.
	root   string
	state  processState
	exited bool
	// ending means that it has begun to end, and gets no more requests; see Session.AwaitEnd.
	ending bool
	// unreachable means that it was detached for refusing connections or not responding; unanswered
	// is the number of consecutive requests without a response.
	unreachable bool
	unanswered  int
	stopping    bool
	// recording means that an incident is being recorded, which stopProcess and the hook of the
	// detachment wait for, if they are due; wasRecorded that it was, or is.
	recording, wasRecorded, stopWaits, hookWaits bool
	idle                                         node[process] // in Pool.idle
	sockets                                      []socket      // usually firstSocket
	// firstSocket is the storage of sockets if there is only one.
	firstSocket [1]socket

	member node[process] // in the list of its state
	// onDisabled are called when disabling ends. byAdmin means that Disable was called, and not
	// only for out-of-band work.
	onDisabled []func(error)
	byAdmin    bool
	oobw       oobwState
	// stickyID is the ID by which gets prefer this process; waiting are those for which it has no
	// room.
	stickyID uint32
	waiting  list[waiter]
	// jitter, from 0 to 1, is the process's point in the range of MaxRequestsJitter.
	jitter  float64
	metrics ProcessMetrics
	// failedBefore is the number of consecutive failed spawns before this one.
	failedBefore int
	// drain limits the time for the sessions of a detached process.
	drain *poolTimer
	// overdue means that this time is over, and only long sessions keep the process.
	overdue bool
	// drainedFor is the restart that waits for the process to end.
	drainedFor *restart
	// onDetach are the functions of Session.OnDetach, by the long sessions they belong to.
	onDetach map[*Session]func()
	// longSessions counts those for which Session.MarkLong was called.
	longSessions int
	// abandoned are the sessions of Session.Abandon that wait for the process, and what closes them.
	abandoned map[*Session]func()
}

func newProcess(g *group, proc spawner.Process, generation uint32) *process {
	info := proc.Info()
	//nolint:gosec // G404: the jitter is no secret
	pr := &process{
		group:      g,
		proc:       proc,
		info:       info,
		generation: generation,
		jitter:     rand.Float64(),
	}
	// Nearly all processes have one socket, which then needs no allocation of its own.
	pr.sockets = pr.firstSocket[:]
	if n := len(info.Sockets); n > 1 {
		pr.sockets = make([]socket, n)
	}

	for i := range info.Sockets {
		n := info.Sockets[i].Concurrency
		switch force := g.opts.ForceMaxConcurrentRequestsPerProcess; {
		case force < 0:
			n = 0
		case force > 0:
			n = force
		}

		pr.sockets[i] = socket{spec: &info.Sockets[i], concurrency: n}
		pr.concurrency += n
	}

	// One socket without a limit is enough for any number of requests.
	if slices.ContainsFunc(pr.sockets, func(s socket) bool { return s.concurrency == 0 }) {
		pr.concurrency = 0
	}

	return pr
}

// full reports whether the process has as many sessions as it may: none if it is ending.
func (pr *process) full() bool {
	return pr.concurrency > 0 && pr.sessions >= pr.concurrency || pr.ending
}

// busyness makes processes of any concurrency comparable: the share of it that is taken, or the
// number of sessions if there is no limit.
func (pr *process) busyness() uint64 { return busyness(pr.sessions, pr.concurrency) }

func busyness(sessions, concurrency int) uint64 {
	n := uint64(min(max(sessions, 0), math.MaxInt32))
	if concurrency > 0 {
		return n * math.MaxInt32 / uint64(concurrency)
	}

	return n
}

// openSessionLocked opens a session. The process must have room.
func (pr *process) openSessionLocked() *Session {
	sock := &pr.sockets[0]
	if len(pr.sockets) > 1 {
		sock = pr.leastBusySocket()
	}

	sock.sessions++
	pr.sessions++
	pr.idle.leave()
	p := pr.group.pool
	p.sessions++
	if pr.state == stateEnabled {
		pr.group.routes.update(pr)
	}

	// An idle connection is taken at once, so that no other session counts on it.
	s := &Session{process: pr, socket: sock}
	if c := sock.takeIdleLocked(); c != nil {
		s.conn, s.reused = c, true
	}

	s.startTimeLimitLocked()

	return s
}

func (pr *process) leastBusySocket() *socket {
	best := &pr.sockets[0]
	for i := range pr.sockets {
		s := &pr.sockets[i]
		if busyness(s.sessions, s.concurrency) < busyness(best.sessions, best.concurrency) {
			best = s
		}
	}

	return best
}

// endSession ends a session, whose place goes to the next get.
func (pr *process) endSession(fx *effects, sock *socket) {
	g := pr.group
	sock.sessions--
	pr.sessions--
	pr.processed++
	g.pool.sessions--
	pr.lastUsed = g.pool.now()
	if pr.state == stateDetached {
		g.continueDrain(fx, pr)
		return
	}

	if pr.sessions == 0 {
		g.pool.idle.push(&pr.idle, pr)
	}

	// Without a successor, a process above its limit is better than none.
	if limit := g.opts.requestLimit(pr.jitter); limit > 0 && pr.processed >= limit && pr.state != stateDisabled &&
		!pr.awaitsSuccessor() {
		g.counts.Limits.Requests++
		g.detachAndReconcile(fx, pr)
		return
	}

	if pr.mustMakeRoom() {
		fx.log(g.pool, "stopping a process to make room", "app", g.name, "pid", pr.info.PID, "for",
			g.pool.starving.first().name)
		g.detachAndReconcile(fx, pr)

		return
	}

	g.pool.scheduleIdleCheckOfLocked(pr)

	switch pr.state {
	case stateEnabled:
		g.routes.update(pr)
		pr.serveSticky(fx)
	case stateDisabling:
		g.finishDisabling(fx, pr)
	case stateNew, stateDisabled, stateDetached:
	}

	// Reconciling after each request would cost more than the rest of it.
	if g.queue.len() > 0 {
		g.reconcile(fx)
	}

	if pr.oobw == oobwRequested {
		g.startOOBW(fx, pr)
	}
}

// mustMakeRoom reports whether the process gives way to a group that has none: it is idle at this
// moment, and others of its group take what comes. Otherwise a group that is always busy would
// leave nothing to others.
func (pr *process) mustMakeRoom() bool {
	p := pr.group.pool
	return p.starving.len() > 0 && !p.hasRoom() && pr.sessions == 0 && pr.state == stateEnabled &&
		pr.group.enabled.len() > 1
}

// moveTo changes the state, and the lists and sums that follow from it.
func (pr *process) moveTo(fx *effects, to processState) {
	if !slices.Contains(processMoves[pr.state], to) {
		pr.group.pool.reportBug(fx, fmt.Errorf("process %d moved from %s to %s", pr.info.PID, pr.state, to))
	}

	// Leave what belongs to the old state, then enter the new one.
	g := pr.group
	if pr.state == stateEnabled {
		g.routes.remove(pr)
		g.requeueStickyLocked(pr)
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
		pr.byAdmin = false
		g.routes.add(pr)
	}
}

// keepsSessions reports whether the process lives for as long as it has long sessions.
func (pr *process) keepsSessions() bool {
	return pr.group.opts.KeepLongSessions && !pr.exited && pr.group.pool.state == poolOpen
}

// callOnDetach tells long sessions to end, unless the process is kept for them.
func (pr *process) callOnDetach(fx *effects) {
	if pr.keepsSessions() {
		return
	}

	for _, f := range pr.onDetach {
		fx.after(f)
	}

	pr.onDetach = nil
}

// requestFailed counts a request without a response.
func (pr *process) requestFailed(fx *effects, err error) {
	pr.unanswered++
	if limit := pr.group.opts.maxUnanswered(); limit > 0 && pr.unanswered >= limit {
		pr.detachUnreachable(fx, err, "requests", pr.unanswered)
	}
}

// connectFailed detaches the process at once: it would refuse the next connection too.
func (pr *process) connectFailed(fx *effects, err error) { pr.detachUnreachable(fx, err) }

func (pr *process) detachUnreachable(fx *effects, err error, keysAndValues ...any) {
	if pr.state == stateDetached {
		return
	}

	pr.unreachable = true
	pr.group.counts.Limits.Unresponsive++
	in := pr.incidentLocked(IncidentUnresponsive)
	in.Error = err.Error()
	pr.recordAndDetach(fx, in, func(fx *effects, at recorded) {
		about := append([]any{"app", pr.group.name, "pid", pr.info.PID, "error", err.Error()}, keysAndValues...)
		fx.warn(pr.group.pool, "detaching a process that does not respond", at.with(about...)...)
	})
}
