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

// place is an instance directory, with the sockets of the admin APIs in it.
type place struct {
	dir *instancedir.Dir
	// appSockets is a directory for what processes need, their sockets among it.
	appSockets string
	// coreAPI is the core's to serve, watchdogAPI ours.
	coreAPI     *os.File
	router      *os.File // nil: there are no transactions
	watchdogAPI *net.UnixListener
}

// newPlace makes the instance directory of a server that listens on addresses.
func newPlace(cfg *Config, addresses []string) (p *place, err error) {
	p = &place{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
			p = nil
		}
	}()
	dir := cfg.instanceDir()
	dir.Addresses = addresses
	if p.dir, err = instancedir.Create(dir); err != nil {
		return p, placed(err, "--instance-registry-dir")
	}

	if p.appSockets, err = cfg.appSockets(p.dir); err != nil {
		return p, err
	}

	if p.coreAPI, err = p.lend(instancedir.CoreAPI); err != nil {
		return p, err
	}

	if cfg.recorded() {
		if p.router, err = p.lend(routerName); err != nil {
			return p, err
		}
	}

	p.watchdogAPI, err = p.listen(instancedir.WatchdogAPI)

	return p, err
}

// listen opens a socket for the admin API of an agent. Who may connect to it is up
// to the instance directory, and what they may do to the API.
func (p *place) listen(name string) (*net.UnixListener, error) {
	path := p.dir.Socket(name)
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
func (p *place) accounts() []apiserver.Account {
	return []apiserver.Account{
		{Name: instancedir.FullAccount, Password: p.dir.FullPassword(), Level: apiserver.Full},
		{Name: instancedir.ReadOnlyAccount, Password: p.dir.ReadOnlyPassword(), Level: apiserver.ReadOnly},
	}
}

// lend opens a socket that is an agent's to serve.
func (p *place) lend(name string) (*os.File, error) {
	l, err := p.listen(name)
	if err != nil {
		return nil, err
	}

	f, err := l.File()

	return f, errors.Join(err, l.Close())
}

func (p *place) coreConfig(cfg *Config) *coreConfig {
	router := cfg.router(p.dir.Socket(routerName))
	router.OTLPHeaders = nil

	return &coreConfig{
		Server:      *cfg,
		InstanceDir: p.dir.Path(),
		AppSockets:  p.appSockets,
		Accounts:    p.accounts(),
		Router:      router,
	}
}

// files are what a core is lent: with others those of the place.
func (p *place) files(others map[string]*os.File) map[string]*os.File {
	files := maps.Clone(others)
	files[apiFile], files[lockFile] = p.coreAPI, p.dir.LockFile()
	return files
}

func (p *place) close() error {
	var errs []error
	for _, f := range []*os.File{p.coreAPI, p.router} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}

	if p.watchdogAPI != nil {
		if err := p.watchdogAPI.Close(); !errors.Is(err, net.ErrClosed) { // its server has closed it
			errs = append(errs, err)
		}
	}

	if p.dir != nil {
		errs = append(errs, p.dir.Remove())
	}

	return errors.Join(errs...)
}
