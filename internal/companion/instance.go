package companion

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
)

const (
	// minPause and maxPause bound the time between the end of a companion and its next start.
	minPause = time.Second
	maxPause = time.Minute
	// steadyTime is how long a companion runs until its ends before no longer count.
	steadyTime = time.Minute
)

// state is what an instance does.
type state string

const (
	starting   state = "starting"
	running    state = "running"
	backingOff state = "backing off"
	stopping   state = "stopping"
	ended      state = "ended"
)

// moves are the allowed changes of state.
var moves = map[state][]state{
	starting:   {running, backingOff, ended},
	running:    {backingOff, stopping, ended},
	backingOff: {starting, ended},
	stopping:   {backingOff, ended},
	ended:      {},
}

// instance is one companion of a release, through all its starts. Set.mu guards state and the fields below it.
type instance struct {
	set    *Set
	spec   *Spec
	number int
	// root is the directory of the release.
	root string
	log  logr.Logger
	// finishing ends when the companion is to end, which finish says.
	finishing context.Context
	finish    context.CancelFunc
	// after must have ended before this one starts.
	after []*instance
	// done is closed when nothing of it is left.
	done chan struct{}

	state    state
	since    time.Time
	pid      int
	restarts int
	lastExit string
	// recycled is closed when the process is to make way for another one.
	recycled chan struct{}
}

func newInstance(s *Set, spec *Spec, number int, root string) *instance {
	i := &instance{
		set:    s,
		spec:   spec,
		number: number,
		root:   root,
		log:    s.cfg.Logger.WithValues("app", s.cfg.App, "companion", spec.Name, "number", number),
		done:   make(chan struct{}),
		state:  starting,
		since:  time.Now(),
	}
	i.finishing, i.finish = context.WithCancel(context.Background())

	return i
}

// run is the whole life of the instance.
func (i *instance) run() {
	defer close(i.done)
	defer i.move(ended, 0)
	defer i.finish()

	// Those have a bounded time to end, so no one that is to end meanwhile waits for long.
	for _, other := range i.after {
		<-other.done
	}

	// Each release would keep all those before it in memory.
	i.after = nil

	// The log has the first start, and those after a time of running well.
	tell := true
	for pause := time.Duration(0); ; {
		// A companion that ends with success over and over flaps as well, so each end counts.
		ran, failed := i.runOnce(tell)
		if i.finishing.Err() != nil || !i.spec.restarts(failed) {
			i.log.Info("a companion has ended", "status", i.lastExit, "restarts", i.restarts)
			return
		}

		tell = ran >= steadyTime
		if pause = min(2*pause, maxPause); pause == 0 || tell {
			pause = minPause
		}

		if !i.pause(pause, ran) {
			return
		}
	}
}

func (s *Spec) restarts(failed bool) bool {
	return s.Restart == RestartAlways || failed && s.Restart == RestartOnFailure
}

// runOnce starts the companion and waits for its end. It returns how long it ran, and whether it failed.
func (i *instance) runOnce(tell bool) (ran time.Duration, failed bool) {
	if i.finishing.Err() != nil {
		return 0, false
	}

	// It ends early when the companion is to end, as while it waits for another core's.
	p, err := i.set.cfg.Start(i.finishing, i.root, i.spec, i.number)
	if err != nil {
		// Start has logged why.
		i.noteExit("did not start")
		return 0, true
	}

	began := time.Now()
	recycled := i.begin(p.Info().PID)
	if tell {
		i.log.Info("a companion has started", "pid", p.Info().PID)
	}

	select {
	case <-p.Exited():
	case <-recycled:
		i.move(stopping, p.Info().PID)
		failed = true
	case <-i.finishing.Done():
		i.move(stopping, p.Info().PID)
	}

	// After an end by itself, what it has left behind ends here.
	p.Stop(i.set.forced)
	ran = time.Since(began)
	i.noteExit(p.ExitStatus())

	return ran, failed || p.ExitStatus() != "exit status 0"
}

// begin notes that a process runs. It returns what is closed when that is to make way for another one.
func (i *instance) begin(pid int) (recycled <-chan struct{}) {
	i.move(running, pid)
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	i.recycled = make(chan struct{})

	return i.recycled
}

func (i *instance) recycleLocked() {
	if i.recycled != nil {
		close(i.recycled)
		i.recycled = nil
	}
}

// pause waits until the next start. It reports false if there is none, since the companion is to end.
func (i *instance) pause(d, ran time.Duration) bool {
	pid, exit := i.retry()
	if pid != 0 { // else the spawner has told
		i.log.Info("a companion has ended, and is started again", "pid", pid, "status", exit, "ran", ran.String(),
			"in", d.String(), "restarts", i.restarts)
	}

	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-i.finishing.Done():
		return false
	}

	i.move(starting, 0)

	return true
}

// retry counts a restart. It returns what is known of the process that has ended, if there was one.
func (i *instance) retry() (pid int, exit string) {
	i.set.mu.Lock()
	pid, exit = i.pid, i.lastExit
	i.restarts++
	i.set.restarts[i.spec.Name]++
	i.set.mu.Unlock()
	i.move(backingOff, 0)

	return pid, exit
}

func (i *instance) noteExit(how string) {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	i.lastExit = how
}

// move changes the state. pid is that of the process, or zero.
func (i *instance) move(to state, pid int) {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	if !slices.Contains(moves[i.state], to) {
		err := fmt.Errorf("a companion moved from %s to %s", i.state, to)
		// Tests have to fail. A server that runs must not end for it.
		if i.set.cfg.SelfChecks {
			panic(err)
		}

		i.log.Error(err, "BUG: please report this")
	}

	if to == ended && i.state != ended {
		i.set.hasEndedLocked(i)
	}

	i.state, i.since, i.pid = to, time.Now(), pid
}

func (i *instance) snapshotLocked() Snapshot {
	return Snapshot{
		App:            i.set.cfg.App,
		Name:           i.spec.Name,
		Number:         i.number,
		State:          string(i.state),
		PID:            i.pid,
		Since:          i.since,
		Restarts:       i.restarts,
		RestartsOfName: i.set.restarts[i.spec.Name],
		LastExit:       i.lastExit,
	}
}
