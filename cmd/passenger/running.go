package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// running is a server that start has started.
type running struct {
	cfg         *agent.Config
	instance    *agent.Instance
	signals     <-chan os.Signal
	report      *reporter
	out, errOut io.Writer
	// onTerminal means that SIGHUP is the end of the terminal.
	onTerminal bool
}

// isReload reports whether a signal asks for the configuration to be read again, as
// service managers do.
func (r *running) isReload(s os.Signal) bool { return s == syscall.SIGHUP && !r.onTerminal }

// hasTerminal reports whether this process has a controlling terminal. One that has
// gone counts no more.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}

	// It was only looked for.
	_ = terminal.Close()

	return true
}

// run returns when the server has ended. force ends what ctx bounds, and so the
// server at once.
func (r *running) run(ctx context.Context, force func()) error {
	banner := printable.Text(banner(r.cfg, r.instance.URLs()))
	if r.cfg.LogsJSON() {
		r.say("the server takes requests on " + strings.Join(r.instance.URLs(), ", "))
	} else {
		fmt.Fprint(r.out, banner)
	}

	r.report.serving(banner)

	failure := r.serve(ctx)
	if failure != nil {
		r.complain(fmt.Sprintf("passenger: the server must end: %v", failure))
	}

	// While Shutdown waits for requests, another signal ends them.
	ended, forcing := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(forcing)

		if failure == nil {
			r.passSameSignals(ended)
			r.say("Stopping: running requests may finish. Press Ctrl-C again to stop at once.")
		}

		r.forceBySignal(ended, force)
	}()
	err := r.instance.Shutdown(ctx)
	close(ended)
	<-forcing

	// A command that has started this server in the background may still wait.
	r.report.failed(errors.Join(failure, err))

	switch {
	case err != nil && r.cfg.LogsJSON():
		r.complain(badEnd(err).Error())
		return errSaid
	case err != nil:
		return badEnd(err)
	case failure != nil:
		return errSaid
	}

	r.say("Stopped.")

	return nil
}

// badEnd says of the error of a shutdown whether requests may have been lost.
func badEnd(err error) error {
	if errors.Is(err, watchdog.ErrForced) {
		return fmt.Errorf("the shutdown was forced: %w", err)
	}

	return fmt.Errorf("the server has ended, and not all in order: %w", err)
}

// sameSignal is the time in which signals count as one.
const sameSignal = 100 * time.Millisecond

// passSameSignals takes signals that are the first one once more, until sameSignal is over or ended is closed. timeout,
// npm and others send theirs to this process and to its group.
func (r *running) passSameSignals(ended <-chan struct{}) {
	timer := time.NewTimer(sameSignal)
	defer timer.Stop()

	for {
		select {
		case <-r.signals:
		case <-timer.C:
			return
		case <-ended:
			return
		}
	}
}

// forceBySignal calls force at a signal that ends the server, until ended is closed.
func (r *running) forceBySignal(ended <-chan struct{}, force func()) {
	for {
		select {
		case s := <-r.signals:
			if !r.isReload(s) {
				force()
			}
		case <-ended:
			return
		}
	}
}

// serve returns when the server must end: nil, or the fault that ends it.
func (r *running) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	started := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		started <- r.awaitApps(ctx)
	}()
	// Nothing is printed about starts after that.
	defer func() {
		cancel()
		<-ended
	}()

	for {
		select {
		case s := <-r.signals:
			if !r.isReload(s) {
				return nil
			}

			// A signal to end must not wait for a reload.
			go r.reload(context.WithoutCancel(ctx))
		case err := <-started:
			if err != nil && r.cfg.ExitsOnStartFailure() {
				return err
			}
		case err := <-r.instance.Ended():
			return err
		}
	}
}

// awaitApps tells how the start of each application went. Its error is that of those
// that do not start.
func (r *running) awaitApps(ctx context.Context) error {
	err := r.instance.AwaitApps(ctx, func(app agent.AppStart) {
		r.report.app(&app)
		if app.State == agent.Started {
			r.say(startedLine(&app))
		}
	})
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // the server is about to end
	case err == nil:
		r.report.done()
		return nil
	}

	// With exit, the error is that of the server, and is printed as that.
	if !r.cfg.ExitsOnStartFailure() {
		r.complain(err.Error())
		r.report.failedApps(err)
	}

	return err
}

// notStarted tells why there is no server, and returns what the program ends with.
func (r *running) notStarted(err error) error {
	r.report.failed(err)

	if !r.cfg.LogsJSON() {
		return err
	}

	r.complain(err.Error())

	if advice := watchdog.LimitAdvice(err); advice != "" {
		r.complain(advice)
	}

	return errSaid
}

// say prints a message, as a record where all that is printed may be read by a program.
func (r *running) say(message string) { r.print(r.out, "INFO", message) }

// complain prints what is wrong.
func (r *running) complain(message string) { r.print(r.errOut, "ERROR", message) }

func (r *running) print(w io.Writer, level, message string) {
	if r.cfg.LogsJSON() {
		// The reader may have gone, as below.
		_, _ = w.Write(agent.JSONRecord(level, message))
		return
	}

	fmt.Fprintln(w, printable.Text(message))
}

func startedLine(app *agent.AppStart) string {
	return fmt.Sprintf("%s: started in %.1f s", app.Dir, app.Took.Seconds())
}

// reload reports to the log, and to systemd.
func (r *running) reload(ctx context.Context) {
	if err := r.instance.Reload(ctx); err != nil {
		r.instance.LogReloadFailure(err)
	}
}

// progressInterval is the time between two reports of a start in progress.
const progressInterval = time.Second
