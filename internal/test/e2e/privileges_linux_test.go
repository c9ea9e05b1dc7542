package e2e_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// A core has what it uses and nothing else, also after it was replaced, and applications
// have nothing.
func TestCapabilitiesOfCoreAndApplications(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	requireCore := func() {
		requireRights(t, f.core(t), rightsWith(t, ofCore))
	}
	requireCore()
	tenants := box.kindsOfTenants(t)
	requireTenants := func(want rights) {
		for _, a := range tenants {
			e := f.byHTTP(t, a, "/")
			require.Equal(t, binUID, e.UID, a.name)
			requireRights(t, e.PID, want)
		}

		for _, pid := range f.apps(t) { // with preloaders and guards
			have := rightsOf(t, pid)[0]
			require.Equal(t, none, have["CapEff"], have["Name"])
			require.Equal(t, none, have["CapPrm"], have["Name"])
		}
	}
	requireTenants(rightsWithout(t, ofCore))

	before := f.core(t)
	_, err := f.admin(t, "watchdog_api").Call(t.Context(), http.MethodPost, "/reload.json", nil)
	require.NoError(t, err)
	f.requireOtherCore(t, before)
	requireCore()

	before = f.core(t)
	require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
	f.requireOtherCore(t, before)
	requireCore()

	// An application may give up more.
	want := rightsWithout(t, 0)
	want["NoNewPrivs"] = "1"

	for _, a := range tenants {
		a.options["no_new_privileges"] = "on"
	}

	requireTenants(want)
}

// requireOtherCore waits until the core is another process than before.
func (s *server) requireOtherCore(t testing.TB, before int) {
	t.Helper()
	eventuallyWithin(t, deadline, func() error {
		if slices.Contains(s.Children(s.Cmd.Process.Pid), before) || s.core(t) == before {
			return fmt.Errorf("the core is still %d", before)
		}

		return nil
	})
}

// Without user switching it is the same.
func TestCapabilitiesWithoutUserSwitching(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box, "--no-user-switching", "--default-user", "bin")
	requireRights(t, f.core(t), rightsWith(t, ofCore))

	for _, a := range box.kindsOfTenants(t) {
		e := f.byHTTP(t, a, "/")
		require.Equal(t, binUID, e.UID)
		requireRights(t, e.PID, rightsWithout(t, ofCore))
	}
}

// Where no application may get new privileges, neither may the core.
func TestNoNewPrivilegesOfAll(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box, "--no-new-privileges", "--kept-capability", "CAP_NET_RAW")
	want := rightsWith(t, ofCore|netRaw)
	want["NoNewPrivs"] = "1"
	requireRights(t, f.core(t), want)
	a := box.goTenant(t, "a", binUID)
	want = rightsWithout(t, 0)
	want["NoNewPrivs"] = "1"
	requireRights(t, f.byHTTP(t, a, "/").PID, want)

	a.options["no_new_privileges"] = "off"
	refused := f.client(t).get(t, "/", f.header(t, a)...)
	require.NotEqual(t, http.StatusOK, refused.StatusCode)
	f.Stderr.Await(t, "runs without new privileges: start it with no_new_privileges off", 1, f.Ended)
}

// An application that root wants to run as root is as one in a container.
func TestCapabilitiesOfRootsApplication(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	for _, c := range []struct {
		name string
		args []string
		want uint64
	}{
		{"default", nil, ofCore | ofRootsApps},
		{"none", []string{"--kept-capability", "none"}, ofCore},
		{"all", []string{"--kept-capability", "all"}, ^uint64(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), c.args...)})
			require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
			requireRights(t, s.core(t), rightsWith(t, c.want))

			for _, pid := range s.apps(t) {
				requireRights(t, pid, rightsWith(t, c.want))
			}
		})
	}
}

// What a server of another user than root was given, as to open a low port, neither its
// core nor its application inherits.
func TestAmbientCapabilitiesAreNotInherited(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		interpreters.Missing(t, "setpriv", "setpriv of util-linux is not there")
	}

	box := newUsersSandbox(t)
	require.NoError(t, os.Chown(box.Home, binUID, binUID))
	path, err := tenantBinary()
	require.NoError(t, err)
	l := &launch{dir: box.goTenant(t, "a", binUID).root, args: []string{
		"--start-command", path, "--envvar", tenantVar + "=a", "--envvar", "GORACE=atexit_sleep_ms=0",
	}}
	l.change = func(cmd *exec.Cmd) {
		cmd.Args = slices.Concat([]string{
			setpriv, "--reuid", "bin", "--regid", "bin", "--clear-groups", "--inh-caps", "+net_bind_service",
			"--ambient-caps", "+net_bind_service", cmd.Path,
		}, cmd.Args[1:])
		cmd.Path = setpriv
	}
	s := startIn(t, box, l)
	const netBindService = "0000000000000400"
	requireRights(t, s.Cmd.Process.Pid, rights{"CapAmb": netBindService})
	e := readTenant(t, s.client(t).get(t, "/"))
	require.Equal(t, binUID, e.UID)

	for _, pid := range []int{s.core(t), e.PID} {
		requireRights(t, pid, rights{"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none})
	}
}

// The router of transactions parses what the core says, and writes a file.
func TestRouterHasNoCapabilities(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	log := filepath.Join(t.TempDir(), "transactions")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--transaction-log", log)})
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
	core := s.core(t)
	routers := slices.DeleteFunc(childrenOf(t, s.Cmd.Process.Pid), func(pid int) bool { return pid == core })
	require.Len(t, routers, 1)
	want := rightsWith(t, 0)
	want["NoNewPrivs"] = "1"
	requireRights(t, routers[0], want)
	s.stop(t)
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.NotEmpty(t, content)
}

func childrenOf(t testing.TB, pid int) (children []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)

	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}

		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			require.NoError(t, err)
			children = append(children, child)
		}
	}

	return children
}

// With the filter, system calls that manage the system fail in the core and in all
// applications, which serve all the same.
func TestSyscallFilter(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	for name, args := range map[string][]string{
		"setuid programs":   {"--syscall-filter"},
		"no new privileges": {"--syscall-filter", "--no-new-privileges"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			f := startFlying(t, box, args...)
			filtered := rights{"Seccomp": "2"}
			requireRights(t, f.core(t), filtered)

			for _, a := range box.kindsOfTenants(t) {
				for range 3 {
					e := f.byHTTP(t, a, "/")
					require.Equal(t, binUID, e.UID)
					requireRights(t, e.PID, filtered)
				}
			}
		})
	}
}

// Without root, Linux wants setuid programs without effect for a filter.
func TestSyscallFilterWithoutRoot(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	l := box.asBin(t, "--syscall-filter")
	out, err := box.command(t.Context(), l).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "syscall_filter: Linux lets only root filter")

	box = newUsersSandbox(t)
	s := startIn(t, box, box.asBin(t, "--syscall-filter", "--no-new-privileges"))
	e := readTenant(t, s.client(t).get(t, "/"))
	require.Equal(t, binUID, e.UID)

	for _, pid := range []int{s.core(t), e.PID} {
		requireRights(t, pid, rights{"Seccomp": "2", "NoNewPrivs": "1", "CapEff": none})
	}
}

// What is no capability is said before anything starts.
func TestWrongCapability(t *testing.T) {
	t.Parallel()

	box := newSandbox(t)
	for args, want := range map[string]string{
		"cap_everything": `kept_capabilities: "cap_everything" is no capability: use names of capabilities(7) such as CAP_NET_RAW, or all, or none`,
		"all,chown":      `kept_capabilities: "all" stands for a whole list`,
	} {
		l := &launch{dir: t.TempDir(), args: testApp(t)}
		for name := range strings.SplitSeq(args, ",") {
			l.args = append(l.args, "--kept-capability", name)
		}

		out, err := box.command(t.Context(), l).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
	}
}

// The core looks after what belongs to others without a right to use all files: it
// connects to closed sockets, sees memory, resets what it has inherited, ends what has
// escaped, and removes what was left.
func TestCoreNeedsNoRightToUseAllFiles(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	setsid := interpreters.Find(t, "setsid", "setsid")
	box := newFlyingSandbox(t)
	f := startFlyingWith(t, box, func(cmd *exec.Cmd) {
		const sheltered = `echo 300 >/proc/self/oom_score_adj; umask 022; exec "$0" "$@"`
		cmd.Args = slices.Concat([]string{"/bin/sh", "-c", sheltered, cmd.Path}, cmd.Args[1:])
		cmd.Path = "/bin/sh"
	})
	python := interpreters.Find(t, "python", "/usr/bin/python3")
	const program = `
import os, subprocess
os.umask(0o077)
subprocess.Popen(["` + "%s" + `", "sleep", "1000"])
` + wsgiTenant
	a := &tenant{
		name: "a", root: box.tenantDir(t, "a", binUID,
			map[string]string{"passenger_wsgi.py": fmt.Sprintf(program, setsid)}),
		options: map[string]string{"python": python, "spawn_method": "direct"},
	}
	e := f.byHTTP(t, a, "/")
	require.Equal(t, binUID, e.UID)
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", e.PID))
	require.NoError(t, err)
	require.Equal(t, "0\n", string(score))
	eventuallyWithin(t, deadline, func() error {
		text, err := f.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/pool.json?form=snapshot", nil)
		if err == nil && !regexp.MustCompile(`"pss": ?[1-9]`).Match(text) {
			err = fmt.Errorf("the memory that processes have for themselves is not known: %s", text)
		}

		return err
	})

	// The directory of its sockets, with what others than root cannot enter.
	var dir string
	err = filepath.WalkDir(filepath.Join(f.instance(t).Path, "apps.s"),
		func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type() == os.ModeSocket {
				var info fs.FileInfo
				if info, err = e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
					err = fmt.Errorf("%s is not closed: %s", path, info.Mode())
				}

				dir = filepath.Dir(path)
			}

			return err
		})
	require.NoError(t, err)
	require.NotEmpty(t, dir)
	requireOwner(t, binUID, dir)

	deep := dir
	for _, name := range []string{"a", "b", "c"} {
		deep = filepath.Join(deep, name)
		require.NoError(t, os.Mkdir(deep, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(deep, "file"), nil, 0o600))
		require.NoError(t, os.Chown(deep, binUID, binUID))
	}

	for ; deep != dir; deep = filepath.Dir(deep) {
		require.NoError(t, os.Chmod(deep, 0))
	}

	require.NoError(t, os.Chmod(dir, 0o500))

	_, err = f.admin(t, "core_api").Call(t.Context(), http.MethodPost, "/pool/detach_process.json",
		fmt.Appendf(nil, `{"pid": %d}`, e.PID))
	require.NoError(t, err)
	f.Stderr.Await(t, "processes that the application had put into the background were killed with it", 1, f.Ended)
	eventually(t, func() error {
		if _, err := os.Lstat(dir); err == nil {
			return fmt.Errorf("%s is left", dir)
		}

		return nil
	})
	require.NotContains(t, f.Stderr.String(), "level=ERROR")
}

// Setuid programs, as those that deliver mail, give an application what they should, with
// the capabilities of the core at most, and nothing with no_new_privileges.
func TestSetuidProgramsOfApplications(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	python := interpreters.Find(t, "python", "/usr/bin/python3")
	cat := interpreters.Find(t, "coreutils", "cat")
	box := newFlyingSandbox(t)
	const program = `
import subprocess
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [subprocess.check_output(["./cat", "/proc/self/status"])]
`
	content, err := os.ReadFile(cat)
	require.NoError(t, err)

	f := startFlying(t, box)
	for option, want := range map[string]string{
		"off": fmt.Sprintf("CapEff:\t%s\n", present(t, ofCore)),
		"on":  fmt.Sprintf("CapEff:\t%s\n", none),
	} {
		a := &tenant{
			name: option, root: box.tenantDir(t, option, binUID, map[string]string{"passenger_wsgi.py": program}),
			options: map[string]string{"python": python, "no_new_privileges": option},
		}
		setuid := filepath.Join(a.root, "cat")
		require.NoError(t, boxed.WriteProgram(setuid, content, 0o755))
		require.NoError(t, os.Chmod(setuid, 0o755|os.ModeSetuid))
		got := f.client(t).get(t, "/", f.header(t, a)...)
		require.Equal(t, http.StatusOK, got.StatusCode)
		uid := map[string]int{"off": 0, "on": binUID}[option]
		require.Contains(t, got.body, fmt.Sprintf("Uid:\t%d\t%d\t", binUID, uid))
		require.Contains(t, got.body, want)
	}
}

// Hooks that the core runs have what the core has, and what the operator keeps for them.
func TestHooksHaveTheCapabilitiesOfTheCore(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	for name, c := range map[string]struct {
		args []string
		want uint64
	}{
		"default": {nil, ofCore},
		"kept":    {[]string{"--kept-capability", "net_raw"}, ofCore | netRaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			hook, result := filepath.Join(box.Dir, "hook"), filepath.Join(box.Dir, "result")
			script := fmt.Sprintf("#!/bin/sh\ncat /proc/self/status >%[1]s.part && mv %[1]s.part %[1]s\n", result)
			require.NoError(t, boxed.WriteProgram(hook, []byte(script), 0o755))
			f := startFlying(t, box, append(c.args, "--ctl", "hook_attached_process="+hook)...)
			f.byHTTP(t, box.goTenant(t, "a", binUID), "/")
			var status []byte
			eventually(t, func() (err error) {
				status, err = os.ReadFile(result)
				return err
			})

			for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
				require.Contains(t, string(status), set+":\t"+present(t, c.want)+"\n")
			}
		})
	}
}
