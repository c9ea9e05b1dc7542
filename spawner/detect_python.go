package spawner

import (
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// pythonFramework is a package by which an application is recognized.
type pythonFramework struct {
	module, name, appType string
	// makes are what is called to make an application.
	makes []string
}

var pythonFrameworks = []pythonFramework{
	{"fastapi", "FastAPI", "asgi", []string{"FastAPI"}},
	{"starlette", "Starlette", "asgi", []string{"Starlette"}},
	{"quart", "Quart", "asgi", []string{"Quart"}},
	{"litestar", "Litestar", "asgi", []string{"Litestar"}},
	{"falcon.asgi", "Falcon", "asgi", []string{"falcon.asgi.App"}},
	{"channels", "Django Channels", "asgi", []string{"ProtocolTypeRouter"}},
	{"django.core.asgi", "Django", "asgi", []string{"get_asgi_application"}},
	{"django.core.wsgi", "Django", "wsgi", []string{"get_wsgi_application"}},
	{"flask", "Flask", "wsgi", []string{"Flask"}},
	{"bottle", "Bottle", "wsgi", []string{"Bottle", "default_app"}},
	{"falcon", "Falcon", "wsgi", []string{"falcon.App", "falcon.API"}},
	{"pyramid", "Pyramid", "wsgi", []string{"make_wsgi_app"}},
}

// pythonModule is what a file of Python says at its top level.
type pythonModule struct {
	imports []string
	// values are what names are set to, and imported the names that are imported.
	values   map[string]string
	imported map[string]bool
	// stars are the modules of which everything is imported.
	stars     []string
	functions map[string]pythonFunction
}

// pythonFunction is a function with its parameters, as they are written.
type pythonFunction struct {
	async      bool
	parameters []string
}

var (
	pythonFrom   = lazy(`^from\s+([\w.]+)\s+import\s+(.*)$`)
	pythonImport = lazy(`^import\s+(.*)$`)
	pythonSet    = lazy(`^\s*(\w+)\s*(?::[^=]*)?=([^=].*)$`)
	pythonDef    = lazy(`^(async\s+)?def\s+(\w+)\s*(?:\[[^(]*\]\s*)?\((.*)$`)
	pythonWord   = lazy(`\w+`)
)

// parsePython reads a file without executing it: whole statements at its top level, which begin in the first column.
func parsePython(source string) *pythonModule {
	m := &pythonModule{values: map[string]string{}, imported: map[string]bool{}, functions: map[string]pythonFunction{}}
	for _, statement := range pythonStatements(source) {
		if match := pythonFrom().FindStringSubmatch(statement); match != nil {
			m.imports = append(m.imports, match[1])
			if match[2] == "*" {
				m.stars = append(m.stars, match[1])
			}

			for _, name := range pythonWord().FindAllString(match[2], -1) {
				m.imported[name] = true
			}
		} else if match := pythonImport().FindStringSubmatch(statement); match != nil {
			for name := range strings.SplitSeq(match[1], ",") {
				name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
				m.imports = append(m.imports, name)
			}
		} else if match := pythonDef().FindStringSubmatch(statement); match != nil {
			m.functions[match[2]] = pythonFunction{async: match[1] != "", parameters: pythonParameters(match[3])}
		} else if match := pythonSet().FindStringSubmatch(statement); match != nil &&
			!slices.Contains(pythonBlocks, match[1]) {
			// Words of blocks are no names: else: app = x looks like a name with an annotation.
			m.set(match[1], match[2])
		}
	}

	return m
}

// set sets a name, and those that are set to the same value behind it.
func (m *pythonModule) set(name, value string) {
	names := []string{name}
	for match := pythonSet().FindStringSubmatch(value); match != nil; match = pythonSet().FindStringSubmatch(value) {
		names = append(names, match[1])
		value = match[2]
	}

	for _, name := range names {
		m.values[name] = strings.TrimSpace(value)
	}
}

// pythonParameters returns those that end with the bracket that closes them.
func pythonParameters(text string) []string {
	var parameters []string
	depth, from := 0, 0

	add := func(to int) {
		if p := strings.TrimSpace(text[from:to]); p != "" {
			parameters = append(parameters, p)
		}

		from = to + 1
	}

	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"', '\'':
			i += stringLength(text[i:]) - 1
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth == 0 {
				add(i)
				return parameters
			}

			depth--
		case ',':
			if depth == 0 {
				add(i)
			}
		}
	}

	return parameters
}

// isFactory reports whether a function can be called without arguments.
func (f pythonFunction) isFactory() bool {
	for _, p := range f.parameters {
		// The separators / (PEP 570) and * (PEP 3102) are no parameters, and *args and **kwargs may be empty.
		if p != "/" && !strings.HasPrefix(p, "*") && !strings.Contains(p, "=") {
			return false
		}
	}

	return true
}

// stringLength returns the length of a string of one line at the beginning of s.
func stringLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}

	return len(s)
}

// framework returns the first one that the module imports; nil means none.
func (m *pythonModule) framework() *pythonFramework {
	for i := range pythonFrameworks {
		f := &pythonFrameworks[i]
		for _, name := range m.imports {
			if name == f.module || strings.HasPrefix(name, f.module+".") {
				return f
			}
		}
	}

	return nil
}

// application returns the callable that the module has, with its framework; empty means none.
func (m *pythonModule) application() (callable, appType, framework string) {
	imported := m.framework()

	for _, name := range []string{"application", "app"} {
		if value, ok := m.values[name]; ok {
			if f := madeBy(value); f != nil {
				return name, f.appType, f.name
			}

			// It is made by a function of its own.
			if imported != nil && strings.Contains(value, "(") {
				return name, imported.appType, imported.name
			}
		}

		switch f, ok := m.functions[name]; {
		case !ok:
		// ASGI calls with scope, receive and send, WSGI (PEP 3333) with environ and start_response.
		case f.async && len(f.parameters) == 3:
			return name, "asgi", "Python, ASGI"
		case !f.async && len(f.parameters) == 2:
			return name, "wsgi", "Python, WSGI"
		}
	}

	for _, name := range []string{"create_app", "make_app"} {
		if f, ok := m.functions[name]; ok && imported != nil && f.isFactory() {
			return name + "()", imported.appType, imported.name
		}
	}

	return "", "", ""
}

// madeBy returns the framework whose application a value is; nil means none that is known.
func madeBy(value string) *pythonFramework {
	made, _, called := strings.Cut(value, "(")
	if !called {
		return nil
	}

	for i := range pythonFrameworks {
		for _, name := range pythonFrameworks[i].makes {
			if made == name || strings.HasSuffix(made, "."+name) {
				return &pythonFrameworks[i]
			}
		}
	}

	return nil
}

// detectPython is the rule for a module that has an application, by the usual names.
func detectPython(d *directory) *Detection {
	for _, file := range []string{
		"main.py", "app.py", "wsgi.py", "asgi.py", "api.py", "application.py", "hello.py", "server.py", "run.py",
		"app/main.py", "app/app.py", "app/api.py", "app/__init__.py", "src/main.py", "src/app.py", "src/api.py",
		"src/app/main.py",
	} {
		if found := d.pythonFile(file); found != nil {
			return found
		}
	}

	// A package with a factory, as in the tutorial of Flask, or with the file that tools for projects make.
	files := []string{"__init__.py", "main.py", "app.py", "wsgi.py", "asgi.py"}
	if d.has("manage.py") {
		files = files[:3] // Django makes the others, too
	}

	for _, name := range append(d.packages("."), d.packages("src")...) {
		for _, file := range files {
			if found := d.pythonFile(path.Join(name, file)); found != nil {
				return found
			}
		}
	}

	// A directory is a package without __init__.py, too, if what is in it says so.
	for _, name := range d.list(".") {
		for _, file := range []string{"main.py", "app.py", "api.py"} {
			file = path.Join(name, file)
			if !pythonName().MatchString(name) || !d.has(file) || !parsePython(d.read(file)).isPartOf(name) {
				continue
			}

			if found := d.pythonFile(file); found != nil {
				return found
			}
		}
	}

	return nil
}

// isPartOf reports whether a module imports something of the package, which it is in.
func (m *pythonModule) isPartOf(name string) bool {
	return slices.ContainsFunc(m.imports, func(imported string) bool {
		return imported == name || strings.HasPrefix(imported, name+".") || strings.HasPrefix(imported, ".")
	})
}

// pythonFile returns nil for a file without an application.
func (d *directory) pythonFile(file string) *Detection {
	source := d.read(file)
	if source == "" {
		return nil
	}

	m := parsePython(source)
	callable, appType, framework := m.application()
	if base := path.Base(file); callable == "" && (base == "wsgi.py" || base == "asgi.py") {
		// They import it, or what makes it.
		for _, name := range []string{"application", "app"} {
			if m.imported[name] || strings.Contains(m.values[name], "(") {
				callable, appType = name, strings.TrimSuffix(base, ".py")
				framework = "Python, " + strings.ToUpper(appType)

				break
			}
		}
	}

	if callable == "" {
		return nil
	}

	return &Detection{
		Framework:   framework,
		Type:        appType,
		StartupFile: d.moduleName(file) + ":" + callable,
		Because:     file + " has " + callable,
	}
}

// moduleName returns the name by which Python imports a file below the application's directory, or below its src if
// that is no package itself.
func (d *directory) moduleName(file string) string {
	if !d.has("src/__init__.py") {
		file = strings.TrimPrefix(file, "src/")
	}

	file = strings.TrimSuffix(file, ".py")

	return strings.ReplaceAll(strings.TrimSuffix(file, "/__init__"), "/", ".")
}

// maxPackages is how many directories are looked into.
const maxPackages = 50

// packages returns the directories below dir that are packages of Python.
func (d *directory) packages(dir string) []string {
	f, err := d.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()

	// What is beyond that is no directory that people have made by hand.
	entries, _ := f.ReadDir(1000)

	var names []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() && pythonName().MatchString(e.Name()) && d.has(name+"/__init__.py") && len(names) < maxPackages {
			names = append(names, name)
		}
	}

	slices.Sort(names)

	return names
}

var (
	djangoSettings    = lazy(`DJANGO_SETTINGS_MODULE["'](?:\s*,|\]\s*=)\s*["']([\w.]+)["']`)
	djangoApplication = lazy(`^["']([\w.]+)\.(\w+)["']`)
)

// detectDjango is the rule for manage.py, which names the settings, which name the application.
func detectDjango(d *directory) *Detection {
	match := djangoSettings().FindStringSubmatch(d.read("manage.py"))
	if match == nil {
		return nil
	}

	settings := match[1]
	values := map[string]string{}
	d.readDjangoSettings(settings, values, map[string]bool{})

	found := &Detection{Framework: "Django", Type: "wsgi"}
	// startproject sets WSGI_APPLICATION only, so that ASGI_APPLICATION is there on purpose.
	for _, kind := range []string{"asgi", "wsgi"} {
		name := strings.ToUpper(kind) + "_APPLICATION"
		if match := djangoApplication().FindStringSubmatch(values[name]); match != nil {
			found.Type, found.StartupFile = kind, match[1]+":"+match[2]
			found.Because = "manage.py names the settings " + settings + ", and these " + name

			return found
		}
	}

	// As django-admin startproject makes it.
	parent, _, _ := strings.Cut(settings, ".")
	for _, kind := range []string{"wsgi", "asgi"} {
		if d.has(parent + "/" + kind + ".py") {
			found.Type, found.StartupFile = kind, parent+"."+kind+":application"
			found.Because = "manage.py names the settings " + settings

			return found
		}
	}

	return nil
}

// maxSettings is how many modules of settings are read.
const maxSettings = 10

// readDjangoSettings adds what a module of settings sets to values, and what is set in those from which it imports all.
// Of a package, base.py counts in any case, since its environment may decide what it imports.
func (d *directory) readDjangoSettings(module string, values map[string]string, seen map[string]bool) {
	if seen[module] || len(seen) == maxSettings {
		return
	}

	seen[module] = true
	file := strings.ReplaceAll(module, ".", "/")
	parent := path.Dir(file)

	source := d.read(file + ".py")
	if source == "" {
		parent, source = file, d.read(file+"/__init__.py")+"\n"+d.read(file+"/base.py")
	}

	m := parsePython(source)
	// The line that imports all of another module stands first, as a rule: what follows counts more.
	for name, value := range m.values {
		if _, set := values[name]; !set {
			values[name] = value
		}
	}

	for _, imported := range m.stars {
		name := strings.TrimLeft(imported, ".")
		if dots := len(imported) - len(name); dots > 0 {
			up := path.Join(parent, strings.Repeat("../", dots-1), strings.ReplaceAll(name, ".", "/"))
			name = strings.ReplaceAll(up, "/", ".")
		}

		d.readDjangoSettings(name, values, seen)
	}
}
