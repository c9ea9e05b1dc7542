package instancedir_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// A living instance notices within 5 seconds what happens to its directory.
// Faults: E6.
func TestLivingInstanceNoticesDamageToItsDirectory(t *testing.T) {
	must := func(t *testing.T, errs ...error) {
		t.Helper()

		for _, err := range errs {
			require.NoError(t, err)
		}
	}
	for name, test := range map[string]struct {
		harm func(t *testing.T, d *instancedir.Dir)
		want string
	}{
		"removed": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			must(t, os.RemoveAll(d.Path()))
		}, "was removed"},
		"emptied": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()

			for _, name := range entries(t, d.Path()) {
				must(t, os.RemoveAll(filepath.Join(d.Path(), name)))
			}
		}, "was removed"},
		"sockets removed": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			must(t, os.Remove(d.AppSockets()))
		}, "apps.s was removed"},
		"lock replaced": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			lock := filepath.Join(d.Path(), "lock")
			must(t, os.WriteFile(lock+"2", nil, 0o600), os.Rename(lock+"2", lock))
		}, "lock was replaced"},
		"no longer finalized": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			must(t, os.Remove(filepath.Join(d.Path(), "creation_finalized")))
		}, "creation_finalized was removed"},
		"moved, and another in its place": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			must(t, os.Rename(d.Path(), d.Path()+"2"), os.Mkdir(d.Path(), 0o700))
		}, "was replaced"},
		"a link to it in its place": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			must(t, os.Rename(d.Path(), d.Path()+"2"), os.Symlink(d.Path()+"2", d.Path()))
		}, "was replaced"},
		"registry moved": {func(t *testing.T, d *instancedir.Dir) {
			t.Helper()
			registry := filepath.Dir(d.Path())
			must(t, os.Rename(registry, registry+"2"))
			t.Cleanup(func() { must(t, os.Rename(registry+"2", registry)) })
		}, "was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			registry := newRegistry(t)
			d := run(t, registry)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				kept := make(chan error, 1)
				go func() { kept <- d.Keep(t.Context(), 0, nil) }()

				// Between two checks.
				<-time.After(time.Minute + time.Second)
				require.Empty(t, kept, "nothing has happened")
				test.harm(t, d)
				err := <-kept
				require.ErrorIs(t, err, instancedir.ErrGone)
				require.ErrorContains(t, err, test.want)
				require.LessOrEqual(t, time.Since(begin), time.Minute+6*time.Second)
				require.ErrorIs(t, d.Check(), instancedir.ErrGone)
			})
		})
	}
}

func TestKeepEnds(t *testing.T) {
	d := run(t, newRegistry(t))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, d.Keep(ctx, 0, nil))
		require.NoError(t, d.Remove())
		require.ErrorIs(t, d.Keep(t.Context(), 0, nil), instancedir.ErrRemoved)
	})
}

// Nothing gets old, sockets included, but for what a hard link may have brought.
// Faults: E8.
func TestFilesAreTouchedSoThatNoCleanerRemovesThem(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)

	paths := append(make([]string, 0, 16), d.Path())
	for _, path := range []string{d.Socket(instancedir.CoreSocket), filepath.Join(d.AppSockets(), "app")} {
		l, err := net.Listen("unix", path)
		require.NoError(t, err)
		defer l.Close()
		paths = append(paths, path)
	}

	for _, name := range entries(t, d.Path()) {
		paths = append(paths, filepath.Join(d.Path(), name))
	}

	old := time.Unix(1_000_000_000, 0)
	brought := filepath.Join(registry, "precious")
	require.NoError(t, os.WriteFile(brought, nil, 0o600))
	require.NoError(t, os.Link(brought, filepath.Join(d.AppSockets(), "hard")))
	linked := filepath.Join(registry, "linked")
	require.NoError(t, os.WriteFile(linked, nil, 0o600))
	require.NoError(t, os.Symlink(linked, filepath.Join(d.Path(), "agents.s", "soft")))
	age := func() {
		for _, path := range append(paths, brought, linked) {
			require.NoError(t, os.Chtimes(path, old, old))
		}
	}
	modified := func(t *testing.T, path string) time.Time {
		t.Helper()
		info, err := os.Lstat(path)
		require.NoError(t, err)

		return info.ModTime()
	}
	age()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		kept := make(chan error, 1)
		go func() {
			kept <- d.Keep(ctx, 0, func(err error) { t.Error(err) })
		}()

		for range 2 {
			<-time.After(time.Hour + time.Second)

			for _, path := range paths {
				require.WithinDuration(t, time.Now(), modified(t, path), 10*time.Second, path)
			}

			require.Equal(t, old, modified(t, brought))
			require.Equal(t, old, modified(t, linked))
			age()
		}

		cancel()
		require.NoError(t, <-kept)
	})
}

// TestTouchIsTriedAgain: a failure is reported, and soon tried again.
func TestTouchIsTriedAgain(t *testing.T) {
	registry := newRegistry(t)
	d := create(t, registry)
	sockets := filepath.Join(d.Path(), "agents.s")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := time.Now()

		// Check fails as well, but two touches are due first.
		require.NoError(t, os.Remove(sockets))
		told := []time.Duration{}
		err := d.Keep(ctx, time.Second, func(err error) {
			require.ErrorIs(t, err, os.ErrNotExist)
			told = append(told, time.Since(begin))
		})
		require.ErrorIs(t, err, instancedir.ErrGone)
		require.GreaterOrEqual(t, len(told), 2)
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, told[:2])
	})
}
