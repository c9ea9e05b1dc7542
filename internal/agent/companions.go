package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/companion"
	"github.com/gopassenger/passenger/internal/filelock"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/status"
)

// companions are those of one application. They follow its releases.
type companions struct {
	server *Server
	cfg    *Config
	app    spawner.App
	output *appOutput
	log    logr.Logger
	set    *companion.Set
	// locks is the directory with a file for each companion of which no two may run; empty means that there is none.
	locks string

	// changed gets a value when the application may serve another release. restarted is true after a restart.
	changed   chan struct{}
	restarted atomic.Bool
	// ending ends with finish.
	ending  context.Context
	finish  context.CancelFunc
	follows sync.WaitGroup
}

// newCompanions returns the companions of each application that has some. Cores of one instance share the directory
// locks.
func (s *Server) newCompanions(locks string, output *appOutput) (all []*companions) {
	if s.cfg.Flying != nil {
		return nil
	}

	s.cfg.each(func(cfg *Config) {
		if len(cfg.Companions) == 0 && !cfg.ProcfileCompanions {
			return
		}

		// Several entries of one application, as for two hosts, have the companions of the first that has some.
		app := cfg.options().App
		if slices.ContainsFunc(all, func(c *companions) bool { return c.isOf(app.Name(), app.Root) }) {
			return
		}

		c := &companions{
			server:  s,
			cfg:     cfg,
			app:     app,
			output:  output,
			log:     s.log.WithValues("app", app.Name()),
			locks:   locks,
			changed: make(chan struct{}, 1),
		}
		c.set = companion.New(companion.Config{App: c.app.Name(), Start: c.start, Logger: s.log})
		c.ending, c.finish = context.WithCancel(context.Background())
		// finish only ends the context: by that follow ends, and the companions are asked to.
		context.AfterFunc(c.ending, c.set.Finish)
		all = append(all, c)
	})

	return all
}

// startCompanions starts the companions of each application as soon as it serves, and then follows its releases.
func (s *Server) startCompanions() {
	for _, c := range s.companions {
		c.follows.Go(c.follow)
		c.follows.Go(c.limitMemory)
		c.poke()
	}
}

// inspectCompanions returns those of all applications.
func (s *Server) inspectCompanions() (all []status.Companion) {
	for _, c := range s.companions {
		for _, one := range c.set.Inspect() {
			all = append(all, status.Companion(one))
		}
	}

	return all
}

// stop ends the companions. They are killed when ctx ends.
func (c *companions) stop(ctx context.Context) {
	c.finish()
	c.follows.Wait()
	c.set.Stop(ctx)
}

func (c *companions) poke() {
	select {
	case c.changed <- struct{}{}:
	default:
		// It looks at the latest state then.
	}
}

// companionObserver passes on what may be another release of an application.
type companionObserver struct {
	passenger.NoObserver

	all []*companions
}

// observeFor returns an observer for the companions, beside another one that may be nil.
func (s *Server) observeFor(other passenger.Observer) passenger.Observer {
	o := &companionObserver{all: s.companions}
	if other == nil {
		// Without copies of the events of each request.
		return o
	}

	return passenger.Observers(other, o)
}

func (o *companionObserver) ProcessAttached(e *passenger.ProcessEvent) {
	for _, c := range o.all {
		if c.isOf(e.AppName, e.AppRoot) {
			c.poke()
		}
	}
}

func (o *companionObserver) RestartEnded(e *passenger.RestartEvent) {
	for _, c := range o.all {
		if e.Err == nil && c.isOf(e.AppName, e.AppRoot) {
			c.restart()
		}
	}
}

// restart has the companions follow a restart.
func (c *companions) restart() {
	c.restarted.Store(true)
	c.poke()
}

// restartAbsent restarts an application that the pool does not have: its next process is of the release that the links
// lead to in any case, and its companions are replaced. It reports whether there is such an application.
func (s *Server) restartAbsent(name string) (found bool) {
	for _, c := range s.companions {
		if c.app.Name() == name {
			c.restart()
		}
	}

	return slices.ContainsFunc(s.appLogs(), func(a AppLog) bool { return a.Name == name })
}

func (c *companions) isOf(name, root string) bool { return name == c.app.Name() && root == c.app.Root }

// follow replaces the companions when the application serves another release.
func (c *companions) follow() {
	started, root := false, ""
	for {
		select {
		case <-c.changed:
		case <-c.ending.Done():
			return
		}

		now := c.release()

		// A deploy that does not start begins no companions.
		if !started && !now.serves {
			continue
		}

		// In a restart the old release may stay, if the new one does not start.
		if restarted := c.restarted.Swap(false); started && !restarted && (now.unsettled || now.root == root) {
			continue
		}

		// A restart with the same directory counts, too: what is in it may be another release.
		specs, err := c.cfg.companionsOf(now.root)
		if err != nil {
			c.log.Error(err, "cannot start the companions of another release, and those before it stay: correct the "+
				"Procfile and restart the application")
			continue
		}

		c.set.Replace(specs, now.root)
		started, root = true, now.root
	}
}

// servedRelease is the release whose companions are to run.
type servedRelease struct {
	root string
	// serves is true if a process takes requests, or none is kept before one comes.
	serves bool
	// unsettled is true during a restart, and after one that has failed.
	unsettled bool
}

func (c *companions) release() (r servedRelease) {
	r.serves = c.cfg.MinInstances == 0
	r.root = c.app.Root
	if root, err := filepath.EvalSymlinks(r.root); err == nil {
		// Otherwise the start says what is wrong.
		r.root = root
	}

	groups := c.server.pool.Inspect().Groups
	n := slices.IndexFunc(groups, func(g passenger.GroupSnapshot) bool {
		return !g.Detached && c.isOf(g.Name, g.AppRoot)
	})
	// The pool has nothing of an application before its first request, unless processes are kept.
	if n < 0 {
		return r
	}

	g := &groups[n]
	r.unsettled = g.Restarting || g.DeploymentError != nil

	serving := slices.DeleteFunc(slices.Clone(g.Processes), func(p passenger.ProcessSnapshot) bool {
		return p.State == passenger.ProcessDetached || p.ReleaseRoot == ""
	})
	if len(serving) == 0 {
		return r
	}

	// In a restart, the processes of the new release may have to go again.
	rank := func(p *passenger.ProcessSnapshot) int {
		if r.unsettled && p.Generation == g.Generation {
			return -1
		}

		return int(p.Generation)
	}
	newest := slices.MaxFunc(serving, func(a, b passenger.ProcessSnapshot) int { return rank(&a) - rank(&b) })
	r.serves, r.root = true, newest.ReleaseRoot

	return r
}

// start is that of [companion.Config].
func (c *companions) start(
	ctx context.Context, root string, spec *companion.Spec, number int,
) (spawner.Process, error) {
	held, err := c.hold(ctx, spec, number)
	if err != nil {
		return nil, err
	}

	if held != nil {
		// The companion has it open, too, and with it the lock.
		defer func() { _ = held.Close() }()
	}

	// As the pool does, so that a link that leads to another release meanwhile changes nothing.
	app := c.app.InRelease(root)

	//nolint:forcetypeassert,errcheck // the factory is that of spawner.New
	return c.server.factory.(spawner.CompanionStarter).StartCompanion(ctx, app, spawner.Companion{
		Name:        spec.Name,
		Command:     spec.Command,
		Env:         spec.Env,
		StopSignal:  spec.StopSignal,
		StopTimeout: spec.StopTimeout,
		Held:        held,
		Output:      func() spawner.Output { return c.output.openCompanion(&app, spec.Name) },
	})
}

// The waits between looks at the lock of a companion.
const (
	firstLockWait = 10 * time.Millisecond
	lastLockWait  = 500 * time.Millisecond
)

// hold returns the locked file of a companion of which no two may run, once the one of another core has ended: that
// has the file open as long as it lives, whatever became of its core.
func (c *companions) hold(ctx context.Context, spec *companion.Spec, number int) (_ *os.File, err error) {
	if spec.Overlap || c.locks == "" {
		return nil, nil
	}

	// Names may have slashes, and be longer than a file's may be.
	id := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", c.app.Name(), spec.Name, number))
	path := filepath.Join(c.locks, "companion-"+hex.EncodeToString(id[:8]))
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // G304: of ours
	if err != nil {
		return nil, c.cannotHold(err, spec)
	}

	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()

	// By looks: a wait for the lock in the kernel would not end with ctx.
	timer := time.NewTimer(0)
	defer timer.Stop()

	for wait := firstLockWait; ; wait = min(2*wait, lastLockWait) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}

		locked, err := filelock.Try(f, filelock.Exclusive)
		switch {
		case err != nil:
			return nil, c.cannotHold(err, spec)
		case locked:
			return f, nil
		}

		timer.Reset(wait)
	}
}

func (c *companions) cannotHold(err error, spec *companion.Spec) error {
	c.log.Error(err, "cannot make sure that a companion runs once only, and do not start it", "companion", spec.Name)
	return err
}
