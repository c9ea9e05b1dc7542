package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/ustrouter"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// The names of the files that the watchdog hands to a core.
const (
	httpFile    = "http"
	httpsFile   = "https"
	metricsFile = "metrics"
	apiFile     = "core_api"
	lockFile    = "lock"
)

// reopenCommand tells a core that the log files were moved away.
const reopenCommand = "reopen logs"

// orphanTime is how long a core lives on after its watchdog: requests may end, but nothing
// may be left a few seconds later.
const orphanTime = 3 * time.Second

// coreConfig is what the watchdog hands to its core: values only. It has secrets.
type coreConfig struct {
	Server Config
	// InstanceDir is the instance directory, AppSockets what is in it for the
	// processes' sockets.
	InstanceDir, AppSockets string
	Accounts                []apiserver.Account
	// Running are the applications to boot before this core serves; see replaceCore.
	Running []runningApp
	// Force reports whether this core serves even if applications of Running do not start.
	Force bool
	// Router is where transactions go, without what is only for the router.
	Router ustrouter.Config
}

// core is the agent that serves.
type core struct {
	cfg     coreConfig
	parent  *watchdog.Parent
	logFile *logFile
	level   *logLevel
	log     logr.Logger
	output  *appOutput
	server  *Server
	started time.Time
	// transactions are nil if none are recorded.
	transactions *ustrouter.Observer
	api          *coreAPI
	// shutdown gets a value when the admin API is called to end the server.
	shutdown chan struct{}
}

// RunCore is a core's whole life: it serves what parent says until parent, a signal, or
// the admin API ends it. Its error was reported to the watchdog.
func RunCore(ctx context.Context, parent *watchdog.Parent, signals <-chan os.Signal) error {
	c := &core{parent: parent, started: time.Now(), shutdown: make(chan struct{}, 1)}
	// There is no place where an error could be logged.
	defer func() { _ = c.logFile.close() }()
	if err := c.start(ctx); err != nil {
		var details any
		if e, ok := errors.AsType[*bootError](err); ok {
			details = e.failures
		}

		return errors.Join(err, parent.Fail(err, details))
	}

	if err := parent.Ready(nil); err != nil {
		c.log.Error(err, "the watchdog is gone")
	}

	c.server.startProcesses(func(states []AppStart) { //nolint:contextcheck // the end of the pool is theirs
		// A watchdog that is gone is noticed elsewhere.
		_ = parent.Tell(states)
	})
	c.server.startCompanions()

	if err := c.serve(ctx, signals); err != nil {
		c.log.Error(err, "the core has not ended in order")
		return &LoggedError{err}
	}

	return nil
}

// LoggedError was logged.
type LoggedError struct{ error }

func (e *LoggedError) Unwrap() error { return e.error }

func (c *core) start(ctx context.Context) error {
	if err := checkProtocol(c.parent.Protocol); err != nil {
		return err
	}

	if err := json.Unmarshal(c.parent.Config, &c.cfg); err != nil {
		return fmt.Errorf("cannot read what the watchdog says: %w", err)
	}

	if err := c.openLog(); err != nil {
		return err
	}

	api, err := listenOn(c.parent.Files[apiFile])
	if err != nil {
		return err
	}

	listeners, err := c.listeners()
	if err != nil {
		return err // this process ends
	}

	watching, err := c.observers() //nolint:contextcheck // they end by Close
	if err != nil {
		return err
	}

	// A boot may take minutes, and serve, which listens to the watchdog, comes after it.
	booting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.parent.Gone():
			cancel()
		case <-booting.Done():
		}
	}()
	order := bootOrder{c.cfg.Running, c.cfg.Force}
	c.server, err = newServer(booting, &c.cfg.Server, listeners, c.cfg.AppSockets, order, watching, c.log)
	if err != nil {
		return errors.Join(err, api.Close())
	}

	metrics, err := c.listenersOf(metricsFile)
	if err != nil {
		return err
	}

	c.api, err = c.serveAPI(ctx, api, metrics)

	return err
}

// openLog opens the log, and what the output of applications goes to.
func (c *core) openLog() (err error) {
	if c.logFile, err = openLog(c.cfg.Server.LogFile, c.cfg.Server.format(c.cfg.Server.LogFile)); err != nil {
		return withOption(err, logOption)
	}

	c.level = newLogLevel(c.cfg.Server.LogLevel)
	c.log = newLogger(c.logFile, c.level, c.logFile.format)
	c.output = newAppOutput(c.logFile, c.log, c.level, c.logFile.format)

	return nil
}

// observers makes those that are configured.
func (c *core) observers() (watching observers, err error) {
	scripts, err := c.cfg.Server.newHooks(c.cfg.InstanceDir, c.log)
	if err != nil {
		return watching, err
	}

	watching.output = c.output
	switch {
	case c.cfg.Server.ErrorReportDir != "":
		watching.hooks = []hooks.Hook{&reporter{dir: c.cfg.Server.ErrorReportDir, next: scripts, log: c.log}}
	case scripts != nil:
		watching.hooks = []hooks.Hook{scripts}
	}

	if watching.incidents, err = c.cfg.Server.newRecorder(c.cfg.InstanceDir, c.log); err != nil {
		return watching, err
	}

	if c.cfg.Router.Enabled() {
		if c.transactions, err = ustrouter.NewObserver(c.cfg.Router, c.log); err != nil {
			return watching, err
		}

		watching.transactions = c.transactions
	}

	return watching, nil
}

// listeners returns those that requests come by.
func (c *core) listeners() ([]listening, error) {
	var all []listening
	for _, port := range []string{httpFile, httpsFile} {
		opened, err := c.listenersOf(port)
		if err != nil {
			return nil, err
		}

		for _, l := range opened {
			all = append(all, listening{deadlineListener: l, tls: port == httpsFile})
		}
	}

	return all, nil
}

// listenersOf returns listeners on the sockets of a port.
func (c *core) listenersOf(port string) ([]deadlineListener, error) {
	var all []deadlineListener
	for _, name := range portNames(port) {
		if f := c.parent.Files[name]; f != nil {
			l, err := listenOn(f)
			if err != nil {
				return nil, err
			}

			all = append(all, l)
		}
	}

	return all, nil
}

// listenOn returns a listener on a socket that the watchdog has handed over.
func listenOn(f *os.File) (deadlineListener, error) {
	if f == nil {
		return nil, errors.New("the watchdog has not handed over a listening socket")
	}

	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the socket %s: %w", f.Name(), err)
	}

	if l, ok := l.(deadlineListener); ok {
		return l, f.Close()
	}

	return nil, errors.Join(fmt.Errorf("the socket %s is neither of TCP nor a Unix socket", f.Name()), l.Close())
}

// serve waits for the end and carries it out. A second signal, or the watchdog's
// time-out, forces it.
func (c *core) serve(ctx context.Context, signals <-chan os.Signal) error {
	ctx, force := context.WithCancel(ctx)
	defer force()
	var failure error
	commands, questions, failed := c.parent.Commands(), c.parent.Questions(), c.server.Failed()
	ending, signalled := false, false
	ended := make(chan error, 1)

	end := func() {
		if !ending {
			// Listeners that end are no failure from here on. The loop has to stay free for what forces the end.
			ending, failed = true, nil
			go func() { ended <- c.server.Shutdown(ctx) }()
		}
	}
	for {
		select {
		case command, alive := <-commands:
			switch {
			case !alive:
				// This process has to remove the instance directory now, see below.
				commands = nil
				c.log.Info("the watchdog is gone: shutting down, as nothing would restart this server after a crash")
				defer time.AfterFunc(orphanTime, force).Stop()
				end()
			case command == reopenCommand:
				// An error was logged.
				_ = c.reopenLogs()
			case command == watchdog.Replaced:
				// The listeners are left, so that Accept ends. yield waits for that, and Shutdown may come meanwhile.
				failed = nil
				go c.yield()
			case command == watchdog.Shutdown:
				end()
			case command == watchdog.Abort:
				force()
				end()
			}
		case q, alive := <-questions:
			if !alive {
				questions = nil
				continue
			}

			c.respond(&q)
		case <-signals:
			// The first one is no second request to end if the watchdog has asked before: systemd sends the signal to
			// both.
			if signalled {
				force()
			}

			signalled = true
			end()
		case <-c.shutdown:
			end()
		case failure = <-failed:
			c.log.Error(failure, "the server must end")
			end()
		case err := <-ended:
			// The API shows what the server does until there is nothing left to show.
			c.api.stop()
			c.flushTransactions(ctx)
			// No other process is left that would remove the directory.
			if commands == nil {
				c.removeDir()
			}

			return errors.Join(failure, err)
		}
	}
}

// respond responds to a question of the watchdog.
func (c *core) respond(q *watchdog.Question) {
	var body any
	switch q.On {
	case runningQuestion:
		body = c.server.running()
	case aliveQuestion:
		_ = c.server.pool.Identities() // by which the lock is known to be free
	}

	if news, ok := strings.CutPrefix(q.On, failuresNews); ok {
		var failures []passenger.FailedSpawn
		if err := json.Unmarshal([]byte(news), &failures); err != nil {
			c.log.Error(err, "cannot read the watchdog's message about failed starts")
		}

		c.server.pool.NoteFailedSpawns(failures)
	}

	if err := q.Answer(body); err != nil {
		c.log.Error(err, "cannot respond to the watchdog")
	}
}

// yield leaves new requests and calls to another core.
func (c *core) yield() {
	c.server.yield()

	// A reload waits for this, and must not wait for a call of the API that lasts.
	c.api.leave()
	if err := c.parent.Yielded(); err != nil {
		c.log.Error(err, "the watchdog is gone")
	}

	c.api.stop()
}

// flushTransactions forwards the transactions that are left.
func (c *core) flushTransactions(ctx context.Context) {
	if c.transactions == nil {
		return
	}

	// An end that was forced has cancelled ctx, and what was recorded is forwarded all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := c.transactions.Close(ctx); err != nil {
		c.log.Error(err, "the last transactions are lost")
	}
}

// reopenLogs opens the log files again.
func (c *core) reopenLogs() error {
	errs := []error{c.server.refresh(), c.output.reopen()}
	if c.cfg.Server.LogFile != "" {
		errs = append(errs, withOption(c.logFile.reopen(), logOption))
	}

	err := errors.Join(errs...)
	if err != nil {
		c.log.Error(err, "cannot open the log files again")
	}

	return err
}

// reopenLogsForCaller is reopenLogs for the admin API, which says that there are none.
func (c *core) reopenLogsForCaller() error {
	if !c.cfg.Server.hasLogFiles() {
		return apiserver.ErrNoLogFile
	}

	return c.reopenLogs()
}

// removeDir removes the instance directory in the place of the watchdog, which is gone.
func (c *core) removeDir() {
	dir, err := instancedir.Inherit(c.cfg.InstanceDir, c.parent.Files[lockFile])
	if err == nil {
		err = dir.Remove()
	}

	if err != nil {
		c.log.Error(err, "cannot remove the instance directory", "path", c.cfg.InstanceDir)
	}
}
