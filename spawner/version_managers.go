package spawner

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// language is one whose interpreter applications may choose by a file.
type language struct {
	// name and otherName are what tools call it, and title what people do.
	name, otherName, title string
	// series is how many parts of a version are the same among those that an application can change between.
	series int
	// program is the interpreter's, and option the one of the configuration that names another.
	program, option string
	// tools are programs of the language that a start command may begin with.
	tools []string
	// variables have a version, too, and files are looked into in this order.
	variables []string
	files     []versionFile
	managers  []manager
}

// manager is a program that has several versions of an interpreter in a directory.
type manager struct {
	name string
	// variable may have the directory; otherwise it is any of dirs, in which $HOME and $DATA are the user's.
	variable string
	dirs     []string
	// versions is the directory of the versions below, and bin that of the programs below a version.
	versions, bin string
	// install is the command that installs a version, which follows.
	install string
}

// The tables of languages.
var (
	rubyLanguage = &language{
		name:      "ruby",
		title:     "Ruby",
		series:    2,
		program:   DefaultRuby,
		option:    "ruby",
		tools:     []string{"ruby", "bundle", "bin/rails", "rails", "rake", "rackup", "puma", "gem"},
		variables: []string{"RBENV_VERSION"},
		files: []versionFile{
			{".ruby-version", readPlainVersion},
			{toolVersions, readToolVersions},
			{"mise.toml", readMiseVersion},
			{".mise.toml", readMiseVersion},
			{"Gemfile", readGemfile},
		},
		managers: []manager{
			{"rbenv", "RBENV_ROOT", []string{"$HOME/.rbenv"}, "versions", "bin", "rbenv install "},
			{"rvm", "rvm_path", []string{"$HOME/.rvm", "/usr/local/rvm"}, "rubies", "bin", "rvm install "},
			{"chruby", "", []string{"$HOME/.rubies", "/opt/rubies"}, "", "bin", "ruby-install ruby "},
			{"asdf", "ASDF_DATA_DIR", []string{"$HOME/.asdf"}, "installs/ruby", "bin", "asdf install ruby "},
			{"mise", "MISE_DATA_DIR", []string{"$DATA/mise"}, "installs/ruby", "bin", "mise install ruby@"},
		},
	}
	pythonLanguage = &language{
		name:    "python",
		title:   "Python",
		series:  2,
		program: DefaultPython,
		option:  "python",
		tools: []string{
			"python", "python3", "pip", "gunicorn", "uvicorn", "hypercorn", "granian", "flask", "waitress-serve",
		},
		variables: []string{"PYENV_VERSION"},
		files: []versionFile{
			{".python-version", readPlainVersion},
			{toolVersions, readToolVersions},
			{"mise.toml", readMiseVersion},
			{".mise.toml", readMiseVersion},
			{"runtime.txt", readRuntime},
		},
		managers: []manager{
			{"pyenv", "PYENV_ROOT", []string{"$HOME/.pyenv"}, "versions", "bin", "pyenv install "},
			{"asdf", "ASDF_DATA_DIR", []string{"$HOME/.asdf"}, "installs/python", "bin", "asdf install python "},
			{"mise", "MISE_DATA_DIR", []string{"$DATA/mise"}, "installs/python", "bin", "mise install python@"},
			{"uv", "UV_PYTHON_INSTALL_DIR", []string{"$DATA/uv/python"}, "", "bin", "uv python install "},
		},
	}
	nodeLanguage = &language{
		name:      "node",
		otherName: "nodejs",
		title:     "Node.js",
		series:    1,
		program:   DefaultNodeJS,
		option:    "nodejs",
		tools:     []string{"node", "npm", "npx", "yarn", "pnpm"},
		variables: []string{"NODENV_VERSION"},
		files: []versionFile{
			{".nvmrc", readPlainVersion},
			{".node-version", readPlainVersion},
			{toolVersions, readToolVersions},
			{"mise.toml", readMiseVersion},
			{".mise.toml", readMiseVersion},
			{"package.json", readEngines},
		},
		managers: []manager{
			{"nvm", "NVM_DIR", []string{"$HOME/.nvm"}, "versions/node", "bin", "nvm install "},
			{
				"fnm", "FNM_DIR",
				[]string{"$DATA/fnm", "$HOME/.fnm"},
				"node-versions", "installation/bin",
				"fnm install ",
			},
			{"nodenv", "NODENV_ROOT", []string{"$HOME/.nodenv"}, "versions", "bin", "nodenv install "},
			{"asdf", "ASDF_DATA_DIR", []string{"$HOME/.asdf"}, "installs/nodejs", "bin", "asdf install nodejs "},
			{"mise", "MISE_DATA_DIR", []string{"$DATA/mise"}, "installs/node", "bin", "mise install node@"},
		},
	}

	allLanguages = []*language{rubyLanguage, pythonLanguage, nodeLanguage}
)

func (l *language) isCalled(name string) bool {
	return name == l.name || name == l.otherName && name != ""
}

// variable returns what a variable of the environment is for the application.
func (r *resolver) variable(name string) string {
	for _, vars := range []map[string]string{r.app.Env, r.envFiles} {
		if value, ok := vars[name]; ok {
			return value
		}
	}

	// Variables of this program are not those of another user.
	if r.switched {
		return ""
	}

	return os.Getenv(name)
}

// directories returns where a manager has its files, as the application's user knows it.
func (r *resolver) directories(m *manager) []string {
	if dir := r.variable(m.variable); m.variable != "" && filepath.IsAbs(dir) {
		return []string{dir}
	}

	home := cmp.Or(r.variable("HOME"), r.home)
	data := cmp.Or(r.variable("XDG_DATA_HOME"), filepath.Join(home, ".local/share"))

	var dirs []string
	for _, dir := range m.dirs {
		dir = strings.Replace(strings.Replace(dir, "$HOME", home, 1), "$DATA", data, 1)
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}

	return dirs
}

// installed is a version that a manager has.
type installed struct {
	manager *manager
	// name is that of its directory, and bin has its programs.
	name, bin string
	version   knownVersion
	// release is false for what is no whole version, or comes before one.
	release bool
}

// maxInstalled is how many versions of a manager are looked at.
const maxInstalled = 1000

// installed returns the versions that the managers of a language have, in the order of the managers.
func (r *resolver) installed(l *language) []installed {
	var all []installed
	for i := range l.managers {
		m := &l.managers[i]
		for _, dir := range r.directories(m) {
			versions := filepath.Join(dir, m.versions)
			for _, name := range directoryNames(versions) {
				one := installed{manager: m, name: name, bin: filepath.Join(versions, name, m.bin)}
				one.version, one.release = directoryVersion(name)
				if checkExecutable(filepath.Join(one.bin, l.program)) == nil {
					all = append(all, one)
				}
			}
		}
	}

	return all
}

// environments returns the virtual environments of a name that is a path below the versions of pyenv.
func (r *resolver) environments(l *language, name string) (found []installed) {
	if !pyenvEnvironment().MatchString(name) {
		return nil
	}

	for i := range l.managers {
		m := &l.managers[i]
		for _, dir := range r.directories(m) {
			bin := filepath.Join(dir, m.versions, name, m.bin)
			if checkExecutable(filepath.Join(bin, l.program)) == nil {
				found = append(found, installed{manager: m, name: name, bin: bin})
			}
		}
	}

	return found
}

func directoryNames(dir string) []string {
	// What is no directory must not hold the start up.
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0) //nolint:gosec // G304: with its user's rights
	if err != nil {
		return nil
	}
	defer f.Close()

	names, _ := f.Readdirnames(maxInstalled)
	slices.Sort(names)

	return names
}

var (
	versionDirectory = lazy(`^(?:ruby-|cpython-|v)?(\d+(?:\.\d+){0,2})(.*)$`)
	preRelease       = lazy(`^[-.]?(?:rc|a\d|b\d|alpha|beta|dev|pre|t\b|nightly|canary)`)
)

// directoryVersion returns the version that the name of a directory has, as v22.1.0, ruby-3.3.0 or
// cpython-3.12.1-linux-x86_64-gnu, and whether it is a whole release.
func directoryVersion(name string) (v knownVersion, release bool) {
	match := versionDirectory().FindStringSubmatch(name)
	if match == nil {
		return v, false
	}

	v, ok := parseVersion(match[1])

	return v, ok && v.parts == len(v.version) && !preRelease().MatchString(match[2])
}

// plainName returns the name of a version without what managers put in front of it.
func plainName(name string) string {
	for _, prefix := range []string{"ruby-", "cpython-", "python-", "v"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return rest
		}
	}

	return name
}

// codeNames are the major versions with long-term support of Node.js.
var codeNames = map[string]string{
	"argon":    "4",
	"boron":    "6",
	"carbon":   "8",
	"dubnium":  "10",
	"erbium":   "12",
	"fermium":  "14",
	"gallium":  "16",
	"hydrogen": "18",
	"iron":     "20",
	"jod":      "22",
	"krypton":  "24",
}

// wanted is a wish that was understood.
type wanted struct {
	// name is what a directory may be called, and versions are those that fit; nil means by the name only.
	name     string
	versions versionRange
	// system means the interpreter that no manager has.
	system bool
}

var (
	// rubyPatch is what comes behind the version of an old Ruby.
	rubyPatch = lazy(`^(\d+\.\d+\.\d+)-?p\d+$`)
	// pythonNumber is the version in the names that uv and others have for Python: cpython-3.11.7-linux-x86_64-gnu,
	// cpython@3.11, python3.11.
	pythonNumber = lazy(`^c?python[-@]?(\d+(?:\.\d+)*)(?:-(?:linux|macos|windows)-[\w-]+)?$`)
)

func (r *resolver) understand(l *language, w *wish) wanted {
	text := w.text
	if ref, ok := strings.CutPrefix(text, "ref:"); ok {
		// The directory in which asdf and mise build a commit has this name.
		return wanted{name: "ref-" + ref}
	}

	for _, prefix := range []string{"latest:", "prefix:"} {
		text = strings.TrimPrefix(text, prefix)
	}

	number := ""

	switch l {
	case rubyLanguage:
		text, _, _ = strings.Cut(text, "@") // a gemset of rvm
		if text == "ruby" {
			text = "latest"
		}

		number = rubyPatch().ReplaceAllString(plainName(text), "$1")
	case pythonLanguage:
		number = pythonNumber().ReplaceAllString(text, "$1")
	case nodeLanguage:
		text = r.nodeVersion(plainName(text))
	}

	text = plainName(text)

	switch text {
	case "system":
		return wanted{system: true}
	case "latest":
		return wanted{name: text, versions: versionRange{allVersions}}
	}

	versions, ok := parseRange(cmp.Or(number, text))
	if !ok {
		versions = nil
	}

	return wanted{name: text, versions: versions}
}

// nodeVersion returns the version of Node.js that an alias stands for.
func (r *resolver) nodeVersion(text string) string {
	switch text {
	case "node", "stable", "current", "*":
		return "latest"
	case "lts", "lts-latest", "lts/-0":
		text = "lts/*"
	}

	if back, err := strconv.Atoi(strings.TrimPrefix(text, "lts/-")); err == nil && strings.HasPrefix(text, "lts/-") {
		text = cmp.Or(olderCodeName(back), text)
	}

	const depth = 3 // lts/*, lts/jod, v22.11.0
	for range depth {
		name := strings.TrimPrefix(text, "lts/")
		if major, ok := codeNames[strings.ToLower(name)]; ok {
			return major
		}

		if _, ok := parseRange(text); ok {
			return text
		}

		next := r.nvmAlias(text)
		if next == "" {
			break
		}

		text = next
	}

	if text == "lts/*" {
		// Releases with an even number get long-term support.
		return "4 || 6 || 8 || 10 || 12 || 14 || 16 || 18 || 20 || 22 || 24 || 26 || 28"
	}

	return text
}

// olderCodeName returns the code name that came so many before the last that is known; empty means none.
func olderCodeName(back int) string {
	names := slices.SortedFunc(maps.Keys(codeNames), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(codeNames[b]), len(codeNames[a])), cmp.Compare(codeNames[b], codeNames[a]))
	})
	if back >= len(names) {
		return ""
	}

	return names[back]
}

// nvmAlias returns what nvm knows an alias as; empty means that there is none.
func (r *resolver) nvmAlias(name string) string {
	for _, dir := range r.directories(&nodeLanguage.managers[0]) {
		// Its name has passed wish.check, but for the file's own content.
		if !versionName().MatchString(name) || strings.Contains(name, "..") {
			return ""
		}

		text, err := ownfile.ReadRegular(filepath.Join(dir, "alias", name), maxVersionFile)
		if err == nil {
			return strings.TrimSpace(string(text))
		}
	}

	return ""
}

// fits reports whether a version that is there is the one that is wanted, and whether it is so by its name.
func (w *wanted) fits(one *installed) (byName, fits bool) {
	byName = one.name == w.name || plainName(one.name) == w.name

	return byName, byName || one.release && w.versions.mayHave(one.version)
}

// best returns the versions that fit, those first that have the very name, and then the newest.
func (w *wanted) best(all []installed) []installed {
	var fitting []installed
	for i := range all {
		if _, fits := w.fits(&all[i]); fits {
			fitting = append(fitting, all[i])
		}
	}

	slices.SortStableFunc(fitting, func(a, b installed) int {
		aByName, _ := w.fits(&a)
		bByName, _ := w.fits(&b)

		switch {
		case aByName && !bByName:
			return -1
		case bByName && !aByName:
			return 1
		}

		return b.version.compare(a.version.version)
	})

	return fitting
}
