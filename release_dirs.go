package passenger

import (
	"slices"

	"github.com/gopassenger/passenger/spawner"
)

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

// noteReleaseDirs publishes the directories after a process came or went.
func (g *group) noteReleaseDirs() {
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
