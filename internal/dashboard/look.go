package dashboard

import (
	"context"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/history"
	"github.com/gopassenger/passenger/status"
)

const (
	// listPoints is how much of the history the list of applications shows, hourPoints that of one application.
	listPoints = 120
	hourPoints = 720
	// maxLook bounds the time that the source may take.
	maxLook = 10 * time.Second
)

// state is what the source shows at one moment.
type state struct {
	title string
	pool  *Pool
	// figures are the newest of each application, by name. They are kept until there are newer ones.
	figures map[string]*status.Figures
	// history has that of one application, or of all, with up to hourPoints or listPoints, for new viewers.
	history map[topicKey][]status.Figures
	// These are only got for viewers of one application.
	requests  []Request
	failures  []passenger.FailedSpawn
	incidents []Incident
}

// look gets states. It remembers what changes less often than a state is got.
type look struct {
	source Source
	title  string

	figures map[string]*status.Figures
	// newest is the time of the newest point, and asked when it was got. turned means that the clock was set meanwhile:
	// all times that viewers know are others now.
	newest, asked time.Time
	turned        bool
	// failed counts the failed starts that failures were got for.
	failed   uint64
	failures []passenger.FailedSpawn
}

// forget drops what is remembered.
func (l *look) forget() { *l = look{source: l.source, title: l.title} }

// newPoints is how many points of each application are got when there are new ones: more than one, since a look may be
// late.
const newPoints = 6

func (l *look) at(ctx context.Context, keys map[topicKey]bool) (*state, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLook)
	defer cancel()

	pool, err := l.source.Pool(ctx)
	if err != nil {
		return nil, err
	}

	if err := l.lookAtFigures(ctx, pool); err != nil {
		return nil, err
	}

	s := &state{
		title:   l.title,
		pool:    pool,
		figures: l.figures,
		history: map[topicKey][]status.Figures{},
	}
	details := false

	for key, whole := range keys {
		details = details || key.one
		if !whole {
			continue
		}

		// Of all applications, an hour would be megabytes.
		points := listPoints
		if key.one {
			points = hourPoints
		}

		if s.history[key], err = l.source.Figures(ctx, key.name, points); err != nil {
			return nil, err
		}
	}

	if !details {
		return s, nil
	}

	return s, l.lookAtDetails(ctx, s)
}

// lookAtFigures gets the figures when there are new ones.
func (l *look) lookAtFigures(ctx context.Context, pool *Pool) error {
	// After the clock was set back, the points have times to come until there is another one.
	if age := pool.At.Sub(l.newest); l.figures != nil && age.Abs() < history.Interval {
		return nil
	}

	all, err := l.source.Figures(ctx, "", newPoints)
	if err != nil {
		return err
	}

	var newest time.Time

	l.figures = make(map[string]*status.Figures, len(all))
	for i := range all {
		f := &all[i]
		l.figures[f.App] = f

		if n := len(f.Points); n > 0 && f.Points[n-1].At.After(newest) {
			newest = f.Points[n-1].At
		}
	}

	now := time.Now()
	if !l.newest.IsZero() && !newest.IsZero() {
		// Also a history that did not get its point in time has other times for those before.
		step := newest.Sub(l.newest)
		l.turned = l.turned || step < -history.Interval/2 || step > now.Sub(l.asked)+2*history.Interval
	}

	l.newest, l.asked = newest, now

	return nil
}

func (l *look) lookAtDetails(ctx context.Context, s *state) (err error) {
	if s.requests, err = l.source.Requests(ctx); err != nil { // they change with each look
		return err
	}

	failed := uint64(1) // there may be some of a pool before this one
	for i := range s.pool.Groups {
		failed += s.pool.Groups[i].Counts.SpawnFailures
	}

	// They are long and seldom new.
	if failed != l.failed {
		if l.failures, err = l.source.Failures(ctx); err != nil {
			return err
		}

		l.failed = failed
	}

	s.failures = l.failures
	s.incidents, err = l.source.Incidents(ctx)

	return err
}
