package handler

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler/errorpage"
	"github.com/gopassenger/passenger/spawner"
)

// statusOf returns the status that the configuration has for the error, or else that of the outcome.
func (h *Handler) statusOf(o *outcome, err error) int {
	status := 0
	switch {
	case isQueueFull(err):
		status = h.cfg.QueueFullStatus
	case errors.Is(err, passenger.ErrQueueTimeout):
		status = h.cfg.QueueTimeoutStatus
	case as[*spawner.SpawnError](err):
		status = h.cfg.SpawnErrorStatus
	}

	return cmp.Or(status, o.status)
}

func isQueueFull(err error) bool {
	return as[*passenger.QueueFullError](err) || errors.Is(err, errQueueShare)
}

// logError logs a request that has failed. Of those that a full queue refuses, which come by the thousand, one is
// logged at a time, with the number of the others.
func (x *exchange) logError(err error, status int, errorID string) {
	about := []any{
		"app", x.h.appName(), "method", x.req.method(), "path", x.req.path(), "status", status, "pid", x.event.PID,
		"requestId", x.req.mark.id,
	}
	if errorID != "" {
		about = append(about, "id", errorID)
	}

	if !isQueueFull(err) {
		x.h.cfg.Logger.Error(err, "request failed", about...)
		return
	}

	x.h.refused.Tell(func(more int) { x.h.cfg.Logger.Error(err, "request failed", append(about, "more", more)...) })
}

// errorID returns the ID of an error that the log has details of, or nothing.
func errorID(err error) string {
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		return e.ID
	}

	if e, ok := errors.AsType[*passenger.QueueFullError](err); ok {
		return e.ID
	}

	return ""
}

// ErrorReport returns the page with details of a failed start as a file, for those who run the server. Secrets of the
// environment are hidden in it.
func ErrorReport(e *spawner.SpawnError) ([]byte, error) {
	o := outcomeOf(e)
	page := errorpage.New(o.status, o.message)
	page.ErrorID = e.ID
	page.ShowDetails(e)

	return page.RenderFile()
}

// respondWithError responds with a page about the error.
func (x *exchange) respondWithError(err error) {
	h := x.h

	o := outcomeOf(err)
	o.status = h.statusOf(&o, err)
	page := errorpage.New(o.status, o.message)

	page.ErrorID = errorID(err)
	if h.cfg.showsDetails() {
		page.ShowDetails(err)
	}

	if !o.quiet {
		x.logError(err, o.status, page.ErrorID)
	}

	format := errorpage.ChooseFormat(x.req.header())
	body, contentType := page.Render(format)
	head := x.client.header()
	x.client.spellings = nil

	if h.cfg.ErrorPage != nil && format == errorpage.HTML && o.status >= http.StatusInternalServerError &&
		!h.cfg.showsDetails() {
		body = h.cfg.ErrorPage
	} else {
		head.Set("Content-Security-Policy", errorpage.Policy())
	}

	head.Set("Content-Type", contentType)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Del("Content-Encoding")
	head.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	h.addOwnFields(head, o.status)
	if o.retryAfter > 0 {
		head.Set("Retry-After", strconv.Itoa(o.retryAfter))
	}

	x.client.closeIfAmbiguous()
	if o.status == http.StatusBadRequest {
		// What follows on the connection may be as malformed.
		x.client.closeConnection()
	}

	if x.client.unread || x.body.source != nil && x.upstream.upload == nil {
		x.client.abandonBody()
	}

	x.client.writeHead(o.status)
	x.client.writeUntimed(body)
}

// abort leaves a response that was cut, by the panic that net/http knows.
func (x *exchange) abort() {
	x.h.cfg.Logger.V(1).Info("request cut", "app", x.h.appName(), "method", x.req.method(), "path", x.req.path(),
		"reason", x.cut.Error(), "requestId", x.req.mark.id)

	panic(http.ErrAbortHandler)
}
