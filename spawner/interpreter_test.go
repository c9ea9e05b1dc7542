package spawner_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// managed are the programs of a home directory with all version managers, and of one in PATH.
var managed = []string{
	"home/.rbenv/versions/3.1.4/bin/ruby", "home/.rbenv/versions/3.2.2/bin/ruby", "home/.rbenv/versions/jruby-9.4.5.0/bin/ruby",
	"home/.rvm/rubies/ruby-3.3.0/bin/ruby", "home/.rubies/ruby-3.3.1/bin/ruby",
	"home/.pyenv/versions/3.11.7/bin/python3", "home/.pyenv/versions/3.12.1/bin/python3", "home/.pyenv/versions/shop/bin/python3",
	"home/.pyenv/versions/3.13.0rc1/bin/python3",
	"home/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3",
	"home/.nvm/versions/node/v18.20.1/bin/node", "home/.nvm/versions/node/v20.9.0/bin/node",
	"home/.local/share/fnm/node-versions/v20.11.1/installation/bin/node", "home/.nodenv/versions/16.20.2/bin/node",
	"home/.local/share/mise/installs/node/22.1.0/bin/node",
	"home/.asdf/installs/ruby/3.0.6/bin/ruby", "home/.asdf/installs/python/3.10.13/bin/python3", "home/.asdf/installs/nodejs/21.7.3/bin/node",
	"mine/versions/2.7.8/bin/ruby",
	"bin/ruby3.4", "bin/python3.9", "bin/node",
}

// makeHome makes the programs, which are in PATH by their usual names as well, and returns their directory.
func makeHome(t testing.TB) string {
	t.Helper()

	dir := t.TempDir()
	for _, file := range managed {
		path := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, boxed.WriteProgram(path, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	}

	require.NoError(t, os.Symlink("ruby3.4", filepath.Join(dir, "bin/ruby")))
	require.NoError(t, os.Symlink("python3.9", filepath.Join(dir, "bin/python3")))

	for file, content := range map[string]string{
		"include/node/node_version.h": "#define NODE_MAJOR_VERSION 19\n#define NODE_MINOR_VERSION 1\n#define NODE_PATCH_VERSION 0\n",
		"home/.nvm/alias/lts/*":       "lts/odd\n",
		"home/.nvm/alias/lts/odd":     "v18.20.1\n",
		"home/.nvm/alias/mine":        "v20.9.0\n",
		"home/.nvm/alias/bad":         "../../../bin\n",
	} {
		path := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}

	return dir
}

// versionedApp returns an application with files, of a type with its startup file, whose user has home.
func versionedApp(t testing.TB, home, appType string, files map[string]string) spawner.App {
	t.Helper()

	startup := map[string]string{"rack": "config.ru", "wsgi": "passenger_wsgi.py", "node": "app.js"}[appType]
	root := makeDirectory(t, files)
	require.NoError(t, os.WriteFile(filepath.Join(root, startup), nil, 0o600))

	env := map[string]string{"HOME": filepath.Join(home, "home"), "PATH": filepath.Join(home, "bin") + ":/bin"}
	for _, name := range []string{
		"RBENV_ROOT", "RBENV_VERSION", "PYENV_ROOT", "PYENV_VERSION", "NVM_DIR", "NODENV_ROOT", "NODENV_VERSION",
		"ASDF_DATA_DIR", "MISE_DATA_DIR", "FNM_DIR", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "rvm_path",
	} {
		env[name] = ""
	}

	return spawner.App{Root: root, Type: appType, Env: env}
}

func TestVersionFilesChooseTheInterpreter(t *testing.T) {
	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}

	for name, c := range map[string]struct {
		appType string
		files   map[string]string
		// path is below the directory with the programs.
		path, from string
	}{
		"none":                       {"rack", nil, "bin/ruby", "PATH"},
		"rbenv":                      {"rack", map[string]string{".ruby-version": "3.2.2\n"}, "home/.rbenv/versions/3.2.2/bin/ruby", "rbenv"},
		"with a prefix":              {"rack", map[string]string{".ruby-version": "ruby-3.2.2"}, "home/.rbenv/versions/3.2.2/bin/ruby", "rbenv"},
		"with a gemset":              {"rack", map[string]string{".ruby-version": "ruby-3.3.0@shop\r\n"}, "home/.rvm/rubies/ruby-3.3.0/bin/ruby", "rvm"},
		"with comments":              {"rack", map[string]string{".ruby-version": "# ours\n\n3.1 # old\n"}, "home/.rbenv/versions/3.1.4/bin/ruby", "rbenv"},
		"the newest of a part":       {"rack", map[string]string{".ruby-version": "3.3"}, "home/.rubies/ruby-3.3.1/bin/ruby", "chruby"},
		"another implementation":     {"rack", map[string]string{".ruby-version": "jruby-9.4.5.0"}, "home/.rbenv/versions/jruby-9.4.5.0/bin/ruby", "rbenv"},
		"asdf":                       {"rack", map[string]string{".tool-versions": "nodejs 18.20.1\nruby 3.0.6 system\n"}, "home/.asdf/installs/ruby/3.0.6/bin/ruby", "asdf"},
		"PATH, as far as known":      {"rack", map[string]string{".ruby-version": "3.4.7"}, "bin/ruby", "PATH"},
		"system":                     {"rack", map[string]string{".ruby-version": "system"}, "bin/ruby", "PATH"},
		"Gemfile":                    {"rack", map[string]string{"Gemfile": "source 'x'\nruby '3.2.2'\ngem 'rack'\n"}, "home/.rbenv/versions/3.2.2/bin/ruby", "rbenv"},
		"Gemfile, a range":           {"rack", map[string]string{"Gemfile": "ruby \">= 3.1\", \"< 3.2\" # ours\n"}, "home/.rbenv/versions/3.1.4/bin/ruby", "rbenv"},
		"Gemfile, pessimistic":       {"rack", map[string]string{"Gemfile": "ruby '~> 3.2.0'\n"}, "home/.rbenv/versions/3.2.2/bin/ruby", "rbenv"},
		"Gemfile that names a file":  {"rack", map[string]string{"Gemfile": "ruby file: '.ruby-version'\n", ".ruby-version": "3.1.4"}, "home/.rbenv/versions/3.1.4/bin/ruby", "rbenv"},
		"Gemfile that computes":      {"rack", map[string]string{"Gemfile": "ruby ENV.fetch('R', '3.1.4')\n"}, "bin/ruby", "PATH"},
		"Gemfile, another engine":    {"rack", map[string]string{"Gemfile": "ruby '3.1.4', engine: 'jruby', engine_version: '9.4.5.0'\n"}, "bin/ruby", "PATH"},
		"pyenv":                      {"wsgi", map[string]string{".python-version": "3.11.7\n3.12.1\n"}, "home/.pyenv/versions/3.11.7/bin/python3", "pyenv"},
		"pyenv, a named environment": {"wsgi", map[string]string{".python-version": "shop\n"}, "home/.pyenv/versions/shop/bin/python3", "pyenv"},
		"pyenv, before a release":    {"wsgi", map[string]string{".python-version": "3.13.0rc1\n"}, "home/.pyenv/versions/3.13.0rc1/bin/python3", "pyenv"},
		"uv":                         {"wsgi", map[string]string{".python-version": "3.12"}, "home/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3", "uv"},
		"runtime.txt":                {"wsgi", map[string]string{"runtime.txt": "python-3.12.1\n"}, "home/.pyenv/versions/3.12.1/bin/python3", "pyenv"},
		"runtime.txt of others":      {"wsgi", map[string]string{"runtime.txt": "15 minutes\n"}, "bin/python3", "PATH"},
		"mise, a text":               {"node", map[string]string{"mise.toml": "[env]\nnode = \"1\"\n[tools]\nnode = '22'\n"}, "home/.local/share/mise/installs/node/22.1.0/bin/node", "mise"},
		"mise, a list":               {"wsgi", map[string]string{".mise.toml": "[tools] # ours\npython = [\"3.10\", \"3.11\"]\n"}, "home/.asdf/installs/python/3.10.13/bin/python3", "asdf"},
		"mise, a table":              {"wsgi", map[string]string{"mise.toml": "[tools]\n\"python\" = {os = 'linux', version = \"3.11\"}\n"}, "home/.pyenv/versions/3.11.7/bin/python3", "pyenv"},
		"nvm":                        {"node", map[string]string{".nvmrc": "v18\n"}, "home/.nvm/versions/node/v18.20.1/bin/node", "nvm"},
		"fnm":                        {"node", map[string]string{".nvmrc": "20"}, "home/.local/share/fnm/node-versions/v20.11.1/installation/bin/node", "fnm"},
		"nodenv":                     {"node", map[string]string{".node-version": "16.20.2"}, "home/.nodenv/versions/16.20.2/bin/node", "nodenv"},
		"the newest":                 {"node", map[string]string{".nvmrc": "node"}, "home/.local/share/mise/installs/node/22.1.0/bin/node", "mise"},
		"a code name":                {"node", map[string]string{".nvmrc": "lts/iron"}, "home/.local/share/fnm/node-versions/v20.11.1/installation/bin/node", "fnm"},
		"long-term support":          {"node", map[string]string{".nvmrc": "lts/*"}, "home/.nvm/versions/node/v18.20.1/bin/node", "nvm"},
		"an alias":                   {"node", map[string]string{".nvmrc": "mine"}, "home/.nvm/versions/node/v20.9.0/bin/node", "nvm"},
		"engines that PATH has":      {"node", map[string]string{"package.json": `{"engines": {"node": ">=18"}}`}, "bin/node", "PATH"},
		"engines":                    {"node", map[string]string{"package.json": `{"engines": {"node": "^18 || ^21.1"}}`}, "home/.asdf/installs/nodejs/21.7.3/bin/node", "asdf"},
		"engines that nothing has":   {"node", map[string]string{"package.json": `{"engines": {"node": "99"}}`}, "bin/node", "PATH"},
		"engines, nonsense":          {"node", map[string]string{"package.json": `{"engines": {"node": "/bin"}}`}, "bin/node", "PATH"},
		"engines, old":               {"node", map[string]string{"package.json": `{"engines": ["node >= 0.4"]}`}, "bin/node", "PATH"},
		"version files before that":  {"node", map[string]string{"package.json": `{"engines": {"node": ">=22"}}`, ".nvmrc": "18"}, "home/.nvm/versions/node/v18.20.1/bin/node", "nvm"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := spawner.Interpreters(config, versionedApp(t, home, c.appType, c.files))
			require.NoError(t, err)

			own := found[len(found)-1]
			require.Equal(t, filepath.Join(home, c.path), own.Path)
			require.Equal(t, c.from, own.From)
			require.Equal(t, name == "engines that nothing has", own.Warning != "", own.Warning)
		})
	}
}

// What is configured counts more than a file, and a virtual environment more than its Python's version.
func TestOptionsAndVirtualEnvironmentsBeatVersionFiles(t *testing.T) {
	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}

	a := versionedApp(t, home, "rack", map[string]string{".ruby-version": "9.9.9"})
	a.Ruby = "ruby"
	found, err := spawner.Interpreters(config, a)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(home, "bin/ruby"), found[0].Path)
	require.Equal(t, "the option ruby", found[0].From)

	a = versionedApp(t, home, "wsgi", map[string]string{".python-version": "9.9.9"})
	require.NoError(t, os.MkdirAll(filepath.Join(a.Root, ".venv/bin"), 0o755))
	require.NoError(t, os.Symlink("/bin/sh", filepath.Join(a.Root, ".venv/bin/python")))
	found, err = spawner.Interpreters(config, a)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(a.Root, ".venv/bin/python"), found[0].Path)

	// Variables of the managers count for the application that sets them.
	a = versionedApp(t, home, "rack", map[string]string{".ruby-version": "3.1.4"})
	a.Env["RBENV_ROOT"], a.Env["RBENV_VERSION"] = filepath.Join(home, "mine"), "2.7.8"
	found, err = spawner.Interpreters(config, a)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(home, "mine/versions/2.7.8/bin/ruby"), found[0].Path)
	require.Equal(t, "RBENV_VERSION", found[0].WantedBy)
}

// The message names the file and the line, what is there, and what to do.
func TestVersionsThatCannotBeHadAreNamed(t *testing.T) {
	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}

	for name, c := range map[string]struct {
		appType, file, content string
		want                   []string
	}{
		"missing": {
			"rack", ".ruby-version", "\n3.2.9\n",
			[]string{
				"Ruby 3.2.9, which .ruby-version (line 2) asks for, is not installed; these are: 3.1.4 (rbenv), 3.2.2 (rbenv)",
				"3.4 (" + home + "/bin/ruby)", "(rbenv install 3.2.9)", "the option ruby",
			},
		},
		"missing of asdf": {"wsgi", ".tool-versions", "python 3.99\n", []string{".tool-versions (line 1)", "(pyenv install 3.99)"}},
		"missing of mise": {"node", "mise.toml", "[tools]\nnode = \"99\"", []string{"mise.toml (line 2)", "(mise install node@99)"}},
		"missing of nvm":  {"node", ".nvmrc", "lts/unknown", []string{"(nvm install lts/unknown)"}},
		"a bad alias":     {"node", ".nvmrc", "bad", []string{"is not installed"}},
		"a range":         {"rack", "Gemfile", "ruby '>= 4.1', '< 5'", []string{"Ruby >= 4.1, < 5, which Gemfile (line 1)", "(rbenv install 4.1)"}},
		"PATH has another": {
			"wsgi", ".python-version", "3.8", []string{"Python 3.8, which", "3.9 (" + home + "/bin/python3)", "(pyenv install 3.8)"},
		},
		"empty":         {"rack", ".ruby-version", "\n\n", []string{"/.ruby-version asks for is not clear", "it has no version", "by the option ruby"}},
		"only comments": {"node", ".nvmrc", "# 20\n", []string{"it has no version"}},
		"several lines": {"node", ".nvmrc", "18\n20\n", []string{"the lines 1 and 2 have a version each"}},
		"upwards":       {"rack", ".ruby-version", "../../x", []string{`"../../x" in line 1 is no version`}},
		"dots":          {"rack", ".ruby-version", "..", []string{`".." in line 1 is no version`}},
		"a path":        {"node", ".nvmrc", "/bin", []string{`"/bin" in line 1 is no version`}},
		"up by an alias": {
			"node", ".nvmrc", "lts/..", []string{`"lts/.." in line 1 is no version`},
		},
		"binary":      {"wsgi", ".python-version", "\x7fELF\x00\x01", []string{"it is no text"}},
		"1 MB":        {"wsgi", ".python-version", strings.Repeat("3", 1<<20), []string{"it has more than"}},
		"a sentence":  {"wsgi", ".python-version", "the newest one", []string{`"the newest one" in line 1 is no version`}},
		"no version":  {"rack", ".tool-versions", "ruby\n", []string{"line 1 has no version of ruby"}},
		"mise, wrong": {"rack", "mise.toml", "[tools]\nruby = 3.3\n", []string{`line 2 has no version of ruby: write it as ruby = "3.3.0"`}},
		"a shell":     {"rack", ".ruby-version", "$(reboot)", []string{"is no version"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := spawner.Check(config, versionedApp(t, home, c.appType, map[string]string{c.file: c.content}))
			e, ok := errors.AsType[*spawner.SpawnError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, spawner.CategoryFileSystem, e.Category)

			for _, part := range c.want {
				require.Contains(t, e.Summary+" "+e.Advice, part)
			}
		})
	}
}

// Where there is no version manager, as in a container, another version of the same series does, with a warning.
func TestInterpreterOfTheSameSeriesDoesWithoutAVersionManager(t *testing.T) {
	home := t.TempDir()
	for file, content := range map[string]string{
		"bin/node":                    "#!/bin/sh\n",
		"include/node/node_version.h": "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 9\n#define NODE_PATCH_VERSION 1\n",
	} {
		path := filepath.Join(home, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, boxed.WriteProgram(path, []byte(content), 0o755))
	}

	config := &spawner.Config{Users: spawner.SameUser}
	for wanted, warning := range map[string]string{
		"20.9.1": "",
		"20":     "",
		"20.8.0": "its version is 20.9.1, and .nvmrc (line 1) asks for 20.8.0",
		"20.11":  "its version is 20.9.1, and .nvmrc (line 1) asks for 20.11",
	} {
		app := versionedApp(t, home, "node", map[string]string{".nvmrc": wanted})
		found, err := spawner.Interpreters(config, app)
		require.NoError(t, err, wanted)
		require.Equal(t, filepath.Join(home, "bin/node"), found[0].Path)
		require.Equal(t, warning, found[0].Warning, wanted)
	}

	require.ErrorContains(t, spawner.Check(config, versionedApp(t, home, "node", map[string]string{".nvmrc": "22"})),
		"Node.js 22, which .nvmrc (line 1) asks for, is not installed")
}

// Whoever looks may have more rights than the user who has made the file.
func TestVersionFilesThatAreNoFilesAreRefusedAtOnce(t *testing.T) {
	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}

	for name, put := range map[string]func(path string) error{
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"link out":  func(path string) error { return os.Symlink("/etc/hostname", path) },
		"loop":      func(path string) error { return os.Symlink(filepath.Base(path), path) },
	} {
		t.Run(name, func(t *testing.T) {
			a := versionedApp(t, home, "rack", nil)
			require.NoError(t, put(filepath.Join(a.Root, ".ruby-version")))
			err := spawner.Check(config, a)
			e, ok := errors.AsType[*spawner.SpawnError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, e.Summary, ".ruby-version asks for is not clear")
		})
	}

	// Nor does what has the place of a manager's directory hold the start up.
	a := versionedApp(t, home, "rack", map[string]string{".ruby-version": "3.2.2"})
	a.Env["RBENV_ROOT"] = t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(a.Env["RBENV_ROOT"], "versions"), 0o600))
	require.ErrorContains(t, spawner.Check(config, a), "is not installed")
}

// As root, what other users can write to is not executed.
func TestInterpretersThatOthersMayReplaceAreRefused(t *testing.T) {
	interpreters.Root(t, "which checks what it executes")

	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}
	a := versionedApp(t, home, "rack", map[string]string{".ruby-version": "3.2.2"})
	require.NoError(t, os.Chmod(filepath.Join(home, "home/.rbenv/versions"), 0o777))

	err := spawner.Check(config, a)
	e, ok := errors.AsType[*spawner.SpawnError](err)
	require.True(t, ok, "%v", err)
	require.Contains(t, e.Summary, "3.2.2/bin/ruby, for which .ruby-version (line 1) asks, is not executed")

	require.NoError(t, os.Chmod(filepath.Join(home, "home/.rbenv/versions"), 0o755))
	require.NoError(t, os.Chown(filepath.Join(home, "home/.rbenv/versions/3.2.2/bin/ruby"), 65534, 65534))
	require.ErrorContains(t, spawner.Check(config, a), "belongs to another user")
}

// A user's application does not get the versions that the operator's shell has.
func TestVersionsAreThoseOfTheApplicationsUser(t *testing.T) {
	interpreters.Root(t, "to become another user")

	home := makeHome(t)
	require.NoError(t, os.Chmod(filepath.Dir(home), 0o755))
	config := &spawner.Config{}
	a := versionedApp(t, home, "rack", map[string]string{".ruby-version": "2.7.8"})
	a.User = spawner.DefaultUser
	require.NoError(t, os.Chmod(filepath.Dir(a.Root), 0o755))
	t.Setenv("RBENV_ROOT", filepath.Join(home, "mine"))
	t.Setenv("HOME", filepath.Join(home, "home"))

	delete(a.Env, "RBENV_ROOT")
	delete(a.Env, "HOME")
	require.ErrorContains(t, spawner.Check(config, a), "is not installed; these are: 3.4 ("+home+"/bin/ruby)")

	a.Env["RBENV_ROOT"] = filepath.Join(home, "mine")
	require.NoError(t, spawner.Check(config, a))

	// What another user owns may be replaced by that user.
	require.NoError(t, os.Chown(filepath.Join(home, "mine/versions"), 1, 1))
	require.ErrorContains(t, spawner.Check(config, a), "is not executed")
}

// The stand-ins of version managers find out the version at each start, by several shells.
func TestStandInsOfVersionManagersAreReplacedByWhatTheyExecute(t *testing.T) {
	home := makeHome(t)
	config := &spawner.Config{Users: spawner.SameUser}
	pyenv := filepath.Join(home, "home/.pyenv")
	shim := filepath.Join(pyenv, "shims/python3")
	require.NoError(t, os.Mkdir(filepath.Dir(shim), 0o755))
	require.NoError(t, os.WriteFile(shim, []byte("#!/bin/sh\n"), 0o755))

	for name, c := range map[string]struct {
		global  string
		prepare func(*spawner.App)
		want    string
	}{
		"global":             {"3.11.7\n", nil, "versions/3.11.7/bin/python3"},
		"several":            {"2.7.18\n3.12.1\n", nil, "versions/3.12.1/bin/python3"},
		"system":             {"system\n", nil, "shims/python3"},
		"missing":            {"3.1.1\n", nil, "shims/python3"},
		"nonsense":           {"../../bin\n", nil, "shims/python3"},
		"none":               {"", nil, "shims/python3"},
		"a file above":       {"3.11.7\n", func(a *spawner.App) { a.Root = filepath.Join(a.Root, "sub") }, "shims/python3"},
		"a plug-in is asked": {"3.11.7\n", nil, "shims/python3"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(filepath.Join(pyenv, "version"), []byte(c.global), 0o600))
			a := versionedApp(t, home, "wsgi", map[string]string{"sub/passenger_wsgi.py": ""})
			a.Env["PATH"] = filepath.Dir(shim)
			if c.prepare != nil {
				require.NoError(t, os.WriteFile(filepath.Join(a.Root, ".python-version"), []byte("3.12.1"), 0o600))
				c.prepare(&a)
			}

			if name == "a plug-in is asked" {
				hook := filepath.Join(pyenv, "plugins/vars/etc/pyenv.d/exec/vars.bash")
				require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
				require.NoError(t, os.WriteFile(hook, nil, 0o600))
				t.Cleanup(func() { require.NoError(t, os.RemoveAll(filepath.Join(pyenv, "plugins"))) })
			}

			found, err := spawner.Interpreters(config, a)
			require.NoError(t, err)
			require.Equal(t, filepath.Join(pyenv, c.want), found[0].Path)
		})
	}
}

// The application runs with the version of its file, and so does what it starts. That it is a link to the real program
// is as good as a copy.
func TestApplicationsRunWithTheVersionOfTheirFile(t *testing.T) {
	node := interpreters.Find(t, "node", "node")
	f := newFixture(t)
	home := makeHome(t)
	bin := filepath.Join(home, "home/.nvm/versions/node/v20.9.0/bin")
	require.NoError(t, os.Remove(filepath.Join(bin, "node")))
	require.NoError(t, os.Symlink(node, filepath.Join(bin, "node")))

	const code = `require("http")
	.createServer((q, s) => s.end(process.argv0 + " " + process.env.PATH))
	.listen(process.env.PORT)`
	a := versionedApp(t, home, "node", map[string]string{".nvmrc": "v20.9", ".ruby-version": "3.2.2"})
	a.StartTimeout = patience
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "app.js"), []byte(code), 0o600))
	ruby := filepath.Join(home, "home/.rbenv/versions/3.2.2/bin")

	body, err := get(t, f.start(t, a), "/")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(bin, "node")+" "+bin+":"+ruby+":"+a.Env["PATH"], body)
	require.Len(t, f.log.lines("has the version that the application asks for", bin, ".nvmrc"), 1)

	// A program by a start command finds it.
	a.Type, a.StartCommand = "", []string{"node", "app.js"}
	body, err = get(t, f.start(t, a), "/")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(body, bin+":"+ruby+":"+a.Env["PATH"]), body)

	require.NoError(t, os.WriteFile(filepath.Join(a.Root, ".nvmrc"), []byte("99\n"), 0o600))
	require.Contains(t, f.fail(t, a).Summary, "Node.js 99, which .nvmrc (line 1) asks for, is not installed")

	// One that does not begin with the interpreter need not need it.
	a.StartCommand = []string{"/bin/sh", "-c", "cd / && exec " + node + " " + filepath.Join(a.Root, "app.js")}
	body, err = get(t, f.start(t, a), "/")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(body, " "+ruby+":"+a.Env["PATH"]), body)
}
