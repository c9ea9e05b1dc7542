package passenger

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gopassenger/passenger/spawner"
)

// release is what the processes of one generation of a group are started from. Pool.mu guards its
// fields but app, generation, made, uuid and making.
type release struct {
	app        spawner.App
	generation uint32
	made       time.Time
	uuid       string
	// attempts is the number of spawns in progress, canceled ones included. retired means that no
	// other begins.
	attempts int
	retired  bool
	// root is the application's directory with its links resolved, as it was at the first spawn.
	// The links may lead to another release later. unresolved means that they led nowhere then.
	root       string
	unresolved bool
	// failure is the error of the last spawn, or the crash of its process in the first request, at failedAt
	// by Pool.now. Otherwise it is nil.
	failure  error
	failedAt time.Duration
	// check is the attempt that looks for what would keep a process from starting, or nil. checked means that it
	// has found nothing since a process of another application was last stopped for this one.
	check   *spawnAttempt
	checked bool
	// preloaderStop stops a preloader that is idle.
	preloaderStop *poolTimer

	making  singleflight.Group
	spawner spawner.Spawner
	// before are spawners of the time when root was unresolved. They are closed with the release.
	before []spawner.Spawner
}

func newRelease(opts *Options, generation uint32) *release {
	app := opts.App
	app.GroupName = app.Name()

	return &release{
		app:        app,
		generation: generation,
		made:       time.Now(),
		uuid:       rand.Text()[:20],
	}
}

// openReleaseLocked makes the release that processes are started from now on.
func (g *group) openReleaseLocked(generation uint32) {
	g.release = newRelease(&g.opts, generation)
	g.openReleases = append(g.openReleases, g.release)
}

// prepare returns the spawner, which the first call makes. As long as the links to the application's
// directory lead nowhere, another call may make another one: processes of one release are started in one
// directory, wherever the links lead later.
func (r *release) prepare(p *Pool) (spawner.Spawner, error) {
	// The attempts of a batch begin together, and must share one spawner with its preloader.
	made, err, _ := r.making.Do("", func() (any, error) {
		current, unresolved := r.currentSpawner(p)
		if current != nil && !unresolved {
			return current, nil
		}

		app := r.app

		root, linkErr := filepath.EvalSymlinks(app.Root)
		switch {
		case linkErr == nil:
			app = app.InRelease(root)
		case current != nil:
			return current, nil
		} // else the error of the spawner says more than this one

		s, err := p.factory.NewSpawner(app)
		switch {
		case err != nil:
			return nil, err
		case s == nil:
			return nil, brokenPromise("NewSpawner returned neither a Spawner nor an error")
		}

		p.update(func(*effects) {
			if current != nil {
				r.before = append(r.before, current)
			}

			r.spawner, r.root, r.unresolved = s, app.Root, linkErr != nil
		})

		return s, nil
	})
	if err != nil {
		return nil, err
	}

	return made.(spawner.Spawner), nil //nolint:forcetypeassert,errcheck // only a Spawner is made
}

// currentSpawner returns the spawner, or nil before it is made, and whether its directory is
// unresolved. It takes the lock.
func (r *release) currentSpawner(p *Pool) (s spawner.Spawner, unresolved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	return r.spawner, r.unresolved
}

// retireReleaseLocked ends the release: no spawn begins from it any more.
func (g *group) retireReleaseLocked(r *release) {
	r.retired = true
	g.closeRetiredLocked(r)
}

// closeRetiredLocked closes the spawner of a retired release once no spawn uses it.
func (g *group) closeRetiredLocked(r *release) {
	p := g.pool
	if !r.retired || r.attempts > 0 || p.state == poolClosed {
		return // Pool.closeSpawners does it for a closed pool
	}

	p.stopTimerLocked(r.preloaderStop)
	// In a goroutine, since Close waits for the preloader to end.
	p.wg.Go(func() {
		defer p.update(func(*effects) { g.removeReleaseLocked(r) })
		if err := r.closeSpawner(p); err != nil {
			p.cfg.Logger.Error(err, "cannot stop the spawner of an earlier release", "app", g.name)
		}
	})
}

func (r *release) closeSpawner(p *Pool) error {
	p.mu.Lock()

	all := slices.Clone(r.before)
	if r.spawner != nil {
		all = append(all, r.spawner)
	}

	p.mu.Unlock()

	errs := make([]error, 0, len(all))
	for _, s := range all {
		errs = append(errs, s.Close())
	}

	return errors.Join(errs...)
}

// schedulePreloaderStopLocked stops the preloader if no spawn follows for a while.
func (g *group) schedulePreloaderStopLocked(r *release) {
	p := g.pool
	p.stopTimerLocked(r.preloaderStop)
	idle := g.opts.preloaderIdleTime()
	if idle < 0 || r.retired || p.state == poolClosed {
		return
	}

	preloading, ok := r.spawner.(spawner.Preloading)
	if !ok {
		return
	}

	r.preloaderStop = p.startTimerLocked(idle, func(*effects) {
		if r.attempts == 0 {
			// In a goroutine: nothing may block under the lock.
			p.wg.Go(preloading.StopPreloader)
		}
	})
}

// maxPastReleases limits the directories of earlier releases that are kept for each application.
const maxPastReleases = 4

// ReleaseDirs are the directories of the releases of one application, with links resolved.
type ReleaseDirs struct {
	// Serving are the directories of processes that may still respond, the newest release first.
	// They stay when the last process ends. It is empty before the first process starts.
	Serving []string `json:"serving"`
	// Past are the directories of earlier processes, the latest first and at most four. They may
	// have been removed.
	Past []string `json:"past"`
}

func (d ReleaseDirs) clone() ReleaseDirs {
	return ReleaseDirs{Serving: append([]string{}, d.Serving...), Past: append([]string{}, d.Past...)}
}

// releaseKey identifies an application as Options.sameApp does.
type releaseKey struct{ name, root, environment, user, group string }

// ReleaseDirs returns a function that returns the directories of the application that opts name.
// The function takes no lock, so it can be called for each request. Its result must not be changed.
func (p *Pool) ReleaseDirs(opts *Options) func() ReleaseDirs {
	key := any(newReleaseKey(&opts.App))

	return func() ReleaseDirs {
		if dirs, ok := p.releaseDirs.Load(key); ok {
			return *dirs.(*ReleaseDirs) //nolint:forcetypeassert,errcheck // only ReleaseDirs are stored
		}

		return ReleaseDirs{}
	}
}

// RememberReleases records the directories, the latest first, of releases of the application that
// opts name, from a time when another pool served it. They are Past until this pool knows better.
// It does nothing once the application has had a process here.
func (p *Pool) RememberReleases(opts *Options, dirs []string) {
	if len(dirs) == 0 {
		return
	}

	past := &ReleaseDirs{Past: slices.Clone(dirs[:min(len(dirs), maxPastReleases)])}
	p.releaseDirs.LoadOrStore(any(newReleaseKey(&opts.App)), past)
}

func newReleaseKey(app *spawner.App) releaseKey {
	return releaseKey{
		name:        app.Name(),
		root:        app.Root,
		environment: app.Environment,
		user:        app.User,
		group:       app.Group,
	}
}

// publishReleaseDirsLocked updates the directories after a process came or went.
func (g *group) publishReleaseDirsLocked() {
	// A later group of this application may have published its own.
	if g.removed {
		return
	}

	var live []*process
	for _, l := range []*list[process]{&g.enabled, &g.disabling, &g.disabled, &g.detached} {
		for pr := range l.all {
			if pr.root != "" && !pr.exited {
				live = append(live, pr)
			}
		}
	}

	slices.SortStableFunc(live, func(a, b *process) int { return int(b.generation) - int(a.generation) })

	now := &ReleaseDirs{}
	for _, pr := range live {
		if !slices.Contains(now.Serving, pr.root) {
			now.Serving = append(now.Serving, pr.root)
		}
	}

	// The next process starts from the directory that the release was resolved to, not from what the link says then.
	if len(now.Serving) == 0 && g.release.root != "" {
		now.Serving = []string{g.release.root}
	}

	before := g.knownReleaseDirs()
	if len(now.Serving) == 0 {
		now.Serving = before.Serving
	}

	if slices.Equal(now.Serving, before.Serving) {
		return
	}

	for _, dir := range slices.Concat(before.Serving, before.Past) {
		if !slices.Contains(now.Serving, dir) && !slices.Contains(now.Past, dir) && len(now.Past) < maxPastReleases {
			now.Past = append(now.Past, dir)
		}
	}

	g.dirs = now
	g.pool.releaseDirs.Store(any(newReleaseKey(&g.opts.App)), now)
}

// knownReleaseDirs returns what was published last, here or by RememberReleases.
func (g *group) knownReleaseDirs() ReleaseDirs {
	if g.dirs != nil {
		return *g.dirs
	}

	return g.pool.ReleaseDirs(&g.opts)()
}

// forgetReleaseDirs removes the directories of a removed group, so that the next one follows the
// links again.
func (g *group) forgetReleaseDirs() { g.pool.releaseDirs.Delete(any(newReleaseKey(&g.opts.App))) }
