package passenger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// model knows what has been done to a pool, and says what must hold therefore. It is
// the pool's observer and log sink, and hears when a process is asked to stop.
type model struct {
	*ledger
	mu   sync.Mutex
	apps map[string]*appModel
	// open counts the sessions of each process that are handed out.
	open map[int]int
	// oobw are the processes that were asked to do out-of-band work.
	oobw map[int]bool
	// reasons are the log lines about each process that say why it is ended in its requests.
	reasons map[int][]string
	stops   []stopped
	// ending reports whether Shutdown or Close has begun, killing whether processes may be killed in it.
	ending, killing bool
	// sizeSince is the largest size of the pool since the last look, used the capacity then.
	sizeSince, used int
	faults          []string
	before          passenger.Snapshot
	// danger makes those who call the model panic; see chaos.
	danger func(what string)
}

// appModel is an application, whatever groups it has had.
type appModel struct {
	// begun counts the gets and starts, calls those that have not returned.
	begun, calls int
	// detached counts the calls of DetachApp, detaching those that have not returned.
	detached, detaching int
	// quiet reports whether DetachApp has returned, and there was no get since.
	quiet bool
	// failures are the errors of its spawns.
	failures map[error]bool
	// crashed reports whether one of its processes was killed.
	crashed bool
	// limitSince is the largest MaxProcesses since the last look, used the capacity then.
	limitSince, used int
	// spawned are the generations of the spawns since the last look.
	spawned []uint32
	// waiting counts the gets that have no result, and were not withdrawn.
	waiting int
}

// stopped is a process that was asked to stop.
type stopped struct {
	pid, open int
	exited    bool
}

// plenty is what a limit is that is none.
const plenty = 1 << 30

func newModel(size int) *model {
	return &model{
		ledger:    &ledger{},
		apps:      map[string]*appModel{},
		open:      map[int]int{},
		oobw:      map[int]bool{},
		reasons:   map[int][]string{},
		sizeSince: size,
		danger:    func(string) {},
	}
}

// app needs the lock, as what its callers do with it.
func (m *model) app(name string) *appModel {
	if m.apps[name] == nil {
		m.apps[name] = &appModel{failures: map[error]bool{}}
	}

	return m.apps[name]
}

func (m *model) with(name string, change func(*appModel)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.app(name))
}

func (m *model) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

func (m *model) SpawnBegan(e *passenger.SpawnEvent) {
	m.ledger.SpawnBegan(e)
	m.with(e.AppName, func(a *appModel) {
		a.spawned = append(a.spawned, e.Generation)
		if a.quiet {
			m.fault("%s: a process is started after DetachApp has returned", e.AppName)
		}
	})
}

func (m *model) SpawnEnded(e *passenger.SpawnEvent) {
	m.ledger.SpawnEnded(e)
	if e.Err != nil {
		m.with(e.AppName, func(a *appModel) { a.failures[e.Err] = true })
	}
}

func (m *model) ProcessAttached(*passenger.ProcessEvent) { m.danger("observer") }
func (m *model) ProcessDetached(*passenger.ProcessEvent) { m.danger("observer") }

func (m *model) RestartBegan(e *passenger.RestartEvent) {
	m.ledger.RestartBegan(e)
	m.danger("observer")
}

func (m *model) RestartEnded(e *passenger.RestartEvent) {
	m.ledger.RestartEnded(e)
	m.danger("observer")
}

// onStop hears when a process is asked to stop.
func (m *model) onStop(p *spawnertest.Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pid := p.Info().PID
	m.stops = append(m.stops, stopped{pid: pid, open: m.open[pid], exited: p.ExitStatus() != ""})
}

// modelLog is the model as a log sink.
type modelLog struct{ *model }

func (modelLog) Init(logr.RuntimeInfo)            {}
func (modelLog) Enabled(int) bool                 { return true }
func (l modelLog) WithValues(...any) logr.LogSink { return l }
func (l modelLog) WithName(string) logr.LogSink   { return l }
func (l modelLog) Error(error, string, ...any)    {}
func (l modelLog) Info(_ int, msg string, kv ...any) {
	for i := 0; i+1 < len(kv); i += 2 {
		if pid, ok := kv[i+1].(int); ok && kv[i] == "pid" && namesAReason(msg) {
			l.mu.Lock()
			l.reasons[pid] = append(l.reasons[pid], msg)
			l.mu.Unlock()
		}
	}

	l.danger("log")
}

func namesAReason(msg string) bool {
	return strings.HasPrefix(msg, "killing a process whose request exceeded its time limit") ||
		strings.HasPrefix(msg, "stopping a process after its drain timeout")
}

// asked is a get.
type asked struct {
	app  string
	opts *passenger.Options
	bad  bool
	// detached and detaching are the application's when it began.
	detached, detaching int

	times     int
	withdrawn bool
	session   *passenger.Session
	err       error
	stop      func() bool
}

// begins notes a get that is about to be made.
func (m *model) begins(a *asked) {
	m.with(a.app, func(app *appModel) {
		app.begin(a.opts)
		app.waiting++
		a.detached, a.detaching = app.detached, app.detaching
	})
}

// begin is for each get and start, and for the options of a restart.
func (app *appModel) begin(o *passenger.Options) {
	app.begun++
	app.quiet = false
	limit := o.MaxProcesses
	if limit <= 0 {
		limit = plenty
	}

	app.limitSince = max(app.limitSince, limit)
}

// finished notes the result of a get, and judges it.
func (m *model) finished(a *asked, s *passenger.Session, err error) {
	m.with(a.app, func(app *appModel) {
		a.times++
		a.session, a.err = s, err

		app.waiting--
		switch {
		case a.times > 1 || a.withdrawn:
			m.fault("%s: a get has %d results, withdrawn: %t", a.app, a.times, a.withdrawn)
		case (s == nil) == (err == nil):
			m.fault("%s: a get returns %v and %v", a.app, s, err)
		case s != nil && (s.AppName() != a.app || a.bad):
			m.fault("%s: a get has got a session of %s, with bad options: %t", a.app, s.AppName(), a.bad)
		case err != nil && !m.permits(app, a, err):
			m.fault("%s: a get has failed for no reason: %v", a.app, err)
		}

		if s != nil {
			m.open[s.PID()]++
		}
	})
}

// permits reports whether a get may have ended so.
func (m *model) permits(app *appModel, a *asked, err error) bool {
	var full *passenger.QueueFullError
	switch {
	case errors.Is(err, passenger.ErrClosed):
		return m.ending
	case errors.Is(err, passenger.ErrAppDetached):
		return a.detaching > 0 || app.detached > a.detached
	case a.bad:
		return strings.Contains(err.Error(), "MaxRequestsJitter: 2 is out of range")
	case errors.Is(err, passenger.ErrQueueTimeout):
		return a.opts.MaxRequestQueueTime > 0
	case errors.As(err, &full):
		return full.AppName == a.app && a.opts.MaxRequestQueueSize >= 0
	case errors.Is(err, passenger.ErrCrashed):
		return app.crashed
	case strings.Contains(err.Error(), "interrupted by a panic"):
		return true
	}

	return app.hasFailed(err)
}

// hasFailed reports whether err is, or wraps, the failure of one of its spawns.
func (app *appModel) hasFailed(err error) bool {
	if resisted, ok := errors.AsType[*passenger.DeploymentError](err); ok {
		err = resisted.Err
	}

	if failed, ok := errors.AsType[*spawner.SpawnError](err); ok {
		return app.failures[failed]
	}

	for failure := range app.failures {
		if errors.Is(err, failure) {
			return true
		}
	}

	return false
}

// closes notes that a session is about to be closed.
func (m *model) closes(s *passenger.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[s.PID()]--
}

// unwanted are the processes that live, are in no group, and were not told to stop.
func unwanted(s *passenger.Snapshot, live []*spawnertest.Process) (pids []int) {
	for _, p := range live {
		known := slices.ContainsFunc(s.Groups, func(g passenger.GroupSnapshot) bool {
			return slices.ContainsFunc(g.Processes,
				func(pr passenger.ProcessSnapshot) bool { return pr.PID == p.Info().PID })
		})
		if !known && !p.Stopped() {
			pids = append(pids, p.Info().PID)
		}
	}

	return pids
}
