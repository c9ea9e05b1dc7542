package spawner_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// The state that an application of each kind finds, started by a program in a state that is unfit for it.
// Faults.
func TestSpawnedProcessHasACleanState(t *testing.T) {
	spoilThread(t)
	spoilSignals(t)
	spoilOOMScore(t)

	for range 500 {
		file, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer file.Close()
	}

	write := func(a *spawner.App, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(a.Root, name), []byte(text), 0o644))
	}
	for name, prepare := range map[string]func(t *testing.T, a *spawner.App){
		"any": func(*testing.T, *spawner.App) {},
		"generic": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Env = app(t, "generic").Env
		},
		"wsgi": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Type, a.Python = "wsgi", interpreters.Find(t, "python", "/usr/bin/python3", "python3")
			write(a, "passenger_wsgi.py",
				"def application(env, start):\n    start('200 OK', [])\n    return [b'hello']\n")
		},
		"wsgi smart": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Type, a.Python, a.SpawnMethod = "wsgi", interpreters.Find(t, "python", "/usr/bin/python3", "python3"),
				spawner.SmartSpawning
			write(a, "passenger_wsgi.py",
				"def application(env, start):\n    start('200 OK', [])\n    return [b'hello']\n")
		},
		"rack": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Type, a.Ruby, a.SpawnMethod = "rack", interpreters.Find(t, "ruby", "ruby"), spawner.DirectSpawning
			write(a, "config.ru", "run lambda { |env| [200, {}, ['hello']] }\n")
		},
		"rack smart": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Type, a.Ruby = "rack", interpreters.Find(t, "ruby", "ruby")
			write(a, "config.ru", "run lambda { |env| [200, {}, ['hello']] }\n")
		},
		"node": func(t *testing.T, a *spawner.App) {
			t.Helper()
			a.Type, a.NodeJS = "node", interpreters.Find(t, "node", "node")
			write(a, "app.js", "require('http').createServer((q, r) => r.end('hello')).listen(0)\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			a := app(t, "http")
			a.Root = shortDir(t)
			require.NoError(t, os.Chmod(a.Root, 0o755))
			prepare(t, &a)
			s, err := f.NewSpawner(a)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			p, err := s.Spawn(t.Context())
			require.NoError(t, err)
			defer stopNow(p)
			requireState(t, p, &a)
		})
	}
}

// spoilThread blocks a signal in the thread of the test.
func spoilThread(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	var mask, before unix.Sigset_t
	mask.Val[0] = 1 << (unix.SIGUSR2 - 1)
	require.NoError(t, unix.PthreadSigmask(unix.SIG_BLOCK, &mask, &before))
	t.Cleanup(func() { require.NoError(t, unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)) })
}

// spoilSignals ignores signals, as nohup and shells do for what they start in the background.
func spoilSignals(t *testing.T) {
	t.Helper()
	ignored := []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTERM, unix.SIGUSR2}
	signal.Ignore(ignored...)
	t.Cleanup(func() { signal.Reset(ignored...) })
}

func spoilOOMScore(t *testing.T) {
	t.Helper()
	before, err := os.ReadFile("/proc/self/oom_score_adj")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0))
	t.Cleanup(func() { require.NoError(t, os.WriteFile("/proc/self/oom_score_adj", before, 0)) })
}

func requireState(t *testing.T, p spawner.Process, a *spawner.App) {
	t.Helper()
	pid := p.Info().PID
	c := credentialsOf(t, p)
	require.Equal(t, four(os.Geteuid()), c["Uid"])

	// The system's library blocks signals for a moment where it makes threads.
	require.Eventually(t, func() bool {
		return credentialsOf(t, p)["SigBlk"] == strings.Repeat("0", 16)
	}, patience, time.Millisecond)
	ignored, err := strconv.ParseUint(c["SigIgn"], 16, 64)
	require.NoError(t, err)

	// Interpreters ignore these themselves.
	require.Zero(t, ignored&^(1<<(unix.SIGPIPE-1)|1<<(unix.SIGXFSZ-1)), c["SigIgn"])
	own, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	require.Contains(t, string(own), "\nUmask:\t"+c["Umask"]+"\n")

	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	require.NoError(t, err)
	require.Equal(t, "0", strings.TrimSpace(string(score)))
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	require.NoError(t, err)
	require.Equal(t, a.Root, dir)

	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(stat)[strings.LastIndex(string(stat), ")")+1:])
	require.Equal(t, strconv.Itoa(pid), fields[2], "a process group of its own")
	require.Equal(t, "0", fields[4], "R-60: no terminal")
	session, err := unix.Getsid(0)
	require.NoError(t, err)
	require.NotEqual(t, strconv.Itoa(session), fields[3])

	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	require.NoError(t, err)

	for _, fd := range fds {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		require.NoError(t, err)
		require.Regexp(t, `^(socket|pipe|anon_inode):|^/dev/(u?random|null)$|^/sys/fs/cgroup/`, to, "fd %s", fd.Name())
	}

	require.Less(t, len(fds), 40)
}

func TestFileLimitAndUmask(t *testing.T) {
	t.Parallel()
	limits := []uint64{64, 1000}
	if canRaiseLimits(t) {
		limits = append(limits, 1<<20)
	}

	for _, limit := range limits {
		f := newFixture(t)
		a := app(t, "http")
		a.FileLimit, a.Umask = limit, "027"
		p := f.start(t, a)
		require.Equal(t, "0027", credentialsOf(t, p)["Umask"])
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.Info().PID))
		require.NoError(t, err)
		n := strconv.FormatUint(limit, 10)
		require.Regexp(t, `Max open files +`+n+` +`+n+` `, string(limits))
		require.Equal(t, a.Root, stateOf(t, p).Dir)
	}
}

func canRaiseLimits(t *testing.T) bool {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, caps, ok := strings.Cut(string(status), "\nCapEff:\t")
	require.True(t, ok)
	set, err := strconv.ParseUint(caps[:16], 16, 64)
	require.NoError(t, err)

	return set&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// A limit that cannot be had does not keep the application from starting.
func TestFileLimitThatCannotBeHad(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	a.FileLimit = 1 << 40
	f.start(t, a)

	// It is printed by what becomes the process, before that, and may be read later.
	require.Eventually(t, func() bool { return len(f.log.lines("open files cannot be set to 1099511627776")) == 1 },
		patience, time.Millisecond)
}

// TestLoginShells: variables of the profile arrive, ours count more, and what
// the profile prints and where it goes does no harm.
func TestLoginShells(t *testing.T) {
	requireRoot(t)
	program := sharedProgram(t)
	t.Setenv("PATH", "/usr/bin:/bin")

	for shell, profile := range map[string]string{"bash": ".bash_profile", "zsh": ".zprofile", "ksh": ".profile"} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				interpreters.Missing(t, shell, shell+" is not installed")
			}

			home := shortDir(t)
			require.NoError(t, os.Chmod(home, 0o755))
			script := "export FROM_PROFILE='a b' NODE_ENV=mine PASSENGER_GUPID=x OURS='stolen'\nexport PATH=" +
				filepath.Dir(program) +
				":$PATH\nprintf 'no newline !> Error'\ncd /\numask 077\n"
			require.NoError(t, os.WriteFile(filepath.Join(home, profile), []byte(script), 0o644))
			f := newUserFixture(t)
			users := append(testUsers(), spawner.Account{
				Name:  "dave",
				UID:   61004,
				GID:   alice,
				Home:  home,
				Shell: path,
			})
			spawner.UseAccounts(f.Factory, users, testGroups())
			a := tenantApp(t, program, 61004, 0)
			a.StartCommand = []string{"program"} // in the profile's PATH only
			a.LoadShellEnv = true
			a.Env["OURS"] = "it's $(mine) `or` \"not\"\nis it"
			a.Env["odd.name"] = "kept"
			p := f.start(t, a)
			s := stateOf(t, p)
			require.Contains(t, s.Env, "FROM_PROFILE=a b")
			require.Contains(t, s.Env, "NODE_ENV=production")
			require.Contains(t, s.Env, "OURS="+a.Env["OURS"])
			require.Contains(t, s.Env, "PASSENGER_GUPID="+p.Info().GUPID)
			require.Contains(t, s.Env, "USER=dave")
			require.Contains(t, s.Env, "HOME="+home)
			require.Contains(t, s.Env, "PWD="+a.Root)
			require.NotContains(t, strings.Join(s.Env, "\n"), "_PASSENGER_KEPT_")
			require.NotContains(t, strings.Join(s.Env, "\n"), "_passenger_")
			require.Equal(t, a.Root, s.Dir)
			require.Len(t, s.FDs, 3)
			require.Equal(t, p.Info().PID, s.PID, "no shell stays")
			require.Equal(t, []string{"program"}, s.Args)

			a.StartCommand = []string{"no-such-program"}
			e := f.fail(t, a)
			require.Contains(t, e.Summary, "the start command no-such-program was not found")
			require.Equal(t, "exit status 127", e.ExitStatus)
		})
	}
}

func TestOtherShellsAreNotLoaded(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t) // bob has nologin
	a := tenantApp(t, sharedProgram(t), bob, bob)
	a.LoadShellEnv = true
	f.start(t, a)
}
