package tools_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// detect runs passenger detect in a directory with files, and returns its output and status.
func detect(t *testing.T, files map[string]string, args ...string) (out string, status int) {
	t.Helper()

	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}

	cmd := exec.Command(filepath.Join(built, "passenger"), append([]string{"detect"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	text, _ := cmd.CombinedOutput() // the status says it

	return string(text), cmd.ProcessState.ExitCode()
}

func TestDetectShowsHowAnApplicationIsStarted(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"main.py": "from fastapi import FastAPI\napp = FastAPI()\nraise SystemExit('it was executed')\n",
		"app.js":  "listen(1)",
	}
	out, status := detect(t, files, "--python", "/bin/sh", "--nodejs", "/bin/sh")
	require.Zero(t, status, out)
	require.Contains(t, out, "Recognized as:  Node.js")
	require.Contains(t, out, "Could also be:  FastAPI")
	require.Contains(t, out, "--app-type asgi --startup-file 'main:app'")
	require.NotContains(t, out, "it was executed")

	out, status = detect(t, map[string]string{"Procfile": "web: /bin/sleep 1 && exec ./serve -p $PORT\n"})
	require.Zero(t, status, out)
	require.Contains(t, out, "--start-command '/bin/sleep 1 && exec ./serve -p $PORT'")

	out, status = detect(t, files, "--json", "--startup-file", "main:app", "--python", "/bin/sh")
	require.Zero(t, status, out)

	var found struct {
		Configured bool
		Found      []struct{ Framework, StartupFile string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &found), out)
	require.True(t, found.Configured)
	require.Len(t, found.Found, 2)
}

// What is wrong is named, with the status 1.
func TestDetectNamesWhatIsWrong(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		want  string
	}{
		"nothing":     {nil, nil, "no application was found in"},
		"a hint":      {map[string]string{"composer.json": "{}"}, nil, "--startup-file NAME.php"},
		"interpreter": {map[string]string{"app.js": ""}, []string{"--nodejs", "/missing/node"}, "Problem:        the interpreter /missing/node"},
		"module":      {nil, []string{"--startup-file", "shop.wsgi:app"}, "shop/wsgi.py does not exist"},
		"arguments":   {nil, []string{"a", "b"}, "takes one directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, status := detect(t, c.files, c.args...)
			require.Equal(t, 1, status, out)
			require.Contains(t, out, c.want)
		})
	}
}

// detectedText is what people see, and detectedJSON what programs do.
const (
	detectedText = `Directory:      DIR
Recognized as:  Python, WSGI
  because:      there is passenger_wsgi.py
  type:         wsgi
  startup file: passenger_wsgi.py
  to choose it: --app-type wsgi --startup-file 'passenger_wsgi.py'
Interpreter:    DIR/pyenv/versions/3.12.1/bin/python3
  version:      3.12.1
  from:         pyenv
  wanted:       3.12, by .python-version (line 2)
`
	detectedJSON = `{
		"directory": "DIR", "configured": false,
		"found": [{
			"framework": "Python, WSGI", "type": "wsgi", "startupFile": "passenger_wsgi.py",
			"because": "there is passenger_wsgi.py"
		}],
		"interpreters": [{
			"language": "python", "path": "DIR/pyenv/versions/3.12.1/bin/python3", "version": "3.12.1",
			"from": "pyenv", "wanted": "3.12", "wantedBy": ".python-version (line 2)"
		}]
	}`
)

func TestDetectShowsTheInterpreter(t *testing.T) {
	t.Parallel()

	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	python := filepath.Join(dir, "pyenv/versions/3.12.1/bin/python3")
	require.NoError(t, os.MkdirAll(filepath.Dir(python), 0o755))
	require.NoError(t, os.WriteFile(python, []byte("#!/bin/sh\ntouch "+dir+"/executed\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passenger_wsgi.py"), nil, 0o600))

	run := func(version string, args ...string) (string, error) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".python-version"), []byte(version), 0o600))

		args = append([]string{
			"detect", dir, "--envvar", "PYENV_ROOT=" + dir + "/pyenv", "--envvar", "PYENV_VERSION=",
		}, args...)
		cmd := exec.Command(filepath.Join(built, "passenger"), args...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		out, err := cmd.CombinedOutput()

		return strings.ReplaceAll(string(out), dir, "DIR"), err
	}

	out, err := run("# ours\n3.12\n")
	require.NoError(t, err)
	require.Equal(t, detectedText, out)

	out, err = run("# ours\n3.12\n", "--json")
	require.NoError(t, err)
	require.JSONEq(t, detectedJSON, out)

	out, err = run("2.99\n")
	require.Error(t, err)
	require.Contains(t, out, "Problem:        Python 2.99, which .python-version (line 1) asks for, is not installed; "+
		"these are: 3.12.1 (pyenv)")
	require.Contains(t, out, "pyenv install 2.99")
	require.NoFileExists(t, filepath.Join(dir, "executed"))
}
