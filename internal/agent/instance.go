package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/watchdog"
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
	log     logr.Logger
	pid     *pidFile // nil: none
	// sockets are what users connect to, lent their files, for the core.
	sockets map[string]socket
	lent    map[string]*os.File
	dir     *instancedir.Dir
	api     *os.File // the socket of the core's admin API
	dog     *watchdog.Watchdog
	ended   chan error
	// stop ends what was begun by watch.
	stop func()
}

// Start checks cfg, opens the listener and starts a core, which has begun to
// serve then, and to start the processes that are to be there at all times. An
// error says what to do about it; nothing is left running then. ctx bounds the
// start and not the server.
func Start(ctx context.Context, cfg Config) (_ *Instance, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	i := &Instance{cfg: cfg, ended: make(chan error, 3)}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.close())
		}
	}()
	if i.logFile, err = openLog(cfg.LogFile); err != nil {
		return nil, err
	}
	i.log = NewLogger(i.logFile, cfg.LogLevel)
	if cfg.PIDFile != "" {
		if i.pid, err = createPIDFile(cfg.PIDFile); err != nil {
			return nil, err
		}
	}
	if i.sockets, err = cfg.listen(ctx); err != nil {
		return nil, err
	}
	i.lent = map[string]*os.File{}
	for name, l := range i.sockets {
		if i.lent[name], err = l.File(); err != nil {
			return nil, err
		}
	}
	if i.dir, err = instancedir.Create(instancedir.Config{
		Registry: cfg.InstanceRegistryDir, Version: passenger.Version, IntegrationMode: "standalone",
		ServerSoftware: "gopassenger/" + passenger.Version, StandaloneEngine: "builtin",
		UID: os.Geteuid(), GID: os.Getegid(),
	}); err != nil {
		return nil, err
	}
	instancedir.List([]string{filepath.Dir(i.dir.Path())}).Clean(i.logFile)
	if err := i.openCoreAPI(); err != nil {
		return nil, err
	}
	status, err := i.listenAPI(instancedir.WatchdogAPI)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = status.Close()
		}
	}()
	files := map[string]*os.File{apiFile: i.api, lockFile: i.dir.LockFile()}
	maps.Copy(files, i.lent)
	i.dog, err = watchdog.Start(ctx, watchdog.Config{
		Logger: i.log, ProtectFromOOM: true,
		Agents: []watchdog.Agent{{
			Name: coreName, Command: i.coreProgram,
			Config: &coreConfig{
				Server: cfg, InstanceDir: i.dir.Path(), AppSockets: i.dir.AppSockets(), Accounts: i.accounts(),
			},
			Files: files,
			Ready: func(pid int, _ json.RawMessage) {
				if err := i.dir.WritePID(instancedir.Core, pid); err != nil {
					i.log.Error(err, "The core's process id is not in the instance directory")
				}
			},
		}},
	})
	if err != nil {
		return nil, err
	}
	if err := i.dir.Finalize(); err != nil {
		return nil, errors.Join(err, i.dog.Shutdown(ctx))
	}
	i.watch(ctx, status)
	return i, nil
}

// coreProgram is this program, whatever has become of its file.
func (i *Instance) coreProgram() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", CoreCommand) //nolint:noctx // it is to outlive the start
	if self, err := os.Executable(); err == nil {
		cmd.Args[0] = self
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, i.logFile.file()
	return cmd
}

func (i *Instance) accounts() []apiserver.Account {
	return []apiserver.Account{
		{Name: instancedir.FullAccount, Password: i.dir.FullPassword(), Level: apiserver.Full},
		{Name: instancedir.ReadOnlyAccount, Password: i.dir.ReadOnlyPassword(), Level: apiserver.ReadOnly},
	}
}

// listenAPI opens a socket for the admin API of an agent. Who may connect to it
// is up to the instance directory, and what they may do to the API.
func (i *Instance) listenAPI(name string) (*net.UnixListener, error) {
	path := i.dir.Socket(name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the admin API: %w", err)
	}
	l.SetUnlinkOnClose(false)                     // the directory goes as a whole
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // G302: the API knows who calls
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openCoreAPI opens the socket of the core's admin API, which is the core's to
// serve.
func (i *Instance) openCoreAPI() error {
	l, err := i.listenAPI(instancedir.CoreAPI)
	if err != nil {
		return err
	}
	i.api, err = l.File()
	return errors.Join(err, l.Close())
}

// watch looks after what is there, and serves the watchdog's admin API on l, until
// stop is called.
func (i *Instance) watch(ctx context.Context, l net.Listener) {
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
				err = nil // somebody has told it to
			}
			i.ended <- err
		case <-ctx.Done():
		}
	})
	ends.Go(func() {
		err := i.dir.Keep(ctx, instancedir.DefaultTouchInterval, func(err error) {
			i.log.Error(err, "The instance directory cannot be looked after")
		})
		if err != nil && ctx.Err() == nil {
			i.ended <- fmt.Errorf("%w: tools and new processes need it", err)
		}
	})
	api := apiserver.NewWatchdog(apiserver.WatchdogConfig{
		Accounts: i.accounts(), Logger: i.log, ReopenLogs: i.cfg.reopens(i.ReopenLogs), Shutdown: func() {
			select {
			case i.ended <- nil:
			default: // it was told before
			}
		},
	})
	ends.Go(func() {
		if err := apiserver.Serve(ctx, l, api, i.log); err != nil {
			i.log.Error(err, "The watchdog's admin API cannot go on")
		}
	})
}

// URLs are how users reach the server.
func (i *Instance) URLs() []string { return i.cfg.urls(i.sockets) }

// Ended gets an error when the instance cannot go on, or nil when somebody wants
// it to end, by the admin API or by a signal to the core. Shutdown is still to be
// called then.
func (i *Instance) Ended() <-chan error { return i.ended }

// ReopenLogs opens the log files anew, after somebody has moved them away.
func (i *Instance) ReopenLogs() error {
	i.dog.Send(reopenCommand)
	if i.cfg.LogFile == "" {
		return nil
	}
	err := i.logFile.reopen()
	if err != nil {
		i.log.Error(err, "Cannot open the log file anew")
	}
	return err
}

// Reap is the watchdog's.
func (i *Instance) Reap() { i.dog.Reap() }

// Shutdown ends the instance without losing a request, see Server.Shutdown,
// unless ctx ends first. Nothing of it is left.
func (i *Instance) Shutdown(ctx context.Context) error {
	i.stop()
	// Whoever connects from now on is the core's to answer; when it has ended,
	// nobody listens any more.
	err := i.closeSockets()
	return errors.Join(err, i.dog.Shutdown(ctx), i.close())
}

func (i *Instance) closeSockets() error {
	var errs []error
	for _, f := range i.lent {
		errs = append(errs, f.Close())
	}
	for _, l := range i.sockets {
		errs = append(errs, l.Close())
	}
	i.lent, i.sockets = nil, nil
	return errors.Join(errs...)
}

// close gives back what the instance holds.
func (i *Instance) close() error {
	errs := []error{i.closeSockets()}
	if i.api != nil {
		errs = append(errs, i.api.Close())
	}
	if i.dir != nil {
		errs = append(errs, i.dir.Remove())
	}
	if i.pid != nil {
		errs = append(errs, i.pid.remove())
	}
	errs = append(errs, i.logFile.close())
	return errors.Join(errs...)
}
