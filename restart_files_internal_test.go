package passenger

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// Looks at the restart files go on without the lock, and may come back in
// another order, or when a restart has begun meanwhile.
func TestNoTouchIsForgotten(t *testing.T) {
	p, err := New(Config{SelfChecks: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	g := newGroup(p, &Options{App: spawner.App{Root: "/a"}, StatThrottleRate: -1})
	begin := func() (c fileCheck) {
		p.update(func(*effects) {
			var due bool
			c, due = g.startFileCheckLocked()
			require.True(t, due)
		})

		return c
	}

	// restarts counts those that there have been when the look has told what it saw.
	restarts := func(c fileCheck, touched int64) (n uint32) {
		p.update(func(fx *effects) {
			c.finish(fx, restartFiles{touched: time.Unix(touched, 0)}, &g.opts)
			n = g.release.generation
		})

		return n
	}
	require.Zero(t, restarts(begin(), 1))

	early, late := begin(), begin()
	require.EqualValues(t, 1, restarts(early, 2))
	p.update(func(*effects) { g.restart = &restart{} })
	require.EqualValues(t, 1, restarts(late, 3))
	p.update(func(*effects) { g.restart = nil })
	require.EqualValues(t, 2, restarts(begin(), 3), "a touch during a restart is honoured after it")

	early, late = begin(), begin()
	require.EqualValues(t, 3, restarts(late, 4))
	require.EqualValues(t, 3, restarts(early, 3), "an old look says nothing")

	for what, change := range map[string]func(){
		"a removed application": func() { g.removed = true },
		"a pool that drains":    func() { p.state = poolDraining },
	} {
		c := begin()
		p.update(func(*effects) { change() })
		require.EqualValues(t, 3, restarts(c, 5), what)
		p.update(func(*effects) { g.removed, p.state = false, poolOpen })
	}
}

// What a link leads to is looked at with the rights of the application's user: restarts would tell of files that only
// root can look at.
func TestLinksAsRestartFilesAreFollowedWithTheUsersRights(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, nil, 0o600))

	may, asked := true, 0
	rights := fileRights(func(f func() error) error {
		asked++
		if !may {
			return fs.ErrPermission
		}

		return f()
	})

	for _, name := range []string{restartFile, alwaysRestartFile} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}

	found := statRestartFiles(dir, rights)
	require.False(t, found.touched.IsZero())
	require.True(t, found.always)
	require.Zero(t, asked, "the directory may be the operator's")

	for _, name := range []string{restartFile, alwaysRestartFile} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, name)))
	}

	require.NoError(t, os.Chtimes(elsewhere, time.Unix(1, 0), time.Unix(1, 0)))
	want := restartFiles{touched: time.Unix(1, 0), always: true}
	require.Equal(t, want, statRestartFiles(dir, rights))
	require.Equal(t, want, statRestartFiles(dir, nil))

	may = false
	require.Zero(t, statRestartFiles(dir, rights))
}
