package spawner

import (
	"os"
	"path/filepath"
	"strings"
)

// InRelease returns the application as root has it, the directory that the links in Root lead to: the files that are
// named by paths below Root are those below root, and where Root is a directory below a link, so are files below that
// link. Otherwise they would be another release's once the links lead there, while Root is still to be the one before.
func (a *App) InRelease(root string) App {
	c := a.Clone()
	c.Root = root

	from, to := releaseLink(filepath.Clean(a.Root), filepath.Clean(root))
	from, to = from+string(filepath.Separator), to+string(filepath.Separator)
	// Nothing is cleaned: the parent of what a link leads to is the system's to find.
	move := func(path *string) {
		if below, ok := strings.CutPrefix(*path, from); ok {
			*path = to + below
		}
	}

	for _, path := range []*string{
		&c.StartupFile, &c.Ruby, &c.Python, &c.NodeJS, &c.Meteor, &c.MeteorSettings, &c.PHPServer,
	} {
		move(path)
	}

	for i, name := range c.EnvFiles {
		path, optional := strings.CutPrefix(name, "-")
		move(&path)

		if optional {
			path = "-" + path
		}

		c.EnvFiles[i] = path
	}

	return c
}

// releaseLink returns the link in path, the name of an application's directory, and the release that it led to when
// path led to root: of /srv/current/web and /srv/releases/7/web it is /srv/current and /srv/releases/7.
func releaseLink(path, root string) (link, release string) {
	link, release = path, root
	for link != release && filepath.Base(link) == filepath.Base(release) {
		// Not where link leads: that may be another release by now, in which the directory is none of links, too.
		if info, err := os.Lstat(link); err != nil || !info.IsDir() {
			break
		}

		link, release = filepath.Dir(link), filepath.Dir(release)
	}

	// Without a link the path is that of the release.
	if link == release {
		return path, root
	}

	return link, release
}
