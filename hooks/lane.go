package hooks

// maxRunning is how many events of a lane run at once.
const maxRunning = 4

// lane keeps events in order: those of one subject run one after the other,
// those of others beside them.
type lane struct {
	running int
	queues  map[subject]*queue
	ready   []*queue // with events, of which none runs
}

// subject is what events are about: a process, or else an application.
type subject struct {
	pid         int
	root, group string
}

// queue has the waiting events of a subject.
type queue struct {
	subject subject
	events  []Event
	running bool
}

// laneOf returns the name that a lane goes by; names that must keep their order
// among each other share one.
func laneOf(name Name) Name {
	switch name {
	case DetachedProcess:
		return AttachedProcess
	case BeforeDestroySupergroup:
		return AfterInitializeSupergroup
	case AttachedProcess, AfterInitializeSupergroup, SpawnFailed, QueueFullError, MaxRequestTimeReached,
		BeforeWatchdogInitialization, AfterWatchdogInitialization, BeforeWatchdogShutdown, AfterWatchdogShutdown:
	}

	return name
}

func subjectOf(e *Event) subject {
	switch e.Name {
	case AttachedProcess, DetachedProcess, MaxRequestTimeReached:
		return subject{pid: e.PID}
	case SpawnFailed, QueueFullError, AfterInitializeSupergroup, BeforeDestroySupergroup,
		BeforeWatchdogInitialization, AfterWatchdogInitialization, BeforeWatchdogShutdown, AfterWatchdogShutdown:
	}

	return subject{root: e.AppRoot, group: e.GroupName}
}

func newLane() *lane { return &lane{queues: map[subject]*queue{}} }

// merge adds e to a waiting event that it may share its hooks with.
func (l *lane) merge(e *Event) bool {
	// A full queue fires one for each request that it refuses.
	if e.Name != QueueFullError {
		return false
	}

	q := l.queues[subjectOf(e)]
	if q == nil || len(q.events) == 0 {
		return false
	}

	last := &q.events[len(q.events)-1]
	count := last.count() + e.count()
	*last = *e
	last.Count = count

	return true
}

func (e *Event) count() int { return max(1, e.Count) }

func (l *lane) add(e *Event) {
	s := subjectOf(e)
	q := l.queues[s]
	if q == nil {
		q = &queue{subject: s}
		l.queues[s] = q
	}

	q.events = append(q.events, *e)
	if len(q.events) == 1 && !q.running {
		l.ready = append(l.ready, q)
	}
}

// next takes an event that may run now.
func (l *lane) next() (q *queue, e Event, ok bool) {
	if l.running >= maxRunning || len(l.ready) == 0 {
		return nil, Event{}, false
	}

	q, l.ready = l.ready[0], l.ready[1:]
	e, q.events = q.events[0], q.events[1:]
	q.running = true
	l.running++

	return q, e, true
}

// done notes that the event which next took from q has run.
func (l *lane) done(q *queue) {
	l.running--
	q.running = false
	if len(q.events) > 0 {
		// Behind the others, so that a subject with many events does not keep them waiting.
		l.ready = append(l.ready, q)
	} else {
		delete(l.queues, q.subject)
	}
}

// clear forgets all waiting events.
func (l *lane) clear() {
	for s, q := range l.queues {
		q.events = nil
		if !q.running {
			delete(l.queues, s)
		}
	}

	l.ready = nil
}
