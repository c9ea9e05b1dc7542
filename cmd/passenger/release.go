package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// warnOfRelease warns that the server keeps to a release although a link leads there,
// which may lead to another one later. A shell that was in the link has told in PWD;
// a service manager has not.
func (l *loader) warnOfRelease() {
	if l.loaded {
		return
	}

	if link := linkTo(l.dir); link != "" {
		l.warn(fmt.Sprintf("the application's directory is %s, and stays so when the link %s is switched to another "+
			"release: "+
			"to follow the link, name it, as by 'passenger start %s'", l.dir, link, link))
	}
}

// maxLinks is how many entries of a directory are looked at for a link.
const maxLinks = 1000

// linkTo returns a link that leads to dir from the directory above it or the one
// above that, where tools for deployment make them; empty if there is none, or if dir
// has a link in its own path.
func linkTo(dir string) string {
	if resolved, err := filepath.EvalSymlinks(dir); err != nil || resolved != dir {
		return ""
	}

	above := filepath.Dir(dir)
	for _, parent := range []string{above, filepath.Dir(above)} {
		if parent == "/" {
			break
		}

		if link := linkIn(parent, dir); link != "" {
			return link
		}
	}

	return ""
}

func linkIn(parent, dir string) string {
	f, err := os.Open(parent) //nolint:gosec // G304: it is above the application's
	if err != nil {
		return ""
	}

	defer func() { _ = f.Close() }()
	entries, _ := f.ReadDir(maxLinks) // what there is

	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink == 0 {
			continue
		}

		link := filepath.Join(parent, entry.Name())
		if resolved, err := filepath.EvalSymlinks(link); err == nil && resolved == dir {
			return link
		}
	}

	return ""
}
