package dashboard

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// appEvent is about one application. A part that has not changed is left out.
type appEvent struct {
	At        moment          `json:"at"`
	Title     string          `json:"title,omitempty"`
	Version   string          `json:"version,omitempty"`
	App       json.RawMessage `json:"app,omitempty"`
	Processes json.RawMessage `json:"processes,omitempty"`
	Requests  json.RawMessage `json:"requests,omitempty"`
	Failures  json.RawMessage `json:"failures,omitempty"`
	Incidents json.RawMessage `json:"incidents,omitempty"`
	// Points are new, the oldest first; a whole has those of the last hour. Each is a row in the order of newRow.
	Points [][]any `json:"points,omitempty"`
}

// facts are what the page of an application shows beside the list's.
type facts struct {
	app

	Release     string           `json:"release"`
	ReleaseMade moment           `json:"releaseMade"`
	Generation  uint32           `json:"generation"`
	Max         int              `json:"max,omitempty"`
	Counts      passenger.Counts `json:"counts"`
}

type requests struct {
	All   int       `json:"all"`
	Shown []request `json:"shown"`
}

// occasion is a line about a failed start or an incident, whose report is got when it is opened.
type occasion struct {
	ID    string `json:"id"`
	At    moment `json:"at"`
	Text  string `json:"text"`
	Cause string `json:"cause,omitempty"`
	PID   int    `json:"pid,omitempty"`
}

func newRow(p *status.Point) []any {
	return []any{
		moment(p.At), figure(p.Requests), figure(p.Errors), figure(p.P50), figure(p.P95), figure(p.P99),
		p.Queue, p.Busy, p.Processes, figure(p.Memory), figure(p.CPU),
	}
}

type appEncoder struct {
	key    topicKey
	before appEvent
	newest time.Time
}

func (e *appEncoder) encode(s *state) (whole, changes []byte, err error) {
	now, err := e.parts(s)
	if err != nil {
		return nil, nil, err
	}

	// Most parts stay the same from one second to the next.
	changed := now
	for _, part := range []struct{ now, before *json.RawMessage }{
		{&changed.App, &e.before.App},
		{&changed.Processes, &e.before.Processes},
		{&changed.Requests, &e.before.Requests},
		{&changed.Failures, &e.before.Failures},
		{&changed.Incidents, &e.before.Incidents},
	} {
		if bytes.Equal(*part.now, *part.before) {
			*part.now = nil
		}
	}

	e.before = now

	if f := s.figures[e.key.name]; f != nil {
		fresh := pointsAfter(f.Points, e.newest)
		for i := range fresh {
			changed.Points = append(changed.Points, newRow(&fresh[i]))
			e.newest = fresh[i].At
		}
	}

	if changes, err = newEvent(changesEvent, &changed); err != nil {
		return nil, nil, err
	}

	history, asked := s.history[e.key]
	if !asked {
		return nil, changes, nil
	}

	now.Title, now.Version = s.title, s.pool.Version
	for i := range history {
		for j := range history[i].Points {
			now.Points = append(now.Points, newRow(&history[i].Points[j]))
		}
	}

	whole, err = newEvent(wholeEvent, &now)

	return whole, changes, err
}

// parts returns the event with all but points.
func (e *appEncoder) parts(s *state) (event appEvent, err error) {
	event.At = moment(s.pool.At)
	failures, incidents := []occasion{}, []occasion{}

	for i := range s.failures {
		if f := &s.failures[i]; f.GroupName == e.key.name {
			failures = append(failures, occasion{ID: f.ID, At: moment(f.At), Text: f.Summary})
		}
	}

	for i := range s.incidents {
		if in := &s.incidents[i]; in.App == e.key.name {
			incidents = append(incidents, occasion{in.ID, moment(in.At), in.Summary, in.Cause, in.PID})
		}
	}

	found, processes := e.facts(s)
	inFlight := requests{}
	inFlight.Shown, inFlight.All = s.requestsOf(e.key.name)

	for _, part := range []struct {
		to    *json.RawMessage
		value any
	}{
		{&event.App, found},
		{&event.Processes, processes},
		{&event.Requests, inFlight},
		{&event.Failures, failures},
		{&event.Incidents, incidents},
	} {
		if *part.to, err = json.Marshal(part.value); err != nil {
			return event, err
		}
	}

	return event, nil
}

// facts returns those of the application, or nil if there is none, and its processes.
func (e *appEncoder) facts(s *state) (found *facts, processes []process) {
	processes = []process{}

	for _, a := range s.apps() {
		if a.Name == e.key.name {
			found = &facts{app: a}
		}
	}

	if found == nil { // it has left the pool, or the address names none
		return nil, processes
	}

	for i := range s.pool.Groups {
		g := &s.pool.Groups[i]
		if g.Name != e.key.name {
			continue
		}

		found.Release, found.ReleaseMade, found.Generation = g.ReleaseRoot, moment(g.ReleaseMade), g.Generation
		found.Max, found.Counts = g.MaxProcesses, g.Counts

		for j := range g.Processes {
			if p := &g.Processes[j]; !p.Exited {
				processes = append(processes, newProcess(p, g.Generation))
			}
		}
	}

	return found, processes
}
