package dashboard

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// listEvent is about all applications.
type listEvent struct {
	At moment `json:"at"`
	// Title and Version are those of the server. A whole has them.
	Title   string `json:"title,omitempty"`
	Version string `json:"version,omitempty"`
	Used    int    `json:"used"`
	Max     int    `json:"max"`
	Waiting int    `json:"waiting"`
	// Apps are those that are new or have changed, Gone the names of those that have left.
	Apps []json.RawMessage `json:"apps"`
	Gone []string          `json:"gone,omitempty"`
	// Points are new, the oldest first.
	Points []listPoint `json:"points,omitempty"`
	// History ends with the point at Newest. A whole has it.
	History []appHistory `json:"history,omitempty"`
	Newest  moment       `json:"newest,omitzero"`
}

// listPoint has the rates of the applications that have any.
type listPoint struct {
	At moment    `json:"at"`
	Of []appRate `json:"of"`
}

type appRate struct {
	Name string `json:"name"`
	Rate figure `json:"rate"`
	P95  figure `json:"p95"`
}

type appHistory struct {
	Name string   `json:"name"`
	Rate []figure `json:"rate"`
	P95  []figure `json:"p95"`
}

type listEncoder struct {
	before map[string]json.RawMessage
	// newest is the time of the newest point that was shown.
	newest time.Time
}

func (e *listEncoder) encode(s *state) (whole, changes []byte, err error) {
	list := listEvent{
		At:      moment(s.pool.At),
		Used:    s.pool.CapacityUsed,
		Max:     s.pool.MaxPoolSize,
		Waiting: len(s.pool.WaitingForCapacity),
		Apps:    []json.RawMessage{},
	}
	apps := s.apps()
	all := make([]json.RawMessage, 0, len(apps))
	now := make(map[string]json.RawMessage, len(apps))

	for i := range apps {
		a := &apps[i]
		one, err := json.Marshal(a)
		if err != nil {
			return nil, nil, err
		}

		now[a.Name] = one
		all = append(all, one)

		if !bytes.Equal(one, e.before[a.Name]) {
			list.Apps = append(list.Apps, one)
		}
	}

	for name := range e.before {
		if now[name] == nil {
			list.Gone = append(list.Gone, name)
		}
	}

	e.before = now
	list.Points = e.newPoints(s)

	if changes, err = newEvent(changesEvent, &list); err != nil {
		return nil, nil, err
	}

	history, asked := s.history[topicKey{}]
	if !asked {
		return nil, changes, nil
	}

	// A new viewer knows nothing that could go.
	list.Title, list.Version, list.Apps, list.Gone, list.Points = s.title, s.pool.Version, all, nil, nil

	for i := range history {
		f := &history[i]
		h := appHistory{Name: f.App, Rate: []figure{}, P95: []figure{}}

		for j := range f.Points {
			h.Rate = append(h.Rate, figure(f.Points[j].Requests))
			h.P95 = append(h.P95, figure(f.Points[j].P95))
			list.Newest = moment(f.Points[j].At)
		}

		list.History = append(list.History, h)
	}

	whole, err = newEvent(wholeEvent, &list)

	return whole, changes, err
}

// newPoints returns the points that no event has had.
func (e *listEncoder) newPoints(s *state) (points []listPoint) {
	newest := e.newest

	for _, f := range s.figures {
		for _, p := range pointsAfter(f.Points, e.newest) {
			at := slices.IndexFunc(points, func(l listPoint) bool { return time.Time(l.At).Equal(p.At) })
			if at < 0 {
				at = len(points)
				points = append(points, listPoint{At: moment(p.At), Of: []appRate{}})
			}

			if p.Requests > 0 || p.P95 > 0 {
				points[at].Of = append(points[at].Of, appRate{f.App, figure(p.Requests), figure(p.P95)})
			}

			if p.At.After(newest) {
				newest = p.At
			}
		}
	}

	slices.SortFunc(points, func(a, b listPoint) int { return time.Time(a.At).Compare(time.Time(b.At)) })

	// The first time, all are new; a whole has them.
	if e.newest.IsZero() {
		points = nil
	}

	e.newest = newest

	return points
}
