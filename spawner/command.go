package spawner

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// program is what an application consists of, as it shows before it is known
// who runs it.
type program struct {
	appType AppType
	// startupFile is empty for a start command that has none.
	startupFile string
	// module and callable are those of a startup file that is given as module:callable.
	module, callable string
	// startCommand is App's, or that of what was detected.
	startCommand []string
	// detected is what the application may be; nil means that App says it.
	detected []Detection
}

// reference is the file whose owner counts.
func (p *program) reference(app *App) string {
	if p.startupFile != "" {
		return p.startupFile
	}

	return app.Root
}

// findProgram looks for what app consists of. Its errors are faults.
func findProgram(app *App) (*program, error) {
	if err := checkRoot(app.Root, os.Stat); err != nil {
		return nil, err
	}

	p := &program{startCommand: app.StartCommand}
	startupFile := app.StartupFile

	switch {
	case app.Type != "":
		// Validate has made sure of the type.
		p.appType, _ = findType(app.Type)
	case len(app.StartCommand) > 0:
	default:
		found, err := recognize(app)
		if err != nil {
			f := &fault{problem: rootUnusable, subject: app.Root, err: err}
			if errors.Is(err, ErrNoApp) {
				f.problem = noApp
			} else if e, ok := errors.AsType[*fs.PathError](err); ok &&
				filepath.Dir(e.Path) == filepath.Clean(app.Root) {
				f.problem, f.subject = startupFileUnusable, e.Path
			}

			return nil, f
		}

		p.detected = found
		p.appType, _ = findType(found[0].Type)
		p.startCommand = found[0].StartCommand
		startupFile = found[0].StartupFile
	}

	switch module, callable, ok := splitCallable(startupFile); {
	case ok && (p.appType.Name == "wsgi" || p.appType.Name == "asgi"):
		p.module, p.callable = module, callable
		p.startupFile = moduleFile(app.Root, module)
	case startupFile != "":
		p.startupFile = absolute(app.Root, startupFile)
	case p.appType.Name == meteorType:
		p.startupFile = meteorStartupFile(app.Root)
	case p.appType.Name == phpType:
		p.startupFile = phpStartupFile(app)
	case p.appType.Name != "":
		p.startupFile = filepath.Join(app.Root, p.appType.StartupFile)
	}

	return p, nil
}

// recognize finds out what an application is of which neither the type nor a start command is known: by its startup
// file, or by what is in its directory.
func recognize(app *App) ([]Detection, error) {
	if app.StartupFile != "" {
		file := app.StartupFile
		if module, _, ok := splitCallable(file); ok {
			file = moduleFile(app.Root, module)
		}

		if t, ok := typeByStartupFile(file); ok {
			// Both types of Python have files in .py.
			if t.Name == "wsgi" {
				t.Name = pythonType(absolute(app.Root, file))
			}

			return []Detection{{Type: t.Name, StartupFile: app.StartupFile}}, nil
		}
	}

	found, err := Detect(app.Root)
	// The name of the startup file, as bin/www, shows no type, but the directory does.
	if err == nil && app.StartupFile != "" {
		found[0].StartupFile = app.StartupFile
	}

	return found, err
}

// pythonCallable is a startup file that is given as Python imports it.
var pythonCallable = lazy(`^([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?)$`)

// splitCallable takes module:callable apart.
func splitCallable(startupFile string) (module, callable string, ok bool) {
	m := pythonCallable().FindStringSubmatch(startupFile)
	if m == nil {
		return "", "", false
	}

	return m[1], m[2], true
}

// moduleFile returns where a module is, or would be.
func moduleFile(root, module string) string {
	path := filepath.FromSlash(strings.ReplaceAll(module, ".", "/"))
	for _, file := range []string{path + ".py", filepath.Join(path, "__init__.py")} {
		for _, dir := range []string{root, filepath.Join(root, "src")} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return filepath.Join(dir, file)
			}
		}
	}

	return filepath.Join(root, path+".py")
}

// pythonType returns the type of a startup file of Python by what is in it.
func pythonType(file string) string {
	source, err := ownfile.ReadRegular(file, maxDetectedFile)
	if err != nil {
		return "wsgi" // the start tells what is wrong
	}

	if _, appType, _ := parsePython(string(source)).application(); appType != "" {
		return appType
	}

	return "wsgi"
}

// command is what a process is started with.
type command struct {
	*program
	// argv begins with an absolute path, or with a name that a login shell
	// looks up.
	argv []string
	// flags are those of the interpreter.
	flags []string
	// preloader is the same for the preloader; nil means that there is none.
	preloader []string
	// env is what goes with them.
	env map[string]string
	// interpreters are those that were chosen for it, its own last.
	interpreters []Interpreter
	// generic reports whether the program need not speak the handshake; it may
	// serve HTTP on a port that it is given.
	generic bool
}

func (c *command) setEnv(name, value string) {
	if c.env == nil {
		c.env = map[string]string{}
	}

	c.env[name] = value
}

// loader says how applications of a type are started.
type loader struct {
	interpreter func(*resolver, *command) (string, error)
	script      string
	preloader   string
	// smart reports whether a preloader starts its processes unless something else is said.
	smart bool
}

var loadersByType = map[string]loader{
	"rack": {
		interpreter: (*resolver).ruby,
		script:      "ruby/rack_loader.rb",
		preloader:   "ruby/rack_preloader.rb",
		smart:       true,
	},
	"wsgi": {interpreter: (*resolver).python, script: "python/wsgi_loader.py", preloader: "python/wsgi_preloader.py"},
	// The loader looks at the type.
	"asgi": {interpreter: (*resolver).python, script: "python/wsgi_loader.py", preloader: "python/wsgi_preloader.py"},
	"node": {interpreter: (*resolver).node, script: "node/node_loader.js"},
}

// languages are the directories of loaders that a program of a type may look into. One with a start command of its own
// gets all.
func languages(appType string) []string {
	if appType == phpType {
		return nil
	}

	if l, ok := loadersByType[appType]; ok {
		return []string{path.Dir(l.script)}
	}

	return []string{"node", "python", "ruby"}
}

// resolver finds out what to execute, with the rights of the application's
// user. The errors of its methods are faults.
type resolver struct {
	app       *App
	loaderDir string
	envFiles  map[string]string
	// path is the application's PATH.
	path string
	// home is the home directory of the application's user, and uid that user's ID.
	home string
	uid  int
	// byName leaves the search for programs to a login shell.
	byName bool
	// switched reports whether the process will run as another user than this program.
	switched bool
}

func newResolver(app *App, loaderDir string, envFiles map[string]string) *resolver {
	r := &resolver{
		app:       app,
		loaderDir: loaderDir,
		envFiles:  envFiles,
		path:      os.Getenv("PATH"),
	}
	for _, vars := range []map[string]string{envFiles, app.Env} {
		if path, ok := vars["PATH"]; ok {
			r.path = path
		}
	}

	return r
}

func (r *resolver) resolve(p *program) (*command, error) {
	c := &command{program: p}
	if p.appType.Name == meteorType {
		return c, r.meteor(c)
	}

	if p.appType.Name == phpType {
		return c, r.php(c)
	}

	if p.appType.Name == "" {
		return c, r.startCommand(c)
	}

	if err := checkStartupFile(p.startupFile); err != nil {
		return nil, err
	}

	l := loadersByType[p.appType.Name]
	interpreter, err := l.interpreter(r, c)
	if err != nil {
		return nil, err
	}

	c.argv = slices.Concat([]string{interpreter}, c.flags, []string{r.loaderFile(l.script)})
	// Without pidfds, a process that another one has forked looks the same as a later one with its number.
	smart := r.app.SpawnMethod == SmartSpawning || r.app.SpawnMethod == "" && l.smart
	if smart && canAdopt() && l.preloader != "" {
		c.preloader = []string{interpreter, r.loaderFile(l.preloader)}
	}

	return c, nil
}

func (r *resolver) loaderFile(name string) string {
	return filepath.Join(r.loaderDir, filepath.FromSlash(name))
}

func (r *resolver) ruby(c *command) (string, error) { return r.ownInterpreter(c, rubyLanguage) }

// node gives Node.js the flags with which package.json starts the startup file, which may be what makes it work.
func (r *resolver) node(c *command) (string, error) {
	// What may not be looked into has no flags for this user either.
	if root, err := os.OpenRoot(r.app.Root); err == nil {
		defer func() { _ = root.Close() }()

		file, _ := filepath.Rel(r.app.Root, c.startupFile) // empty, which no script starts, if it fails
		d := &directory{root: root, name: r.app.Root}
		if script := d.startScript(filepath.ToSlash(file)); script != nil {
			c.flags = script.flags
			for name, value := range script.env {
				c.setEnv(name, value)
			}
		}
	}

	return r.ownInterpreter(c, nodeLanguage)
}

func (r *resolver) ownInterpreter(c *command, l *language) (string, error) {
	r.others(c, l)
	return r.interpreter(c, l)
}

// python prefers the application's virtual environment to the Python that is
// there for all.
func (r *resolver) python(c *command) (string, error) {
	if r.app.Python != "" {
		return r.ownInterpreter(c, pythonLanguage)
	}

	for _, name := range venvNames {
		dir := filepath.Join(r.app.Root, name)
		python, err := venvPython(dir)
		if err != nil {
			return "", err
		}

		if python != "" {
			r.others(c, pythonLanguage)
			c.interpreters = append(c.interpreters,
				Interpreter{Language: pythonLanguage.name, Path: python, From: "the virtual environment " + name})

			// What else its activate script would do.
			c.setEnv("VIRTUAL_ENV", dir)
			c.setEnv("PATH", filepath.Dir(python)+string(filepath.ListSeparator)+r.path)

			return python, nil
		}
	}

	return r.ownInterpreter(c, pythonLanguage)
}

func (r *resolver) startCommand(c *command) error {
	if err := r.interpretersOf(c); err != nil {
		return err
	}

	if len(c.detected) > 0 && c.detected[0].builder != "" {
		if err := r.findBuilder(c, c.detected[0].builder); err != nil {
			return err
		}
	}

	path, err := r.lookUp(c.startCommand[0], commandMissing)
	if err != nil {
		return err
	}

	if real := r.behindShim(path); real != "" {
		path = real
		r.prependPath(c, filepath.Dir(real))
	}

	c.argv = slices.Concat([]string{path}, c.startCommand[1:])
	c.generic = true

	return nil
}

// interpretersOf lets a start command find the interpreters that the application asks for. One that it begins with has
// to be there.
func (r *resolver) interpretersOf(c *command) error {
	own := needs(c.startCommand)
	r.others(c, own)
	if own == nil || r.configured(own) != "" {
		return nil
	}

	if w, err := r.wish(own); w == nil || err != nil {
		return err
	}

	_, err := r.interpreter(c, own)

	return err
}

// The variables that tell a program where to serve, as they stand in its arguments: not
// as the beginning of another variable's name.
var inText = map[string]func() *regexp.Regexp{
	portVariable:   lazy(`\$(\{PORT\}|PORT\b)`),
	socketVariable: lazy(`\$(\{SOCKET\}|SOCKET\b)`),
}

// wantsSocket reports whether the program is to serve on a Unix socket.
func (c *command) wantsSocket() bool {
	return slices.ContainsFunc(c.argv, inText[socketVariable]().MatchString)
}

// use tells the program where to serve, by a variable and in its arguments.
func (c *command) use(variable, value string) {
	c.setEnv(variable, value)

	for i := range c.argv {
		c.argv[i] = inText[variable]().ReplaceAllLiteralString(c.argv[i], value)
	}
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
	case err != nil:
		return startupFault(path, err)
	case !info.Mode().IsRegular():
		return &fault{
			problem: startupFileUnusable,
			subject: path,
			err:     &fs.PathError{Op: "load", Path: path, Err: ownfile.ErrNotRegular},
		}
	}

	return nil
}

func startupFault(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &fault{problem: startupFileMissing, subject: path, err: err}
	}

	return &fault{problem: startupFileUnusable, subject: path, err: err}
}

// lookUp returns the absolute path of a program, sought in the application's
// PATH. Entries of PATH that are not absolute do not count.
func (r *resolver) lookUp(name string, missing problem) (string, error) {
	if strings.Contains(name, "/") {
		path := absolute(r.app.Root, name)
		if err := checkExecutable(path); err != nil {
			return "", lookUpFault(path, err, missing)
		}

		return path, nil
	}

	if r.byName && name != "" {
		return name, nil
	}

	var firstErr error
	for _, dir := range filepath.SplitList(r.path) {
		if !filepath.IsAbs(dir) || name == "" || name == "." || name == ".." {
			continue
		}

		candidate := filepath.Join(dir, name)
		err := checkExecutable(candidate)
		if err == nil {
			return candidate, nil
		}

		// As execvp(3) does: a later directory may have it, and if none has, this explains more.
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
	info, err := os.Stat(path)
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
		// It can be looked at without the right to be in it.
		if _, err := stat(root + "/."); errors.Is(err, fs.ErrPermission) {
			return &fault{problem: rootForbidden, subject: root, err: err}
		}

		return nil
	case errors.Is(err, fs.ErrPermission):
		return &fault{problem: rootForbidden, subject: offendingParent(root, stat), err: err}
	case errors.Is(err, fs.ErrNotExist):
		return &fault{problem: rootMissing, subject: withBrokenLink(root), err: err}
	}

	return &fault{problem: rootUnusable, subject: withBrokenLink(root), err: err}
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
