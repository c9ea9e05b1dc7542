package passenger

import (
	"crypto/rand"
	"reflect"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
)

// group is one application in the pool: its processes and its queue. Pool.mu guards its fields but
// pool and name. Its methods need the lock, apart from those that a goroutine begins with
// (awaitExit, callOutOfBandWork); those that change something take fx or end in Locked.
type group struct {
	pool *Pool
	name string
	// namesake is another application of the same name; see Options.App.
	namesake *group
	opts     Options
	// apiKey differs from that of any other group.
	apiKey string
	// uid and gid are the user and group IDs the newest process runs as; -1 before the first one.
	uid, gid int
	// appType and startupFile are those of the newest process.
	appType, startupFile string

	// release is what processes are started from; its generation counts the restarts.
	release *release
	// openReleases are the releases whose spawners are not closed, release included.
	openReleases []*release
	// dirs is what was published last in Pool.releaseDirs; nil before the first process.
	dirs *ReleaseDirs
	// restart is the restart in progress, or nil.
	restart *restart
	// deploymentError is why the last restart failed; nil if it did not.
	deploymentError *DeploymentError
	watch           restartWatch

	enabled   list[process]
	disabling list[process]
	disabled  list[process]
	detached  list[process]
	routes    routeTable

	queue list[waiter]
	// sticky has the processes by their sticky IDs; stickyWaiting counts the gets that wait for one
	// of them.
	sticky        map[uint32]*process
	stickyWaiting int
	// starts are the pending calls of Pool.StartN.
	starts []*start
	// oobwCount is the number of processes that do out-of-band work, or are being disabled for it.
	oobwCount int

	// attempts are the spawns in progress.
	attempts    []*spawnAttempt
	lastFailure *SpawnFailure
	// failures is the number of consecutive spawns that gave no process, or one that ended before
	// it was of use. While retry runs, until retryAt by Pool.now, the pool starts nothing of its own
	// accord.
	failures int
	retry    *poolTimer
	retryAt  time.Duration

	// removed reports whether the group has left the pool, byAdmin whether DetachApp removed it.
	// gone is closed when its last process and spawner have ended.
	removed, byAdmin bool
	gone             chan struct{}
	// vacancy is the group's place in Pool.vacant, since vacantSince.
	vacancy     node[group]
	vacantSince time.Duration

	// claim is the group's place in Pool.starving or Pool.hungry.
	claim node[group]

	counts counts
	// longHeldLook is when the slots that long sessions hold may be looked at again, by Pool.now.
	longHeldLook time.Duration
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

// list returns the list for processes in state s.
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

// lists returns the lists of all processes, detached ones last.
func (g *group) lists() []*list[process] {
	return []*list[process]{&g.enabled, &g.disabling, &g.disabled, &g.detached}
}

// capacityUsed is the number that the limits bound: processes that are not detached, and spawns in
// progress that replace no process.
func (g *group) capacityUsed() int {
	n := g.processCount()
	for _, a := range g.attempts {
		if a.kind == spawnsNew {
			n++
		}
	}

	return n
}

// processCount is the number of processes that are not detached.
func (g *group) processCount() int { return g.enabled.len() + g.disabling.len() + g.disabled.len() }

// allProcesses yields the processes that are not detached.
func (g *group) allProcesses(yield func(*process) bool) {
	for _, l := range []*list[process]{&g.enabled, &g.disabling, &g.disabled} {
		for pr := range l.all {
			if !yield(pr) {
				return
			}
		}
	}
}

// updateLimits takes from a get's options those that may change while the group lives. Its errors
// are those of opts.validateOwn.
func (g *group) updateLimits(fx *effects, opts *Options) error {
	if err := g.correctAppLocked(opts); err != nil {
		return err
	}

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
	// With a lower minimum, idle processes may end.
	g.pool.scheduleIdleCheckLocked()
	g.reconcile(fx)

	return nil
}

// correctAppLocked takes a get's options of the application where those of before could not start a process: nothing
// uses them, and who has corrected them expects that they count. When the next attempt may begin stays as it is.
func (g *group) correctAppLocked(opts *Options) error {
	if g.failures == 0 || g.processCount() > 0 || len(g.attempts) > 0 || g.restart != nil {
		return nil
	}

	app := opts.App.Clone()
	if reflect.DeepEqual(&g.opts.App, &app) {
		return nil
	}

	if err := opts.Validate(); err != nil {
		return err
	}

	g.opts.App = app
	g.retireReleaseLocked(g.release)
	// The same generation, as this is no restart.
	g.openReleaseLocked(g.release.generation)

	return nil
}

// reconcile does what the state of the group asks for. Call it after everything that may change the
// queue, the number of processes or their room. The process that it may claim is started at the end
// of the update.
func (g *group) reconcile(fx *effects) {
	if g.removed || g.pool.state == poolClosed {
		return
	}

	// Disabling is finished first: the steps below look at which processes can serve.
	for pr := range g.disabling.all {
		g.finishDisabling(fx, pr)
	}

	g.unblockWaiters(fx)
	g.serveQueue(fx)
	g.finishStartsLocked()

	// What is still wanted after serving the queue is claimed last.
	g.continueRestart(fx)
	g.updateClaimLocked()
	g.updateVacancyLocked()
}

// attach adds a process that has just started.
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
	// The hook and the observer get a process that takes requests already.
	pr.moveTo(fx, stateEnabled)
	p.idle.push(&pr.idle, pr)
	p.scheduleIdleCheckLocked()
	g.fireProcess(fx, hooks.AttachedProcess, pr)
	g.observeProcess(fx, Observer.ProcessAttached, pr)
	p.wg.Go(func() { g.awaitExit(pr) })

	return pr
}

// cleanExit is the exit status of a process that ended as it should.
const cleanExit = "exit status 0"

// awaitExit waits until the process has ended, for whatever reason, and takes it out of the pool.
func (g *group) awaitExit(pr *process) {
	<-pr.proc.Exited()
	g.pool.update(func(fx *effects) {
		pr.exited = true
		g.publishReleaseDirsLocked()

		if pr.state == stateDetached {
			// With Options.KeepLongSessions, sessions have kept it until now.
			pr.callOnDetach(fx)

			if pr.unreachable {
				fx.log(g.pool, "the process that did not respond has ended", "app", g.name, "pid", pr.info.PID,
					"status", pr.proc.ExitStatus())
			}

			g.continueDrain(fx, pr)

			return
		}

		status := pr.proc.ExitStatus()
		g.counts.Exits++

		record := (*effects).log
		if status != cleanExit {
			g.counts.Crashes++
			record = (*effects).warn
		}

		g.countEarlyExitLocked(pr)
		pr.recordAndDetach(fx, pr.incidentLocked(IncidentExit), func(fx *effects, at recorded) {
			about := at.with("app", g.name, "pid", pr.info.PID, "status", status)
			record(fx, g.pool, "a process ended by itself", about...)
		})
	})
}
