package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each layer of the configuration counts more than those before it.
func TestPrecedence(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name       string
		home, file string // the configuration files
		env, args  []string
		want       string
	}{
		{name: "default", want: "development"},
		{name: "generic variables", env: []string{"PASSENGER_APP_ENV=p", "NODE_ENV=n", "RACK_ENV=r"}, want: "r"},
		{name: "home", home: `{"environment": "home"}`, env: []string{"RAILS_ENV=r"}, want: "home"},
		{name: "Passengerfile", home: `{"environment": "home"}`, file: `{"environment": "file"}`, want: "file"},
		{
			name: "variable", home: `{"environment": "home"}`, file: `{"environment": "file"}`,
			env: []string{"PASSENGER_ENVIRONMENT=variable"}, want: "variable",
		},
		{
			name: "empty variable",
			file: `{"environment": "file"}`,
			env:  []string{"PASSENGER_ENVIRONMENT=", "PASSENGER_MAX_POOL_SIZE="},
			want: "file",
		},
		{
			name: "command line", home: `{"environment": "home"}`, file: `{"environment": "file"}`,
			env: []string{"PASSENGER_ENVIRONMENT=variable"}, args: []string{"--environment", "line"}, want: "line",
		},
		{name: "other keys stay", home: `{"environment": "home"}`, file: `{"min_instances": 0}`, want: "home"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			if c.home != "" {
				writeHome(t, box, c.home)
			}

			dir := t.TempDir()
			if c.file != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"), []byte(c.file), 0o600))
			}

			s := startIn(t, box, &launch{dir: dir, env: c.env, args: append(testApp(t), c.args...)})
			require.Contains(t, s.Stdout.String(), "Environment:         "+c.want+"\n")
		})
	}
}

func writeHome(t *testing.T, box *sandbox, content string) (dir string) {
	t.Helper()
	dir = filepath.Join(box.Home, ".passenger", "standalone")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600))

	return dir
}

// A relative path in a file is relative to the file, any other to the working
// directory.
func TestRelativePaths(t *testing.T) {
	t.Parallel()

	const page = "static page"
	for _, c := range []struct {
		name       string
		file, home bool
		env, args  []string
		// where the directory of static files is: home, app or cwd.
		where string
	}{
		{name: "home", home: true, where: "home"},
		{name: "Passengerfile", home: true, file: true, where: "app"},
		{name: "variable", file: true, env: []string{"PASSENGER_STATIC_FILES_DIR=static"}, where: "cwd"},
		{name: "command line", file: true, args: []string{"--static-files-dir", "static"}, where: "cwd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			dirs := map[string]string{"app": t.TempDir(), "cwd": t.TempDir()}
			const content = `{"static_files_dir": "static"}`
			if c.home {
				dirs["home"] = writeHome(t, box, content)
			}

			if c.file {
				require.NoError(t, os.WriteFile(filepath.Join(dirs["app"], "Passengerfile.json"), []byte(content),
					0o600))
			}

			static := filepath.Join(dirs[c.where], "static")
			require.NoError(t, os.Mkdir(static, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(static, "page.txt"), []byte(page), 0o600))
			s := startIn(t, box, &launch{
				dir:  dirs["app"],
				cwd:  dirs["cwd"],
				env:  c.env,
				args: append(testApp(t), c.args...),
			})
			require.Equal(t, page, s.client(t).get(t, "/page.txt").body)
		})
	}
}

// The socket of one layer gives way to the port of a later one, and the other
// way round.
func TestSocketAndPort(t *testing.T) {
	t.Parallel()
	dir := newDir(t, passengerfile(`{"socket_file": "app.sock"}`))
	s := start(t, &launch{dir: dir, args: testApp(t)}) // with --port 0
	require.True(t, strings.HasPrefix(s.url, "http://127.0.0.1:"), s.url)
	require.NoFileExists(t, filepath.Join(dir, "app.sock"))

	cwd := t.TempDir()
	s = start(t, &launch{
		dir:  dir,
		cwd:  cwd,
		args: testApp(t),
		env:  []string{"PASSENGER_SOCKET_FILE=env.sock"},
	})
	require.Equal(t, "unix:"+filepath.Join(cwd, "env.sock"), s.url)
	require.Contains(t, s.client(t).get(t, "/").body, "app: ")
}

// Without a directory, it is the working directory.
func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	cwd := newDir(t, map[string]string{"public/page.txt": "here", "Passengerfile.json": `{"environment": "of cwd"}`})
	s := start(t, &launch{cwd: cwd, args: testApp(t)})
	require.Contains(t, s.Stdout.String(), "Environment:         of cwd\n")
	require.Equal(t, "here", s.client(t).get(t, "/page.txt").body)
}
