package passenger

import (
	"context"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
)

// MaxIncidentTime is the time that a recorder has for one incident. The process of an incident lives
// for as long, if it is about to be killed.
const MaxIncidentTime = 2 * time.Second

// IncidentRecorder keeps what is known when a process or a request comes to a bad end; see
// Config.Incidents.
type IncidentRecorder interface {
	// Record keeps an incident and returns its ID and the file that has it; both are empty if it was
	// not kept. It is called in a goroutine of its own, and by several at once. ctx ends after
	// MaxIncidentTime, or when the pool is closed. The incident belongs to the callee.
	Record(ctx context.Context, in *Incident) (id, file string)
}

// IncidentCause is why an incident is recorded.
type IncidentCause string

// The causes. Package handler records the last two of them.
const (
	// IncidentExit: a process has ended by itself.
	IncidentExit IncidentCause = "exit"
	// IncidentRequestTime: a request exceeds Options.MaxRequestTime, and its process is about to be
	// killed.
	IncidentRequestTime IncidentCause = "request_time"
	// IncidentMemory: a process exceeds Options.MemoryLimit and is about to be replaced.
	IncidentMemory IncidentCause = "memory"
	// IncidentHardMemory: a process exceeds Options.HardMemoryLimit and is about to be killed.
	IncidentHardMemory IncidentCause = "hard_memory"
	// IncidentDrainTime: a process has not finished its requests within Options.DrainTimeout and is
	// about to be stopped.
	IncidentDrainTime IncidentCause = "drain_time"
	// IncidentUnresponsive: a process takes no connections, or does not respond, and is replaced.
	IncidentUnresponsive IncidentCause = "unresponsive"
	// IncidentQueueTime: a request has waited for a process for too long.
	IncidentQueueTime IncidentCause = "queue_time"
	// IncidentNoResponse: a process has given no response to a request, or not in time.
	IncidentNoResponse IncidentCause = "no_response"
	// IncidentNone: nothing has happened; see Pool.Look.
	IncidentNone IncidentCause = "none"
)

// Incident is what the pool and the handler know of an incident.
type Incident struct {
	Cause IncidentCause
	At    time.Time
	// AppName is the name of the application's group, and Root its directory.
	AppName, Root string

	// Process is the process; nil means that the incident is about none, and the fields below are zero
	// then. It may have ended meanwhile.
	Process spawner.Process
	// Sessions is the number of its requests, and Processed that of those that have ended.
	Sessions  int
	Processed uint64
	// Memory is what it and all that it has started used when that was last read.
	Memory procstat.Value[int64]

	// Limit is the limit that was exceeded, in words; may be empty.
	Limit string
	// Error says what is wrong; may be empty.
	Error string
	// RequestID is that of the request; the pool does not know it. Host and Target are those of the
	// request, Target with the query.
	RequestID, Host, Target string
}

// Incidents returns Config.Incidents, which may be nil.
func (p *Pool) Incidents() IncidentRecorder { return p.cfg.Incidents }

// Look returns what is known of a process, named by its GUPID or PID, in the form of an incident.
//
// Errors: ErrNoSuchProcess, ErrClosed.
func (p *Pool) Look(id string) (in *Incident, err error) {
	err = p.withProcess(id, func(_ *effects, pr *process) { in = pr.incidentLocked(IncidentNone) })
	return in, err
}

// incidentLocked returns an incident of the process.
func (pr *process) incidentLocked(cause IncidentCause) *Incident {
	return &Incident{
		Cause:     cause,
		At:        time.Now(),
		AppName:   pr.group.name,
		Root:      pr.group.opts.App.Root,
		Process:   pr.proc,
		Sessions:  pr.sessions,
		Processed: pr.processed,
		Memory:    pr.metrics.RealMemory(),
	}
}

// recorded is where an incident was kept; the zero value means nowhere.
type recorded struct{ id, file string }

// with returns the keys and values of a log line with those that name the incident.
func (r recorded) with(keysAndValues ...any) []any {
	if r.id == "" {
		return keysAndValues
	}

	return append(keysAndValues, "incident", r.id, "incidentFile", r.file)
}

// recordAndDetach detaches the process, if it is not detached, and records the incident. Then it
// calls then. A process that lives is not stopped before, and the hook of its detachment waits. Only
// one incident of a process is recorded.
//
//nolint:contextcheck,nolintlint // recording belongs to the pool, and outlives the call that caused it
func (pr *process) recordAndDetach(fx *effects, in *Incident, then func(fx *effects, at recorded)) {
	p := pr.group.pool
	if p.cfg.Incidents == nil || pr.recording || pr.wasRecorded {
		// First, so that the log has the reason before what follows from it.
		then(fx, recorded{})
		pr.group.detachAndReconcile(fx, pr)

		return
	}

	pr.recording, pr.wasRecorded = true, true
	pr.hookWaits = pr.state != stateDetached
	pr.group.detachAndReconcile(fx, pr)
	p.wg.Go(func() {
		var at recorded

		// Deferred, since the recorder may panic.
		defer func() {
			p.update(func(fx *effects) {
				then(fx, at)
				pr.endRecording(fx, at)
			})
		}()

		ctx, cancel := context.WithTimeout(p.spawnCtx, MaxIncidentTime)
		defer cancel()
		at.id, at.file = p.cfg.Incidents.Record(ctx, in)
	})
}

// endRecording does what has waited for the incident to be recorded.
func (pr *process) endRecording(fx *effects, at recorded) {
	pr.recording = false
	pr.closeAbandoned(fx)
	if pr.hookWaits {
		pr.hookWaits = false
		pr.group.fire(fx, hooks.Event{Name: hooks.DetachedProcess, PID: pr.info.PID, IncidentFile: at.file})
	}

	if pr.stopWaits {
		pr.stopWaits = false
		pr.group.stopProcess(fx, pr)
	}
}
