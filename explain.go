package passenger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/redact"
)

// Outcome is what becomes of a request.
type Outcome string

// The outcomes.
const (
	// OutcomeServed: a process takes it at once.
	OutcomeServed Outcome = "served"
	// OutcomeWaits: it waits in the queue for a process.
	OutcomeWaits Outcome = "waits"
	// OutcomeRefused: it fails at once.
	OutcomeRefused Outcome = "refused"
)

// Explanation says what would become of the next request to an application, and why.
type Explanation struct {
	AppName string  `json:"app"`
	AppRoot string  `json:"appRoot"`
	Outcome Outcome `json:"outcome"`
	// Reasons are ordered: the first ones lead to the outcome, the others say what else is not as it should be.
	Reasons []Reason `json:"reasons"`
}

// Reason is one sentence of an Explanation.
type Reason struct {
	Kind ReasonKind `json:"kind"`
	// Text is a sentence without a full stop. It begins in lower case and has no secrets.
	Text string `json:"text"`
	// Setting is the field of Options or Config that decides it; empty means none.
	Setting string `json:"setting,omitempty"`
}

// ReasonKind is what a Reason is about.
type ReasonKind string

// The kinds of reasons.
const (
	ReasonRoom            ReasonKind = "room"             // a process has room
	ReasonBusy            ReasonKind = "busy"             // none has
	ReasonNoProcess       ReasonKind = "no_process"       // there is none
	ReasonDisabled        ReasonKind = "disabled"         // processes that take no requests
	ReasonLongSessions    ReasonKind = "long_sessions"    // WebSockets and streams hold slots
	ReasonAbandoned       ReasonKind = "abandoned"        // requests hold slots whose clients have left
	ReasonQueue           ReasonKind = "queue"            // others wait before it
	ReasonQueueTime       ReasonKind = "queue_time"       // it waits for a limited time
	ReasonStarting        ReasonKind = "starting"         // a process is being started
	ReasonStart           ReasonKind = "start"            // one would be started for it
	ReasonMaxProcesses    ReasonKind = "max_processes"    // the application has as many as it may
	ReasonCapacity        ReasonKind = "capacity"         // the pool has as many as it may
	ReasonBackOff         ReasonKind = "back_off"         // the pool waits after failed starts
	ReasonDeploymentError ReasonKind = "deployment_error" // old processes serve on
	ReasonSpawnError      ReasonKind = "spawn_error"      // the last start failed
	ReasonRestarting      ReasonKind = "restarting"       // a restart is in progress
	ReasonDetached        ReasonKind = "detached"         // the application was detached
	ReasonClosed          ReasonKind = "closed"           // the pool ends
)

// Explain says what would become of a request that came now to the applications of this group name, from the state
// of the pool and without changing it. allowed selects which of them; nil means all. Explain returns nothing for an
// application that the pool does not know: its first request starts a process. Those of one name are ordered by their
// directories.
func (p *Pool) Explain(name string, allowed func(AppIdentity) bool) (all []Explanation) {
	p.mu.Lock()
	defer p.mu.Unlock()

	for g := range p.allGroups {
		if g.name == name && (allowed == nil || allowed(g.identity())) {
			e := explainer{group: g, allowed: allowed}
			e.explain()
			all = append(all, Explanation{
				AppName: g.name,
				AppRoot: g.opts.App.Root,
				Outcome: e.outcome,
				Reasons: e.reasons,
			})
		}
	}

	slices.SortFunc(all, func(a, b Explanation) int { return strings.Compare(a.AppRoot, b.AppRoot) })

	return all
}

// explainer goes the way of a get through its group, and notes what it meets.
type explainer struct {
	group   *group
	allowed func(AppIdentity) bool
	outcome Outcome
	reasons []Reason
}

func (e *explainer) say(kind ReasonKind, setting, format string, args ...any) {
	e.reasons = append(e.reasons, Reason{Kind: kind, Text: fmt.Sprintf(format, args...), Setting: setting})
}

func (e *explainer) explain() {
	g := e.group
	switch {
	case g.pool.state != poolOpen:
		e.outcome = OutcomeRefused
		e.say(ReasonClosed, "", "the server is about to end and takes no more requests")

		return
	case g.removed:
		e.outcome = OutcomeRefused
		e.say(ReasonDetached, "", "the application was detached, and only its last processes remain")

		return
	}

	if pr := g.processWithRoom(); pr != nil {
		e.outcome = OutcomeServed
		e.sayRoom(pr)
	} else {
		e.explainWait()
	}

	e.explainState()
}

func (e *explainer) sayRoom(pr *process) {
	slots := fmt.Sprintf("%d of the %d requests that it takes at once", pr.sessions, pr.concurrency)
	if pr.concurrency == 0 {
		slots = fmt.Sprintf("%s, and takes any number at once", count(pr.sessions, "request"))
	}

	e.say(ReasonRoom, "", "process %d takes it at once: it has %s", pr.info.PID, slots)
}

// explainWait follows the get that no process takes at once.
func (e *explainer) explainWait() {
	g := e.group
	e.outcome = OutcomeWaits

	limit := g.opts.queueLimit()
	waiting := g.queueLength()
	if limit >= 0 && waiting >= limit {
		e.outcome = OutcomeRefused
		e.say(ReasonQueue, "MaxRequestQueueSize", "the queue is full: %d of %d requests wait", waiting, limit)
	}

	e.explainProcesses()
	if e.outcome == OutcomeRefused {
		return
	}

	if g.isResisting() && g.enabled.len()+g.disabling.len()+g.oobwCount == 0 {
		// No process will ever take it; explainState says why.
		e.outcome = OutcomeRefused
		return
	}

	if waiting > 0 {
		e.say(ReasonQueue, "", "%s before it", count(waiting, "request waits", "requests wait"))
	}

	e.explainStart()
	if limit := g.opts.MaxRequestQueueTime; limit > 0 && e.outcome == OutcomeWaits {
		e.say(ReasonQueueTime, "MaxRequestQueueTime", "it fails if it waits for more than %s", limit)
	}
}

// explainProcesses says why no process takes it.
func (e *explainer) explainProcesses() {
	g := e.group

	slots, taken, long, abandoned := 0, 0, 0, 0
	for pr := range g.enabled.all {
		slots += pr.concurrency
		taken += pr.sessions
		long += pr.longSessions
		abandoned += len(pr.abandoned)
	}

	switch n := g.enabled.len(); {
	case n > 0:
		e.say(ReasonBusy, "", "%s busy: %d of the %d requests that they take at once are in progress",
			count(n, "process is", "processes are"), taken, slots)
	case g.disabling.len()+g.disabled.len() > 0:
		e.say(ReasonDisabled, "", "%s disabled, and no other is there",
			count(g.disabling.len()+g.disabled.len(), "process is", "processes are"))
	default:
		e.say(ReasonNoProcess, "", "no process is there")
	}

	if long > 0 {
		e.say(ReasonLongSessions, "UnlimitedConcurrencyPaths", "%s of the %d slots", count(long,
			"WebSocket or stream holds one", "WebSockets and streams hold as many"), slots)
	}

	if abandoned > 0 {
		e.say(ReasonAbandoned, "MaxRequestTime", "%s of the %d slots", count(abandoned,
			"request, whose client has left, holds one", "requests, whose clients have left, hold as many"), slots)
	}
}

// explainStart tells whether a process will be there for it, in the order of wantsProcess.
func (e *explainer) explainStart() {
	g := e.group
	p := g.pool
	used := g.capacityUsed()

	switch {
	case len(g.attempts) > 0:
		e.say(ReasonStarting, "", "%s being started, since %s", count(len(g.attempts), "process is", "processes are"),
			roundTime(time.Since(g.attempts[0].began)))
	case g.isResisting():
	case g.opts.MaxProcesses > 0 && used >= g.opts.MaxProcesses:
		e.say(ReasonMaxProcesses, "MaxProcesses", "the application has as many processes as it may have: %d of %d",
			used, g.opts.MaxProcesses)
	// Without a process that can serve, the back-off does not apply: see wantsProcess.
	case g.enabled.len() > 0 && g.retry.running():
		e.say(ReasonBackOff, "", "the next start is in %s, after %s", roundTime(g.retryAt-p.now()),
			count(g.failures, "failed one"))
	case p.hasRoom():
		e.say(ReasonStart, "", "a process is started for it")
	case g.processCount() == 0 && p.idleVictim() != nil && !g.mayTakeRoom():
		// explainState says what failed.
		e.outcome = OutcomeRefused
		failure := "the failed start"
		if errors.Is(g.release.failure, ErrCrashed) {
			failure = "the crash of its last process in the first request"
		}

		e.say(ReasonBackOff, "MaxPoolSize", "after %s, no idle process of another application is stopped for it, for "+
			"%s more", failure, roundTime(g.takesNoRoomFor()))
	case g.processCount() == 0 && p.idleVictim() != nil:
		e.say(ReasonStart, "", "a process is started for it, in the place of an idle one of %s",
			e.nameOf(p.idleVictim().group))
	default:
		e.say(ReasonCapacity, "MaxPoolSize", "all applications together have as many processes as they may: %d of %d",
			p.capacityUsed, p.cfg.MaxPoolSize)

		if before := p.starving.len(); before > 0 {
			e.say(ReasonCapacity, "", "%s for a process before it",
				count(before, "application waits", "applications wait"))
		}
	}
}

// nameOf names an application, if the caller may know that it is there.
func (e *explainer) nameOf(g *group) string {
	if e.allowed != nil && !e.allowed(g.identity()) {
		return "another application"
	}

	return g.name
}

// explainState says what else is not as it should be.
func (e *explainer) explainState() {
	g := e.group
	if g.restart != nil {
		e.say(ReasonRestarting, "", "a restart is in progress, since %s: %s",
			roundTime(time.Since(g.restart.began)), count(g.oldProcesses(), "process of the release before serves",
				"processes of the release before serve"))
	}

	if g.deploymentError != nil {
		serving := "so that old processes serve on"
		if !g.isResisting() {
			serving = "and no old process is left"
		}

		e.say(ReasonDeploymentError, "", "the new release does not start, %s: %s", serving, g.deploymentError.message())
	}

	if f := g.lastFailure; f != nil && g.deploymentError == nil {
		e.say(ReasonSpawnError, "", "the last start failed %s ago: %s (error %s)", roundTime(time.Since(f.At)),
			redact.Text(f.Summary), f.ID)
	}

	if n := g.disabled.len() + g.disabling.len(); n > 0 && !slices.ContainsFunc(e.reasons,
		func(r Reason) bool { return r.Kind == ReasonDisabled }) {
		e.say(ReasonDisabled, "", "%s", count(n, "process is disabled and takes no requests",
			"processes are disabled and take no requests"))
	}
}

// count is a number with its noun, whose plural has an s if there is no other.
func count(n int, one string, several ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(several) == 0:
		return fmt.Sprintf("%d %ss", n, one)
	}

	return fmt.Sprintf("%d %s", n, several[0])
}

// roundTime is exact enough to be read.
func roundTime(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond)
	}

	return d.Round(time.Second)
}
