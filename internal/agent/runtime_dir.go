package agent

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
)

// runtimeDir is an instance directory, with the sockets of the admin APIs in it.
type runtimeDir struct {
	dir *instancedir.Dir
	// appSockets is a directory for what processes need, their sockets among it.
	appSockets string
	// coreAPI is the core's to serve, watchdogAPI ours.
	coreAPI     *os.File
	router      *os.File // nil means no transactions
	watchdogAPI *net.UnixListener
}

// newRuntimeDir makes the instance directory of a server that listens on addresses.
func newRuntimeDir(cfg *Config, addresses []string) (d *runtimeDir, err error) {
	d = &runtimeDir{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
			d = nil
		}
	}()
	dir := cfg.instanceDir()
	dir.Addresses = addresses
	if d.dir, err = instancedir.Create(dir); err != nil {
		return d, withOption(err, "--instance-registry-dir")
	}

	if d.appSockets, err = cfg.appSockets(d.dir); err != nil {
		return d, err
	}

	if d.coreAPI, err = d.openFile(instancedir.CoreAPI); err != nil {
		return d, err
	}

	if cfg.recorded() {
		if d.router, err = d.openFile(routerName); err != nil {
			return d, err
		}
	}

	d.watchdogAPI, err = d.listen(instancedir.WatchdogAPI)

	return d, err
}

// listen opens a socket for the admin API of an agent. Who may connect to it is up
// to the instance directory, and what they may do to the API.
func (d *runtimeDir) listen(name string) (*net.UnixListener, error) {
	path := d.dir.Socket(name)
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

// accounts are those of the admin APIs.
func (d *runtimeDir) accounts() []apiserver.Account {
	return []apiserver.Account{
		{Name: instancedir.FullAccount, Password: d.dir.FullPassword(), Level: apiserver.Full},
		{Name: instancedir.ReadOnlyAccount, Password: d.dir.ReadOnlyPassword(), Level: apiserver.ReadOnly},
	}
}

// openFile opens a socket that is an agent's to serve.
func (d *runtimeDir) openFile(name string) (*os.File, error) {
	l, err := d.listen(name)
	if err != nil {
		return nil, err
	}

	f, err := l.File()

	return f, errors.Join(err, l.Close())
}

func (d *runtimeDir) coreConfig(cfg *Config) *coreConfig {
	router := cfg.router(d.dir.Socket(routerName))
	// Only the router needs them, and they may be secret.
	router.OTLPHeaders = nil

	return &coreConfig{
		Server:      *cfg,
		InstanceDir: d.dir.Path(),
		AppSockets:  d.appSockets,
		Accounts:    append(d.accounts(), cfg.dashboardAccounts()...),
		Router:      router,
	}
}

// files are those that a core gets: others, and those of the instance directory.
func (d *runtimeDir) files(others map[string]*os.File) map[string]*os.File {
	files := maps.Clone(others)
	files[apiFile], files[lockFile] = d.coreAPI, d.dir.LockFile()
	return files
}

func (d *runtimeDir) close() error {
	var errs []error
	for _, f := range []*os.File{d.coreAPI, d.router} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}

	if d.watchdogAPI != nil {
		if err := d.watchdogAPI.Close(); !errors.Is(err, net.ErrClosed) { // its server has closed it
			errs = append(errs, err)
		}
	}

	if d.dir != nil {
		errs = append(errs, d.dir.Remove())
	}

	return errors.Join(errs...)
}
