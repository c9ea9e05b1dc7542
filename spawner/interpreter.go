package spawner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/trustedpath"
)

// Interpreter is a program that executes an application, or that its start command may use, and why it is this one.
type Interpreter struct {
	// Language is ruby, python or node.
	Language string `json:"language"`
	Path     string `json:"path"`
	// Version is empty where it cannot be known without executing the program.
	Version string `json:"version,omitempty"`
	// From is where it was found: the name of a version manager, PATH, or what else decided.
	From string `json:"from"`
	// Wanted is the version that the application asks for, in the place WantedBy. Empty means that it asks for none.
	Wanted   string `json:"wanted,omitempty"`
	WantedBy string `json:"wantedBy,omitempty"`
	// Warning says why it may be the wrong one; empty means that nothing is known against it.
	Warning string `json:"warning,omitempty"`
}

const fromPATH = "PATH"

// interpreter finds that of the application's language. Its directory gets to the front of PATH where it was not found
// there.
func (r *resolver) interpreter(c *command, l *language) (string, error) {
	if configured := r.configured(l); configured != "" {
		path, err := r.lookUp(configured, interpreterMissing)
		c.interpreters = append(c.interpreters,
			Interpreter{Language: l.name, Path: path, From: "the option " + l.option})

		return path, err
	}

	w, err := r.wish(l)
	if err != nil {
		return "", err
	}

	found, err := r.choose(l, w)
	if err != nil {
		return "", err
	}

	if w != nil {
		found.Wanted, found.WantedBy = w.text, w.place()
	}

	c.interpreters = append(c.interpreters, *found)
	if found.From != fromPATH {
		r.prependPath(c, filepath.Dir(found.Path))
	}

	return found.Path, nil
}

// others puts the interpreters of other languages that the application asks for into its PATH, such as Node.js for
// Rails. They are for what it starts, and those that are not there are its own concern.
func (r *resolver) others(c *command, own *language) {
	for _, l := range allLanguages {
		if l == own || r.byName || r.configured(l) != "" {
			continue
		}

		if w, err := r.wish(l); err != nil || w == nil || w.weak {
			continue
		}

		quiet := &command{}
		if _, err := r.interpreter(quiet, l); err == nil && len(quiet.env) > 0 {
			c.setEnv("PATH", r.path)
			c.interpreters = append(c.interpreters, quiet.interpreters...)
		}
	}
}

// configured returns the option that names the interpreter of a language.
func (r *resolver) configured(l *language) string {
	switch l {
	case rubyLanguage:
		return r.app.Ruby
	case pythonLanguage:
		return r.app.Python
	}

	return r.app.NodeJS
}

// prependPath gives the application's programs a directory to look into first. A login shell has a PATH of its own.
func (r *resolver) prependPath(c *command, dir string) {
	if !r.byName {
		r.path = dir + string(filepath.ListSeparator) + r.path
		c.setEnv("PATH", r.path)
	}
}

// choose returns the interpreter for a wish, which may be nil. Version managers come before PATH, but where another
// version would do as well.
func (r *resolver) choose(l *language, w *wish) (*Interpreter, error) {
	inPath, pathErr := r.lookUp(l.program, interpreterMissing)
	if w == nil || pathErr == nil && isHooked(inPath) {
		return r.fromPath(l, inPath), pathErr
	}

	if dir, ok := strings.CutPrefix(w.text, "path:"); ok {
		return r.fromDirectory(l, w, dir)
	}

	if w.weak {
		return r.chooseWeakly(l, w, inPath, pathErr)
	}

	want := r.understand(l, w)
	if !want.system {
		if found, err := r.fromManager(l, w, &want); found != nil || err != nil {
			return found, err
		}

		if r.byName {
			return r.fromPath(l, inPath), pathErr
		}
	}

	for _, dir := range filepath.SplitList(r.path) {
		path := filepath.Join(dir, l.program)
		if !filepath.IsAbs(dir) || isShim(path) || checkExecutable(path) != nil {
			continue
		}

		found := r.fromPath(l, path)
		if want.accepts(found) || r.mustDo(l, w, &want, found) {
			return found, nil
		}

		break // others would be shadowed by this one
	}

	return nil, r.notInstalled(l, w)
}

// accepts reports whether an interpreter that no manager has is the one that is wanted, as far as its version is known.
func (w *wanted) accepts(found *Interpreter) bool {
	v, known := parseVersion(found.Version)

	switch {
	case w.system, known && w.versions.mayHave(v):
		return true
	case !known && w.versions != nil:
		found.Warning = "its version is not known, and may be another one than the application asks for"
		return true
	}

	return false
}

// mustDo reports whether the interpreter in PATH does although it is another one of the same series: where no manager
// has a version of the language, as in a container, it is the only one that there can be, and its patches come by
// themselves.
func (r *resolver) mustDo(l *language, w *wish, want *wanted, found *Interpreter) bool {
	v, known := parseVersion(found.Version)
	if !known || want.system || v.parts < l.series || len(r.installed(l)) > 0 {
		return false
	}

	series := knownVersion{parts: l.series}
	copy(series.version[:l.series], v.version[:])

	if !want.versions.mayHave(series) {
		return false
	}

	found.warn(w)

	return true
}

// warn notes that the version is another one than the application asks for.
func (i *Interpreter) warn(w *wish) {
	i.Warning = fmt.Sprintf("its version is %s, and %s asks for %s", i.Version, w.place(), w.text)
}

// chooseWeakly takes another version rather than none.
func (r *resolver) chooseWeakly(l *language, w *wish, inPath string, pathErr error) (*Interpreter, error) {
	want := r.understand(l, w)
	found := r.fromPath(l, inPath)

	v, known := parseVersion(found.Version)
	if r.byName || pathErr == nil && (!known || want.versions.mayHave(v)) {
		return found, pathErr
	}

	if better, err := r.fromManager(l, w, &want); better != nil && err == nil {
		return better, nil
	}

	found.warn(w)

	return found, pathErr
}

// fromPath describes an interpreter that was found in PATH. A version manager's stand-in is replaced by what it would
// execute.
func (r *resolver) fromPath(l *language, path string) *Interpreter {
	found := &Interpreter{Language: l.name, Path: path, From: fromPATH}
	if !filepath.IsAbs(path) {
		return found // a login shell looks for it
	}

	if real := r.behindShim(path); real != "" {
		found.Path, found.From = real, "the version manager in PATH"
	}

	if v, ok := programVersion(found.Path); ok {
		found.Version = v.String()
	}

	return found
}

// fromManager returns the version of a manager that fits best; nil means that there is none.
func (r *resolver) fromManager(l *language, w *wish, want *wanted) (*Interpreter, error) {
	fitting := want.best(append(r.installed(l), r.environments(l, want.name)...))
	if len(fitting) == 0 {
		return nil, nil
	}

	best := &fitting[0]
	path := filepath.Join(best.bin, l.program)
	if err := r.checkWanted(l, w, path); err != nil {
		return nil, err
	}

	return &Interpreter{
		Language: l.name,
		Path:     path,
		Version:  plainName(best.name),
		From:     best.manager.name,
	}, nil
}

// fromDirectory returns the interpreter of a version that is given as a directory.
func (r *resolver) fromDirectory(l *language, w *wish, dir string) (*Interpreter, error) {
	if below, ok := strings.CutPrefix(dir, "~"); ok {
		dir = filepath.Join(cmp.Or(r.variable("HOME"), r.home), below)
	}

	path := filepath.Join(dir, "bin", l.program)
	if checkExecutable(path) != nil {
		return nil, r.notInstalled(l, w)
	}

	if err := r.checkWanted(l, w, path); err != nil {
		return nil, err
	}

	found := r.fromPath(l, path)
	found.From = w.file

	return found, nil
}

// checkWanted is checkTrust for an interpreter that a wish has chosen.
func (r *resolver) checkWanted(l *language, w *wish, path string) error {
	err := r.checkTrust(path)
	if err == nil {
		return nil
	}

	return &fault{
		problem:  versionUnsafe,
		subject:  path,
		err:      err,
		language: l,
		remedy:   w.place(),
	}
}

// checkTrust makes sure that no other user could replace an interpreter, where it runs as root or root chooses who runs
// it.
func (r *resolver) checkTrust(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}

	return trustedpath.CheckFile(path, r.uid)
}

// notInstalled says which versions there are, and how the one that is wanted is installed.
func (r *resolver) notInstalled(l *language, w *wish) error {
	var there []string
	for _, one := range r.installed(l) {
		if len(there) < maxShownVersions {
			there = append(there, plainName(one.name)+" ("+one.manager.name+")")
		}
	}

	if path, err := r.lookUp(l.program, interpreterMissing); err == nil && filepath.IsAbs(path) && !isShim(path) {
		there = append(there, strings.TrimSpace(r.fromPath(l, path).Version+" ("+path+")"))
	}

	err := errors.New("no other is")
	if len(there) > 0 {
		err = fmt.Errorf("these are: %s", strings.Join(there, ", "))
	}

	return &fault{
		problem:  versionMissing,
		subject:  fmt.Sprintf("%s %s, which %s asks for,", l.title, w.text, w.place()),
		err:      err,
		language: l,
		remedy:   r.installCommand(l, w),
	}
}

// maxShownVersions is how many versions a message lists.
const maxShownVersions = 10

// installCommand returns the command of the manager that is there, or of the usual one.
func (r *resolver) installCommand(l *language, w *wish) string {
	chosen := &l.managers[0]
	for i := range slices.Backward(l.managers) {
		m := &l.managers[i]
		isThere := slices.ContainsFunc(r.directories(m), func(dir string) bool {
			info, err := os.Stat(filepath.Join(dir, m.versions))
			return err == nil && info.IsDir()
		})

		if isThere && chosen.name != w.manager || m.name == w.manager {
			chosen = m
		}
	}

	if m := pyenvEnvironment().FindStringSubmatch(w.text); m != nil {
		return "pyenv virtualenv " + m[1] + " " + m[2]
	}

	version := plainName(pythonNumber().ReplaceAllString(w.text, "$1"))
	// No manager installs a range: this is where the last alternative begins, with a patch if it names one.
	if ranges, ok := parseRange(version); ok && strings.ContainsAny(version, "<>=^~|*xX ,") {
		from := ranges[len(ranges)-1].from
		version = knownVersion{version: from, parts: cmp.Or(min(from[2], 1)*3, 2)}.String()
	}

	return chosen.install + version
}

// shims is the directory of a version manager's stand-ins for programs, which find out the version at each start.
const shims = "shims"

func isShim(path string) bool { return filepath.Base(filepath.Dir(path)) == shims }

// isHooked reports whether a program is the stand-in of a version manager that has plug-ins for its start, such as
// rbenv-vars, which sets variables: only the manager itself knows what they do.
func isHooked(path string) bool {
	if !isShim(path) {
		return false
	}

	root := filepath.Dir(filepath.Dir(path))
	hooks, _ := filepath.Glob(filepath.Join(root, "plugins/*/etc/*.d/exec/*")) // the pattern is right

	return len(hooks) > 0
}

// localFiles are those by which pyenv, rbenv and nodenv choose a version for a directory and all below.
var localFiles = []string{".python-version", ".ruby-version", ".node-version"}

// behindShim returns the program that a stand-in of pyenv, rbenv or nodenv executes in a directory for which no version
// is chosen; empty means that it is not known. It saves the time of several shells at each start.
func (r *resolver) behindShim(path string) string {
	if !isShim(path) || isHooked(path) {
		return ""
	}

	for _, l := range allLanguages {
		// Such a variable counts more than the global version.
		if slices.ContainsFunc(l.variables, func(name string) bool { return r.variable(name) != "" }) {
			return ""
		}
	}

	for dir := filepath.Clean(r.app.Root); ; dir = filepath.Dir(dir) {
		for _, name := range localFiles {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				return ""
			}
		}

		if dir == filepath.Dir(dir) {
			break
		}
	}

	root := filepath.Dir(filepath.Dir(path))
	for _, name := range globalVersions(root) {
		real := filepath.Join(root, "versions", name, "bin", filepath.Base(path))
		// What the shim would execute then is behind it in PATH.
		if name == "system" {
			return ""
		}

		if checkExecutable(real) == nil && r.checkTrust(real) == nil {
			return real
		}
	}

	return ""
}

// needs returns the language whose program a start command begins with; nil means none of ours.
func needs(argv []string) *language {
	program := argv[0]
	if last := argv[len(argv)-1]; len(argv) == 3 && path.Base(program) == "sh" && argv[1] == "-c" {
		// As detectProcfile starts a line: the first word counts that is no assignment.
		program = ""
		for word := range strings.FieldsSeq(last) {
			if word != "exec" && !strings.Contains(word, "=") {
				program = word
				break
			}
		}
	}

	for _, l := range allLanguages {
		if slices.Contains(l.tools, program) {
			return l
		}
	}

	return nil
}
