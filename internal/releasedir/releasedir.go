// Package releasedir finds the directory of a release that stands for one of the configuration, which names it by the
// link that leads to the release that is deployed: of /srv/shop/current/public, that is /srv/shop/releases/7/public.
package releasedir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Place is where a directory is, seen from the application's.
type Place struct {
	// Root is the part of the way to both that they have in common, as it is named, and Rel leads from there to the
	// directory; an empty Rel means that Root is it.
	Root, Rel string
	// app is the application's directory, and below leads there from Root; it is empty, or begins with a slash.
	app, below string
}

// Of returns the place of dir for the application in the directory app. Both are absolute and clean. ok is false if
// they have nothing in common, so that no release can have a directory of its own.
func Of(app, dir string) (p Place, ok bool) {
	root := app

	for root != filepath.Dir(root) {
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			if rel == "." {
				rel = ""
			}

			return Place{
				Root:  root,
				Rel:   rel,
				app:   app,
				below: strings.TrimPrefix(app, root),
			}, true
		}

		root = filepath.Dir(root)
	}

	return Place{}, false
}

// In returns what stands for Root where the application's directory, with links resolved, is release. ok is false if
// there is none: the link is further down than Root, and all releases share the directory.
func (p *Place) In(release string) (root string, ok bool) {
	if p.below == "" {
		return release, true
	}

	root, ok = strings.CutSuffix(release, p.below)

	return root, ok && root != "" && !p.isLinked()
}

// isLinked reports whether a link leads from Root to the application, so that what is above a release is not what
// Root leads to.
func (p *Place) isLinked() bool {
	for path := p.app; path != p.Root; path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		// The release that the link leads to now may have no application there.
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}

	return false
}
