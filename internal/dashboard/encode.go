package dashboard

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/internal/history"
	"github.com/gopassenger/passenger/status"
)

// MarshalJSON writes three digits.
func (f figure) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) { // JSON has none
		return []byte("0"), nil
	}

	const digits = 3

	return strconv.AppendFloat(nil, float64(f), 'g', digits, 64), nil
}

// MarshalJSON writes milliseconds.
func (m moment) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, m.milliseconds(), 10), nil
}

func (m moment) milliseconds() int64 {
	if time.Time(m).IsZero() {
		return 0
	}

	return time.Time(m).UnixMilli()
}

// encoder makes the events of one topic: what has changed since the event before and, if the state has the history of
// the topic, a whole.
type encoder interface {
	encode(s *state) (whole, changes []byte, err error)
}

func newEncoder(key topicKey) encoder {
	if key.one {
		return &appEncoder{key: key}
	}

	return &listEncoder{}
}

// The names of events.
const (
	wholeEvent   = "whole"
	changesEvent = "changes"
	troubleEvent = "trouble"
)

// newEvent returns a server-sent event. JSON has no line ends.
func newEvent(name string, value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}

	return slices.Concat([]byte("event: "+name+"\ndata: "), data, []byte("\n\n")), nil
}

// trouble is the event that there is nothing to show.
func trouble(err error) []byte {
	e, _ := newEvent(troubleEvent, map[string]string{"text": err.Error()}) // a text has a form in JSON
	return e
}

// pointsAfter returns the points that are newer than the one of a time. The history counts times back from its newest
// point, so that those of a point differ a little from one look to the next.
func pointsAfter(points []status.Point, after time.Time) []status.Point {
	for i := range points {
		if points[i].At.Sub(after) > history.Interval/2 {
			return points[i:]
		}
	}

	return nil
}
