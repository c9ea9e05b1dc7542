package passenger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// isRemoved reports whether the directory of the release does not exist any more, and the links lead to another one.
// It takes the lock.
func (r *release) isRemoved(p *Pool) bool {
	p.mu.Lock()
	root := r.root
	p.mu.Unlock()

	if _, err := os.Lstat(root); root == "" || !errors.Is(err, fs.ErrNotExist) {
		return false
	}

	now, err := filepath.EvalSymlinks(r.app.Root)

	return err == nil && now != root
}

// restartRemoved restarts the group after a spawn from a release that was removed: none will start from it, and the
// processes that it still has are of a deploy that is over.
func (g *group) restartRemoved(fx *effects, r *release, err error) {
	fx.warn(g.pool, "the directory of the release was removed, and the link leads to another one, which is served now",
		"app", g.name, "removed", r.root, "error", err.Error())
	g.beginRestart(fx, &RestartOptions{}, nil)
}
