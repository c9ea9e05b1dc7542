package instancedir_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// Nothing is made anywhere.
// Faults: E7, R-12, R-18.
func TestUnsafeRegistriesAreRefused(t *testing.T) {
	root := os.Geteuid() == 0
	for _, test := range []struct {
		name     string
		make     func(t *testing.T, dir string) string
		want     string
		needRoot bool
	}{
		{
			"missing", func(_ *testing.T, dir string) string { return dir + "/none" }, "there is no registry directory",
			false,
		},
		{"dangling link", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Symlink("/nowhere", dir+"/link"))
			return dir + "/link"
		}, "there is no registry directory", false},
		{"link to itself", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Symlink("link", dir+"/link"))
			return dir + "/link"
		}, "too many levels", false},
		{"file", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.WriteFile(dir+"/file", nil, 0o600))
			return dir + "/file"
		}, "is not a directory", false},
		{"FIFO", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, syscall.Mkfifo(dir+"/fifo", 0o600))
			return dir + "/fifo"
		}, "is not a directory", false},
		{"open to all", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Chmod(dir, 0o777))
			return dir
		}, "has the mode 0777", false},
		{"below one open to all", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Mkdir(dir+"/below", 0o755))
			require.NoError(t, os.Chmod(dir, 0o777))

			return dir + "/below"
		}, "has the mode 0777", false},
		{"by a link below one open to all", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.MkdirAll(dir+"/open/below", 0o755))
			require.NoError(t, os.Chmod(dir+"/open", 0o777))
			require.NoError(t, os.Symlink("open/below", dir+"/link"))

			return dir + "/link"
		}, "has the mode 0777", false},
		{"open to the group", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Chmod(dir, 0o775))
			return dir
		}, "has the mode 0775", true},
		{"another user's", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Chown(dir, alice, alice))
			return dir
		}, "(user ID 61001)", true},
		{"below another user's", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Mkdir(dir+"/below", 0o755))
			require.NoError(t, os.Chown(dir, alice, alice))

			return dir + "/below"
		}, "(user ID 61001)", true},
		{"too long", func(t *testing.T, dir string) string {
			t.Helper()
			long := filepath.Join(dir, strings.Repeat("x", 53-len(dir)-1))
			require.NoError(t, os.Mkdir(long, 0o755))

			return long
		}, "too long by 1 bytes", false},
		{"control characters", func(t *testing.T, dir string) string {
			t.Helper()
			require.NoError(t, os.Mkdir(dir+"/a\nb", 0o755))
			return dir + "/a\nb"
		}, "control characters", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.needRoot && !root {
				requireRoot(t)
			}

			dir := newRegistry(t)
			require.NoError(t, os.Chmod(dir, 0o755))
			registry := test.make(t, dir)
			before := tree(t, dir)
			_, err := instancedir.Create(config(registry))
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "registry directory")
			require.Equal(t, before, tree(t, dir))
		})
	}
}

// TestLongestPath: a registry whose path is as long as can be has room for a
// socket of an application.
func TestLongestPath(t *testing.T) {
	dir := newRegistry(t)
	long := filepath.Join(dir, strings.Repeat("x", 52-len(dir)-1))
	require.NoError(t, os.Mkdir(long, 0o755))
	d := create(t, long)
	socket := filepath.Join(d.AppSockets(), "12345678", "1234567890123456")
	require.Len(t, socket, 103)
	require.NoError(t, d.Remove())
}

// TestOwnGroupMayWrite: that is how many systems set up users' directories.
func TestOwnGroupMayWrite(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	require.NoError(t, os.Chown(registry, alice, alice))
	require.NoError(t, os.Chmod(registry, 0o775))
	w := start(t, sharedProgram(t), &task{Config: config(registry)}, as(alice))
	require.Empty(t, w.Err)
	w.remove()
}

func TestOthersRegistryIsRefusedToUsers(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	require.NoError(t, os.Chown(registry, bob, bob))
	w := start(t, sharedProgram(t), &task{Config: config(registry)}, as(alice))
	require.Contains(t, w.Err, "belongs to another user than root and the user with ID 61001 (user ID 61002)")
	require.Empty(t, entries(t, registry))
}

// Faults: E7.
func TestUnwritableRegistryIsRefused(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	require.NoError(t, os.Chmod(registry, 0o755))
	w := start(t, sharedProgram(t), &task{Config: config(registry)}, as(alice))
	require.Contains(t, w.Err, "permission denied")
	require.Empty(t, entries(t, registry))
}

// tree is all that there is below dir, with its mode.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}

		info, err := e.Info()
		if err != nil {
			return err
		}

		all = append(all, info.Mode().String()+" "+path)

		return nil
	}))

	return all
}
