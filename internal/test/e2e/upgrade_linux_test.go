package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// installed is where a package manager puts the program, which replaces the file as a
// whole.
type installed struct {
	testing.TB
	path string
}

// install puts a copy of this build there. Each has another text behind its end, so
// that no two are the same file.
func (i *installed) install(version string) {
	i.Helper()
	i.replace(append(readFile(i, filepath.Join(built, "passenger")), version...))
}

func (i *installed) replace(content []byte) {
	i.Helper()
	next := i.path + ".new"
	require.NoError(i, boxed.WriteProgram(next, content, 0o755))
	require.NoError(i, os.Rename(next, i.path))
}

// version is what was installed of the file that a process runs.
func version(t testing.TB, pid int) string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	require.NoError(t, err)
	defer f.Close()
	text := make([]byte, len("version 1"))
	info, err := f.Stat()
	require.NoError(t, err)
	_, err = f.ReadAt(text, info.Size()-int64(len(text)))
	require.NoError(t, err)

	return string(text)
}

func newInstalled(t testing.TB, dir string) *installed {
	t.Helper()
	i := &installed{t, filepath.Join(dir, "passenger")}
	i.install("version 1")

	return i
}

// askAfresh asks over a connection of its own.
func askAfresh(ctx context.Context, c *client) error {
	defer c.CloseIdleConnections()
	return askOnce(ctx, c)
}

// TestJourneyUpgradeByReload is journey 9: the file of the program is replaced, and a
// reload makes it serve; so does the way back. No client is refused, and nothing lost.
func TestJourneyUpgradeByReload(t *testing.T) {
	t.Parallel()

	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			program := newInstalled(t, box.Dir)
			args := testApp(t)
			if network == "unix" {
				args = append(args, "--socket", filepath.Join(box.Dir, "s"))
			}

			s := startIn(t, box, &launch{
				dir:    t.TempDir(),
				args:   args,
				change: func(cmd *exec.Cmd) { cmd.Path = program.path },
			})
			s.requireApps(t, 1)
			l, fresh := s.load(t, 2, askOnce), s.load(t, 2, askAfresh)
			progress := func() {
				l.Progress(t, 50)
				fresh.Progress(t, 50)
			}
			progress()
			reload := func(want string) {
				t.Helper()
				core := s.servingCore(t)
				out, err := s.reload(t)
				require.NoError(t, err, out)
				require.NotEqual(t, core, s.servingCore(t))
				require.Equal(t, want, version(t, s.servingCore(t)))
				progress()
			}

			// The program is the same: the reload reads the configuration, and nothing else.
			reload("version 1")
			program.install("version 2")
			reload("version 2")
			s.Stderr.Await(t, "a new core serves, which runs another program", 1, s.Ended)
			require.Equal(t, "version 1", version(t, s.Cmd.Process.Pid), "the watchdog stays")
			program.install("version 1") // the way back
			reload("version 1")
			program.install("version 3")
			reload("version 3")

			// A file that has gone, in the middle of an installation, is no reason not to reload.
			require.NoError(t, os.Remove(program.path))
			reload("version 3")
			l.RequireNoneLost(t)
			fresh.RequireNoneLost(t)
			s.stop(t)
		})
	}
}

// TestJourneyUpgradeByReloadThatFails: a program that cannot serve changes nothing, and
// is not what takes the place of a core that dies.
func TestJourneyUpgradeByReloadThatFails(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	program := newInstalled(t, box.Dir)
	s := startIn(t, box, &launch{
		dir:    t.TempDir(),
		args:   testApp(t),
		change: func(cmd *exec.Cmd) { cmd.Path = program.path },
	})
	s.requireApps(t, 1)
	program.install("version 2")
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.Equal(t, "version 2", version(t, s.servingCore(t)))
	eventually(t, func() error { // the old one ends
		if got := version(t, s.core(t)); got != "version 2" {
			return fmt.Errorf("a core is of %s", got)
		}

		return nil
	})
	s.requireApps(t, 1)
	core, apps := s.core(t), s.apps(t)
	l := s.load(t, 4, askOnce)

	incompatible := filepath.Join(box.Dir, "incompatible")
	flags := "-X github.com/gopassenger/passenger/internal/agent.protocolNumber=of-a-test"
	built, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", flags, "-o", incompatible,
		"github.com/gopassenger/passenger/cmd/passenger").CombinedOutput()
	require.NoError(t, err, "%s", built)

	other := readFile(t, incompatible)
	for _, wrong := range []struct {
		name    string
		content []byte
		told    string
	}{
		{"half written", other[:len(other)/3], "with the program that is at " + program.path + " now: "},
		{"not a program", []byte("no program"), "exec format error"},
		{"another program", readFile(t, "/bin/false"), "the core ended before it could serve (exit status 1)"},
		{"another protocol", other, "restart the server instead of reloading it"},
	} {
		program.replace(wrong.content)
		out, err := s.reload(t)
		require.Error(t, err, wrong.name)
		require.Contains(t, out, wrong.told, wrong.name)
		require.Contains(t, out, "the old one serves with", wrong.name)
		require.Equal(t, core, s.core(t), wrong.name)
		require.Equal(t, apps, s.apps(t), wrong.name)
		l.Progress(t, 20)
	}

	require.NoError(t, os.Chmod(program.path, 0o644))
	out, err = s.reload(t)
	require.Error(t, err)
	require.Contains(t, out, "the new program "+program.path+" cannot take over: it is not an executable file")
	l.RequireNoneLost(t)

	// What dies is replaced by its like, not by what was left on the disk.
	clients := s.load(t, 4, askOnce)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	require.NotEqual(t, core, s.core(t))
	require.Equal(t, "version 2", version(t, s.core(t)))
	clients.Progress(t, 20)
	clients.Stop()
	s.stop(t)
}

// TestJourneyUpgradeAsRoot: root does not run what another user has put there.
func TestJourneyUpgradeAsRoot(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newSandbox(t)
	program := newInstalled(t, box.Dir)
	s := startIn(t, box, &launch{
		dir:    t.TempDir(),
		args:   testApp(t),
		change: func(cmd *exec.Cmd) { cmd.Path = program.path },
	})

	core := s.core(t)
	for name, foreign := range map[string]func() error{
		"of another user":     func() error { return os.Chown(program.path, nobodyUID, nobodyUID) },
		"writable for others": func() error { return os.Chmod(program.path, 0o777) },
	} {
		program.install("version 2")
		require.NoError(t, foreign())
		out, err := s.reload(t)
		require.Error(t, err, name)
		require.Contains(t, out, "as root it must belong to root")
	}

	require.Equal(t, core, s.core(t))
	s.stop(t)
}

// TestJourneyUpgradeByLink follows the link by which the program was started.
func TestJourneyUpgradeByLink(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)

	versions := map[string]string{}
	for _, v := range []string{"version 1", "version 2"} {
		dir := filepath.Join(box.Dir, strings.ReplaceAll(v, " ", ""))
		require.NoError(t, os.Mkdir(dir, 0o755))
		i := &installed{t, filepath.Join(dir, "passenger")}
		i.install(v)
		versions[v] = i.path
	}

	link := filepath.Join(box.Dir, "passenger")
	require.NoError(t, os.Symlink(versions["version 1"], link))
	s := startIn(t, box, &launch{
		dir:    t.TempDir(),
		args:   testApp(t),
		change: func(cmd *exec.Cmd) { cmd.Path, cmd.Args[0] = link, link },
	})
	s.requireApps(t, 1)
	require.NoError(t, os.Symlink(versions["version 2"], link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.Equal(t, "version 2", version(t, s.servingCore(t)))
	s.stop(t)
}

// TestJourneyUpgradeBySocket is the rest of journey 9: a new program on a socket that
// stays open, after the old one has ended, as systemd restarts a service, and beside
// it; and back.
func TestJourneyUpgradeBySocket(t *testing.T) {
	t.Parallel()

	for _, beside := range []bool{false, true} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(fmt.Sprintf("%s, beside the old one: %t", network, beside), func(t *testing.T) {
				t.Parallel()
				dir := newSandbox(t).Dir
				var listener net.Listener
				var socket *os.File
				var url string
				if network == "tcp" {
					listener, socket = listenFor(t, network, "127.0.0.1:0")
					url = "http://" + listener.Addr().String()
				} else {
					path := filepath.Join(dir, "s")
					_, socket = listenFor(t, network, path)
					url = "unix:" + path
				}

				program := newInstalled(t, dir)
				s := startActivatedFrom(t, program.path, socket, url)
				l := s.load(t, 4, askAfresh)
				l.Progress(t, 50)

				for _, v := range []string{"version 2", "version 1"} {
					program.install(v)
					old := s
					if !beside {
						old.stop(t) // those who connect now wait
					}

					s = startActivatedFrom(t, program.path, socket, url)
					require.Equal(t, v, version(t, s.core(t)))
					if beside {
						l.Progress(t, 20)
						old.stop(t)
					}

					l.Progress(t, 50)
				}

				l.RequireNoneLost(t)
				s.stop(t)
			})
		}
	}
}
