package passenger

import (
	"crypto/rand"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
)

// group is one application in the pool: its processes and who waits for them.
// Pool.mu guards its fields but pool and name.
type group struct {
	pool *Pool
	name string
	// namesake is another application of the same name; see Options.App.
	namesake *group
	opts     Options
	// apiKey is unlike that of any other group, and uid and gid whom its newest
	// process runs as; -1: it has had none.
	apiKey   string
	uid, gid int
	// appType and startupFile are what the last process was found to be.
	appType, startupFile string

	// release is what processes are started from; its generation counts the
	// restarts. openReleases are those whose spawners are not closed, this one
	// included.
	release      *release
	openReleases []*release
	// dirs is what Pool.releaseDirs has; nil before the first process.
	dirs *ReleaseDirs
	// restart is the one that goes on.
	restart *restart
	// deploymentError is why and when the last restart was called off.
	deploymentError *DeploymentError
	watch           restartWatch

	enabled   list[process]
	disabling list[process]
	disabled  list[process]
	detached  list[process]
	routes    routeTable

	queue list[waiter]
	// sticky are the processes by their sticky ids, and stickyWaiting counts
	// those who wait for one of them and no other.
	sticky        map[uint32]*process
	stickyWaiting int
	// starts are the calls of Pool.StartN that wait.
	starts []*start
	// oobwCount counts the processes that do out-of-band work.
	oobwCount int

	// attempts are the spawns that go on.
	attempts    []*spawnAttempt
	lastFailure *SpawnFailure
	// failures counts the spawns in a row that gave no process, or one that ended
	// before it was of use. While retry runs, the pool does not try again by itself.
	failures int
	retry    *poolTimer

	// removed: it is no application of the pool any more; byAdmin: because DetachApp
	// was called. gone is closed when nothing is left of it.
	removed, byAdmin bool
	gone             chan struct{}
	// vacancy is the group's place among the vacant ones, since vacantSince.
	vacancy     node[group]
	vacantSince time.Duration

	// claim is the group's place among those that want capacity.
	claim node[group]
}

func newGroup(p *Pool, opts *Options) *group {
	g := &group{
		pool:   p,
		name:   opts.App.Name(),
		opts:   opts.clone(),
		apiKey: rand.Text()[:16],
		uid:    -1,
		gid:    -1,
		sticky: map[uint32]*process{},
		gone:   make(chan struct{}),
	}
	g.openReleaseLocked(0)

	return g
}

func (g *group) list(s processState) *list[process] {
	switch s {
	case stateEnabled:
		return &g.enabled
	case stateDisabling:
		return &g.disabling
	case stateDisabled:
		return &g.disabled
	case stateNew, stateDetached:
		return &g.detached
	}

	return &g.detached
}

// capacityUsed counts what the limits bound: processes that are not detached,
// and those that are being started in nobody's place.
func (g *group) capacityUsed() int {
	n := g.processCount()
	for _, a := range g.attempts {
		if !a.replaces {
			n++
		}
	}

	return n
}

// processCount counts the processes that are not detached.
func (g *group) processCount() int { return g.enabled.len() + g.disabling.len() + g.disabled.len() }

// updateLimits takes over from a get what may change while the group lives. Its errors are
// those of opts.validateOwn.
func (g *group) updateLimits(fx *effects, opts *Options) error {
	if g.opts.isLike(opts) {
		return nil
	}

	if err := opts.validateOwn(); err != nil {
		return err
	}

	if g.opts.limits() == opts.limits() {
		return nil
	}

	g.opts.MinProcesses, g.opts.MaxProcesses = opts.MinProcesses, opts.MaxProcesses
	g.opts.MaxRequests, g.opts.MaxRequestTime = opts.MaxRequests, opts.MaxRequestTime
	g.pool.scheduleIdleCheckLocked()
	g.reconcile(fx)

	return nil
}

// reconcile does what the group's state asks for: it is called after whatever may
// have changed the queue, the room for it or the number of processes. The
// process that it may claim is started at the end of the update.
func (g *group) reconcile(fx *effects) {
	if g.removed || g.pool.state == poolClosed {
		return
	}

	for pr := range g.disabling.all {
		g.finishDisabling(fx, pr)
	}

	g.unblockWaiters(fx)
	g.serveQueue(fx)
	g.finishStartsLocked()
	g.continueRestart(fx)
	g.updateClaimLocked()
	g.updateVacancyLocked()
}

// attach adds a process that has just been started.
func (g *group) attach(fx *effects, proc spawner.Process, generation uint32) *process {
	p := g.pool
	pr := newProcess(g, proc, generation)
	g.uid, g.gid = pr.info.UID, pr.info.GID
	g.appType, g.startupFile = pr.info.AppType, pr.info.StartupFile
	pr.stickyID = g.newStickyID()
	g.sticky[pr.stickyID] = pr
	p.seq++
	pr.seq = p.seq
	pr.lastUsed = p.now()
	pr.moveTo(fx, stateEnabled)
	p.idle.push(&pr.idle, pr)
	p.scheduleIdleCheckLocked()
	g.fireProcess(fx, hooks.AttachedProcess, pr)
	g.observeProcess(fx, Observer.ProcessAttached, pr)
	p.wg.Go(func() { g.awaitExit(pr) })

	return pr
}

// cleanExit is the status of a process that says it ended as it should.
const cleanExit = "exit status 0"

// awaitExit tells the pool when the process has ended, whatever ended it.
func (g *group) awaitExit(pr *process) {
	<-pr.proc.Exited()
	g.pool.update(func(fx *effects) {
		pr.exited = true
		g.publishReleaseDirsLocked()

		if pr.state == stateDetached {
			pr.callOnDetach(fx) // to those that have kept it
			if pr.unreachable {
				fx.log(g.pool, "The process that did not answer has ended", "app", g.name, "pid", pr.info.PID, "status",
					pr.proc.ExitStatus())
			}

			g.continueDrain(fx, pr)

			return
		}

		status := pr.proc.ExitStatus()
		tell := fx.warn
		if status == cleanExit {
			tell = fx.log
		}

		tell(g.pool, "A process has ended by itself", "app", g.name, "pid", pr.info.PID, "status", status)
		g.countEarlyExitLocked(pr)
		g.detachAndReconcile(fx, pr)
	})
}
