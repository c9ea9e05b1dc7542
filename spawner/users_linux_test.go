package spawner_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// The users and groups of these tests need not exist: the kernel only knows
// numbers.
const (
	alice  = 61001
	bob    = 61002
	carol  = 61003
	nobody = 65534
	// stranger is in no user database.
	stranger = 61999
)

func testUsers() []spawner.Account {
	forty := make([]int, 40)
	for i := range forty {
		forty[i] = 62000 + i
	}

	return []spawner.Account{
		{Name: "root", Home: "/root", Shell: "/bin/bash"},
		{Name: "alice", UID: alice, GID: alice, Home: "/home/alice", Shell: "/bin/bash", Groups: []int{62001}},
		{Name: "bob", UID: bob, GID: bob, Home: "/home/bob", Shell: "/usr/sbin/nologin", Groups: forty},
		{Name: "carol", UID: carol, GID: 0, Home: ""},
		{Name: "nobody", UID: nobody, GID: nobody, Home: "/nonexistent", Shell: "/usr/sbin/nologin"},
	}
}

func testGroups() map[int]string {
	return map[int]string{0: "root", alice: "alice", bob: "bob", nobody: "nogroup", 62001: "web", 62002: "db"}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		interpreters.Missing(t, "root", "needs root, to become other users")
	}
}

// newUserFixture has a factory that runs processes as other users.
func newUserFixture(t *testing.T, change ...func(*spawner.Config)) *fixture {
	t.Helper()
	requireRoot(t)
	f := newFixture(t, append([]func(*spawner.Config){func(c *spawner.Config) {
		c.Users = spawner.UserOfApp
		require.NoError(t, os.Chmod(c.Dir, 0o711))
	}}, change...)...)
	spawner.UseAccounts(f.Factory, testUsers(), testGroups())

	return f
}

// sharedProgram is the test binary where every user can execute it.
func sharedProgram(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "program")
	if os.Link(testapp.Command()[0], path) == nil {
		return path
	}

	// A process that is forked while the file is open for writing could not be
	// executed from it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	from, err := os.Open(testapp.Command()[0])
	require.NoError(t, err)
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, err)
	require.NoError(t, to.Close())

	return path
}

// tenantApp is an application whose directory belongs to root and whose startup
// file, boot, belongs to uid and gid. Every user can read it.
func tenantApp(t *testing.T, program string, uid, gid int) spawner.App {
	t.Helper()
	a := app(t, "http")
	a.Root = shortDir(t)
	require.NoError(t, os.Chmod(a.Root, 0o755))
	a.StartupFile = "boot"
	a.StartCommand = []string{program}
	boot := filepath.Join(a.Root, a.StartupFile)
	require.NoError(t, os.WriteFile(boot, nil, 0o644))
	require.NoError(t, os.Chown(boot, uid, gid))

	return a
}

// credentials are what the kernel says of a process.
type credentials map[string]string

func credentialsOf(t *testing.T, p spawner.Process) credentials {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Info().PID))
	require.NoError(t, err)

	c := credentials{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		c[name] = strings.Join(strings.Fields(value), " ")
	}

	return c
}

func four(id int) string { return strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", id), 4)) }

func sortedIDs(ids ...int) string {
	slices.Sort(ids)
	return strings.Trim(fmt.Sprint(slices.Compact(ids)), "[]")
}

// The table of the rules, each with a real process.
// Faults: R-13.
func TestUserSwitchingSetsExactlyTheUsersRights(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	program := sharedProgram(t)
	forty := testUsers()[2].Groups
	link := func(a *spawner.App) {
		boot := filepath.Join(a.Root, "boot")
		require.NoError(t, os.Rename(boot, boot+".real"))
		require.NoError(t, os.Symlink("boot.real", boot))
		require.NoError(t, os.Lchown(boot, alice, alice))
	}

	app := func(change func(*spawner.App)) func(*spawner.App) { return change }
	for _, test := range []struct {
		name     string
		uid, gid int // of the startup file
		change   func(*spawner.App)
		config   func(*spawner.Config)
		want     int
		wantGID  int
		groups   []int
		failure  string
	}{
		{name: "owner of the startup file", uid: alice, gid: 0, want: alice, wantGID: alice, groups: []int{62001}},
		{name: "forty groups", uid: bob, gid: bob, want: bob, wantGID: bob, groups: forty},
		{name: "no shell, no home, group root", uid: carol, gid: carol, want: carol, wantGID: nobody},
		{name: "root is never taken", uid: 0, gid: 0, want: nobody, wantGID: nobody},
		{name: "nor an unknown user", uid: stranger, gid: stranger, want: nobody, wantGID: nobody},
		{
			name: "a link belongs to whoever made it", uid: 0, gid: 0, change: link, want: alice, wantGID: alice,
			groups: []int{62001},
		},
		{
			name: "the user that was asked for", uid: alice, gid: alice,
			change: app(func(a *spawner.App) { a.User = "bob" }), want: bob, wantGID: bob, groups: forty,
		},
		{
			name: "by number", uid: alice, gid: alice, change: app(func(a *spawner.App) { a.User = fmt.Sprint(bob) }),
			want: bob, wantGID: bob, groups: forty,
		},
		{
			name: "root that was asked for", uid: alice, gid: alice,
			change: app(func(a *spawner.App) { a.User = "root" }),
			want:   nobody, wantGID: nobody,
		},
		{
			name: "root by number", uid: alice, gid: alice, change: app(func(a *spawner.App) { a.User = "0" }),
			want: nobody, wantGID: nobody,
		},
		{
			name: "an unknown user", uid: alice, gid: alice, change: app(func(a *spawner.App) { a.User = "mallory" }),
			want: nobody, wantGID: nobody,
		},
		{
			name: "an unknown number", uid: alice, gid: alice,
			change: app(func(a *spawner.App) { a.User = fmt.Sprint(stranger) }), want: nobody, wantGID: nobody,
		},
		{
			name: "the group that was asked for", uid: alice, gid: alice,
			change: app(func(a *spawner.App) { a.Group = "db" }), want: alice, wantGID: 62002,
			groups: []int{62001, 62002},
		},
		{
			name: "a group without a name", uid: alice, gid: alice,
			change: app(func(a *spawner.App) { a.Group = "62777" }), want: alice, wantGID: 62777,
			groups: []int{62001, 62777},
		},
		{
			name: "an unknown group", uid: alice, gid: alice, change: app(func(a *spawner.App) { a.Group = "mallory" }),
			failure: `the group "mallory" does not exist`,
		},
		{
			name: "group root", uid: alice, gid: alice, change: app(func(a *spawner.App) { a.Group = "root" }),
			want: alice, wantGID: nobody, groups: []int{62001, nobody},
		},
		{
			name: "the startup file's group", uid: alice, gid: 62002,
			change: app(func(a *spawner.App) { a.Group = spawner.GroupOfStartupFile }), want: alice, wantGID: 62002,
			groups: []int{62001, 62002},
		},
		{
			name: "the startup file's group, without a name", uid: alice, gid: stranger,
			change: app(func(a *spawner.App) { a.Group = spawner.GroupOfStartupFile }), want: alice, wantGID: nobody,
			groups: []int{62001, nobody},
		},
		{
			name: "the startup file's group with a user", uid: alice, gid: 62002,
			change: app(func(a *spawner.App) { a.User, a.Group = "bob", spawner.GroupOfStartupFile }), want: bob,
			wantGID: 62002, groups: forty,
		},
		{
			name: "another default user", uid: 0, gid: 0, config: func(c *spawner.Config) { c.DefaultUser = "alice" },
			want: alice, wantGID: alice, groups: []int{62001},
		},
		{
			name: "another default group", uid: carol, gid: 0,
			config: func(c *spawner.Config) { c.DefaultGroup = "web" },
			want:   carol, wantGID: 62001, groups: []int{62001},
		},
		{
			name: "an unknown default user", uid: alice, gid: 0,
			config:  func(c *spawner.Config) { c.DefaultUser = "mallory" },
			failure: `the default user "mallory" does not exist`,
		},
		{
			name: "an unknown default group", uid: alice, gid: 0,
			config:  func(c *spawner.Config) { c.DefaultGroup = "mallory" },
			failure: `the default group "mallory" does not exist`,
		},
		{
			name: "switching off", uid: alice, gid: alice,
			config: func(c *spawner.Config) { c.Users = spawner.DefaultUserOnly },
			change: app(func(a *spawner.App) { a.User = "bob" }), want: nobody, wantGID: nobody,
		},
		{
			name: "the directory where there is no startup file", uid: alice, gid: alice,
			change: app(func(a *spawner.App) {
				a.StartupFile = ""
				require.NoError(t, os.Chown(a.Root, bob, bob))
			}), want: bob, wantGID: bob, groups: forty,
		},
		{
			name: "no startup file", uid: alice, gid: alice,
			change:  app(func(a *spawner.App) { a.StartupFile = "none" }),
			failure: "does not exist",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var config []func(*spawner.Config)
			if test.config != nil {
				config = append(config, test.config)
			}

			f := newUserFixture(t, config...)
			a := tenantApp(t, program, test.uid, test.gid)
			if test.change != nil {
				test.change(&a)
			}

			if test.failure != "" {
				e := f.fail(t, a)
				require.Contains(t, e.Summary, test.failure)
				require.NotEmpty(t, e.Advice)

				return
			}

			p := f.start(t, a)
			c := credentialsOf(t, p)
			require.Equal(t, four(test.want), c["Uid"])
			require.Equal(t, four(test.wantGID), c["Gid"])
			require.Equal(t, sortedIDs(append(test.groups, test.wantGID)...), c["Groups"])

			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
				require.Equal(t, strings.Repeat("0", 16), c[set], set)
			}

			requireAccount(t, p, test.want)
			body, err := get(t, p, "/")
			require.NoError(t, err)
			require.Equal(t, "hello", body)
		})
	}
}

// requireAccount checks what the environment says of who the process is.
func requireAccount(t *testing.T, p spawner.Process, uid int) {
	t.Helper()
	users := testUsers()
	u := users[slices.IndexFunc(users, func(u spawner.Account) bool { return u.UID == uid })]
	require.Equal(t, u.Name, p.Info().User)

	env := map[string]string{}
	for _, v := range stateOf(t, p).Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}

	want := map[string]string{"HOME": u.Home, "USER": u.Name, "LOGNAME": u.Name, "SHELL": u.Shell}
	maps.DeleteFunc(want, func(_, v string) bool { return v == "" })

	for _, name := range []string{"HOME", "USER", "LOGNAME", "SHELL"} {
		value, ok := env[name]
		_, wanted := want[name]
		require.Equal(t, wanted, ok, name)
		require.Equal(t, want[name], value, name)
	}
}

// Files and directories that are made for processes of other users, under any umask.
// Faults.
func TestModesOfOtherUsersProcessesHoldUnderAnyUmask(t *testing.T) {
	for _, users := range []spawner.UserPolicy{spawner.UserOfApp, spawner.SameUser} {
		for _, umask := range []int{0, 0o22, 0o77, 0o777} {
			t.Run(fmt.Sprintf("%d umask %03o", users, umask), func(t *testing.T) {
				program := sharedProgram(t)
				f := newUserFixture(t, func(c *spawner.Config) { c.Users = users })
				a := tenantApp(t, program, alice, alice)
				p := withUmask(t, umask, func() spawner.Process { return f.start(t, a) })
				owner, sockets, loaders, script := alice, os.FileMode(0o711), os.FileMode(0o755), os.FileMode(0o644)
				if users == spawner.SameUser {
					owner, sockets, loaders, script = 0, 0o700, 0o700, 0o600
				}

				dir := filepath.Dir(p.Info().Sockets[0].Address.Addr)
				requireMode(t, filepath.Join(f.dir, "apps.s"), sockets, 0)
				requireMode(t, dir, 0o700, owner)
				found, err := filepath.Glob(filepath.Join(f.dir, "loaders.*"))
				require.NoError(t, err)
				require.Len(t, found, 1)
				requireMode(t, found[0], loaders, 0)
				requireMode(t, filepath.Join(found[0], "ruby", "passenger_loader"), loaders, 0)
				requireMode(t, filepath.Join(found[0], "ruby", "rack_loader.rb"), script, 0)
			})
		}
	}
}

func requireMode(t *testing.T, path string, mode os.FileMode, uid int) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, mode, info.Mode().Perm(), path)
	require.Equal(t, uid, uidOf(t, info), path)
}

// As root, no other user may be able to replace the directory.
// Faults.
func TestDirectoryThatOthersCanReplaceIsRefused(t *testing.T) {
	t.Parallel()

	for name, spoil := range map[string]func(dir string) error{
		"writable for others": func(dir string) error { return os.Chmod(dir, 0o777) },
		"another user's":      func(dir string) error { return os.Chown(dir, alice, alice) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := shortDir(t)
			dir := filepath.Join(outer, "d")
			require.NoError(t, os.Mkdir(dir, 0o711))
			f := newUserFixture(t, func(c *spawner.Config) { c.Dir = dir })
			require.NoError(t, spoil(outer))
			e := f.fail(t, tenantApp(t, sharedProgram(t), alice, alice))
			require.Equal(t, spawner.CategoryFileSystem, e.Category)
			require.Contains(t, e.Summary, "could replace what is in the directory "+outer)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)

			require.Empty(t, entries)
			require.NoError(t, os.Chmod(outer, 0o755))
			require.NoError(t, os.Chown(outer, 0, 0))
		})
	}
}

// A directory that the application's user cannot reach is found before anything is started, and named.
// Faults: A16.
func TestUnreachableParentIsNamed(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	a := tenantApp(t, program, alice, alice)
	inner := filepath.Join(a.Root, "closed", "app")
	require.NoError(t, os.MkdirAll(inner, 0o755))
	require.NoError(t, os.Rename(filepath.Join(a.Root, "boot"), filepath.Join(inner, "boot")))
	closed := filepath.Dir(inner)
	require.NoError(t, os.Chmod(closed, 0o700))
	a.Root = inner
	e := f.fail(t, a)
	require.Contains(t, e.Summary, "no permission to enter "+closed)
	require.Contains(t, e.Advice, "chmod o+x "+closed)
	require.Contains(t, e.User, "alice (uid 61001)")

	require.NoError(t, os.Chmod(closed, 0o755))
	require.NoError(t, os.Chmod(inner, 0o700))
	e = f.fail(t, a)
	require.Contains(t, e.Summary, "no permission to enter "+inner)

	require.NoError(t, os.Chmod(inner, 0o755))
	a.StartCommand = []string{"./locked"}
	require.NoError(t, os.Mkdir(filepath.Join(inner, "bin"), 0o700))
	require.NoError(t, os.Symlink("bin/program", filepath.Join(inner, "locked")))
	e = f.fail(t, a)
	require.Contains(t, e.Summary, "cannot be executed")
}

// A tenant's directory may be a link to what only another tenant may enter: advice for a directory without an
// application names nothing that not everybody may look at.
// Faults: R-07.
func TestAdviceNamesNothingOfClosedDirectories(t *testing.T) {
	requireRoot(t)

	f := newUserFixture(t)
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.MkdirAll(filepath.Join(home, "private"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(home, "private", "config.ru"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(home, "package.json"), []byte(`{"main": "private.js"}`), 0o644))

	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(home)), 0o755))

	link := filepath.Join(filepath.Dir(home), "link")
	require.NoError(t, os.Symlink(home, link))

	for mode, named := range map[os.FileMode]bool{0o755: true, 0o711: false, 0o700: false} {
		require.NoError(t, os.Chmod(home, mode))

		failure := f.fail(t, spawner.App{Root: link})
		require.Contains(t, failure.Summary, "no application was found")
		require.Equal(t, named, strings.Contains(failure.Summary+failure.Advice, "private"), "mode %o: %s %s", mode,
			failure.Summary, failure.Advice)
	}
}
