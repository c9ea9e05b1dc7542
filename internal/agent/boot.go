package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// runningQuestion asks a core that will be replaced for its applications.
const runningQuestion = "running applications"

// failuresNews begins the watchdog's message about a new core that could not boot: its failed starts
// follow, as JSON. The core that serves shows them.
const failuresNews = "failed starts "

// responseTimeout bounds the time that a core may take to respond.
const responseTimeout = 10 * time.Second

// runningApp is an application that a core has processes of, or has had. The core that
// takes its place boots as many before it takes requests.
type runningApp struct {
	Dir string
	// Name is that of its group: applications of several environments may have one directory.
	Name string
	// Options are those that the web server has set; nil means that they are in the
	// configuration.
	Options [][2]string `json:",omitempty"`
	// Processes is how many there are, which may be none.
	Processes int
	// Releases are the directories of its releases, the latest first: browsers may have pages open of those before.
	Releases []string `json:",omitempty"`
}

// inPool is what the pool has of an application.
type inPool struct {
	processes int
	releases  []string
}

// running returns the applications that have processes, and those that had some before.
func (s *Server) running() []runningApp {
	pool := map[appID]inPool{}
	for _, g := range s.pool.Inspect().Groups {
		if !g.Detached {
			pool[appID{g.Name, g.AppRoot}] = inPool{attached(&g), slices.Concat(g.Releases.Serving, g.Releases.Past)}
		}
	}

	if many, ok := s.site.(*apps); ok {
		return many.running(pool)
	}

	var running []runningApp
	s.cfg.each(func(c *Config) {
		app := c.options().App
		if known, found := pool[appID{app.Name(), app.Root}]; found {
			running = append(running, runningApp{
				Dir:       c.Dir,
				Name:      app.Name(),
				Processes: known.processes,
				Releases:  known.releases,
			})
		}
	})

	return running
}

// attached counts the processes that are not about to end.
func attached(g *passenger.GroupSnapshot) (n int) {
	for i := range g.Processes {
		if g.Processes[i].State != passenger.ProcessDetached {
			n++
		}
	}

	return n
}

// running returns the applications with processes, of all that the pool has. Of several
// configurations of one application, that counts which was used last.
func (a *apps) running(pool map[appID]inPool) (running []runningApp) {
	a.mu.Lock()
	defer a.mu.Unlock()

	for e := a.used.Back(); e != nil; e = e.Prev() {
		known := a.at(e)
		now := pool[known.id]
		if now.processes == 0 {
			continue
		}

		// So another configuration of the same application, used before this one, finds nothing.
		delete(pool, known.id)

		app := runningApp{
			Dir:       known.id.root,
			Name:      known.id.name,
			Processes: now.processes,
			Releases:  now.releases,
		}
		for _, o := range known.options {
			app.Options = append(app.Options, [2]string{o.name, o.value})
		}

		running = append(running, app)
	}

	return running
}

// bootStep is an application to boot, and how many processes of it, which may be none.
type bootStep struct {
	options passenger.Options
	n       int
	// releases are the directories that another core has served it from.
	releases []string
}

// bootSteps returns what to boot of the applications that run now: as many processes
// as before, up to the minimum, and one at least, since no request is to wait. What
// has gone from the configuration is left out; what has no process, or no room in the
// pool, is not booted.
func (c *Config) bootSteps(running []runningApp) (steps []bootStep, err error) {
	var errs []error

	booted := 0
	for _, app := range running {
		options, found, err := c.optionsOf(&app)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", app.Dir, err))
		}

		if !found {
			continue
		}

		step := bootStep{options: options, releases: app.Releases}
		if app.Processes > 0 && booted < c.MaxPoolSize {
			step.n = max(min(options.MinProcesses, app.Processes), 1)
			booted++
		}

		steps = append(steps, step)
	}

	// Each has one before one has two.
	room := c.MaxPoolSize - booted
	for i := range steps {
		if steps[i].n == 0 {
			continue
		}

		more := min(steps[i].n-1, room)
		steps[i].n = 1 + more
		room -= more
	}

	return steps, errors.Join(errs...)
}

// optionsOf returns the options of an application in this configuration.
func (c *Config) optionsOf(app *runningApp) (options passenger.Options, found bool, err error) {
	if c.Flying != nil {
		set := make([]appOption, 0, len(app.Options))
		for _, o := range app.Options {
			set = append(set, appOption{o[0], o[1]})
		}

		one, err := newAppConfig(c, set)
		if err != nil {
			return options, false, err
		}

		return one.options(), true, nil
	}

	named := false

	c.each(func(one *Config) {
		if one.Dir != app.Dir || named {
			return
		}

		// With another environment, it has another name, and is the application of its directory still.
		if own := one.options(); !found || own.App.Name() == app.Name {
			options, found, named = own, true, own.App.Name() == app.Name
		}
	})

	return options, found, nil
}

// bootOrder says what a server boots before it serves. force: what does not start does not keep it from that.
type bootOrder struct {
	running []runningApp
	force   bool
}

// boot starts processes of the applications that run elsewhere. It returns when they have
// started, or one has failed; with force when each has started or failed, which was logged.
func (s *Server) boot(ctx context.Context, order bootOrder) error {
	steps, err := s.cfg.bootSteps(order.running)
	switch {
	case err != nil && !order.force:
		return err
	case err != nil:
		s.log.Error(err, "not all applications are booted, as the reload was forced")
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var booting sync.WaitGroup
	for _, step := range steps {
		// Before the first process, whose release then takes the place of these.
		s.pool.RememberReleases(&step.options, step.releases)
		if step.n == 0 {
			continue
		}

		booting.Go(func() {
			err := s.pool.StartN(ctx, &step.options, step.n)
			if err != nil && !order.force {
				// The first error counts.
				cancel(err)
			}
		})
	}

	booting.Wait()

	return context.Cause(ctx)
}

// replaceCore replaces the core by a new one with the configuration cfg, once that has
// booted the applications of the old one. It runs the program file; nil means the program
// that cores run now. force: applications that do not start do not keep it from serving.
func (i *Instance) replaceCore(ctx context.Context, at *runtimeDir, cfg *Config, file *os.File, force bool) error {
	asking, cancel := context.WithTimeout(ctx, responseTimeout)
	defer cancel()
	response, err := i.dog.Ask(asking, coreName, runningQuestion)
	if err != nil {
		return err
	}

	var running []runningApp
	if err := json.Unmarshal(response, &running); err != nil {
		return fmt.Errorf("cannot read the applications that the core reports: %w", err)
	}

	// What is wrong shows before a core is started. The core finds the same steps by itself.
	steps, err := cfg.bootSteps(running)
	if err != nil && !force {
		return err
	}

	patience := watchdog.DefaultStartTimeout
	// Processes of one application start one after the other.
	for _, step := range steps {
		timeout := step.options.App.StartTimeout * time.Duration(step.n)
		patience = max(patience, watchdog.DefaultStartTimeout+timeout)
	}

	// A core that takes the place of this one after a crash has nothing to boot: it serves at once.
	config := at.coreConfig(cfg)
	booting := *config
	booting.Running, booting.Force = running, force
	next := watchdog.Replacement{
		Config:       &booting,
		Restart:      config,
		Files:        at.files(i.coreFiles),
		StartTimeout: patience,
		GiveUp:       i.ending,
	}
	if file != nil {
		next.Command = i.coreCommand(file)
	}

	err = i.dog.Replace(ctx, coreName, next)
	// The core that serves shows the status, and that of the failed start has ended.
	if failed, ok := errors.AsType[*watchdog.FailedError](err); ok && failed.Details != nil {
		telling, cancel := context.WithTimeout(ctx, responseTimeout)
		defer cancel()
		if _, err := i.dog.Ask(telling, coreName, failuresNews+string(failed.Details)); err != nil {
			i.log.Error(err, "cannot tell the core why the new one has failed: passenger status does not show it")
		}
	}

	return err
}

// bootError says why a core could not boot the applications of the one before it.
type bootError struct {
	error
	failures []passenger.FailedSpawn
}

func (e *bootError) Unwrap() error { return e.error }
