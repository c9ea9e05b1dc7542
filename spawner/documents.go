package spawner

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/dcache"
)

// documents are what is below the document root of scripts, for one request. Names begin with a slash. Most requests
// are for what the kernel's cache knows, and open nothing.
type documents struct {
	scripts *Scripts
	// dir is the document root.
	dir string
	// root is the application's directory; nil means that it was not opened yet.
	root *os.Root
}

// documentCache is the kernel's of all applications.
var documentCache dcache.Cache

func newDocuments(s *Scripts) *documents { return &documents{scripts: s, dir: s.Directory()} }

func (d *documents) close() {
	if d.root != nil {
		_ = d.root.Close() // nothing was written
	}
}

// open returns the application's directory, which no link leads out of.
func (d *documents) open() (*os.Root, error) {
	if d.root == nil {
		root, err := os.OpenRoot(d.scripts.Root)
		if err != nil {
			return nil, err
		}

		d.root = root
	}

	return d.root, nil
}

// exist reports whether the application's directory does.
func (d *documents) exist() bool {
	if documentCache.Look(d.scripts.Root) == dcache.Other {
		return true
	}

	_, err := d.open()

	return err == nil
}

func (d *documents) look(name string) dcache.Kind {
	return documentCache.Look(d.dir + filepath.FromSlash(name))
}

// below is the path of a name in the application's directory.
func (d *documents) below(name string) string {
	return filepath.FromSlash(path.Join(d.scripts.DocumentRoot, name))
}

// find applies the first two points of the rule.
func (d *documents) find(clean string, slash bool) (Script, error) {
	way := wayToScript(clean)
	for from := 1; from < len(way); {
		end := from + strings.IndexByte(way[from:]+"/", '/')
		if strings.HasSuffix(way[from:end], phpExtension) && d.isFile(way[:end]) {
			if d.scripts.isHidden(way[1:end]) || d.rulesOf(way[:end]) != (fileRules{}) {
				return Script{}, ErrNoScript
			}

			info := clean[end:]
			if slash {
				info += "/"
			}

			return d.scripts.script(clean[:end], info), nil
		}

		from = end + 1
	}

	index := path.Join(clean, phpIndex)
	switch {
	case way != clean, d.scripts.isHidden(clean[1:]), !d.isFile(index), d.rulesOf(index) != (fileRules{}):
		return Script{}, ErrNoScript
	case !slash:
		return Script{}, ErrDirectory
	}

	return d.scripts.script(index, ""), nil
}

// isFile reports whether a path leads to a regular file, by links within the application's directory at most.
func (d *documents) isFile(name string) bool {
	if kind := d.look(name); kind != dcache.Unknown {
		return kind == dcache.Regular
	}

	root, err := d.open()
	if err != nil {
		return false
	}

	info, err := root.Stat(d.below(name))

	return err == nil && info.Mode().IsRegular()
}

// isDenied reports whether an .htaccess in a directory on the way to a file denies access to all, as applications
// protect their data with Apache, or cannot be read.
func (d *documents) isDenied(name string) bool {
	for i := 1; i < len(name); i++ {
		if name[i] == '/' && d.denies(name[:i]) {
			return true
		}
	}

	return name != "/" && d.denies(name)
}

func (d *documents) denies(dir string) bool {
	text, ok := d.readHtaccess(dir)
	return !ok || deniesAll(text)
}

// readHtaccess returns the .htaccess of a directory; ok is false if it is there and cannot be read, as another user's
// file, a link that leads out, or one that is too large.
func (d *documents) readHtaccess(dir string) (text string, ok bool) {
	name := path.Join(dir, ".htaccess")
	if d.look(name) == dcache.Absent {
		return "", true
	}

	root, err := d.open()
	if err != nil {
		return "", false
	}

	// One that is no regular file must not hold the request up.
	file, err := root.OpenFile(d.below(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		_, err = root.Lstat(d.below(name))
		return "", err != nil
	}
	defer file.Close()

	b, err := io.ReadAll(io.LimitReader(file, maxHtaccess+1))

	return string(b), err == nil && len(b) <= maxHtaccess
}

// rulesOf returns the rules for a file.
func (d *documents) rulesOf(name string) (r fileRules) {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}

		if text, ok := d.readHtaccess(name[:i+1]); ok {
			r.apply(text, path.Base(name))
		}
	}

	return r
}
