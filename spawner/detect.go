package spawner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Detection is what the application in a directory was recognized as, and how it is started.
type Detection struct {
	// Framework is what people call it, such as "Django".
	Framework string `json:"framework"`
	// Type, StartupFile and StartCommand are those of App. Type is empty with a start command.
	Type         string   `json:"type,omitempty"`
	StartupFile  string   `json:"startupFile,omitempty"`
	StartCommand []string `json:"startCommand,omitempty"`
	// Because says what it was recognized by, as a clause for people.
	Because string `json:"because"`
	// builder is a program that StartCommand needs; empty means none.
	builder string
}

// ErrNoApp says that nothing in a directory tells what application it holds.
var ErrNoApp = errors.New("no application found")

// Detect returns what the application in root may be, the most certain first, which is the one that App without a Type,
// StartupFile and StartCommand stands for. It reads some files and executes none. Of links, it follows those that stay
// in root, and those of the startup files of the original.
//
// Errors: ErrNoApp, and those of looking into root.
func Detect(root string) ([]Detection, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("cannot look for an application: %w", err)
	}
	defer dir.Close()

	return detectIn(dir, root)
}

// detectIn is Detect for an open directory, which root names.
func detectIn(dir *os.Root, root string) ([]Detection, error) {
	d := &directory{root: dir, name: root}
	var found []Detection

	for _, rule := range detectionRules {
		if one := rule(d); one != nil {
			found = append(found, *one)
		}
	}

	switch {
	case d.err != nil:
		return nil, fmt.Errorf("cannot look for an application: %w", d.err)
	case len(found) == 0:
		return nil, fmt.Errorf("%w in %s: there is no %s, and nothing else that is known", ErrNoApp, root,
			strings.Join(startupFiles(), ", "))
	}

	return found, nil
}

func startupFiles() []string {
	files := make([]string, len(appTypes))
	for i, t := range appTypes {
		files[i] = t.StartupFile
	}

	return files
}

// detectionRules are in the order of their certainty. Each returns nil where it finds nothing.
var detectionRules = []func(d *directory) *Detection{
	detectRack,
	byFile("wsgi", "Python, WSGI"),
	byFile("asgi", "Python, ASGI"),
	detectDjango,
	detectNodeBuild,
	detectNodeFile,
	detectMeteor,
	detectPython,
	detectNodeMain,
	detectPHP,
	detectGo,
	detectNodeScript,
	detectDeno,
	detectBun,
	detectProcfile,
}

// directory is one that is looked into.
type directory struct {
	root *os.Root
	name string
	// err is the first error of looking for one of the original's startup files.
	err error
}

// maxDetectedFile is how much of a file is read.
const maxDetectedFile = 256 << 10

// has reports whether there is a regular file.
func (d *directory) has(name string) bool {
	info, err := d.root.Stat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular()
}

// first returns the first of the files that is there; empty means none.
func (d *directory) first(names ...string) string {
	for _, name := range names {
		if d.has(name) {
			return name
		}
	}

	return ""
}

// list returns the names in a directory, which may be a link.
func (d *directory) list(name string) []string {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()

	// What is beyond that is no directory that people have made by hand.
	names, _ := f.Readdirnames(maxListed)
	slices.Sort(names)

	return names
}

// maxListed is how many names of a directory are looked at.
const maxListed = 1000

// read returns the beginning of a regular file; empty means that it cannot be read.
func (d *directory) read(name string) string {
	// One that is no regular file must not hold the start up.
	f, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()

	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}

	text, _ := io.ReadAll(io.LimitReader(f, maxDetectedFile))

	return string(text)
}

// hasStartupFile looks for one of the original's startup files, which may be a link that leads anywhere.
func (d *directory) hasStartupFile(name string) bool {
	_, err := os.Stat(filepath.Join(d.name, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && d.err == nil {
		d.err = err
	}

	return err == nil
}

// byFile returns the rule for a type that is recognized by its startup file.
func byFile(appType, framework string) func(d *directory) *Detection {
	return func(d *directory) *Detection {
		t, _ := findType(appType)
		if !d.hasStartupFile(t.StartupFile) {
			return nil
		}

		return &Detection{
			Framework:   framework,
			Type:        t.Name,
			StartupFile: t.StartupFile,
			Because:     "there is " + t.StartupFile,
		}
	}
}

func detectRack(d *directory) *Detection {
	found := byFile("rack", "Ruby, Rack")(d)
	if found != nil && d.has("config/application.rb") {
		found.Framework, found.Because = "Ruby on Rails", "there are config.ru and config/application.rb"
	}

	return found
}

func detectMeteor(d *directory) *Detection {
	switch {
	case d.hasStartupFile(meteorMark):
		return &Detection{Framework: "Meteor", Type: meteorType, Because: "there is " + meteorMark}
	case d.has(meteorBundleMark) && d.has(meteorBundleFile):
		return &Detection{
			Framework: "Meteor, bundled",
			Type:      meteorType,
			Because:   "there are " + meteorBundleMark + " and " + meteorBundleFile,
		}
	}

	return nil
}

// packageJSON is what counts of a package.json.
type packageJSON struct {
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	// Engines is of several forms.
	Engines json.RawMessage `json:"engines"`
}

// readPackage returns nil without a package.json that can be understood.
func (d *directory) readPackage() *packageJSON {
	text := strings.TrimPrefix(d.read("package.json"), "\ufeff")
	if text == "" {
		return nil
	}

	// What is of another type than npm wants, as dependencies that PHP has written, does not spoil the rest.
	p := &packageJSON{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return nil
		}
	}

	return p
}

func (p *packageJSON) uses(name string) bool {
	if p == nil {
		return false
	}

	_, used := p.Dependencies[name]
	_, dev := p.DevDependencies[name]

	return used || dev
}

// nodeBuilds are frameworks that are started by what their build has made.
var nodeBuilds = []struct {
	framework, dependency, output string
	// file is the startup file, or else command starts it.
	file    string
	command []string
}{
	{
		framework:  "Next.js",
		dependency: "next",
		output:     ".next/BUILD_ID",
		command:    []string{"node_modules/.bin/next", "start", "-H", "127.0.0.1", "-p", "$PORT"},
	},
	{framework: "Nuxt", dependency: "nuxt", output: ".output/server/index.mjs", file: ".output/server/index.mjs"},
	{framework: "NestJS", dependency: "@nestjs/core", output: "dist/main.js", file: "dist/main.js"},
	{
		framework:  "Remix",
		dependency: "@remix-run/serve",
		output:     "build/server/index.js",
		command:    []string{"node_modules/.bin/remix-serve", "build/server/index.js"},
	},
	{framework: "Astro", dependency: "astro", output: "dist/server/entry.mjs", file: "dist/server/entry.mjs"},
}

func detectNodeBuild(d *directory) *Detection {
	p := d.readPackage()
	for _, b := range nodeBuilds {
		if !p.uses(b.dependency) || !d.has(b.output) {
			continue
		}

		found := &Detection{
			Framework: b.framework,
			Because:   "package.json has the dependency " + b.dependency + ", and there is " + b.output,
		}
		if b.file != "" {
			found.Type, found.StartupFile = "node", b.file
		} else {
			found.StartCommand = b.command
		}

		return found
	}

	return nil
}

// listening is what a file of Node.js has that serves by itself.
var listening = lazy(`\blisten\s*\(|\bcreateServer\b`)

// detectNodeFile is the rule for app.js, which is the original's startup file. The generator of Express makes one that
// does not listen: what does is bin/www.
func detectNodeFile(d *directory) *Detection {
	found := byFile("node", "Node.js")(d)
	if found == nil || listening().MatchString(d.read(found.StartupFile)) {
		return found
	}

	if file := d.startedFile(d.readPackage()); file != "" && file != found.StartupFile {
		found.StartupFile, found.Because = file, "package.json starts it"
	}

	return found
}

// nodeStart is a start script that is a file for Node.js.
var nodeStart = lazy(`^(?:\w+=\S+\s+)*node\s+(\S+)$`)

// startedFile returns the file that the script start of package.json gives to Node.js; empty means none.
func (d *directory) startedFile(p *packageJSON) string {
	if p == nil {
		return ""
	}

	m := nodeStart().FindStringSubmatch(strings.TrimSpace(p.Scripts["start"]))
	if m == nil || path.IsAbs(m[1]) {
		return ""
	}

	// Of the directory itself, Node.js loads what package.json has as main.
	if path.Clean(m[1]) == "." && p.Main != "" {
		return d.moduleFile(p.Main)
	}

	return d.moduleFile(m[1])
}

// moduleFile returns the file that Node.js loads for a path; empty means none.
func (d *directory) moduleFile(name string) string {
	name = path.Clean(name)
	if !filepath.IsLocal(name) {
		return ""
	}

	return d.first(name, name+".js", path.Join(name, "index.js"))
}

// detectNodeMain is the rule for what package.json names, and for the usual names of startup files.
func detectNodeMain(d *directory) *Detection {
	node := func(file, because string) *Detection {
		return &Detection{
			Framework:   "Node.js",
			Type:        "node",
			StartupFile: file,
			Because:     because,
		}
	}

	p := d.readPackage()
	if file := d.startedFile(p); file != "" {
		return node(file, "package.json starts it")
	}

	if p != nil && p.Main != "" {
		if file := d.moduleFile(p.Main); file != "" && listening().MatchString(d.read(file)) {
			return node(file, "it is the main file of package.json, and listens")
		}
	}

	for _, file := range []string{"server.js", "bin/www", "index.js", "main.js", "server.mjs", "index.mjs"} {
		if d.has(file) && listening().MatchString(d.read(file)) {
			return node(file, "it is there, and listens")
		}
	}

	return nil
}

func detectNodeScript(d *directory) *Detection {
	p := d.readPackage()
	if p == nil || p.Scripts["start"] == "" || d.first(bunLocks...) != "" {
		return nil
	}

	return &Detection{
		Framework:    "Node.js",
		StartCommand: []string{"npm", "start"},
		Because:      "package.json has a script start, which has to listen on the port in PORT",
	}
}

func detectDeno(d *directory) *Detection {
	var config struct {
		Tasks map[string]any `json:"tasks"`
	}
	if json.Unmarshal([]byte(d.read("deno.json")), &config) != nil || config.Tasks["start"] == nil {
		return nil
	}

	return &Detection{
		Framework:    "Deno",
		StartCommand: []string{"deno", "task", "start"},
		Because:      "deno.json has a task start, which has to listen on the port in PORT",
	}
}

// bunLocks are Bun's lock file, and the one of its versions before 1.2.
var bunLocks = []string{"bun.lock", "bun.lockb"}

func detectBun(d *directory) *Detection {
	p := d.readPackage()
	if p == nil || p.Scripts["start"] == "" || d.first(bunLocks...) == "" {
		return nil
	}

	return &Detection{
		Framework:    "Bun",
		StartCommand: []string{"bun", "run", "start"},
		Because:      "package.json has a script start, and there is Bun's lock file",
	}
}

// detectProcfile is the rule for a Procfile's line web.
func detectProcfile(d *directory) *Detection {
	lines, _ := parseProcfile(d.read(ProcfileName)) // a line that is none hides no other
	for _, line := range lines {
		command := line.Command
		if line.Name != "web" || strings.ContainsAny(command, "\t\r\x00") {
			continue
		}

		// Signals reach the program itself, where it is one alone.
		script := command
		if !strings.ContainsAny(command, ";&|<>()`{}=") {
			script = "exec " + command
		}

		return &Detection{
			Framework:    "Procfile",
			StartCommand: []string{"/bin/sh", "-c", script},
			Because:      "Procfile has the line web, which has to listen on the port in PORT",
		}
	}

	return nil
}
