package spawner_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/spawner"
)

const (
	python311 = "home/.pyenv/versions/3.11.7/bin/python3"
	python312 = "home/.pyenv/versions/3.12.1/bin/python3"
	pythonUV  = "home/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3"
	pythonEnv = "home/.pyenv/versions/3.11.7/envs/shop/bin/python3"
	pypy      = "home/.pyenv/versions/pypy3.9-7.3.11/bin/python3"
	ruby32    = "home/.rbenv/versions/3.2.2/bin/ruby"
	ruby33    = "home/.rvm/rubies/ruby-3.3.0/bin/ruby"
	ruby331   = "home/.rubies/ruby-3.3.1/bin/ruby"
	jruby     = "home/.rbenv/versions/jruby-9.4.5.0/bin/ruby"
	node18    = "home/.nvm/versions/node/v18.20.1/bin/node"
	node209   = "home/.nvm/versions/node/v20.9.0/bin/node"
	node2011  = "home/.local/share/fnm/node-versions/v20.11.1/installation/bin/node"
	node217   = "home/.asdf/installs/nodejs/21.7.3/bin/node"
	node22    = "home/.local/share/mise/installs/node/22.1.0/bin/node"
)

// versionFiles has, of each kind of file, what tools and people write, and the interpreter that is meant; what begins
// with an exclamation mark is a part of the message instead.
var versionFiles = map[string]struct {
	appType string
	texts   map[string]string
}{
	".python-version": {"wsgi", map[string]string{
		"3.11.7\n":                          python311,
		"3.11":                              python311,
		"\ufeff3.11.7\r\n":                  python311,
		"# pyenv\n\n3.11.7  # the old one":  python311,
		"3.11.7\n3.12.1\n":                  python311,
		"3.11.7 3.12.1":                     python311,
		"cpython-3.11.7-linux-x86_64-gnu":   python311,
		"cpython-3.12.4-linux-x86_64-gnu\n": pythonUV,
		"cpython@3.11":                      python311,
		"cpython3.11":                       python311,
		"python3.11":                        python311,
		"python-3.11.7":                     python311,
		">=3.11, <3.12":                     python311,
		">=3.11,<3.12":                      python311,
		"~=3.11.0":                          python311,
		"==3.11.*":                          python311,
		"3.11.7/envs/shop":                  pythonEnv,
		"pypy3.9-7.3.11":                    pypy,
		"shop":                              "home/.pyenv/versions/shop/bin/python3",
		"system":                            "bin/python3",
		"system\n3.11.7":                    "bin/python3",
		"cpython-3.8.1-linux-x86_64-gnu":    "!Python cpython-3.8.1-linux-x86_64-gnu, which .python-version (line 1) asks for, is not installed",
		"3.11.7/envs/missing":               "!Python 3.11.7/envs/missing, which .python-version (line 1) asks for, is not installed",
		"3.11.7/../..":                      "!is no version",
		"3.11.7/envs/..":                    "!is no version",
		"pypy3.10-7.3.12":                   "!is not installed",
	}},
	".nvmrc": {"node", map[string]string{
		"lts/*":             node18, // by the alias of nvm
		"lts/iron":          node2011,
		"lts/Iron\r\n":      node2011,
		"lts/-2":            node2011,
		"iron":              node2011,
		"node":              node22,
		"stable":            node22,
		"latest":            node22,
		"v20":               node2011,
		"\ufeffv20.9.0\n":   node209,
		"20.9\n# comment\n": node209,
		"18 # the old one":  node18,
		"20.x":              node2011,
		">=18 <21":          node2011,
		"mine":              node209,
		"system":            "bin/node",
		"17":                "!Node.js 17, which .nvmrc (line 1) asks for, is not installed",
		"lts/nothing":       "!(nvm install lts/nothing)",
		"lts/-99":           "!is not installed",
	}},
	".node-version": {"node", map[string]string{
		"v20.9.0": node209,
		"20":      node2011,
		"lts":     node18, // by the alias of nvm
	}},
	".ruby-version": {"rack", map[string]string{
		"3.2.2":                ruby32,
		"ruby-3.2.2\r\n":       ruby32,
		"\ufeffruby-3.2.2":     ruby32,
		"ruby-3.3.0@shop":      ruby33,
		"ruby-3.2.2-p53":       ruby32,
		"3.2":                  ruby32,
		"ruby-3.3":             ruby331,
		"ruby":                 ruby331,
		"jruby-9.4.5.0":        jruby,
		"jruby-9.4.5.0@shop\n": jruby,
		"# x\n3.2.2 # y\n":     ruby32,
		"system":               "bin/ruby",
		"truffleruby-24.1.0":   "!Ruby truffleruby-24.1.0, which .ruby-version (line 1) asks for, is not installed",
		"3.2.2\n3.3.0\n":       "!the lines 1 and 2 have a version each",
		"ruby 3.2.2":           "!is no version",
	}},
	".tool-versions": {"wsgi", map[string]string{
		"python 3.11.7\n":                            python311,
		"ruby 1\r\npython\t3.11.7 2.7.18 system":     python311,
		"\ufeffpython 3.11.7 # ours":                 python311,
		"#python 3.8\npython   3.11.7":               python311,
		"python latest:3.11":                         python311,
		"python latest":                              pythonUV,
		"python system":                              "bin/python3",
		"python system 3.11.7":                       "bin/python3",
		"python ref:main":                            "home/.asdf/installs/python/ref-main/bin/python3",
		"python path:HOME/home/.pyenv/versions/shop": "home/.pyenv/versions/shop/bin/python3",
		"python path:~/.pyenv/versions/shop":         "home/.pyenv/versions/shop/bin/python3",
		"python path:/missing":                       "!Python path:/missing, which .tool-versions (line 1) asks for, is not installed",
		"python path:../x":                           "!is no version",
		"python ref:../../x":                         "!is no version",
		"python ref:other":                           "!Python ref:other, which .tool-versions (line 1) asks for, is not installed",
		"python":                                     "!line 1 has no version of python",
		"nodejs 20":                                  "bin/python3",
	}},
	"mise.toml": {"node", map[string]string{
		"[tools]\nnode = \"20\"\n":                                      node2011,
		"[tools]\nnode = '20.9'\n":                                      node209,
		"\ufeff[tools]\r\n\"node\" = \"20.9\"\r\n":                      node209,
		"[ tools ] # ours\nnodejs = \"20.9\" # x\n":                     node209,
		"[tools]\nnode = [\"20.9\", \"18\"]":                            node209,
		"[tools]\nnode = [\n  # the new one\n  \"20.9\",\n  \"18\",\n]": node209,
		"[tools]\nnode = { version = \"20.9\", postinstall = \"x\" }":   node209,
		"[tools.node]\nversion = \"20.9\"\n":                            node209,
		"[tools.\"core:node\"]\nversion = \"20.9\"\n":                   node209,
		"[tools]\n\"core:node\" = \"20.9\"\n":                           node209,
		"tools.node = \"20.9\"\n":                                       node209,
		"[tools]\nnode = \"lts\"\n":                                     node18,
		"[tools]\nnode = \"latest\"\n":                                  node22,
		"[tools]\nnode = \"prefix:20.9\"\n":                             node209,
		"[env]\nnode = \"99\"\n[tools]\npython = \"3.11\"\n":            "bin/node",
		"[tools]\nnode = 20\n":                                          "!line 2 has no version of node",
		"[tools.node]\nversion = 20\n":                                  "!line 2 has no version of node",
		"[tools]\nnode = []\n":                                          "!line 2 has no version of node",
	}},
	"package.json": {"node", map[string]string{
		`{"engines": {"node": ">=18 <21"}}`:           "bin/node", // is 19.1.0
		`{"engines": {"node": "18 || 20"}}`:           node2011,
		`{"engines": {"node": "^18.0.0"}}`:            node18,
		`{"engines": {"node": "20.x"}}`:               node2011,
		`{"engines": {"node": "20.x.x || 22.x.x"}}`:   node22,
		`{"engines": {"node": ">= 21.0.0"}}`:          node22,
		`{"engines": {"node": "~20.9"}}`:              node209,
		`{"engines": {"node": "*"}}`:                  "bin/node",
		`{"engines": {"node": ""}}`:                   "bin/node",
		`{"engines": {"node": "lts/*"}}`:              node18,
		`{"engines": {"node": 20}}`:                   "bin/node",
		`{"engines": {"npm": "10"}}`:                  "bin/node",
		`{"engines": {"node": "whatever comes"}}`:     "bin/node",
		"\ufeff" + `{"engines": {"node": "v20.9.0"}}`: node209,
	}},
}

func TestVersionFilesAreReadAsTheirToolsWriteThem(t *testing.T) {
	home := makeHome(t)
	for _, file := range []string{pythonEnv, pypy, "home/.asdf/installs/python/ref-main/bin/python3"} {
		path := filepath.Join(home, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, boxed.WriteProgram(path, []byte("#!/bin/sh\nexit 3\n"), 0o755))
	}

	config := &spawner.Config{Users: spawner.SameUser}
	for name, kind := range versionFiles {
		t.Run(name, func(t *testing.T) {
			for text, want := range kind.texts {
				content := strings.ReplaceAll(text, "HOME", home)
				app := versionedApp(t, home, kind.appType, map[string]string{name: content})

				if message, refused := strings.CutPrefix(want, "!"); refused {
					e, ok := errors.AsType[*spawner.SpawnError](spawner.Check(config, app))
					require.True(t, ok, "%q", text)
					require.Contains(t, e.Summary+" "+e.Advice, message, "%q", text)

					continue
				}

				found, err := spawner.Interpreters(config, app)
				require.NoError(t, err, "%q", text)
				require.Equal(t, filepath.Join(home, want), found[len(found)-1].Path, "%q", text)
			}
		})
	}
}
