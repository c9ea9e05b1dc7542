package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

const (
	allApps = 5
	// appsWithFiles have directories, in which restart files may be.
	appsWithFiles = 2
)

// sessions are those that are handed out and not closed.
type sessions struct {
	mu   sync.Mutex
	list []*passenger.Session
	// closing reports whether those that come are closed at once.
	closing bool
}

// add reports whether the session is kept.
func (l *sessions) add(s *passenger.Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.list = append(l.list, s)
	}

	return !l.closing
}

// take returns one of them, and forgets it if remove says so; nil means that there is none.
func (l *sessions) take(choose func(int) int, remove bool) *passenger.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return nil
	}

	i := choose(len(l.list))
	s := l.list[i]
	if remove {
		l.list = slices.Delete(l.list, i, i+1)
	}

	return s
}

// takeAll lets those be closed that come from now on.
func (l *sessions) takeAll() (all []*passenger.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	all, l.list = l.list, nil

	return all
}

func (c *chaos) appName() string { return fmt.Sprintf("app-%d", c.choose(allApps)) }

func (c *chaos) appOptions(name string) *passenger.Options {
	o := options(name)
	o.StatThrottleRate = passenger.Unlimited
	if root := filepath.Join(c.dir, name); name < fmt.Sprintf("app-%d", appsWithFiles) {
		o.App.Root = root
	}

	return o
}

func (c *chaos) doGet() {
	name := c.appName()
	o := c.appOptions(name)
	o.MinProcesses = c.choose(3)
	o.MaxProcesses = max(o.MinProcesses, c.choose(4))
	o.RestartBatchSize = c.choose(4) - 1
	o.BlockingRestarts = c.choose(2) == 0
	o.MaxRequests, o.MaxRequestsJitter = []int{0, passenger.Unlimited, 5}[c.choose(3)], float64(c.choose(2))
	o.MaxRequestTime = []time.Duration{0, 0, 5 * time.Second}[c.choose(3)]
	o.MaxRequestQueueTime = []time.Duration{0, 0, time.Second}[c.choose(3)]
	o.MaxOutOfBandWorkInstances = c.choose(3)
	o.MaxPreloaderIdleTime = []time.Duration{0, passenger.Unlimited, time.Second}[c.choose(3)]
	if s := c.sessions.take(c.choose, false); s != nil && c.choose(2) == 0 {
		o.StickySessionID = s.StickyID()
	}

	o.DrainTimeout = time.Duration(c.choose(3)) * time.Second
	o.KeepLongSessions = c.choose(2) == 0
	o.MaxRequestQueueSize = []int{0, 1, 5, passenger.Unlimited}[c.choose(4)]
	o.ForceMaxConcurrentRequestsPerProcess = []int{0, 0, 3, passenger.Unlimited}[c.choose(4)]
	a := &asked{app: name, opts: o}
	if c.choose(20) == 0 {
		a.bad, o.MaxRequestsJitter = true, 2
	}

	c.ask(a)
}

// ask makes a get, whose session is kept or closed.
func (c *chaos) ask(a *asked) {
	c.asked = append(c.asked, a)
	c.begins(a)
	defer c.with(a.app, func(app *appModel) { app.calls-- })
	c.with(a.app, func(app *appModel) { app.calls++ })
	a.stop = c.AsyncGet(a.opts, func(s *passenger.Session, err error) {
		c.finished(a, s, err)
		if s != nil && !c.sessions.add(s) {
			go c.closeSession(s, passenger.KeepAlive)
		}

		c.explode("callback")
	})
}

func (c *chaos) closeSession(s *passenger.Session, mode passenger.CloseMode) {
	c.closes(s)
	s.Close(mode)
}

func (c *chaos) doClose() {
	if s := c.sessions.take(c.choose, true); s != nil {
		c.closeSession(s, passenger.CloseMode(c.choose(2)))
	}
}

func (c *chaos) closeAll() {
	for _, s := range c.sessions.takeAll() {
		c.try(func(c *chaos) { c.closeSession(s, passenger.KeepAlive) })
	}
}

func (c *chaos) doConnect() {
	if s := c.sessions.take(c.choose, false); s != nil {
		_, _ = s.Connect(c.Context())
	}
}

func (c *chaos) doLast() {
	if s := c.sessions.take(c.choose, false); s != nil {
		s.OnDetach(func() { c.explode("detach") })
	}
}

func (c *chaos) doWithdraw() {
	if len(c.asked) == 0 {
		return
	}

	a := c.asked[c.choose(len(c.asked))]
	if a.stop != nil && a.stop() {
		c.with(a.app, func(app *appModel) {
			if a.withdrawn || a.times > 0 {
				c.fault("%s: a get was withdrawn, withdrawn before: %t, with %d results", a.app, a.withdrawn, a.times)
			}

			a.withdrawn = true
			app.waiting--
		})
	}
}

func (c *chaos) doKill() {
	if live := c.factory.LiveProcesses(); len(live) > 0 {
		victim := live[c.choose(len(live))]
		app := victim.App()
		c.with(app.Name(), func(m *appModel) { m.crashed = true })
		c.factory.Kill(victim.Info().PID)
	}
}

func (c *chaos) doChangeScript() {
	c.factory.Change(func(s *spawnertest.Script) {
		s.SpawnDelay = time.Duration(c.choose(3)) * time.Second
		s.StopDelay = time.Duration(c.choose(3)) * time.Second
		s.Concurrency = []int{1, 1, 2, spawnertest.Unlimited}[c.choose(4)]
		s.Sockets = 1 + c.choose(3)

		s.BeforeSpawn, s.BeforeDial, s.StopPreloader, s.OnCheck = nil, nil, nil, nil

		switch c.choose(3) {
		case 0:
			s.OnCheck = func(context.Context, spawner.App) error { return errRefused }
		case 1:
			s.OnCheck = func(context.Context, spawner.App) error {
				time.Sleep(3 * time.Second)
				return nil
			}
		}

		switch c.choose(6) {
		case 0:
			s.BeforeSpawn = alwaysFail
		case 1: // it heeds no context
			s.BeforeSpawn = func(context.Context, int, spawner.App) error {
				time.Sleep(3 * time.Second)
				return nil
			}
		case 2:
			s.BeforeDial = func(context.Context, *spawnertest.Process) error { return errRefused }
		}

		if c.choose(2) == 0 {
			s.StopPreloader = func() { time.Sleep(time.Second) }
		}
	})
}

// heal makes whatever starts from now on work.
func (c *chaos) heal() {
	c.refusals.Store(0)
	c.factory.Change(func(s *spawnertest.Script) { *s = spawnertest.Script{OnStop: c.onStop} })
}

func (c *chaos) doSleep() { time.Sleep(time.Duration(1+c.choose(3000)) * time.Millisecond) }

func (c *chaos) anyProcess() string {
	for _, g := range c.Inspect().Groups {
		if n := len(g.Processes); n > 0 && c.choose(2) == 0 {
			return g.Processes[c.choose(n)].GUPID
		}
	}

	return "none"
}

// expect does something elsewhere, and finds fault with an error that is none of these,
// nor one of the application's.
func (c *chaos) expect(what, name string, do func() error, permitted ...error) {
	go func() {
		err := do()
		c.with(name, func(app *appModel) {
			known := slices.ContainsFunc(permitted, func(p error) bool { return errors.Is(err, p) })
			if err != nil && !known && !app.hasFailed(err) {
				c.fault("%s of %s: %v", what, name, err)
			}
		})
	}()
}

func (c *chaos) doDisable() {
	id := c.anyProcess()
	c.expect("disabling", id, func() error { return c.Disable(c.Context(), id) }, passenger.ErrCannotDisable,
		passenger.ErrNoSuchProcess, passenger.ErrEnabled, passenger.ErrProcessDetached, passenger.ErrClosed)
}

func (c *chaos) doEnable() { _ = c.Enable(c.anyProcess()) }

func (c *chaos) doDetachProcess() { _ = c.DetachProcess(c.anyProcess()) }

func (c *chaos) doSetLimits() {
	size := c.choose(8) - 1
	// Deferred, since it may panic when it has set the size.
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()

		c.sizeSince = max(c.sizeSince, c.Inspect().MaxPoolSize)
	}()

	_ = c.SetMaxPoolSize(size)
	c.SetPoolIdleTime(time.Duration(c.choose(4)-1) * time.Second)
}

func (c *chaos) doRequestOOBW() {
	if s := c.sessions.take(c.choose, false); s != nil {
		c.mu.Lock()
		c.oobw[s.PID()] = true
		c.mu.Unlock()
		s.RequestOOBW()
	}
}

func (c *chaos) doRefuse() { c.refusals.Store(int32(c.choose(4))) }

func (c *chaos) doArm() {
	c.armed.Store([]string{"callback", "observer", "log", "detach"}[c.choose(4)])
}

func (c *chaos) doTouch() {
	dir := filepath.Join(c.dir, fmt.Sprintf("app-%d", c.choose(appsWithFiles)), "tmp")

	always := filepath.Join(dir, "always_restart.txt")
	switch c.choose(4) {
	case 0:
		touch(c, always, time.Now())
	case 1:
		_ = os.Remove(always)
	default:
		c.touched++
		touch(c, filepath.Join(dir, "restart.txt"), time.Now().Add(time.Duration(c.touched)*time.Second))
	}
}
