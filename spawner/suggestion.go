package spawner

import (
	"os"
	"path/filepath"
	"strings"
)

var pythonName = lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

// marks are files by which a directory shows what it holds when it has no startup
// file, with what to do then. The first that is there counts.
var marks = []struct{ file, suggestion string }{
	{"manage.py", "This is a Django project whose manage.py does not name its settings: give --startup-file " +
		"{module}.wsgi:application."},
	{"wsgi.py", "If wsgi.py defines the application, give its name: --startup-file wsgi:NAME."},
	{"asgi.py", "If asgi.py defines the application, give its name: --startup-file asgi:NAME --app-type asgi."},
	{"app.py", "If app.py defines the application, give its name: --startup-file app:NAME."},
	{"main.py", "If main.py defines the application, give its name: --startup-file main:NAME."},
	{"server.js", "If server.js is what starts the application, give --startup-file server.js."},
	{"index.js", "If index.js is what starts the application, give --startup-file index.js."},
	{"package.json", "If npm start is how the application starts, and it listens on the port in PORT, give " +
		"--start-command 'npm start'."},
	{"composer.json", "An application of PHP without an index.php needs the name of its script: give --startup-file " +
		"NAME.php."},
	{"go.mod", "Build the Go program, and give it as --start-command ./NAME."},
	{"Gemfile", "A Ruby application needs a file config.ru, which rackup could run."},
}

// suggestion returns advice for a directory without a startup file, by the files in it;
// empty means that none of them is known. Below root it follows no links: the directory
// may belong to another user than the one who reads it.
func suggestion(root string) string {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return ""
	}

	for _, m := range marks {
		if !isFile(filepath.Join(root, filepath.Dir(m.file)), filepath.Base(m.file)) {
			continue
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

// djangoModule returns the package with wsgi.py that django-admin startproject has made.
func djangoModule(root string) string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return ""
	}

	for _, e := range entries {
		// Other names are no packages, and nothing to be pasted into a shell.
		if e.IsDir() && pythonName().MatchString(e.Name()) && isFile(filepath.Join(root, e.Name()), "wsgi.py") {
			return e.Name()
		}
	}

	return ""
}

// isFile reports whether a directory has a regular file. Neither may be a link.
func isFile(dir, name string) bool {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return false
	}

	info, err := os.Lstat(filepath.Join(dir, name))

	return err == nil && info.Mode().IsRegular()
}
