package spawner

import (
	"path/filepath"
	"strings"
)

// InRelease returns the application as root has it, the directory that the links in Root lead to: the files that are
// named by paths below Root are those below root. Otherwise they would be another release's once the links lead there,
// while Root is still to be the one before.
func (a *App) InRelease(root string) App {
	c := a.Clone()
	c.Root = root

	from := filepath.Clean(a.Root) + string(filepath.Separator)
	// Nothing is cleaned: the parent of what a link leads to is the system's to find.
	move := func(path *string) {
		if below, ok := strings.CutPrefix(*path, from); ok {
			*path = filepath.Clean(root) + string(filepath.Separator) + below
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
