package incident

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/status"
)

const (
	// maxAtOnce is the number of incidents that are looked into at once; others wait.
	maxAtOnce = 4
	// maxOfApp is the number of processes that are looked at when an incident is about no process in particular.
	maxOfApp = 4
	// endTime is the time for a process that has gone to be reaped, and for its last output.
	endTime = 200 * time.Millisecond
	// failedSince is how long ago a request may have failed that an incident is about.
	failedSince = 5 * time.Second
	// requestInterval is the time between two incidents that a client can cause, of all applications.
	requestInterval = time.Second
	// writeTime is what is left of the time for writing the file.
	writeTime = 200 * time.Millisecond
)

// Recorder is a passenger.IncidentRecorder that keeps incidents in a Store.
type Recorder struct {
	store *Store
	log   logr.Logger
	// slots has an element for each incident that is looked into.
	slots chan struct{}
	// full bounds what is logged of a disk that takes nothing.
	full ratelog.Line
	// ending reports whether the server ends.
	ending atomic.Bool

	mu sync.Mutex
	// lastRequest is when the last incident was recorded that a client can cause.
	lastRequest time.Time
	// pool and handlers are set by Watch.
	pool     *passenger.Pool
	handlers func() []*handler.Handler
}

// NewRecorder returns a recorder that knows of no requests before Watch is called.
func NewRecorder(store *Store, log logr.Logger) *Recorder {
	return &Recorder{store: store, log: log, slots: make(chan struct{}, maxAtOnce)}
}

// Watch says where the processes and the requests are.
func (r *Recorder) Watch(pool *passenger.Pool, handlers func() []*handler.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.pool, r.handlers = pool, handlers
}

func (r *Recorder) watched() (*passenger.Pool, func() []*handler.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.pool, r.handlers
}

// ServerEnds says that the server ends, as its operator wants: a process that has been asked to end, by the server or
// by SIGTERM, is no incident from here on, nor is a request that it has not responded to.
func (r *Recorder) ServerEnds() { r.ending.Store(true) }

// isAsked reports whether an incident is what a process does that was asked to end.
func isAsked(in *passenger.Incident) bool {
	switch in.Cause {
	case passenger.IncidentNoResponse, passenger.IncidentUnresponsive:
		return true
	case passenger.IncidentExit:
		status := in.Process.ExitStatus()
		return status == "exit status 0" || status == "signal: terminated"
	case passenger.IncidentRequestTime, passenger.IncidentMemory, passenger.IncidentHardMemory,
		passenger.IncidentDrainTime, passenger.IncidentQueueTime, passenger.IncidentNone:
	}

	return false
}

// Record keeps an incident. It returns when ctx ends, whatever the disk does.
func (r *Recorder) Record(ctx context.Context, in *passenger.Incident) (id, file string) {
	if r.isTold(ctx, in) {
		return "", ""
	}

	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return "", ""
	}

	// It did not respond because it has ended.
	if in.Cause == passenger.IncidentUnresponsive && hasEnded(ctx, in.Process) {
		in.Cause = passenger.IncidentExit
	}

	if r.ending.Load() && isAsked(in) {
		<-r.slots
		return "", ""
	}

	// A disk that hangs must hold up neither the kill nor other incidents, apart from the slot.
	record := r.look(ctx, in)
	written := make(chan string, 1)
	go func() {
		defer func() { <-r.slots }()

		path, err := r.store.Write(record)
		if err != nil {
			r.full.Tell(func(more int) {
				r.log.Error(err, "cannot keep an incident: make room in incident_dir, or correct its rights", "app",
					in.AppName, "summary", record.Summary, "more", more)
			})
		}

		written <- path
	}()

	select {
	case path := <-written:
		if path == "" {
			return "", ""
		}

		r.tell(record, path)

		return record.ID, path
	case <-ctx.Done():
		return "", ""
	}
}

// tell logs an incident that no line of the pool tells of.
func (r *Recorder) tell(record *Record, path string) {
	switch record.Cause {
	case passenger.IncidentQueueTime, passenger.IncidentNoResponse:
		r.log.Info("recorded an incident", "app", record.App, "summary", record.Summary, "incident", record.ID,
			"incidentFile", path)
	case passenger.IncidentExit, passenger.IncidentRequestTime, passenger.IncidentMemory, passenger.IncidentHardMemory,
		passenger.IncidentDrainTime, passenger.IncidentUnresponsive, passenger.IncidentNone:
	}
}

// isTold reports whether an incident of a request need not be recorded: that of its process says more, or there are
// too many.
func (r *Recorder) isTold(ctx context.Context, in *passenger.Incident) bool {
	if in.Cause != passenger.IncidentQueueTime && in.Cause != passenger.IncidentNoResponse {
		return false
	}

	if in.Process != nil && hasEnded(ctx, in.Process) {
		return true
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if time.Since(r.lastRequest) < requestInterval {
		return true
	}

	r.lastRequest = time.Now()

	return false
}

// hasEnded waits a little, since a connection ends before its process is reaped.
func hasEnded(ctx context.Context, p spawner.Process) bool {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()

	select {
	case <-p.Exited():
		return true
	case <-ctx.Done():
		return false
	}
}

// look finds out what there is to know, in the time that ctx gives less that for writing it.
func (r *Recorder) look(ctx context.Context, in *passenger.Incident) *Record {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-writeTime))
		defer cancel()
	}

	// Before anything else, as requests may end meanwhile.
	requests := r.requestsOf(in)
	record := &Record{
		At:        in.At,
		Cause:     in.Cause,
		App:       in.AppName,
		Root:      in.Root,
		Limit:     in.Limit,
		Error:     text(in.Error),
		Processes: r.processes(ctx, in),
	}
	if in.Process != nil {
		record.PID = in.Process.Info().PID
	}

	// The clients of a process that has crashed have noticed by now.
	if in.Process != nil && in.Process.ExitStatus() != "" {
		requests = merge(r.requestsOf(in), requests)
	}

	record.Summary = summary(in, record.PID)
	record.Request, record.Others = choose(in, requests)

	return record
}

// processes looks at the process, or at the first of the application's, all at the same time.
func (r *Recorder) processes(ctx context.Context, in *passenger.Incident) []Process {
	incidents := []*passenger.Incident{in}
	if in.Process == nil {
		incidents = r.processesOf(in.AppName)
	}

	found := make([]Process, len(incidents))

	// One after the other, the last would have no time left.
	var looking sync.WaitGroup
	for i, one := range incidents {
		looking.Go(func() { found[i] = lookAt(ctx, one) })
	}

	looking.Wait()

	return found
}

// processesOf returns those of an application, the busiest first.
func (r *Recorder) processesOf(app string) (found []*passenger.Incident) {
	pool, _ := r.watched()
	if pool == nil {
		return nil
	}

	for _, g := range pool.Inspect().Groups {
		if g.Name != app {
			continue
		}

		processes := slices.Clone(g.Processes)
		slices.SortStableFunc(processes, func(a, b passenger.ProcessSnapshot) int { return b.Sessions - a.Sessions })

		for i := range processes {
			if in, err := pool.Look(processes[i].GUPID); err == nil && len(found) < maxOfApp {
				found = append(found, in)
			}
		}
	}

	return found
}

// lookAt finds out what one process is doing.
func lookAt(ctx context.Context, in *passenger.Incident) Process {
	info := in.Process.Info()
	p := Process{
		PID:       info.PID,
		GUPID:     info.GUPID,
		Type:      info.AppType,
		Age:       seconds(in.At.Sub(info.SpawnEnded)),
		Sessions:  in.Sessions,
		Processed: in.Processed,
		Memory:    in.Memory,
	}

	// The system first: a process that shows its backtraces does something else for a moment. The number of one that
	// has ended may be another's.
	if in.Process.ExitStatus() == "" {
		p.Tree = tree(ctx, info.PID)
	}

	witness, ok := in.Process.(spawner.Witness)
	if !ok {
		p.NoBacktraces = spawner.ErrNoBacktraces.Error()
	} else {
		p.addWords(ctx, witness)
	}

	p.ExitStatus = in.Process.ExitStatus()

	return p
}

// addWords adds what the process itself says.
func (p *Process) addWords(ctx context.Context, witness spawner.Witness) {
	if witness.ExitStatus() != "" {
		short, cancel := context.WithTimeout(ctx, endTime)
		defer cancel()
		p.Output = lines(witness.LastOutput(short))
	}

	backtraces, err := witness.Backtraces(ctx)
	if err != nil {
		p.NoBacktraces = text(err.Error())
	} else {
		p.Backtraces = lines(strings.Split(strings.TrimRight(backtraces, "\n"), "\n"))
	}

	if p.Output == nil {
		p.Output = lines(witness.LastOutput(ctx))
	}
}

func lines(foreign []string) []string {
	clean := make([]string, 0, len(foreign))
	for _, line := range foreign {
		clean = append(clean, text(line))
	}

	return clean
}

// requestsOf returns the requests of the incident's process, or of its application, in progress or just failed.
func (r *Recorder) requestsOf(in *passenger.Incident) (found []Request) {
	_, handlers := r.watched()
	if handlers == nil {
		return nil
	}

	pid := 0
	if in.Process != nil {
		pid = in.Process.Info().PID
	}

	now := time.Now()
	for _, h := range handlers() {
		s := h.Inspect()
		if s.AppName != in.AppName {
			continue
		}

		// One that has failed is in progress still while its client gets the error page.
		found = append(found, merge(recent(s.Failed, pid, now), recent(s.Requests, pid, now))...)
	}

	return found
}

// recent returns the requests of a process, or of all if pid is 0, without those that failed too long ago.
func recent(requests []handler.RequestSnapshot, pid int, now time.Time) (found []Request) {
	for i := range requests {
		q := &requests[i]
		if (q.Failed.IsZero() || now.Sub(q.Failed) < failedSince) && (pid == 0 || q.PID == pid) {
			found = append(found, newRequest(q, now))
		}
	}

	return found
}

// merge returns the requests of two lists, each once.
func merge(now, before []Request) []Request {
	type identity struct {
		id    string
		began int64
	}

	of := func(q *Request) identity { return identity{q.ID, q.Began.UnixNano()} }
	known := make(map[identity]bool, len(now)+len(before))

	for i := range now {
		known[of(&now[i])] = true
	}

	for i := range before {
		// A client of HTTP/2 may have thousands in progress.
		if q := &before[i]; !known[of(q)] {
			known[of(q)] = true
			now = append(now, *q)
		}
	}

	return now
}

// choose returns the request that the incident is about, and the first of the others: that of its ID, or the oldest
// with its path, or the only one.
func choose(in *passenger.Incident, requests []Request) (chosen *Request, others []Request) {
	for i := range requests {
		q := &requests[i]
		byID := in.RequestID != "" && q.ID == in.RequestID

		byPath := in.RequestID == "" && in.Target != "" && q.Path == pathOf(in.Target)
		if byID || byPath && (chosen == nil || q.Began.Before(chosen.Began)) {
			chosen = q
		}
	}

	if chosen == nil && len(requests) == 1 && in.Process != nil {
		chosen = &requests[0]
	}

	others = []Request{}
	for i := range requests {
		if &requests[i] != chosen {
			others = append(others, requests[i])
		}
	}

	if chosen == nil && in.RequestID+in.Target != "" {
		chosen = &Request{ID: text(in.RequestID), Host: text(in.Host), Path: pathOf(in.Target)}
	}

	// Only now: what an incident is about is often the oldest of them.
	return chosen, others[:min(len(others), maxRequests)]
}

// List returns the incidents that are kept, the newest first.
func (r *Recorder) List() []status.Incident { return r.store.List() }

// Read returns an incident as JSON. Its error is fs.ErrNotExist if there is none of this ID.
func (r *Recorder) Read(id string) ([]byte, error) { return r.store.Read(id) }

// Look returns what a living process is doing, as JSON: see apiserver.Incidents.
func (r *Recorder) Look(ctx context.Context, id string) ([]byte, error) {
	pool, _ := r.watched()
	if pool == nil {
		return nil, passenger.ErrNoSuchProcess
	}

	in, err := pool.Look(id)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, passenger.MaxIncidentTime)
	defer cancel()

	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, errors.New("too many processes are being looked at: try again")
	}

	return r.look(ctx, in).encode()
}

// Decode reads a record that Read or Look has returned.
func Decode(content []byte) (*Record, error) {
	r := &Record{}
	if err := json.Unmarshal(content, r); err != nil {
		return nil, err
	}

	return r, nil
}
