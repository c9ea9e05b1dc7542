package instancedir_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// TestList is what an instance directory can come to, living or not.
func TestList(t *testing.T) {
	put := func(t *testing.T, dir, name, content string) {
		t.Helper()
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	gone := func(t *testing.T, dir, name string) {
		t.Helper()
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	age := func(t *testing.T, dir string, d time.Duration) {
		t.Helper()
		then := time.Now().Add(-d)
		require.NoError(t, os.Chtimes(dir, then, then))
	}
	const lives = "lives"
	type harm func(t *testing.T, dir string)

	properties := func(old, replacement string) harm {
		return func(t *testing.T, dir string) {
			t.Helper()
			content, err := os.ReadFile(filepath.Join(dir, "properties.json"))
			require.NoError(t, err)
			changed := strings.Replace(string(content), old, replacement, 1)
			require.NotEqual(t, string(content), changed)
			put(t, dir, "properties.json", changed)
		}
	}
	for _, test := range []struct {
		name string
		harm harm
		// locked and free are what is said of it, the latter when its instance
		// has ended: why it is skipped, or "stale:" and why it is stale.
		locked, free string
	}{
		{"nothing", func(*testing.T, string) {}, lives, "stale:its instance has ended"},
		{"of version 5", properties(`"major_version": 4`, `"major_version": 3`), lives, "stale:its instance has ended"},
		{"of version 4", properties(`"major_version": 4`, `"major_version": 2`), "version 2.0", "version 2.0"},
		{"of a later version", properties(`"major_version": 4`, `"major_version": 5`), "version 5.0", "version 5.0"},
		{"no properties", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "properties.json")
		}, "no such file", "stale:its instance has ended"},
		{"no JSON", func(t *testing.T, dir string) {
			t.Helper()
			put(t, dir, "properties.json", `{"name": `)
		}, "JSON", "stale:its instance has ended"},
		{
			"a terminal's order", properties(`"nginx/1.0"`, `"\u001b[2J"`), "cannot be printed",
			"stale:its instance has ended",
		},
		{
			"no process", properties(`"watchdog_pid": `, `"watchdog_pid": -`), "is not a process id",
			"stale:its instance has ended",
		},
		{"properties of 10 GB", func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Truncate(filepath.Join(dir, "properties.json"), 10<<30))
		}, "more than 32768 bytes", "stale:its instance has ended"},
		{"properties are a FIFO", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "properties.json")
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "properties.json"), 0o644))
		}, "not a regular file", "stale:its instance has ended"},
		{"properties are a link", func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, "properties.json")
			require.NoError(t, os.Rename(path, path+"2"))
			require.NoError(t, os.Symlink(path+"2", path))
		}, "too many levels", "stale:its instance has ended"},
		{"properties are a directory", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "properties.json")
			require.NoError(t, os.Mkdir(filepath.Join(dir, "properties.json"), 0o755))
		}, "not a regular file", "stale:its instance has ended"},
		{"not finalized", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "creation_finalized")
		}, "just being created", "just being created"},
		{"not finalized for 50 s", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "creation_finalized")
			age(t, dir, 50*time.Second)
		}, "just being created", "just being created"},
		{"not finalized for 61 s", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "creation_finalized")
			age(t, dir, 61*time.Second)
		}, "just being created", "stale:its creation was not finished"},
		{"no lock", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "lock")
		}, "it has no file lock", "it has no file lock"},
		{"lock is a FIFO", func(t *testing.T, dir string) {
			t.Helper()
			gone(t, dir, "lock")
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "lock"), 0o644))
		}, "not a regular file", "not a regular file"},
		{"lock is a link", func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, "lock")
			require.NoError(t, os.Rename(path, path+"2"))
			require.NoError(t, os.Symlink(path+"2", path))
		}, "too many levels", "too many levels"},
		{"others may write", func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Chmod(dir, 0o777))
		}, "its mode 0777", "its mode 0777"},
		{"PID of the core is a FIFO", func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "core.pid"), 0o644))
		}, lives, "stale:its instance has ended"},
	} {
		t.Run(test.name, func(t *testing.T) {
			registry := newRegistry(t)
			d := run(t, registry)
			test.harm(t, d.Path())

			for _, want := range []string{test.locked, test.free} {
				l := instancedir.List([]string{registry})

				reason, stale := strings.CutPrefix(want, "stale:")
				switch {
				case want == lives:
					require.Equal(t, d.Name(), l.Instances[0].Name)
					require.Empty(t, l.Stale)
					require.Empty(t, l.Skipped)
				case stale:
					require.Empty(t, l.Instances)
					require.Empty(t, l.Skipped)
					require.Len(t, l.Stale, 1)
					require.Equal(t, reason, l.Stale[0].Reason)
					require.Equal(t, d.Path(), l.Stale[0].Path)
				default:
					require.Empty(t, l.Instances)
					require.Empty(t, l.Stale)
					require.Len(t, l.Skipped, 1)
					require.Equal(t, d.Path(), l.Skipped[0].Path)
					require.ErrorContains(t, l.Skipped[0].Err, want)
				}

				if !stale {
					before := tree(t, registry)
					require.Empty(t, clean(registry))
					require.Equal(t, before, tree(t, registry))
				}

				require.NoError(t, d.Close())
			}

			if strings.HasPrefix(test.free, "stale:") {
				require.Equal(t, "*** Cleaning stale instance directory "+d.Path()+"\n", clean(registry))
				require.Empty(t, entries(t, registry))
			}
		})
	}
}

// TestNoInstances is what else may be in a registry.
func TestNoInstances(t *testing.T) {
	registry := newRegistry(t)
	outside := abandon(t, newRegistry(t))
	require.NoError(t, os.WriteFile(filepath.Join(registry, "passenger.log"), []byte("x"), 0o644))
	require.NoError(t, os.Symlink(outside, filepath.Join(registry, "passenger.link")))
	require.NoError(t, os.Rename(abandon(t, registry), filepath.Join(registry, "passenger.a b")))
	require.NoError(t, os.Rename(abandon(t, registry), filepath.Join(registry, "passenger.")))
	require.NoError(t, os.Rename(abandon(t, registry), filepath.Join(registry, "travellers")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(registry, "passenger.fifo"), 0o644))
	before := tree(t, registry)
	l := instancedir.List([]string{registry, registry + "/none", registry + "/passenger.log"})
	require.Empty(t, l.Instances)
	require.Empty(t, l.Stale)
	require.Len(t, l.Skipped, 1, "a registry that is a file")
	require.Equal(t, registry+"/passenger.log", l.Skipped[0].Path)
	require.Empty(t, clean(registry))
	require.Equal(t, before, tree(t, registry))
	require.DirExists(t, outside)
}

// TestEmptyDirectory: a creation can be killed before there is a lock. What else
// has no lock is not ours, however old.
func TestEmptyDirectory(t *testing.T) {
	registry := newRegistry(t)
	empty, other := filepath.Join(registry, "passenger.empty"), filepath.Join(registry, "passenger.other")
	require.NoError(t, os.Mkdir(empty, 0o700))
	require.NoError(t, os.Mkdir(other, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(other, "apps.s"), 0o700))
	require.Empty(t, clean(registry), "they are new")

	// One of a time to come is of a clock that was set back since.
	for _, at := range []time.Time{time.Unix(1_000_000_000, 0), time.Now().Add(time.Hour)} {
		require.NoError(t, os.Chtimes(empty, at, at))
		require.NoError(t, os.Chtimes(other, at, at))
		require.Equal(t, "*** Cleaning stale instance directory "+empty+"\n", clean(registry))
		require.Equal(t, []string{"passenger.other"}, entries(t, registry))
		require.NoError(t, os.Mkdir(empty, 0o700))
	}
}

// TestTwoLook: one who lists does not make another take what is stale for living.
func TestTwoLook(t *testing.T) {
	registry := newRegistry(t)
	lock, err := os.Open(filepath.Join(abandon(t, registry), "lock"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_SH))
	require.Len(t, instancedir.List([]string{registry}).Stale, 1)
}

func TestPasswords(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)

	i := only(t, registry)
	for _, password := range []struct {
		name, want string
		read       func() (string, error)
	}{
		{"read_only_admin_password.txt", d.ReadOnlyPassword(), i.ReadOnlyPassword},
		{"full_admin_password.txt", d.FullPassword(), i.FullPassword},
	} {
		path := filepath.Join(d.Path(), password.name)
		got, err := password.read()
		require.NoError(t, err)
		require.Equal(t, password.want, got)

		for name, harm := range map[string]func() error{
			"empty":  func() error { return os.WriteFile(path, nil, 0o600) },
			"spaces": func() error { return os.WriteFile(path, []byte("top secret\n"), 0o600) },
			"long":   func() error { return os.Truncate(path, 10<<30) },
			"FIFO":   func() error { return syscall.Mkfifo(path, 0o600) },
			"link":   func() error { return os.Symlink(d.Path()+"/lock", path) },
			"gone":   func() error { return nil },
		} {
			if name == "FIFO" || name == "link" || name == "gone" {
				require.NoError(t, os.RemoveAll(path))
			}

			require.NoError(t, harm())
			got, err := password.read()
			require.Error(t, err, name)
			require.Empty(t, got)
			require.NotContains(t, err.Error(), "secret")
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		}
	}

	require.NoError(t, os.Rename(d.Path(), d.Path()+"2"))
	other := run(t, registry)
	require.NoError(t, os.Rename(other.Path(), d.Path()))
	_, err := i.FullPassword()
	require.ErrorContains(t, err, "was replaced", "that of another instance is not to be had")
}

// Other users read only what is for all.
// Faults: R-19.
func TestPasswordsAreReadableByTheirOwnersOnly(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)

	d := run(t, registry)
	for _, name := range []string{"full_admin_password.txt", "read_only_admin_password.txt", "properties.json"} {
		cat := exec.CommandContext(t.Context(), "cat", filepath.Join(d.Path(), name))
		as(alice)(cat)
		cat.Dir = "/"
		out, err := cat.Output()
		if name == "properties.json" {
			require.NoError(t, err)
			require.True(t, json.Valid(out))
			continue
		}

		require.Error(t, err)
		require.Empty(t, out)
	}
}

// TestManyForeign: another user cannot hide an instance behind many of their own.
func TestManyForeign(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)

	d := run(t, registry)
	for n := range 1500 {
		path := filepath.Join(registry, fmt.Sprintf("passenger.%04d", n))
		require.NoError(t, os.Mkdir(path, 0o755))
		require.NoError(t, os.Chown(path, alice, alice))
	}

	l := instancedir.List([]string{registry})
	require.Len(t, l.Instances, 1)
	require.Equal(t, d.Name(), l.Instances[0].Name)
	require.Len(t, l.Skipped, 1001)
	require.ErrorContains(t, l.Skipped[0].Err, "more than 1000 directories passenger.* of other users")
}

func TestOthersInstances(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	d := run(t, registry)
	w := start(t, sharedProgram(t), &task{Config: config(registry), Finalize: true}, as(alice))
	require.Empty(t, w.Err)
	l := instancedir.List([]string{registry})
	require.Len(t, l.Instances, 2)
	i, err := l.Select(w.Name)
	require.NoError(t, err)
	require.Equal(t, alice, i.UID)
	password, err := i.FullPassword()
	require.NoError(t, err)
	require.Equal(t, w.Full, password)
	w.kill()
	require.Equal(t, "*** Cleaning stale instance directory "+w.Path+"\n", clean(registry))
	require.Equal(t, []string{filepath.Base(d.Path())}, entries(t, registry))
}
