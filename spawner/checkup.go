package spawner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
)

// checkup are the health check and the warm-up requests of one process.
type checkup struct {
	app    *App
	info   *Info
	exited <-chan struct{}
	// status says how the process ended.
	status   func() string
	deadline time.Time
	agent    string
	// byPort reports whether nothing but its port shows that the program serves already.
	byPort  bool
	journal *journal
	log     logr.Logger
}

var errEnded = errors.New("the process ended")

// What requests are called.
const (
	healthCheck   = "health check"
	warmUpRequest = "warm-up request"
)

func (c *checkup) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	// Runs after cancel, by which the goroutine ends.
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() {
		select {
		case <-c.exited:
			cancel(errEnded)
		case <-ctx.Done():
		}
	})

	bounded, stop := context.WithDeadline(ctx, c.deadline)
	defer stop()
	if c.app.HealthPath != "" {
		c.journal.enter(StepHealth)
		if err := c.checkHealth(bounded); err != nil {
			return err
		}
	}

	if len(c.app.WarmupPaths) == 0 {
		return nil
	}

	c.journal.enter(StepWarmUp)

	return c.warmUp(bounded)
}

// checkHealth asks until there is a response that counts: a program that is
// known by its port only may not be ready when it accepts connections.
func (c *checkup) checkHealth(ctx context.Context) error {
	passing, err := parseStatuses(c.app.HealthStatus)
	if err != nil {
		return err
	}

	timer := time.NewTimer(firstProbeWait)
	defer timer.Stop()

	var last error
	for wait := firstProbeWait; ; wait = min(2*wait, lastProbeWait) {
		premature, err := c.ask(ctx, healthCheck, c.app.HealthPath, c.app.healthTimeout(), passing)
		if err == nil {
			return nil
		}

		// That the time was over says less than what was wrong before.
		if last == nil || !isOver(ctx) {
			last = err
		}

		if !c.byPort || !premature && !isOver(ctx) {
			return last
		}

		timer.Reset(wait)

		select {
		case <-timer.C:
		case <-ctx.Done():
			return c.givenUp(ctx, last)
		}
	}
}

// givenUp says why a program is not asked once more.
func (c *checkup) givenUp(ctx context.Context, last error) error {
	f := (*fault)(nil)
	switch {
	case !errors.As(last, &f):
	case errors.Is(context.Cause(ctx), errEnded):
		return c.ended(f.subject)
	case isOver(ctx):
		return &fault{problem: unhealthyTooLong, subject: f.subject, err: f.err}
	}

	return last
}

func (c *checkup) ended(subject string) error {
	err := &checkError{"the process ended (" + c.status() + ")", errEnded}
	return &fault{problem: endedInCheck, subject: subject, err: err}
}

// isOver reports whether the time of ctx is over, and it was not canceled. The system, whose errors ask for it, may
// notice a deadline before ctx does.
func isOver(ctx context.Context) bool {
	if cause := context.Cause(ctx); cause != nil {
		return errors.Is(cause, context.DeadlineExceeded)
	}

	deadline, ok := ctx.Deadline()

	return ok && !time.Now().Before(deadline)
}

// warmUp makes each request once. A cold application may take its time, of which
// it has what is left of the start's.
func (c *checkup) warmUp(ctx context.Context) error {
	for _, path := range c.app.WarmupPaths {
		_, err := c.ask(ctx, warmUpRequest, path, c.app.StartTimeout, nil)
		switch {
		case err == nil:
			continue
		case c.app.WarmupRequired, errors.Is(err, errEnded), ctx.Err() != nil && !isOver(ctx):
			return err
		}

		c.log.Error(err, "a warm-up request failed; the process gets requests nevertheless (see the option "+
			"warmup_required)",
			"path", path)
		if isOver(ctx) {
			break // there is no time left for others
		}
	}

	return nil
}

// ask makes one request. premature: it may be that the program does not serve
// yet.
func (c *checkup) ask(ctx context.Context, what, path string, timeout time.Duration, passing statuses) (premature bool,
	err error,
) {
	r := &ownRequest{
		uri:     path,
		host:    c.app.HealthHost,
		baseURI: c.app.BaseURI,
		agent:   c.agent,
	}
	if r.host == "" {
		r.host = DefaultHealthHost
	}

	one, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	got, err := r.send(one, c.info)

	// A health check that is made again sees the end by itself.
	mayWait := !c.byPort || what != healthCheck

	subject := fmt.Sprintf("the %s GET %s (Host: %s)", what, path, r.host)
	switch {
	// A program that is known by its port only may respond with 503 (RFC 9110, 15.6.4) until it is ready.
	case got.status != 0 && !passing.include(got.status):
		return got.status == http.StatusServiceUnavailable, c.refused(subject, got, passing)
	case err == nil:
		return false, nil
	case errors.Is(context.Cause(ctx), errEnded), mayWait && c.awaitsEnd(ctx, err):
		return false, c.ended(subject)
	case ctx.Err() != nil && !isOver(ctx):
		return false, canceled(ctx)
	case one.Err() != nil:
		return false, c.tooLate(ctx, subject, got, timeout)
	}

	broken := &checkError{"there was no valid response: " + cutText(err), err}

	// A program that is not ready yet may cut connections, too.
	return got.status == 0 && isCut(err), &fault{problem: brokenCheck, subject: subject, err: broken}
}

func (c *checkup) refused(subject string, got reply, passing statuses) error {
	text := "the response had status " + statusText(got.status) + " instead of " + passing.String()
	if got.location != "" {
		text += ", which leads to " + shorten(got.location)
	}

	if got.excerpt != "" {
		text += fmt.Sprintf(": %q", got.excerpt)
	}

	f := &fault{problem: unhealthy, subject: subject, err: &checkError{text: text}}
	switch got.status {
	// Django refuses unknown hosts with 400, and Rails with 403.
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMisdirectedRequest:
		f.problem = unhealthyHost
	case http.StatusNotFound:
		f.problem = unhealthyPath
	}

	return f
}

func (c *checkup) tooLate(ctx context.Context, subject string, got reply, timeout time.Duration) error {
	text := "there was no response"
	if got.status != 0 {
		text = "its response, of status " + statusText(got.status) + ", did not end"
	}

	if ctx.Err() != nil {
		text += fmt.Sprintf(" before the start time-out of %s was over", c.app.StartTimeout)
	} else {
		text += fmt.Sprintf(" within %s", timeout)
	}

	return &fault{problem: checkTimedOut, subject: subject, err: &checkError{text, context.DeadlineExceeded}}
}

// awaitsEnd reports whether the request failed since the process ended,
// which may be seen a moment later than that its connection was cut.
func (c *checkup) awaitsEnd(ctx context.Context, err error) bool {
	if errors.Is(context.Cause(ctx), errEnded) {
		return true // meanwhile
	}

	if ctx.Err() != nil || !isCut(err) {
		return false
	}

	// The preloader reports the end of its process, in exitWait.
	grace := time.NewTimer(exitGrace + exitWait)
	defer grace.Stop()

	select {
	case <-c.exited:
		return true
	case <-ctx.Done():
	case <-grace.C:
	}

	return errors.Is(context.Cause(ctx), errEnded)
}

// cuts are the errors of a connection whose other end is gone, or not there.
var cuts = []error{
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED,
}

func isCut(err error) bool {
	return slices.ContainsFunc(cuts, func(cut error) bool { return errors.Is(err, cut) })
}

func cutText(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the application closed the connection"
	}

	return err.Error()
}

// checkError is a sentence, with the error behind it.
type checkError struct {
	text string
	err  error
}

func (e *checkError) Error() string { return e.text }
func (e *checkError) Unwrap() error { return e.err }

// explain makes the error of a process that is not of this package.
func (c *checkup) explain(ctx context.Context, err error) *SpawnError {
	c.journal.end(StepFailed)
	e := &SpawnError{
		ID:          newErrorID(),
		AppName:     c.app.Name(),
		AppRoot:     c.app.Root,
		Environment: c.app.Environment,
		User:        c.info.User,
		Journey:     c.journal.steps,
		Err:         err,
	}
	d := diagnosis{
		app:  c.app,
		err:  err,
		step: e.Journey.failed(),
		user: e.User,
	}
	if errors.Is(err, errEnded) {
		e.ExitStatus = c.status()
		d.status = e.ExitStatus
	}

	if cause := canceled(ctx); cause != nil {
		d.err, e.Err, d.canceled = cause, cause, true
	}

	d.explain(e)

	if e.Category != CategoryCanceled {
		c.log.Error(e.Err, "cannot use a process: "+e.Summary, "id", e.ID, "category", e.Category.String(), "advice",
			e.Advice)
	}

	return e
}
