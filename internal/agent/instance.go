package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/watchdog"
	"github.com/gopassenger/passenger/spawner"
)

const (
	coreName = "core"
	// CoreCommand is the command of this program that runs a core, by RunCore.
	CoreCommand = "core"
)

// Instance is a server with all that is around it: the listening socket and the
// instance directory, which are held here, and a core that the watchdog keeps
// alive.
type Instance struct {
	cfg     Config
	logFile *logFile
	level   *logLevel
	log     logr.Logger
	pid     *pidFile // nil means none
	// sockets are what users connect to, and coreFiles their files, for the core.
	sockets   map[string]socket
	coreFiles map[string]*os.File
	dog       *watchdog.Watchdog
	ended     chan error
	// program is what cores run; changing is held while it is replaced.
	program *program
	// stop ends what was begun by watch, stopLifeSigns what tells systemd that this server is alive.
	stop, stopLifeSigns func()

	// starts are those of the applications. initialized is closed when the hooks and systemd
	// have been notified that the server is ready.
	starts      starts
	initialized chan struct{}

	// reconfigure is nil where the configuration cannot be read again; coreCfg is
	// what the core has, and changing is held while a new one takes its place. It is changed with mu as well.
	reconfigure func() (Config, error)
	coreCfg     Config
	changing    sync.Mutex
	// ending is closed when the instance is to end, so that a reload gives up.
	ending chan struct{}

	mu      sync.Mutex
	runtime *runtimeDir
}

// Start validates cfg, opens the listeners, and starts the watchdog with a core. It
// returns when the core serves, and starts the processes that are kept at all times; see
// AwaitApps. On error nothing is left running, and the error says what to do. ctx bounds
// the start, not the life of the server. ports are those that Become has opened; nil
// means none. reconfigure reads the configuration again, for Reload; nil means that it
// cannot be read again.
func Start(
	ctx context.Context, cfg Config, ports *Ports, reconfigure func() (Config, error),
) (_ *Instance, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	i := &Instance{
		cfg:         cfg,
		reconfigure: reconfigure,
		program:     newProgram(),

		ended:       make(chan error, 1), // only the first reason is read
		initialized: make(chan struct{}),
		ending:      make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.close())
		}
	}()

	if err := i.open(ctx, &cfg, ports); err != nil {
		return nil, err
	}

	signsOfLife, err := takeWatchdogTime()
	if err != nil {
		return nil, err
	}

	if err := i.startDog(ctx, &cfg); err != nil {
		return nil, err
	}

	// Tools find the instance only from here on.
	if err := i.runtime.dir.Finalize(); err != nil {
		return nil, errors.Join(err, i.dog.Shutdown(ctx))
	}

	i.watch(ctx)
	i.stopLifeSigns = i.startLifeSigns(ctx, signsOfLife)
	if cfg.Flying != nil {
		cfg.Flying.serving(cfg.SocketFile, i.log)
	}

	return i, nil
}

// open opens the log, the pid file, the listeners and the instance directory.
func (i *Instance) open(ctx context.Context, cfg *Config, ports *Ports) (err error) {
	// The log comes first, since everything below may have something to say.
	if i.logFile, err = openLog(cfg.LogFile, cfg.format(cfg.LogFile)); err != nil {
		return withOption(err, logOption)
	}

	i.level = newLogLevel(cfg.LogLevel)
	i.log = newLogger(i.logFile, i.level, i.logFile.format)
	if cfg.Flying != nil {
		if err := cfg.Flying.prepare(cfg, i.log); err != nil {
			return err
		}
	}

	if err := cfg.readDashboardPassword(i.log); err != nil {
		return err
	}

	if cfg.PIDFile != "" {
		if i.pid, err = createPIDFile(cfg.PIDFile); err != nil {
			return withOption(err, "--pid-file")
		}
	}

	if i.sockets, err = cfg.listen(ctx, ports); err != nil {
		return err
	}

	i.coreFiles = map[string]*os.File{}
	for name, l := range i.sockets {
		if i.coreFiles[name], err = l.File(); err != nil {
			return err
		}
	}

	i.coreCfg = *cfg
	if i.runtime, err = newRuntimeDir(cfg, i.URLs()); err != nil {
		return err
	}

	// A server that was killed has left its directory behind.
	instancedir.List([]string{filepath.Dir(i.runtime.dir.Path())}).Clean(i.logFile)

	return nil
}

// startDog starts the watchdog, which starts the core.
func (i *Instance) startDog(ctx context.Context, cfg *Config) error {
	limits, err := cfg.coreLimits()
	if err != nil {
		return err
	}

	// The router serves before a core has transactions for it, and ends after the core, in the reverse order.
	var agents []watchdog.Agent
	if cfg.recorded() {
		agents = append(agents, i.routerAgent())
	}

	i.dog, err = watchdog.Start(ctx, watchdog.Config{
		Logger:           i.log,
		ProtectFromOOM:   true,
		Hook:             i.watchdogHook,
		HeartbeatTimeout: time.Duration(cfg.HeartbeatTimeout) * time.Second,
		ShutdownTimeout:  watchdog.DefaultShutdownTimeout + time.Duration(cfg.DrainDelay)*time.Second,
		Agents: append(agents, watchdog.Agent{
			Name:     coreName,
			Command:  i.coreCommand(nil),
			Protocol: coreProtocol(),
			Start:    limits.Start,
			Config:   i.runtime.coreConfig(cfg),
			Files:    i.runtime.files(i.coreFiles),
			Ready:    i.noteCore,
			Status:   i.noteStarts,
		}),
	})

	return err
}

// command returns how a program, file or this one, is started with a command.
func (i *Instance) command(file *os.File, command string) *exec.Cmd {
	cmd := exec.Command(executable(file), command) //nolint:noctx // it is to outlive the start

	// The program may be /proc/self/exe, which says nothing in a list of processes.
	if self, err := os.Executable(); err == nil {
		cmd.Args[0] = self
	}

	cmd.Stdout, cmd.Stderr = os.Stdout, i.logFile.file()

	// An application could read them from the environment of the core, which runs as the same user without root.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return spawner.IsCollectorSecret(name)
	})

	return cmd
}

// coreCommand starts cores of a program; nil means this one.
func (i *Instance) coreCommand(file *os.File) func() *exec.Cmd {
	return func() *exec.Cmd { return i.command(file, CoreCommand) }
}

// noteCore writes the core's process ID where tools find it.
func (i *Instance) noteCore(pid int, _ json.RawMessage) {
	if err := i.runtimeDir().dir.WritePID(instancedir.Core, pid); err != nil {
		i.log.Error(err, "cannot write the core's process ID to the instance directory")
	}
}

// runtimeDir is the one that the instance has now.
func (i *Instance) runtimeDir() *runtimeDir {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.runtime
}

func (i *Instance) setRuntimeDir(p *runtimeDir) {
	i.mu.Lock()
	i.runtime = p
	i.mu.Unlock()
}

// watch waits for the end of the watchdog, announces the start, and keeps the instance
// directory, until stop is called.
func (i *Instance) watch(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var ends sync.WaitGroup
	i.stop = func() {
		cancel()
		ends.Wait()
	}
	ends.Go(func() {
		select {
		case err := <-i.dog.Failed():
			if errors.Is(err, watchdog.ErrAgentEnded) {
				// It was asked to end, by its admin API or a signal.
				err = nil
			}

			i.end(err)
		case <-ctx.Done():
		}
	})
	ends.Go(func() { i.announce(ctx) })
	ends.Go(func() {
		for i.keepRuntimeDir(ctx) {
			i.log.Info("created a new instance directory", "path", i.runtimeDir().dir.Path())
		}
	})
}

// keepRuntimeDir keeps the instance directory from being removed, and serves the
// watchdog's admin API in it, until ctx ends. It returns true if the directory was lost
// and there is a new one.
func (i *Instance) keepRuntimeDir(ctx context.Context) bool {
	current := i.runtimeDir()
	var serving sync.WaitGroup
	defer serving.Wait()
	apiCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving.Go(func() {
		api, err := i.api(current)
		if err == nil {
			err = apiserver.Serve(apiCtx, current.watchdogAPI, api, i.log)
		}

		if err != nil {
			i.log.Error(err, "the watchdog's admin API has ended")
		}
	})
	err := current.dir.Keep(ctx, instancedir.DefaultTouchInterval, func(err error) {
		i.log.Error(err, "cannot keep the instance directory")
	})
	if err == nil || ctx.Err() != nil {
		return false
	}

	i.log.Error(err, "the instance directory is gone: tools and new processes need a new one, with a new core")
	if err := i.replaceRuntimeDir(ctx); err != nil && ctx.Err() == nil {
		i.end(fmt.Errorf("cannot create a new instance directory: %w", err))
		return false
	}

	return ctx.Err() == nil
}

// replaceRuntimeDir makes a new instance directory, for which there must be a new core.
// Requests of the old core may end.
func (i *Instance) replaceRuntimeDir(ctx context.Context) error {
	i.changing.Lock()
	defer i.changing.Unlock()
	from := i.runtimeDir()
	to, err := newRuntimeDir(&i.coreCfg, i.URLs())
	if err != nil {
		return err
	}

	// The new core's process ID goes to this directory, see noteCore.
	i.setRuntimeDir(to)
	if to.router != nil {
		if err := i.dog.Replace(ctx, routerName, watchdog.Replacement{
			Config: to.routerConfig(&i.cfg),
			Files:  to.routerFiles(),
		}); err != nil {
			// Requests do not depend on the router.
			i.log.Error(err, "transactions are no longer forwarded")
		}
	}

	err = i.replaceCore(ctx, to, &i.coreCfg, nil, false)
	if err != nil && ctx.Err() == nil {
		// It has to be replaced, whether the applications start or not.
		i.log.Error(err, "the new core does not wait for the applications")
		err = i.dog.Replace(ctx, coreName, watchdog.Replacement{
			Config: to.coreConfig(&i.coreCfg),
			Files:  to.files(i.coreFiles),
		})
	}

	if err != nil {
		i.setRuntimeDir(from)
		return errors.Join(err, to.close())
	}

	if err := to.dir.Finalize(); err != nil {
		return err
	}

	if err := from.close(); err != nil {
		i.log.V(1).Info("cannot remove the old instance directory", "err", err.Error())
	}

	return nil
}

func (i *Instance) api(p *runtimeDir) (*apiserver.Server, error) {
	return apiserver.NewWatchdog(apiserver.WatchdogConfig{
		Accounts:       p.accounts(),
		Logger:         i.log,
		ChangeSettings: i.level.change,
		Settings:       i.settings,
		ReopenLogs:     i.reopenLogsForCaller,
		Reload:         i.Reload,
		ForceReload:    i.ForceReload,
		Shutdown:       func() { i.end(nil) },
	})
}

// settings are those that the watchdog is asked for, also when no core responds.
func (i *Instance) settings() map[string]any {
	return map[string]any{logLevelKey: i.level.get(), "log_file": i.cfg.LogFile}
}

// URLs are how users reach the server.
func (i *Instance) URLs() []string { return i.cfg.urls(i.sockets) }

// Ended gets an error when the instance must end because of a fault, or nil when the
// admin API or a signal to the core has asked it to end. The caller must call Shutdown
// then.
func (i *Instance) Ended() <-chan error { return i.ended }

// end asks the caller to call Shutdown, for the first reason that there is.
func (i *Instance) end(reason error) {
	select {
	case i.ended <- reason:
	default:
	}
}

// ReopenLogs opens the log files again, after they were moved away.
func (i *Instance) ReopenLogs() error {
	// The core has the access log and those of the applications, also where the server has no log file.
	i.dog.Send(reopenCommand)
	if i.cfg.LogFile == "" {
		return nil
	}

	err := withOption(i.logFile.reopen(), logOption)
	if err != nil {
		i.log.Error(err, "cannot open the log file again")
	}

	return err
}

// reopenLogsForCaller is ReopenLogs for the admin API, which says that there are none. A reload may have brought some.
func (i *Instance) reopenLogsForCaller() error {
	i.mu.Lock()
	has := i.coreCfg.hasLogFiles()
	i.mu.Unlock()

	if !has {
		return apiserver.ErrNoLogFile
	}

	return i.ReopenLogs()
}

// Reap waits for ended children of the watchdog.
func (i *Instance) Reap() { i.dog.Reap() }

// Shutdown ends the instance without losing a request, see Server.Shutdown, unless ctx
// ends first. It leaves nothing behind.
func (i *Instance) Shutdown(ctx context.Context) error {
	i.notify(daemon.SdNotifyStopping)
	close(i.ending)
	i.stop()

	// A reload needs the sockets until it has given up.
	i.changing.Lock()
	// Only the core accepts from now on; when it has ended, nothing listens.
	err := i.closeSockets()
	i.changing.Unlock()

	shutdown := i.dog.Shutdown(ctx)
	i.stopLifeSigns() // until now the requests may have needed their time

	return errors.Join(err, shutdown, i.close())
}

func (i *Instance) closeSockets() error {
	errs := make([]error, 0, len(i.coreFiles)+len(i.sockets))
	for _, f := range i.coreFiles {
		errs = append(errs, f.Close())
	}

	for _, l := range i.sockets {
		errs = append(errs, l.Close())
	}

	i.coreFiles, i.sockets = nil, nil

	return errors.Join(errs...)
}

// close releases what the instance holds.
func (i *Instance) close() error {
	errs := []error{i.closeSockets()}
	if i.runtime != nil {
		errs = append(errs, i.runtime.close())
	}

	if i.pid != nil {
		errs = append(errs, i.pid.remove())
	}

	errs = append(errs, i.program.close(), i.logFile.close())

	return errors.Join(errs...)
}
