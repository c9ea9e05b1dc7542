package spawner

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

// Defaults of health checks and warm-up requests.
const (
	DefaultHealthTimeout = 10 * time.Second
	DefaultHealthHost    = "localhost"
)

// Confirm makes the health check and the warm-up requests that app asks for, of
// a process that a Spawner of any kind has started. Package passenger calls it
// before it gives requests to a process; one whose Info says Checked passes
// without being asked again. What is left of app's start time-out bounds it all.
//
// The error is a *SpawnError, whose cause is ctx's when ctx ended first. The
// caller then stops the process.
func Confirm(ctx context.Context, config *Config, app App, p Process) error {
	info := p.Info()
	if info.Checked || !app.isChecked() || len(info.Sockets) == 0 {
		return nil
	}

	cfg := *config
	cfg.setDefaults()
	app.setDefaults()
	began := info.SpawnStarted
	// A spawner of another package need not set it.
	if began.IsZero() {
		began = time.Now()
	}

	c := &checkup{
		app:      &app,
		info:     info,
		exited:   p.Exited(),
		status:   p.ExitStatus,
		deadline: began.Add(app.StartTimeout),
		agent:    healthAgent + cfg.Version,
		journal:  &journal{},
		log:      cfg.Logger.WithValues("app", app.Name(), "pid", info.PID),
	}
	c.journal.plan(app.checkSteps())

	err := c.run(ctx)
	if err == nil {
		return nil
	}

	return c.explain(ctx, err)
}

// confirm is Confirm for a process of this package. What it prints meanwhile is
// still kept for the error.
func (a *attempt) confirm(ctx context.Context, p *process) error {
	if a.app.isChecked() {
		c := &checkup{
			app:      &a.app,
			info:     &p.info,
			exited:   p.child.exited,
			status:   p.child.exitStatus,
			deadline: a.started.Add(a.app.StartTimeout),
			agent:    healthAgent + a.config.Version,
			byPort:   a.byPort,
			journal:  a.journal,
			log:      a.config.Logger.WithValues("app", a.app.Name(), "pid", p.info.PID),
		}
		a.checkFrom = a.output.mark()
		if err := c.run(ctx); err != nil {
			return err
		}

		// It may have ended after its last response.
		if !p.child.lives() {
			return &loaderproto.Error{Kind: loaderproto.ExitedEarly, Step: loaderproto.ReadReady}
		}
	}

	a.output.release()
	p.info.Checked = true
	p.info.SpawnEnded = time.Now()

	return nil
}

// isChecked reports whether there is something to be asked of a process before it serves.
func (a *App) isChecked() bool { return a.HealthPath != "" || len(a.WarmupPaths) > 0 }

// checkSteps are the steps of a spawn that ask.
func (a *App) checkSteps() (steps []StepName) {
	if a.HealthPath != "" {
		steps = append(steps, StepHealth)
	}

	if len(a.WarmupPaths) > 0 {
		steps = append(steps, StepWarmUp)
	}

	return steps
}

func (a *App) healthTimeout() time.Duration {
	if a.HealthTimeout == 0 {
		return DefaultHealthTimeout
	}

	return a.HealthTimeout
}

// validateHealth returns what is wrong with the options about health.
func (a *App) validateHealth() (errs []error) {
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if a.HealthPath != "" {
		if err := checkPath("health", a.HealthPath); err != nil {
			errs = append(errs, err)
		}
	}

	for _, path := range a.WarmupPaths {
		if err := checkPath("warm-up", path); err != nil {
			errs = append(errs, err)
		}
	}

	if _, err := parseStatuses(a.HealthStatus); err != nil {
		errs = append(errs, err)
	}

	if a.HealthTimeout < 0 {
		fault("the health time-out %s is negative: use 0 for %s, or more", a.HealthTimeout, DefaultHealthTimeout)
	}

	noHost := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/\?#@,"`, c) }
	if strings.ContainsFunc(a.HealthHost, noHost) {
		fault("the health host %q is not a host name, such as www.example.com", a.HealthHost)
	}

	return errs
}

// checkPath makes sure that a path can be the target of a request as it is.
func checkPath(what, path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("the %s path %q does not begin with a slash", what, path)
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }):
		return fmt.Errorf("the %s path %q has a blank or another character in it that must be written with a "+
			"percent sign, as %%20",
			what, path)
	}

	if _, err := url.ParseRequestURI(path); err != nil {
		return fmt.Errorf("the %s path %q is not one that can be asked for: write a percent sign as %%25", what, path)
	}

	return nil
}
