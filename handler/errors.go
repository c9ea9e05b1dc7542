package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// What can go wrong with one request, beside the errors of the pool.
var (
	// errClientGone: there is nobody to answer.
	errClientGone = errors.New("the client has gone")

	errBadRequest  = errors.New("the request cannot be passed on")
	errNotFound    = errors.New("the request is not for this application")
	errMethod      = errors.New("the method is not passed on")
	errBadUpload   = errors.New("the request's body is broken")
	errNoSpace     = errors.New("the request's body cannot be stored")
	errBusy        = errors.New("the process takes no connection in time")
	errTooSlow     = errors.New("the request took longer than it may")
	errAppDied     = errors.New("the application closed the connection before it answered")
	errBadResponse = errors.New("the application's answer is malformed")
)

// outcome is what the client sees of an error.
type outcome struct {
	status int
	// message is one sentence for the client.
	message string
	// retryAfter is in seconds; 0: not said.
	retryAfter int
	// quiet: the client's fault, not worth a line in the log.
	quiet bool
}

// outcomes are tried in order, each by its match.
var outcomes = []struct {
	match func(error) bool
	outcome
}{
	{is(errBadRequest), outcome{status: http.StatusBadRequest, message: "The request is not well-formed.", quiet: true}},
	{is(errBadUpload), outcome{status: http.StatusBadRequest, message: "The request's body is not well-formed.", quiet: true}},
	{is(errNotFound), outcome{status: http.StatusNotFound, message: "There is nothing at this address.", quiet: true}},
	{is(errMethod), outcome{status: http.StatusNotImplemented, message: "The request's method is not supported.", quiet: true}},
	{is(sessionproto.ErrTooLarge), outcome{status: http.StatusRequestHeaderFieldsTooLarge, message: "The request's header is too large.", quiet: true}},
	{is(errNoSpace), outcome{status: http.StatusInsufficientStorage, message: "There is no room for the request's body."}},
	{as[*passenger.QueueFullError], outcome{status: http.StatusServiceUnavailable, message: "The application is under heavy load: too many requests wait for it already.", retryAfter: 1}},
	{is(passenger.ErrClosed), outcome{status: http.StatusServiceUnavailable, message: "The server is shutting down.", retryAfter: 1}},
	{is(errBusy), outcome{status: http.StatusServiceUnavailable, message: "The application is too busy to take the request.", retryAfter: 1}},
	{as[*spawner.SpawnError], outcome{status: http.StatusInternalServerError, message: "The application could not be started."}},
	{is(passenger.ErrQueueTimeout), outcome{status: http.StatusGatewayTimeout, message: "The request waited for too long for the application."}},
	{is(passenger.ErrAppDetached), outcome{status: http.StatusServiceUnavailable, message: "The application was removed.", retryAfter: 1}},
	{is(errTooSlow), outcome{status: http.StatusGatewayTimeout, message: "The application took too long to answer."}},
	{is(context.DeadlineExceeded), outcome{status: http.StatusGatewayTimeout, message: "The application took too long to answer."}},
	{as[*passenger.ConnectError], outcome{status: http.StatusBadGateway, message: "The application does not accept connections."}},
	{is(errAppDied), outcome{status: http.StatusBadGateway, message: "The application ended its answer before it began."}},
	{is(errBadResponse), outcome{status: http.StatusBadGateway, message: "The application's answer is not well-formed."}},
	{func(error) bool { return true }, outcome{status: http.StatusInternalServerError, message: "Something went wrong."}},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func outcomeOf(err error) outcome {
	for _, o := range outcomes {
		if o.match(err) {
			return o.outcome
		}
	}
	return outcome{}
}

// StatusCode returns the status that a request is answered with that failed
// with err, an error of the pool or of this package.
func StatusCode(err error) int { return outcomeOf(err).status }

type errorPage struct {
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Message string `json:"message"`
	ErrorID string `json:"errorId,omitempty"`
	// Details are for development only.
	Details *spawner.SpawnError `json:"-"`
}

func (h *Handler) answerError(w http.ResponseWriter, r *http.Request, err error) {
	o := outcomeOf(err)
	page := errorPage{Status: o.status, Title: http.StatusText(o.status), Message: o.message}
	if e, ok := errors.AsType[*spawner.SpawnError](err); ok {
		page.ErrorID = e.ID
		if h.cfg.ErrorDetails {
			page.Details = e
		}
	}
	if !o.quiet {
		h.cfg.Logger.Error(err, "Request failed", "app", h.appName(), "method", r.Method, "target", r.RequestURI, "status", o.status)
	}
	body, contentType := page.render(r)
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Del("Content-Encoding")
	head.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	head.Set("X-Content-Type-Options", "nosniff")
	if o.retryAfter > 0 {
		head.Set("Retry-After", strconv.Itoa(o.retryAfter))
	}
	w.WriteHeader(o.status)
	// A client that is gone cannot be told.
	_, _ = w.Write(body)
}

func (p *errorPage) render(r *http.Request) (body []byte, contentType string) {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		if b, err := json.Marshal(p); err == nil {
			return append(b, '\n'), "application/json"
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return []byte(p.Message), "text/plain; charset=utf-8"
	}
	return b.Bytes(), "text/html; charset=utf-8"
}

var pageTemplate = template.Must(template.New("error").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Status}} {{.Title}}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fff }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1a1a1a } pre { background: #262626 } }
</style>
</head>
<body>
<h1>{{.Status}} {{.Title}}</h1>
<p>{{.Message}}</p>
{{with .ErrorID}}<p>Error ID: <code>{{.}}</code>. The server's log has the details under this ID.</p>
{{end}}{{with .Details}}<h2>{{.AppName}}</h2>
<p><strong>{{.Summary}}</strong></p>
{{with .Advice}}<p>{{.}}</p>
{{end}}{{with .Message}}<h3>What the application says</h3>
<pre>{{.Text}}</pre>
{{end}}<h3>Output</h3>
<pre>{{or .Output "(none)"}}</pre>
<h3>Steps</h3>
<ol>
{{range .Journey}}<li>{{.Name}}: {{.State}}{{if .Duration}} ({{.Duration}}){{end}}</li>
{{end}}</ol>
{{end}}</body>
</html>
`))
