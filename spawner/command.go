package spawner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// command is what a process is started with.
type command struct {
	appType     AppType
	startupFile string
	// argv begins with an absolute path.
	argv []string
}

// loader says how applications of a type are started.
type loader struct {
	language    string
	script      string
	interpreter func(*App) string
}

var loadersByType = map[string]loader{
	"rack": {language: "Ruby", script: "ruby/rack_loader.rb", interpreter: func(a *App) string { return a.Ruby }},
	"wsgi": {language: "Python", script: "python/wsgi_loader.py", interpreter: func(a *App) string { return a.Python }},
	"node": {language: "Node.js", script: "node/node_loader.js", interpreter: func(a *App) string { return a.NodeJS }},
}

// resolve finds out what to execute for app. Its errors are faults.
func resolve(app *App, loaderDir string) (*command, error) {
	if app.Type == "" && len(app.StartCommand) > 0 {
		return resolveStartCommand(app)
	}
	c := &command{}
	if app.Type == "" {
		t, err := DetectType(app.Root)
		if err != nil {
			f := &fault{problem: rootUnusable, subject: app.Root, err: err}
			if errors.Is(err, ErrNoApp) {
				f.problem = noApp
			}
			return nil, f
		}
		c.appType = t
	} else {
		c.appType, _ = findType(app.Type)
	}
	c.startupFile = absolute(app.Root, app.StartupFile)
	if app.StartupFile == "" {
		c.startupFile = filepath.Join(app.Root, c.appType.StartupFile)
	}
	if err := checkStartupFile(c.startupFile); err != nil {
		return nil, err
	}
	l := loadersByType[c.appType.Name]
	interpreter, err := lookUp(app, l.interpreter(app), interpreterMissing)
	if err != nil {
		return nil, err
	}
	c.argv = []string{interpreter, filepath.Join(loaderDir, filepath.FromSlash(l.script))}
	return c, nil
}

func resolveStartCommand(app *App) (*command, error) {
	path, err := lookUp(app, app.StartCommand[0], commandMissing)
	if err != nil {
		return nil, err
	}
	c := &command{argv: slices.Concat([]string{path}, app.StartCommand[1:])}
	if app.StartupFile != "" {
		c.startupFile = absolute(app.Root, app.StartupFile)
	}
	return c, nil
}

func absolute(root, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(root, path)
}

func checkStartupFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fault{problem: startupFileMissing, subject: path, err: err}
	case err != nil:
		return &fault{problem: startupFileUnusable, subject: path, err: err}
	case !info.Mode().IsRegular():
		return &fault{
			problem: startupFileUnusable, subject: path,
			err: &fs.PathError{Op: "load", Path: path, Err: errors.New("not a regular file")},
		}
	}
	return nil
}

// lookUp returns the absolute path of a program, sought in the application's
// PATH and not in ours. Entries of PATH that are not absolute do not count.
func lookUp(app *App, name string, missing problem) (string, error) {
	if strings.Contains(name, "/") {
		path := absolute(app.Root, name)
		if err := checkExecutable(path); err != nil {
			return "", lookUpFault(path, err, missing)
		}
		return path, nil
	}
	path, ok := app.Env["PATH"]
	if !ok {
		path = os.Getenv("PATH")
	}
	var firstErr error
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) || name == "" || name == "." || name == ".." {
			continue
		}
		candidate := filepath.Join(dir, name)
		err := checkExecutable(candidate)
		if err == nil {
			return candidate, nil
		}
		if firstErr == nil && !errors.Is(err, fs.ErrNotExist) {
			firstErr = lookUpFault(candidate, err, missing)
		}
	}
	if firstErr != nil {
		return "", firstErr
	}
	return "", lookUpFault(name, &fs.PathError{Op: "look up", Path: name, Err: fs.ErrNotExist}, missing)
}

func lookUpFault(path string, err error, missing problem) error {
	if !errors.Is(err, fs.ErrNotExist) {
		missing = notExecutable
	}
	return &fault{problem: missing, subject: path, err: err}
}

func checkExecutable(path string) error {
	info, err := os.Stat(path) //nolint:gosec // G703: what the application's owner wants to run
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return &fs.PathError{Op: "execute", Path: path, Err: fs.ErrPermission}
	}
	return nil
}

// checkRoot makes sure that a process can be started in root. Its errors are
// faults that name the directory that is in the way.
func checkRoot(root string, stat func(string) (fs.FileInfo, error)) error {
	info, err := stat(root)
	switch {
	case err == nil && !info.IsDir():
		err = &fs.PathError{Op: "enter", Path: root, Err: errors.New("not a directory")}
		return &fault{problem: rootNotDirectory, subject: root, err: err}
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &fault{problem: rootForbidden, subject: offendingParent(root, stat), err: err}
	case errors.Is(err, fs.ErrNotExist):
		return &fault{problem: rootMissing, subject: root, err: err}
	}
	return &fault{problem: rootUnusable, subject: root, err: err}
}

// offendingParent is the directory without the permission to look further
// down.
func offendingParent(path string, stat func(string) (fs.FileInfo, error)) string {
	parent := filepath.Dir(path)
	for parent != "/" {
		if _, err := stat(parent); err == nil {
			return parent
		}
		parent = filepath.Dir(parent)
	}
	return parent
}
