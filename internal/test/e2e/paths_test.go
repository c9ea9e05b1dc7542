package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// notExisting returns nil when all of the files have something in them.
func notExisting(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			errs = append(errs, fmt.Errorf("%s is missing or empty: %w", path, err))
		}
	}

	return errors.Join(errs...)
}

// Every option that is a path, or has one in it, is relative to the file that has
// it, or else to the working directory, whether the server goes into the background or not.
func TestRelativePathsOfAllOptions(t *testing.T) {
	t.Parallel()
	const script = "#!/bin/sh\necho ran >>\"${0%/*}/ran\"\n"
	files := map[string]string{"vars": "FROM_FILE=seen\n"}

	content := func(list bool) string {
		ctls := any(map[string]string{"hook_attached_process": "./bin/hook; true", "hook_detached_process": "true"})
		if list {
			ctls = []string{"hook_attached_process=./bin/hook; true", "hook_detached_process=true"}
		}

		text, err := json.Marshal(map[string]any{
			"access_log": "access.log", "env_files": []string{"vars", "-missing"}, "ctls": ctls,
			"sendfile_roots": []string{"files"}, "accel_redirect": map[string]string{"/x/": "files"},
		})
		require.NoError(t, err)

		return string(text)
	}
	for _, c := range []struct {
		name string
		// file and home are configuration files.
		file, home string
		env, args  []string
		// where the files are: home, app or cwd.
		where string
	}{
		{name: "home", home: content(false), where: "home"},
		{name: "Passengerfile", file: content(false), where: "app"},
		{name: "the original's list", file: content(true), where: "app"},
		{
			name: "variables", where: "cwd",
			env: []string{
				"PASSENGER_ACCESS_LOG=access.log",
				"PASSENGER_CTLS=hook_attached_process=./bin/hook; true hook_detached_process=true",
			},
		},
		{
			name: "JSON in a variable", where: "cwd",
			env: []string{"PASSENGER_ACCESS_LOG=access.log", `PASSENGER_CTLS=["hook_attached_process=./bin/hook"]`},
		},
		{name: "command line", where: "cwd", args: []string{
			"--access-log", "access.log", "--env-file", "vars", "--env-file", "-missing", "--ctl",
			"hook_attached_process=bin/hook",
			"--sendfile-root", "files", "--accel-redirect", "/x/=files",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			for _, background := range []bool{false, true} {
				box := newSandbox(t)
				dirs := map[string]string{"app": t.TempDir(), "cwd": t.TempDir()}
				if c.home != "" {
					dirs["home"] = writeHome(t, box, c.home)
				}

				for name, text := range files {
					require.NoError(t, os.WriteFile(filepath.Join(dirs[c.where], name), []byte(text), 0o600))
				}

				bin := filepath.Join(dirs[c.where], "bin")
				require.NoError(t, os.Mkdir(bin, 0o700))
				require.NoError(t, boxed.WriteProgram(filepath.Join(bin, "hook"), []byte(script), 0o700))
				if c.file != "" {
					require.NoError(t, os.WriteFile(filepath.Join(dirs["app"], "Passengerfile.json"), []byte(c.file),
						0o600))
				}

				l := &launch{
					dir:  dirs["app"],
					cwd:  dirs["cwd"],
					env:  c.env,
					args: append(testApp(t), c.args...),
				}

				s := &server{sandbox: box}
				stop := func() {}
				if background {
					d := &daemon{sandbox: box, dir: l.dir, port: freePort(t)}
					l.args = append(l.args, "-d", "--address", "127.0.0.1", "--port", d.port)
					out, err := box.command(t.Context(), l).CombinedOutput()
					require.NoError(t, err, "%s", out)
					s.url, stop = d.url(), func() { d.stop(t) }
				} else {
					s = startIn(t, box, l)
				}

				client := s.client(t)
				require.Contains(t, client.get(t, "/").body, "app: ")
				client.CloseIdleConnections()
				eventually(t, func() error {
					return notExisting(filepath.Join(dirs[c.where], "access.log"),
						filepath.Join(dirs[c.where], "bin", "ran"))
				})
				stop()
			}
		})
	}
}

// A configuration in HOME that cannot be read is another user's, or broken: the
// server says so, and serves.
func TestUnreadableHomeConfiguration(t *testing.T) {
	t.Parallel()

	for name, spoil := range map[string]func(t *testing.T, path string){
		"a directory": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t,
				os.Mkdir(path, 0o700))
		},
		"a link in a circle": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t,
				os.Symlink(path, path))
		},
		"a home that is a file": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			dir := filepath.Join(box.Home, ".passenger", "standalone")
			if spoil == nil {
				require.NoError(t, os.WriteFile(filepath.Join(box.Home, ".passenger"), nil, 0o600))
			} else {
				require.NoError(t, os.MkdirAll(dir, 0o700))
				spoil(t, filepath.Join(dir, "config.json"))
			}

			s := startIn(t, box, &launch{dir: t.TempDir(), args: testApp(t)})
			require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
			s.Stderr.Await(t, "the user's own configuration is ignored", 1, s.Ended)
			require.Equal(t, 1, strings.Count(s.Stderr.String(), "configuration is ignored"))
		})
	}

	t.Run("of another user", func(t *testing.T) {
		t.Parallel()
		requireRoot(t)
		box := newUsersSandbox(t)
		writeHome(t, box, `{"environment": "of root's home"}`)
		l := box.asBin(t)
		l.change = asUserBin
		s := startIn(t, box, l)
		require.NotContains(t, s.Stdout.String(), "of root's home")
		s.Stderr.Await(t, "the user's own configuration is ignored", 1, s.Ended)
		require.Contains(t, s.Stderr.String(), "permission denied")
	})

	t.Run("no home", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t)
		s := startIn(t, box, &launch{dir: t.TempDir(), args: testApp(t), change: func(cmd *exec.Cmd) {
			for i, variable := range cmd.Env {
				if strings.HasPrefix(variable, "HOME=") {
					cmd.Env[i] = "HOME="
				}
			}
		}})
		require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
		require.NotContains(t, s.Stderr.String(), "configuration is ignored")
	})
}

// inDeletedDir has a command run in a directory that does not exist any more.
func inDeletedDir(cmd *exec.Cmd) {
	inner := append([]string{"/bin/sh", "-c", `d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"`, "sh", cmd.Path},
		cmd.Args[1:]...)
	cmd.Path, cmd.Args = inner[0], inner
}

// A working directory that was removed is in the way of relative names only.
func TestStartInDeletedDirectory(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t), change: inDeletedDir})
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)

	d := newDaemon(t)
	cmd := d.command(t.Context(), &launch{
		dir:  d.dir,
		args: append(testApp(t), "-d", "--address", "127.0.0.1", "--port", d.port),
	})
	inDeletedDir(cmd)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	d.stop(t)

	for _, l := range []*launch{
		{args: testApp(t)},
		{dir: "shop", args: testApp(t)},
		{dir: t.TempDir(), args: append(testApp(t), "--log-file", "log")},
		{dir: t.TempDir(), args: append(testApp(t), "--ctl", "hook_spawn_failed=./hook")},
	} {
		l.change = inDeletedDir
		line := refuse(t, l)
		require.Regexp(t, "working directory.*does not exist any more: (name|write) .*an? .*absolute path", line)
	}
}
