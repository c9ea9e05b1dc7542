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

// errSpawnCanceled is the cause with which a spawn is cancelled whose process nobody wants any more.
var errSpawnCanceled = errors.New("passenger: the release that the process was started from has been replaced")

// errNotSpawned is for a spawn that an observer kept from beginning.
var errNotSpawned = errors.New("passenger: the spawn was interrupted: an observer has ended its goroutine")

// release is what a group's processes of one generation are started from. It is one of its group's open releases until
// its spawner is closed. Pool.mu guards its fields but app, generation, made, uuid and making.
type release struct {
	app        spawner.App
	generation uint32
	made       time.Time
	uuid       string
	// attempts counts the spawns from it that go on, those included that were
	// given up; retired: there will be no more.
	attempts int
	retired  bool
	// root is the application's directory behind the links that lead to it,
	// which another release may change; known after the first spawn.
	root string
	// preloaderStop stops the preloader that has nothing to do.
	preloaderStop *poolTimer

	making  singleflight.Group
	spawner spawner.Spawner
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

// openReleaseLocked makes the release from which processes are started from now on.
func (g *group) openReleaseLocked(generation uint32) {
	g.release = newRelease(&g.opts, generation)
	g.openReleases = append(g.openReleases, g.release)
}

// prepare returns the spawner, which is made once.
func (r *release) prepare(p *Pool) (spawner.Spawner, error) {
	made, err, _ := r.making.Do("", func() (any, error) {
		if s := r.currentSpawner(p); s != nil {
			return s, nil
		}

		app := r.app
		if root, err := filepath.EvalSymlinks(app.Root); err == nil {
			app.Root = root // else the spawner says what is wrong with it
		}

		s, err := p.factory.NewSpawner(app)
		if err != nil {
			return nil, err
		}

		p.update(func(*effects) { r.spawner, r.root = s, app.Root })

		return s, nil
	})
	if err != nil {
		return nil, err
	}

	return made.(spawner.Spawner), nil //nolint:forcetypeassert,errcheck // nothing else is made
}

func (r *release) currentSpawner(p *Pool) spawner.Spawner {
	p.mu.Lock()
	defer p.mu.Unlock()

	return r.spawner
}

// retireReleaseLocked ends the release: nothing is started from it any more.
func (g *group) retireReleaseLocked(r *release) {
	r.retired = true
	g.closeRetiredLocked(r)
}

// closeRetiredLocked closes the spawner of a retired release as soon as no spawn needs it.
func (g *group) closeRetiredLocked(r *release) {
	p := g.pool
	if !r.retired || r.attempts > 0 || p.state == poolClosed {
		return // a pool that closes does it itself
	}

	p.stopTimerLocked(r.preloaderStop)
	p.wg.Go(func() {
		defer p.update(func(*effects) { g.removeReleaseLocked(r) })
		if err := r.closeSpawner(p); err != nil {
			p.cfg.Logger.Error(err, "cannot stop the spawner of an earlier release", "app", g.name)
		}
	})
}

func (r *release) closeSpawner(p *Pool) error {
	if s := r.currentSpawner(p); s != nil {
		return s.Close()
	}

	return nil
}

// schedulePreloaderStopLocked lets the preloader go if there is no spawn for a while.
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
			p.wg.Go(preloading.StopPreloader)
		}
	})
}

// maxPastReleases bounds how many directories of earlier releases are remembered for each application.
const maxPastReleases = 4

// ReleaseDirs are the real directories, behind the links that lead there, of one application's releases.
type ReleaseDirs struct {
	// Serving are those that processes run in which may still answer, the newest release first. They stay when the
	// last process ends. It is empty before the first process starts.
	Serving []string `json:"serving"`
	// Past are those that processes ran in before, the latest first and at most four. They may have been removed.
	Past []string `json:"past"`
}

func (d ReleaseDirs) clone() ReleaseDirs {
	return ReleaseDirs{Serving: append([]string{}, d.Serving...), Past: append([]string{}, d.Past...)}
}

// releaseKey tells applications apart as Options.sameApp does.
type releaseKey struct{ name, root, environment, user, group string }

// ReleaseDirs returns a function that reports the directories of the application that opts name. It takes no lock,
// so that it can be called for each request. What it returns must not be changed.
func (p *Pool) ReleaseDirs(opts *Options) func() ReleaseDirs {
	key := any(newReleaseKey(&opts.App))

	return func() ReleaseDirs {
		if dirs, ok := p.releaseDirs.Load(key); ok {
			return *dirs.(*ReleaseDirs) //nolint:forcetypeassert,errcheck // nothing else is stored
		}

		return ReleaseDirs{}
	}
}

// RememberReleases says that the application that opts names has had releases in these directories, the latest first,
// while another pool served it: they are Past until this pool knows better. It does nothing once
// the application has had
// a process here.
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

// publishReleaseDirsLocked publishes the directories after a process came or went.
func (g *group) publishReleaseDirsLocked() {
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

// knownReleaseDirs are those that were published last, or that another pool has told.
func (g *group) knownReleaseDirs() ReleaseDirs {
	if g.dirs != nil {
		return *g.dirs
	}

	return g.pool.ReleaseDirs(&g.opts)()
}

// forgetReleaseDirs is for a group that the pool forgets: the next one follows the links again.
func (g *group) forgetReleaseDirs() { g.pool.releaseDirs.Delete(any(newReleaseKey(&g.opts.App))) }
