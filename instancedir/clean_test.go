package instancedir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// canaries are files that must survive, in a directory beside.
type canaries struct {
	t    *testing.T
	dir  string
	tree []string
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{t: t, dir: shortDir(t)}
	require.NoError(t, os.Chmod(c.dir, 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "sub"), 0o751))

	for _, name := range []string{"file", "lock", "sub/file", "creation_finalized"} {
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, name), []byte("canary"), 0o604))
	}

	c.tree = tree(t, c.dir)

	return c
}

func (c *canaries) check() {
	c.t.Helper()
	require.Equal(c.t, c.tree, tree(c.t, c.dir))
	content, err := os.ReadFile(filepath.Join(c.dir, "file"))
	require.NoError(c.t, err)
	require.Equal(c.t, "canary", string(content))
}

// Links are removed, and what they lead to stays.
// Faults: R-01.
func TestRemoveFollowsNoLinks(t *testing.T) {
	c := newCanaries(t)
	registry := newRegistry(t)
	plant := func(dir string) {
		for _, sub := range []string{"", "agents.s", "apps.s"} {
			require.NoError(t, os.Symlink(c.dir, filepath.Join(dir, sub, "link")))
			require.NoError(t, os.Link(filepath.Join(c.dir, "file"), filepath.Join(dir, sub, "hard")))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, sub, "fifo"), 0))
		}

		require.NoError(t, os.Remove(filepath.Join(dir, "agents.s", "link")))
	}
	d := run(t, registry)
	plant(d.Path())
	require.NoError(t, d.Remove())
	require.Empty(t, entries(t, registry))

	stale := abandon(t, registry)
	plant(stale)

	// Directories that have become links.
	require.NoError(t, os.RemoveAll(filepath.Join(stale, "apps.s")))
	require.NoError(t, os.Symlink(c.dir, filepath.Join(stale, "apps.s")))
	require.NotContains(t, clean(registry), "Warning")
	require.Empty(t, entries(t, registry))
	c.check()
}

// TestRemoveDeepAndClosed: nothing that an application may have made stays, as
// long as one may remove it.
func TestRemoveDeepAndClosed(t *testing.T) {
	program := os.Args[0]
	users := []int{os.Geteuid()}
	if users[0] == 0 {
		program, users = sharedProgram(t), []int{0, alice}
	}

	for _, uid := range users {
		t.Run(fmt.Sprint("as ", uid), func(t *testing.T) {
			registry := newRegistry(t)
			w := start(t, program, &task{Config: config(registry), Finalize: true}, func(c *exec.Cmd) {
				if os.Geteuid() == 0 {
					as(uid)(c)
				}
			})
			require.Empty(t, w.Err)

			// Longer than a path may be.
			at, err := os.OpenRoot(filepath.Join(w.Path, "apps.s"))
			require.NoError(t, err)

			name := strings.Repeat("d", 200)
			for range 300 {
				require.NoError(t, at.Mkdir(name, 0o755))
				require.NoError(t, at.WriteFile("file", nil, 0o600))
				require.NoError(t, at.Lchown(name, uid, uid))
				next, err := at.OpenRoot(name)
				require.NoError(t, err)
				require.NoError(t, at.Close())
				at = next
			}

			require.NoError(t, at.Close())

			for _, path := range []string{"apps.s/closed", "apps.s/closed/in", "closed", "closed/in"} {
				path = filepath.Join(w.Path, path)
				require.NoError(t, os.Mkdir(path, 0o700))
				require.NoError(t, os.WriteFile(path+"/file", nil, 0))
				require.NoError(t, os.Lchown(path, uid, uid))
			}

			for _, path := range []string{"apps.s/closed/in", "apps.s/closed", "closed/in", "closed"} {
				require.NoError(t, os.Chmod(filepath.Join(w.Path, path), 0))
			}

			w.remove()
			require.Empty(t, entries(t, registry))
		})
	}
}

// TestRemoveReplaced: what is at its path instead stays.
// As by what cleans temporary directories, just before the end.
func TestRemoveWhatIsGone(t *testing.T) {
	registry := newRegistry(t)
	d := create(t, registry)
	require.NoError(t, d.Finalize())
	require.NoError(t, os.RemoveAll(d.Path()))
	require.NoError(t, d.Remove())
	require.NoError(t, d.Remove())
	require.Empty(t, entries(t, registry))
}

func TestRemoveReplaced(t *testing.T) {
	c := newCanaries(t)
	registry := newRegistry(t)
	d := run(t, registry)
	moved := d.Path() + "2"
	require.NoError(t, os.Rename(d.Path(), moved))
	require.NoError(t, os.Symlink(c.dir, d.Path()))
	require.NoError(t, d.Remove())
	require.Empty(t, entries(t, moved), "what was ours is emptied")
	require.Equal(t, []string{filepath.Base(d.Path()), filepath.Base(moved)}, entries(t, registry))
	c.check()
}

func TestCleanLooksAgain(t *testing.T) {
	registry := newRegistry(t)
	path := abandon(t, registry)
	l := instancedir.List([]string{registry})
	require.Len(t, l.Stale, 1)

	// It lives again.
	lock, err := os.Open(filepath.Join(path, "lock"))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	var report strings.Builder
	l.Clean(&report)
	require.Contains(t, report.String(), "    Warning: "+path+": it is in use, or was replaced\n")
	require.DirExists(t, path)
	require.NoError(t, lock.Close())

	// It is another one.
	require.NoError(t, os.Rename(path, path+"2"))
	require.NoError(t, os.Rename(abandon(t, registry), path))
	report.Reset()
	l.Clean(&report)
	require.Contains(t, report.String(), "was replaced")
	require.DirExists(t, path)

	// It is gone.
	require.NoError(t, os.RemoveAll(path))
	report.Reset()
	l.Clean(&report)
	require.NotContains(t, report.String(), "Warning")
	require.Equal(t, []string{filepath.Base(path) + "2"}, entries(t, registry))
}

// TestCleanOnlyOwn: what users cannot remove they are not told of.
func TestCleanOnlyOwn(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	roots := abandon(t, registry)
	program := sharedProgram(t)
	w := start(t, program, &task{Config: config(registry), Finalize: true}, as(alice))
	w.kill()
	w = start(t, program, &task{Clean: registry}, as(bob))
	require.Equal(t, outcome{}, w.outcome)
	require.Len(t, entries(t, registry), 2)
	w = start(t, program, &task{Clean: registry}, as(alice))
	require.Len(t, strings.Split(w.Report, "\n"), 2, w.Report)
	require.Equal(t, []string{filepath.Base(roots)}, entries(t, registry))
}

// TestCleanMixedOwners: in the directory of one user, root removes nothing of
// another's, which the user may have moved there.
func TestCleanMixedOwners(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	path := abandon(t, registry)
	require.NoError(t, filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		require.NoError(t, err)
		return os.Chown(path, alice, alice)
	}))
	precious := filepath.Join(path, "apps.s", "precious")
	require.NoError(t, os.Mkdir(precious, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(precious, "file"), nil, 0o600))
	require.NoError(t, os.Chown(precious, bob, bob))
	require.Contains(t, clean(registry), "belongs to the user 61002, and not to 61001")
	require.Equal(t, 1, countFiles(t, registry, "file"))
}

// countFiles looks for name everywhere.
func countFiles(t *testing.T, dir, name string) (n int) {
	t.Helper()

	for _, path := range tree(t, dir) {
		if filepath.Base(path) == name {
			n++
		}
	}

	return n
}
