package instancedir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// meanwhile calls do again and again until the function it returns is called.
func meanwhile(t *testing.T, do func()) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			do()
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)

	return stop
}

// rounds is how often something is done that may go wrong seldom.
func rounds(n int) int {
	if longtests.Enabled() {
		n *= 20
	}

	return n
}

// exchange swaps two names at once, if both are there.
func exchange(a, b string) {
	_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// A link takes the place of each entry in turn, at full
// speed, while everything is done with the directory that there is to do. Who
// plays the attacker may do more here than one could.
// Faults.
func TestRacingLinksInPlaceOfEntriesLeadNowhere(t *testing.T) {
	c := newCanaries(t)
	for _, name := range []string{
		".", "apps.s", "agents.s", "lock", "properties.json", "core.pid",
		"creation_finalized",
	} {
		t.Run(name, func(t *testing.T) {
			registry := newRegistry(t)
			decoy := filepath.Join(registry, "decoy")
			target := c.dir
			if name == "lock" || strings.Contains(name, ".") && name != "." && !strings.HasSuffix(name, ".s") {
				target = filepath.Join(c.dir, "file")
			}

			for range rounds(20) {
				require.NoError(t, os.Symlink(target, decoy))
				d := create(t, registry)
				path := filepath.Join(d.Path(), name)
				stop := meanwhile(t, func() { exchange(path, decoy) })

				// Each may fail, but not do something elsewhere.
				_ = d.WritePID(instancedir.Core, 1)
				_ = d.Touch()
				_ = d.Finalize()
				_ = instancedir.List([]string{registry})
				_ = d.Remove()
				require.NoError(t, d.Close())
				_ = clean(registry)
				stop()

				for _, left := range entries(t, registry) {
					require.NoError(t, os.RemoveAll(filepath.Join(registry, left)))
				}
			}

			c.check()
		})
	}
}

// Another process fills the directory of an application, and swaps
// what is in it, while it is being removed.
// Faults.
func TestRemovalOfRacingTreeStaysInside(t *testing.T) {
	c := newCanaries(t)

	registry := newRegistry(t)
	for range rounds(15) {
		d := run(t, registry)
		app := filepath.Join(d.AppSockets(), "app")
		link := filepath.Join(d.AppSockets(), "link")
		require.NoError(t, os.Mkdir(app, 0o700))
		require.NoError(t, os.Symlink(c.dir, link))

		for n := range 20 {
			require.NoError(t, os.MkdirAll(filepath.Join(app, fmt.Sprint(n), "sub"), 0o700))
		}

		held, err := os.OpenRoot(app)
		require.NoError(t, err)
		stop := meanwhile(t, func() {
			exchange(app, link)
			exchange(filepath.Join(app, "1"), link)
			_ = held.WriteFile("more", nil, 0o600)
		})
		require.NoError(t, d.Remove())
		stop()
		require.NoError(t, held.Close())
	}

	require.Empty(t, entries(t, registry))
	c.check()
}

// Many are made in one registry while others are cleaned up, and none touches another.
// Faults: R-03.
func TestRacingCreationsShareNoDirectory(t *testing.T) {
	registry := newRegistry(t)
	stop := meanwhile(t, func() { _ = clean(registry) })

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				d, err := instancedir.Create(config(registry))
				if err == nil {
					err = d.Finalize()
				}

				if err == nil {
					err = d.Check()
				}

				if err == nil {
					err = d.Remove()
				}

				if err != nil {
					t.Error(err)
				}
			}
		})
	}

	all.Wait()
	stop()
	require.Empty(t, entries(t, registry))
}

// What another user has put there in advance is neither used nor changed.
// Faults: R-02.
func TestGuessedNamesAreNeitherUsedNorChanged(t *testing.T) {
	c := newCanaries(t)

	registry := newRegistry(t)
	for n := range 1000 {
		path := filepath.Join(registry, fmt.Sprintf("passenger.%07d", n))
		switch n % 4 {
		case 0:
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o666))
		case 1:
			require.NoError(t, os.Mkdir(path, 0o777))
		case 2:
			require.NoError(t, os.Symlink(c.dir, path))
		default:
			require.NoError(t, syscall.Mkfifo(path, 0o666))
		}
	}

	before := tree(t, registry)
	d := run(t, registry)
	l := instancedir.List([]string{registry})
	require.Len(t, l.Instances, 1)
	require.Equal(t, d.Path(), l.Instances[0].Path)
	require.NoError(t, d.Remove())
	require.Empty(t, clean(registry))
	require.Equal(t, before, tree(t, registry))
	c.check()
}
