package instancedir_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/instancedir"
)

// inherit starts an agent that takes over d.
func inherit(t *testing.T, d *instancedir.Dir) *watchdog {
	t.Helper()
	return start(t, os.Args[0], &task{Inherit: d.Path()}, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{d.LockFile()} })
}

// The lock lives as long as one of the two that have it, and
// the agent cleans up.
// Faults: E4.
func TestAgentCleansUpWhenWatchdogIsGone(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	w := inherit(t, d)
	require.Equal(t, outcome{
		Path:     d.Path(),
		Name:     d.Name(),
		ReadOnly: d.ReadOnlyPassword(),
		Full:     d.FullPassword(),
	}, w.outcome)
	require.NoError(t, d.Close()) // as its end would
	require.Equal(t, w.Name, only(t, registry).Name)
	require.Empty(t, clean(registry))
	w.remove()
	require.Empty(t, entries(t, registry))
}

// TestInheritedLockGoesNoFurther: an application must not keep it alive.
func TestInheritedLockGoesNoFurther(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	fd, err := unix.Dup(int(d.LockFile().Fd()))
	require.NoError(t, err)
	second, err := instancedir.Inherit(d.Path(), os.NewFile(uintptr(fd), "lock"))
	require.NoError(t, err)
	require.NoError(t, d.Close())
	cat := exec.CommandContext(t.Context(), "cat") // reads until its input ends
	in, err := cat.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cat.Start())
	require.Equal(t, second.Name(), only(t, registry).Name)
	require.NoError(t, second.Close())
	require.Len(t, instancedir.List([]string{registry}).Stale, 1)
	require.NoError(t, in.Close())
	require.NoError(t, cat.Wait())
}

// What they leave is stale.
// Faults: E5.
func TestDirectoryIsStaleWhenBothOwnersAreKilled(t *testing.T) {
	registry := newRegistry(t)
	d := run(t, registry)
	other := run(t, registry)
	w := inherit(t, d)
	w.kill()
	require.Len(t, instancedir.List([]string{registry}).Instances, 2)
	require.NoError(t, d.Close())
	l := instancedir.List([]string{registry})
	require.Len(t, l.Instances, 1)
	require.Len(t, l.Stale, 1)
	require.Equal(t, d.Path(), l.Stale[0].Path)
	require.Equal(t, "*** Cleaning stale instance directory "+d.Path()+"\n", clean(registry))
	require.Equal(t, []string{filepath.Base(other.Path())}, entries(t, registry), "never a live one")
	require.NoError(t, other.Check())
}

// TestKilled: a whole process, with SIGKILL.
func TestKilled(t *testing.T) {
	registry := newRegistry(t)
	w := start(t, os.Args[0], &task{Config: config(registry), Finalize: true})
	i := only(t, registry)
	require.Equal(t, w.Name, i.Name)
	require.Equal(t, w.cmd.Process.Pid, i.Properties.WatchdogPID)
	w.kill()
	require.Contains(t, clean(registry), w.Path)
	require.Empty(t, entries(t, registry))
}

func TestInheritRefused(t *testing.T) {
	registry := newRegistry(t)
	d, other := run(t, registry), run(t, registry)
	open := func(path string) *os.File {
		f, err := os.Open(path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, f.Close()) })

		return f
	}
	link := filepath.Join(registry, "passenger.link")
	require.NoError(t, os.Symlink(d.Path(), link))

	for name, test := range map[string]struct {
		path string
		lock *os.File
		want string
	}{
		"another's lock":     {d.Path(), other.LockFile(), "lock of another one"},
		"not the held file":  {d.Path(), open(filepath.Join(d.Path(), "lock")), "another process holds its lock"},
		"not there":          {filepath.Join(registry, "passenger.none"), d.LockFile(), "no such file"},
		"link":               {link, d.LockFile(), "passenger.link"},
		"no such name":       {registry, d.LockFile(), "begins with"},
		"no such registry":   {"/nowhere/passenger.x", d.LockFile(), "there is no registry"},
		"properties instead": {d.Path(), open(filepath.Join(d.Path(), "properties.json")), "lock of another one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := instancedir.Inherit(test.path, test.lock)
			require.ErrorContains(t, err, test.want)
		})
	}

	require.NoError(t, d.Check())
	require.Len(t, instancedir.List([]string{registry}).Instances, 2, "no lock was lost")
}
