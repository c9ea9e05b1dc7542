package spawner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// wish is a version of an interpreter that an application asks for.
type wish struct {
	// text is the version as it was written.
	text string
	// file is the file that has it, relative to the application's directory, or a variable of the environment.
	file string
	// line is zero where the place is not a line.
	line int
	// weak means that another version is worth a warning only.
	weak bool
	// manager is the one whose file it is; empty means any.
	manager string
}

// place returns where the wish was written, for people.
func (w *wish) place() string {
	if w.line == 0 {
		return w.file
	}

	return fmt.Sprintf("%s (line %d)", w.file, w.line)
}

// versionFile is a file that may ask for a version. read returns nil where the file has none for the language, and an
// error where it cannot be understood.
type versionFile struct {
	name string
	read func(d *directory, name string, l *language) (*wish, error)
}

// maxVersionFile is how long a file may be that has nothing but versions.
const maxVersionFile = 16 << 10

var errVersionFile = errors.New("it has no version: write one into it, as 3.3.0, or remove the file")

// readVersions returns the lines of a file that has nothing but versions; nil means that there is no such file.
func (d *directory) readVersions(name string) ([]string, error) {
	// One that is no regular file must not hold the start up.
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	defer f.Close()

	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(ownfile.ErrNotRegular, err)
	}

	text, err := io.ReadAll(io.LimitReader(f, maxVersionFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxVersionFile:
		return nil, fmt.Errorf("it has more than %d bytes, and should have a version", maxVersionFile)
	case strings.ContainsRune(string(text), 0):
		return nil, errors.New("it is no text, and should have a version")
	}

	return strings.Split(string(text), "\n"), nil
}

// withoutComment returns a line without a comment and the white space around.
func withoutComment(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
}

// readPlainVersion reads a file that has a version and nothing else, as rbenv, pyenv and nvm know it. pyenv's may have
// several, of which the first one counts.
func readPlainVersion(d *directory, name string, _ *language) (*wish, error) {
	lines, err := d.readVersions(name)
	if lines == nil || err != nil {
		return nil, err
	}

	var found *wish
	for i, line := range lines {
		text := withoutComment(line)
		switch {
		case text == "":
		case found != nil && name != ".python-version":
			return nil, fmt.Errorf("the lines %d and %d have a version each: leave one of them", found.line, i+1)
		case found == nil:
			found = &wish{text: text, file: name, line: i + 1}
			if name == ".python-version" && severalVersions().MatchString(text) {
				found.text = strings.Fields(text)[0]
			}
		}
	}

	if found == nil {
		return nil, errVersionFile
	}

	if err := found.check(); err != nil {
		return nil, err
	}

	return found, nil
}

// toolVersions is the file of asdf.
const toolVersions = ".tool-versions"

// readToolVersions reads the file of asdf, which mise knows as well: lines of a tool and its versions.
func readToolVersions(d *directory, name string, l *language) (*wish, error) {
	lines, err := d.readVersions(name)
	for i, line := range lines {
		words := strings.Fields(withoutComment(line))
		if len(words) == 0 || !l.isCalled(words[0]) {
			continue
		}

		if len(words) == 1 {
			return nil, fmt.Errorf("line %d has no version of %s: write one behind it", i+1, words[0])
		}

		w := &wish{
			text: words[1],
			file: name,
			line: i + 1,
		}

		return w, w.check()
	}

	return nil, err
}

// readMiseVersion reads the table tools of a file of mise.
func readMiseVersion(d *directory, name string, l *language) (*wish, error) {
	var table []string

	lines, err := d.readVersions(name)
	for i, line := range lines {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if strings.HasPrefix(line, "[") {
			table = tomlKey(withoutComment(line))
			continue
		}

		key, value, ok := strings.Cut(line, "=")
		path := slices.Concat(table, tomlKey(key))
		if len(path) == 3 && path[2] == "version" {
			path = path[:2]
		}

		if !ok || len(path) != 2 || path[0] != "tools" || !l.isCalled(strings.TrimPrefix(path[1], "core:")) {
			continue
		}

		for next := i + 1; next < len(lines) && isOpenList(value); next++ {
			value += " " + withoutComment(lines[next])
		}

		// A text, the first of a list, or the version of a table.
		match := miseVersion().FindStringSubmatch(value)
		if match == nil {
			return nil, fmt.Errorf("line %d has no version of %s: write it as %[2]s = \"3.3.0\"", i+1, l.name)
		}

		w := &wish{
			text:    match[1] + match[2],
			file:    name,
			line:    i + 1,
			manager: "mise",
		}

		return w, w.check()
	}

	return nil, err
}

var (
	miseVersion = lazy(`^\s*(?:\[\s*|\{(?:.*,)?\s*version\s*=\s*)?(?:"([^"]*)"|'([^']*)')`)
	tomlName    = lazy(`"([^"]*)"|'([^']*)'|([\w-]+)`)
)

// tomlKey returns the names that a key of TOML, or the head of a table, has between its dots.
func tomlKey(text string) (names []string) {
	for _, match := range tomlName().FindAllStringSubmatch(text, -1) {
		names = append(names, match[1]+match[2]+match[3])
	}

	return names
}

// isOpenList reports whether a list has begun, and its first text is still to come.
func isOpenList(value string) bool {
	value = strings.TrimSpace(value)
	return strings.HasPrefix(value, "[") && !strings.ContainsAny(value, "\"']")
}

// readRuntime reads runtime.txt of Heroku.
func readRuntime(d *directory, name string, l *language) (*wish, error) {
	lines := strings.Split(d.read(name), "\n")

	text, ok := strings.CutPrefix(strings.TrimSpace(lines[0]), l.name+"-")
	if !ok {
		return nil, nil
	}

	w := &wish{
		text: text,
		file: name,
		line: 1,
	}

	return w, w.check()
}

var (
	gemfileRuby = lazy(`^\s*ruby[\s(]+(.*)$`)
	// Where there is more, as an engine or something to be computed, it is not for us.
	gemfileVersions = lazy(`^(?:\[?\s*(?:"[^"#]+"|'[^']+')\s*\]?\s*,?\s*)+\)?\s*(?:#.*|,?\s*:?patchlevel\b.*)?$`)
	gemfileVersion  = lazy(`"([^"#]+)"|'([^']+)'`)
)

// readGemfile reads the line ruby of a Gemfile. One that names a file is left to that file.
func readGemfile(d *directory, name string, _ *language) (*wish, error) {
	for i, line := range strings.Split(d.read(name), "\n") {
		match := gemfileRuby().FindStringSubmatch(line)
		if match == nil {
			continue
		}

		if !gemfileVersions().MatchString(match[1]) {
			return nil, nil
		}

		code, _, _ := strings.Cut(match[1], "patchlevel")
		code, _, _ = strings.Cut(code, "#")

		var versions []string
		for _, quoted := range gemfileVersion().FindAllStringSubmatch(code, -1) {
			versions = append(versions, quoted[1]+quoted[2])
		}

		w := &wish{
			text: strings.Join(versions, ", "),
			file: name,
			line: i + 1,
		}

		return w, w.check()
	}

	return nil, nil
}

// readEngines reads what a package.json says of Node.js.
func readEngines(d *directory, name string, _ *language) (*wish, error) {
	var engines struct {
		Node string `json:"node"`
	}

	p := d.readPackage()
	if p == nil || len(p.Engines) == 0 {
		return nil, nil
	}

	// npm does not mind what is wrong with it either.
	_ = json.Unmarshal(p.Engines, &engines)
	if engines.Node == "" {
		return nil, nil
	}

	w := &wish{
		text: strings.TrimSpace(engines.Node),
		file: name,
		weak: true,
	}

	if err := w.check(); err != nil {
		return nil, nil //nolint:nilerr // npm does not mind either
	}

	return w, nil
}

var (
	versionName = lazy(`^(?:latest:|prefix:|ref:)?[A-Za-z0-9][A-Za-z0-9._+@-]{0,99}$|` +
		`^lts/(?:\*|-\d{1,2}|[A-Za-z]{1,30})$`)
	// pyenvEnvironment is a virtual environment of pyenv, below the version that it is made of.
	pyenvEnvironment = lazy(`^([A-Za-z0-9][A-Za-z0-9._-]{0,99})/envs/([A-Za-z0-9_][A-Za-z0-9._+-]{0,99})$`)
	// severalVersions are those that pyenv takes from one line.
	severalVersions = lazy(`^(?:[\w./+-]*\d[\w./+-]*|system)(?:\s+(?:[\w./+-]*\d[\w./+-]*|system))+$`)
	versionPath     = lazy(`^path:~?/[^\x00-\x1f]{0,1000}$`)
)

// check makes sure that the text may be a version, or the name of one, which can be the name of a directory.
func (w *wish) check() error {
	isName := versionName().MatchString(w.text) ||
		w.file == ".python-version" && pyenvEnvironment().MatchString(w.text) ||
		(w.file == toolVersions || w.manager == "mise") && versionPath().MatchString(w.text)
	// The name becomes part of a path.
	if isName && !strings.Contains(w.text, "..") {
		return nil
	}

	if _, ok := parseRange(w.text); ok && w.text != "" {
		return nil
	}

	where := ""
	if w.line > 0 {
		where = fmt.Sprintf(" in line %d", w.line)
	}

	return fmt.Errorf("%q%s is no version: write one, as 3.3.0, or remove it", shorten(w.text), where)
}

// wish returns the version that an application asks for; nil means any. Its errors are faults.
func (r *resolver) wish(l *language) (*wish, error) {
	for _, name := range l.variables {
		// pyenv allows for several.
		text, _, _ := strings.Cut(r.variable(name), ":")
		if w := (&wish{text: text, file: name}); text != "" && w.check() == nil {
			return w, nil
		}
	}

	// What may not be looked into has no version for this user either.
	root, err := os.OpenRoot(r.app.Root)
	if err != nil {
		return nil, nil
	}
	defer root.Close()

	d := &directory{root: root, name: r.app.Root}
	for _, file := range l.files {
		w, err := file.read(d, file.name, l)
		if err != nil {
			return nil, &fault{
				problem:  versionUnclear,
				subject:  filepath.Join(r.app.Root, file.name),
				err:      err,
				language: l,
			}
		}

		if w != nil {
			return w, nil
		}
	}

	return nil, nil
}
