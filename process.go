package passenger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// processState says which of its group's lists a process is in.
type processState uint8

const (
	// stateNew: attached to no list yet.
	stateNew processState = iota
	// stateEnabled: takes requests.
	stateEnabled
	// stateDisabling: takes none, but has sessions open.
	stateDisabling
	// stateDisabled: takes none and has none; does out-of-band work, or was
	// disabled by an administrator.
	stateDisabled
	// stateDetached: not part of the pool any more; ends when its last session
	// does.
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

// processMoves are the moves that a process may make.
var processMoves = map[processState][]processState{
	stateNew:       {stateEnabled},
	stateEnabled:   {stateDisabling, stateDisabled, stateDetached},
	stateDisabling: {stateEnabled, stateDisabled, stateDetached},
	stateDisabled:  {stateEnabled, stateDetached},
	stateDetached:  {},
}

// usesCapacity: the process counts against the limits.
func (s processState) usesCapacity() bool {
	switch s {
	case stateEnabled, stateDisabling, stateDisabled:
		return true
	case stateNew, stateDetached:
		return false
	}

	return false
}

// process is one process of an application. Pool.mu guards its fields but
// group, proc and info.
type process struct {
	group *group
	proc  spawner.Process
	info  *spawner.Info

	// What a get and a close touch lies together.
	sessions    int
	concurrency int // of all sockets together; 0: no limit
	processed   uint64
	// lastUsed is when the last session closed, or else the process was
	// attached, by Pool.now.
	lastUsed time.Duration
	// routeID is the process's in group.routes, while it is enabled.
	routeID uint32
	// seq orders the processes of a pool by when they were attached.
	seq uint32
	// generation is the group's when the process was started.
	generation uint32
	// root is its release's; see release.root.
	root   string
	state  processState
	exited bool
	// unreachable says that it was detached because it took no connection or answered no
	// request; unanswered is how many requests in a row it has not answered.
	unreachable bool
	unanswered  int
	stopping    bool
	idle        node[process] // in Pool.idle
	sockets     []socket      // of firstSocket, mostly
	// firstSocket is the storage of sockets if there is just one.
	firstSocket [1]socket

	member node[process] // in the list of its state
	// disabled are told when disabling is over; byAdmin: not for our own ends.
	onDisabled []func(error)
	byAdmin    bool
	oobw       oobwState
	// stickyID is what gets say that want this very process, and waiting are
	// those for which it has no room now.
	stickyID uint32
	waiting  list[waiter]
	// jitter, from 0 to 1, is the process's share of the spread of limits.
	jitter  float64
	metrics ProcessMetrics
	// failedBefore is how many spawns in a row had failed before this one.
	failedBefore int
	// drain ends the time for the last requests of a process that is detached.
	drain *poolTimer
	// overdue: that time is up, and only its long sessions keep it.
	overdue bool
	// drainedFor is the restart that waits for the process to be gone.
	drainedFor *restart
	// onDetach are called when the process is to end, and are of its long sessions.
	onDetach map[*Session]func()
}

func newProcess(g *group, proc spawner.Process, generation uint32) *process {
	info := proc.Info()
	//nolint:gosec // G404: it spreads limits
	pr := &process{
		group:      g,
		proc:       proc,
		info:       info,
		generation: generation,
		jitter:     rand.Float64(),
	}
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

	if slices.ContainsFunc(pr.sockets, func(s socket) bool { return s.concurrency == 0 }) {
		pr.concurrency = 0
	}

	return pr
}

func (pr *process) full() bool { return pr.concurrency > 0 && pr.sessions >= pr.concurrency }

// busyness compares processes of any concurrency: the share that is taken, or
// the sessions themselves where there is no limit.
func (pr *process) busyness() uint64 { return busyness(pr.sessions, pr.concurrency) }

func busyness(sessions, concurrency int) uint64 {
	n := uint64(min(max(sessions, 0), math.MaxInt32))
	if concurrency > 0 {
		return n * math.MaxInt32 / uint64(concurrency)
	}

	return n
}

// openSessionLocked takes a place for one request. The process has room.
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

// endSession gives the place of a session back.
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

	if limit := g.opts.requestLimit(pr.jitter); limit > 0 && pr.processed >= limit && pr.state != stateDisabled &&
		!g.isResisting() {
		g.detachAndReconcile(fx, pr)
		return
	}

	if pr.mustMakeRoom() {
		fx.log(g.pool, "Stopping a process to make room", "app", g.name, "pid", pr.info.PID, "for",
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

	if g.queue.len() > 0 {
		g.reconcile(fx)
	}

	if pr.oobw == oobwRequested {
		g.startOOBW(fx, pr)
	}
}

// mustMakeRoom: it has nothing to do for a moment, others of its group can take
// what comes, and another group has no process at all. A group that is always
// busy would leave nothing to others.
func (pr *process) mustMakeRoom() bool {
	p := pr.group.pool
	return p.starving.len() > 0 && !p.hasRoom() && pr.sessions == 0 && pr.state == stateEnabled &&
		pr.group.enabled.len() > 1
}

// moveTo changes the state and the lists that follow from it.
func (pr *process) moveTo(fx *effects, to processState) {
	if !slices.Contains(processMoves[pr.state], to) {
		pr.group.pool.reportBug(fx, fmt.Errorf("process %d moved from %s to %s", pr.info.PID, pr.state, to))
	}

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

// keepsSessions: the process lives for as long as it has long sessions.
func (pr *process) keepsSessions() bool {
	return pr.group.opts.KeepLongSessions && !pr.exited && pr.group.pool.state == poolOpen
}

// callOnDetach tells long sessions that the process is to end.
func (pr *process) callOnDetach(fx *effects) {
	if pr.keepsSessions() {
		return
	}

	for _, f := range pr.onDetach {
		fx.after(f)
	}

	pr.onDetach = nil
}

// DefaultMaxUnanswered is the default of Options.MaxUnanswered.
const DefaultMaxUnanswered = 5

// Report tells the pool whether the process has answered the session's request. A nil
// error means that the first byte of a response came, whatever the response is; it counts
// when the session is closed. Another error is why none came, such as a connection that
// was closed at once, or a time-out; it counts now, after Close too. After
// Options.MaxUnanswered of these in a row, the process is replaced.
//
// A request of which neither is known is not reported: the client that went away before
// the response, for example.
func (s *Session) Report(err error) {
	if err == nil {
		s.answered = true
		return
	}

	s.process.group.pool.update(func(fx *effects) { s.process.requestFailed(fx, err) })
}

func (pr *process) requestFailed(fx *effects, err error) {
	pr.unanswered++
	if limit := pr.group.opts.maxUnanswered(); limit > 0 && pr.unanswered >= limit {
		pr.detachUnreachable(fx, err, "requests", pr.unanswered)
	}
}

func (pr *process) connectFailed(fx *effects, err error) { pr.detachUnreachable(fx, err) }

func (pr *process) detachUnreachable(fx *effects, err error, about ...any) {
	if pr.state == stateDetached {
		return
	}

	about = append([]any{"app", pr.group.name, "pid", pr.info.PID, "error", err.Error()}, about...)
	fx.warn(pr.group.pool, "Detaching a process that does not answer", about...)
	pr.unreachable = true
	pr.group.detachAndReconcile(fx, pr)
}
