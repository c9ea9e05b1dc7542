package spawner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

var pythonName = lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

// marks are files by which a directory shows what it holds when it has no startup
// file, with what to do then. The first that is there counts.
var marks = []struct{ file, suggestion string }{
	{"manage.py", "This is a Django project whose application neither manage.py nor its settings name: give " +
		"--startup-file {module}.wsgi:application."},
	{"wsgi.py", "If wsgi.py defines the application, give its name: --startup-file wsgi:NAME."},
	{"asgi.py", "If asgi.py defines the application, give its name: --startup-file asgi:NAME --app-type asgi."},
	{"app.py", "If app.py defines the application, give its name: --startup-file app:NAME."},
	{"main.py", "If main.py defines the application, give its name: --startup-file main:NAME."},
	{"server.js", "If server.js is what starts the application, give --startup-file server.js."},
	{"index.js", "If index.js is what starts the application, give --startup-file index.js."},
	{firstManifest, "If npm start is how the application starts, and it listens on the port in PORT, give " +
		"--start-command 'npm start'."},
	{"composer.json", "An application of PHP without an index.php needs the name of its script: give --startup-file " +
		"NAME.php."},
	{"go.mod", "Build the Go program, and give it as --start-command ./NAME. One of several below cmd is found if " +
		"it is called as the module, server, web, api or app."},
	{"app.rb", "A Ruby application needs a file config.ru, which rackup could run. For Sinatra's app.rb it has the " +
		"lines require_relative \"app\" and run Sinatra::Application."},
	{"Gemfile", "A Ruby application needs a file config.ru, which rackup could run."},
	{"index.html", "Files alone are served by a web server, or, to look at them, by --start-command 'python3 -m " +
		"http.server --bind 127.0.0.1 $PORT'."},
}

// firstManifest is the first of the marks that the directory above several applications has as well.
const firstManifest = "package.json"

// suggestion returns advice for a directory without a startup file, by the files in it;
// empty means that none of them is known. Below root it follows no links: the directory
// may belong to another user than the one who reads it.
func suggestion(root string) string {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return ""
	}

	for _, m := range marks {
		if m.file == firstManifest {
			if s := suggestBelow(root); s != "" {
				return s
			}
		}

		if !isFile(filepath.Join(root, filepath.Dir(m.file)), filepath.Base(m.file)) {
			continue
		}

		if unreadable(filepath.Join(root, m.file)) {
			return "There is " + m.file + ", which the application's user may not read: chmod o+r it, or let it " +
				"belong to that user."
		}

		if !strings.Contains(m.suggestion, "{module}") {
			return m.suggestion
		}

		if module := djangoModule(root); module != "" {
			return strings.ReplaceAll(m.suggestion, "{module}", module)
		}
	}

	return ""
}

var (
	directoryName = lazy(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	// foreignDirectories hold what others have made, or what only looks like an application.
	foreignDirectories = []string{"node_modules", "vendor", "venv", "docs", "examples", "test", "tests", "spec"}
)

// suggestBelow names the directories in root that hold an application; empty means that there is none.
func suggestBelow(root string) string {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return ""
	}
	defer dir.Close()

	const maxEntries, maxNamed = 100, 3

	var named []string

	entries := entriesOf(root)
	for _, e := range entries[:min(len(entries), maxEntries)] {
		if !e.IsDir() || !directoryName().MatchString(e.Name()) || slices.Contains(foreignDirectories, e.Name()) {
			continue
		}

		if below, err := dir.OpenRoot(e.Name()); err == nil {
			found, err := detectIn(below, filepath.Join(root, e.Name()))
			_ = below.Close()

			if err == nil && len(named) < maxNamed {
				named = append(named, e.Name()+" ("+found[0].Framework+")")
			}
		}
	}

	if named == nil {
		return ""
	}

	return "Below it, there are applications in " + strings.Join(named, ", ") + ": name such a directory instead."
}

// entriesOf returns what is in a directory, sorted, and no more of it than detection looks at: there may be millions.
func entriesOf(dir string) []fs.DirEntry {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0) //nolint:gosec // G304: with its user's rights
	if err != nil {
		return nil
	}
	defer f.Close()

	entries, _ := f.ReadDir(maxListed)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })

	return entries
}

// djangoModule returns the package with wsgi.py that django-admin startproject has made.
func djangoModule(root string) string {
	for _, e := range entriesOf(root) {
		// Other names are no packages, and nothing to be pasted into a shell.
		if e.IsDir() && pythonName().MatchString(e.Name()) && isFile(filepath.Join(root, e.Name()), "wsgi.py") {
			return e.Name()
		}
	}

	return ""
}

// unreadable reports whether this process has no right to read a file.
func unreadable(file string) bool {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // G304: with its user's rights
	if err == nil {
		// It was only looked for.
		_ = f.Close()
	}

	return errors.Is(err, fs.ErrPermission)
}

// isFile reports whether a directory has a regular file. Neither may be a link.
func isFile(dir, name string) bool {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return false
	}

	info, err := os.Lstat(filepath.Join(dir, name))

	return err == nil && info.Mode().IsRegular()
}
