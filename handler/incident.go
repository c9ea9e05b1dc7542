package handler

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gopassenger/passenger"
)

// maxFailed is the number of failed requests that a handler remembers.
const maxFailed = 16

// recordFailure remembers a request that the application has given no response to, or not in time, for incidents, and
// records one if no incident of its process will. Clients can cause it: one of an application and a cause in ten
// seconds is recorded.
//
//nolint:contextcheck,nolintlint // the incident outlives the request
func (x *exchange) recordFailure(err error) {
	h := x.h
	recorder := h.pool.Incidents()
	status := outcomeOf(err).status
	if recorder == nil || errors.Is(err, errClientGone) ||
		status != http.StatusBadGateway && status != http.StatusGatewayTimeout {
		return
	}

	h.inFlight.fail(x, err)

	line, cause := &h.unanswered, passenger.IncidentNoResponse

	switch {
	case errors.Is(err, passenger.ErrQueueTimeout):
		line, cause = &h.queuedTooLong, passenger.IncidentQueueTime
	case errors.Is(err, errTooSlow):
		return // the pool has recorded it
	}

	line.Tell(func(int) {
		in := h.newIncident(cause, x.event.GUPID)
		if in == nil {
			return
		}

		in.Error, in.RequestID = err.Error(), x.event.ID
		in.Host, in.Target = x.event.Host, x.event.Target
		if cause == passenger.IncidentQueueTime {
			in.Limit = h.cfg.Options.MaxRequestQueueTime.String()
		}

		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), passenger.MaxIncidentTime)
			defer cancel()
			recorder.Record(ctx, in)
		}()
	})
}

// newIncident returns nil if the process is not in the pool any more: what happens to it has an incident of its own.
func (h *Handler) newIncident(cause passenger.IncidentCause, gupid string) *passenger.Incident {
	if cause == passenger.IncidentQueueTime {
		return &passenger.Incident{
			Cause:   cause,
			At:      time.Now(),
			AppName: h.appName(),
			Root:    h.cfg.Options.App.Root,
		}
	}

	in, err := h.pool.Look(gupid)
	if err != nil {
		return nil
	}

	in.Cause = cause

	return in
}

// fail remembers how a request looks that has failed.
func (f *inFlight) fail(x *exchange, err error) {
	s := x.snapshot()

	f.mu.Lock()
	defer f.mu.Unlock()

	f.failLocked(s, err)
}

func (f *inFlight) failLocked(s RequestSnapshot, err error) {
	s.Failed, s.Error = time.Now(), err.Error()
	if len(f.failed) == maxFailed {
		f.failed = append(f.failed[:0], f.failed[1:]...)
	}

	f.failed = append(f.failed, s)
}
