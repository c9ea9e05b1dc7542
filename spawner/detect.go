package spawner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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

// ErrNoApp means that nothing in a directory tells what application it holds.
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
	// The file that could not be looked at may be the one that counts most.
	case d.err != nil:
		return nil, fmt.Errorf("cannot look for an application: %w", d.err)
	case len(found) == 0:
		return nil, d.noApp()
	}

	// It could be something else, or be started in another way.
	if len(d.problems) > 0 {
		found[0].Because += "; " + strings.Join(d.problems, "; ")
	}

	return found, nil
}

func (d *directory) noApp() error {
	e := &noAppError{root: d.name, problems: d.problems, site: d.staticSite(d.readPackage())}
	if len(d.circles) > 0 {
		e.problems = append(e.problems, d.circles...)
		e.site = "That command is for where this server is started, and says nothing of the application"
	}

	return e
}

// noAppError is ErrNoApp with what is known of the directory.
type noAppError struct {
	root string
	// problems are the reasons why files could not be understood that may have said what there is.
	problems []string
	// site is advice for a site of files; empty means that it is none.
	site string
}

func (e *noAppError) Error() string {
	text := fmt.Sprintf("%v in %s: there is no %s, and nothing else that is known", ErrNoApp, e.root,
		strings.Join(startupFiles(), ", "))

	return strings.Join(append([]string{text}, e.problems...), "; ")
}

func (*noAppError) Unwrap() error { return ErrNoApp }

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
	// problems are the reasons why files could not be understood that would say what there is.
	problems []string
	// circles are the commands that would start the server in which the application is to run.
	circles []string
}

// serverStart is a command that starts this server, as by bundle exec passenger start.
var serverStart = lazy(`(?:^|[\s/;&|(])passenger\s+start(?:\s|$)`)

// StartsServer reports whether a command starts this server, as for the original on Heroku. As the application's, it
// would start the server in the server, without an end.
func StartsServer(command string) bool { return serverStart().MatchString(command) }

// isCircle notes where there is a command that starts this server, and reports whether this is one.
func (d *directory) isCircle(where, command string) bool {
	if !StartsServer(command) {
		return false
	}

	if text := where + " starts this server again"; !slices.Contains(d.circles, text) {
		d.circles = append(d.circles, text)
	}

	return true
}

// problem notes one, once.
func (d *directory) problem(text string) {
	if !slices.Contains(d.problems, text) {
		d.problems = append(d.problems, text)
	}
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

func detectDeno(d *directory) *Detection {
	var config struct {
		Tasks map[string]any `json:"tasks"`
	}

	file := d.first("deno.json", "deno.jsonc")
	if file == "" || !d.readJSON(file, &config) || config.Tasks["start"] == nil {
		return nil
	}

	return &Detection{
		Framework:    "Deno",
		StartCommand: []string{"deno", "task", "start"},
		Because:      file + " has a task start, which has to listen on the port in PORT",
	}
}

// bunLocks are Bun's lock file, and the one of its versions before 1.2.
var bunLocks = []string{"bun.lock", "bun.lockb"}

// bunFrameworks are those of which Bun's generators make no script start, and bunFiles where they put what serves.
var (
	bunFrameworks = []struct{ name, dependency string }{{"Hono", "hono"}, {"Elysia", "elysia"}}
	bunFiles      = []string{"src/index.ts", "src/index.tsx", "index.ts", "src/index.js", "index.js"}
)

func detectBun(d *directory) *Detection {
	p := d.readPackage()
	if p == nil || d.first(bunLocks...) == "" {
		return nil
	}

	if script := p.Scripts["start"]; script != "" && !d.isCircle(startScript, script) {
		return &Detection{
			Framework:    "Bun",
			StartCommand: []string{"bun", "run", "start"},
			Because:      "package.json has a script start, and there is Bun's lock file",
		}
	}

	file := d.first(bunFiles...)
	for _, f := range bunFrameworks {
		if p.uses(f.dependency) && file != "" {
			return &Detection{
				Framework:    f.name,
				StartCommand: []string{"bun", file},
				Because: "package.json has the dependency " + f.dependency + ", and there are Bun's lock file and " +
					file + ", which has to listen on the port in PORT",
			}
		}
	}

	return nil
}

// detectProcfile is the rule for a Procfile's line web.
func detectProcfile(d *directory) *Detection {
	// A line that is none hides no other.
	lines, err := parseProcfile(d.read(ProcfileName))
	for _, line := range lines {
		command := line.Command
		if !strings.EqualFold(line.Name, "web") || d.isCircle("the line web of "+ProcfileName, command) {
			continue
		}

		// Arguments reach loaders between tabs.
		if strings.ContainsAny(command, "\t\r") {
			if strings.ContainsAny(command, "\"'\\") {
				d.problem(fmt.Sprintf("%s:%d: the line web has a tab, or a carriage return, beside quotes: write "+
					"spaces", ProcfileName, line.Number))

				continue
			}

			command = strings.Join(strings.Fields(command), " ")
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

	if err != nil {
		d.problem(strings.ReplaceAll(err.Error(), "\n", "; "))
	}

	return nil
}
