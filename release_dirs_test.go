package passenger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// deploys is a directory with releases and a link to one of them.
type deploys struct {
	*testing.T
	dir string
}

func newDeploys(t *testing.T) *deploys {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)

	return &deploys{T: t, dir: dir}
}

func (d *deploys) release(n string) string { return filepath.Join(d.dir, "releases", n) }

// use makes a release and lets the link lead to it.
func (d *deploys) use(n string) {
	d.Helper()
	require.NoError(d, os.MkdirAll(d.release(n), 0o755))
	link := filepath.Join(d.dir, "current")
	require.NoError(d, os.Symlink(d.release(n), link+".new"))
	require.NoError(d, os.Rename(link+".new", link))
}

func TestReleaseDirsFollowTheProcessesThatServe(t *testing.T) {
	d := newDeploys(t)
	d.use("1")

	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		dirs := f.ReleaseDirs(o)
		require.Zero(f, dirs(), "no process has started")

		f.get(o).Close(passenger.KeepAlive)
		require.Equal(f, passenger.ReleaseDirs{Serving: []string{d.release("1")}}, dirs())
		d.use("2")
		require.Equal(f, []string{d.release("1")}, dirs().Serving, "the link alone changes nothing")

		// An old process that still serves keeps its release among those that serve.
		s := f.get(o)
		restarted := f.begin(passenger.RestartOptions{})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, []string{d.release("2"), d.release("1")}, dirs().Serving)
		require.Empty(f, dirs().Past)
		s.Close(passenger.KeepAlive)
		require.NoError(f, <-restarted)
		synctest.Wait()
		require.Equal(f, passenger.ReleaseDirs{
			Serving: []string{d.release("2")}, Past: []string{d.release("1")},
		}, dirs())

		// So does a release whose processes have ended by themselves.
		for _, p := range f.factory.LiveProcesses() {
			f.factory.Kill(p.Info().PID)
		}

		synctest.Wait()
		require.Equal(f, []string{d.release("2")}, dirs().Serving)

		// A roll-back brings a past release back, and few are remembered.
		f.get(o).Close(passenger.KeepAlive)

		for _, n := range []string{"1", "3", "4", "5", "6", "7"} {
			d.use(n)
			require.NoError(f, <-f.begin(passenger.RestartOptions{}))
			synctest.Wait()
			require.Equal(f, []string{d.release(n)}, dirs().Serving)
			require.NotContains(f, dirs().Past, d.release(n))
		}

		require.Equal(f, []string{d.release("6"), d.release("5"), d.release("4"), d.release("3")}, dirs().Past)

		require.NoError(f, f.DetachApp(f.Context(), "a"))
		synctest.Wait()
		require.Zero(f, dirs(), "the next process follows the link again")
	})
}

// TestReleaseDirsOfALinkThatLedNowhere: a spawn may meet the moment at which a deploy replaces the link. The next one
// follows it, and the release keeps to where it led then.
func TestReleaseDirsOfALinkThatLedNowhere(t *testing.T) {
	d := newDeploys(t)
	roots := []string{}
	script := spawnertest.Script{BeforeSpawn: func(_ context.Context, n int, app spawner.App) error {
		roots = append(roots, app.Root)
		if n == 1 {
			return errors.New("there is no such directory")
		}

		return nil
	}}

	inBubble(t, 3, script, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		dirs := f.ReleaseDirs(o)
		_, err := f.Get(f.Context(), o)
		require.Error(f, err)

		d.use("1")
		first := f.get(o)
		require.Equal(f, passenger.ReleaseDirs{Serving: []string{d.release("1")}}, dirs())

		d.use("2")
		second := f.get(o)
		require.Equal(f, passenger.ReleaseDirs{Serving: []string{d.release("1")}}, dirs())
		require.Equal(f, []string{o.App.Root, d.release("1"), d.release("1")}, roots)
		first.Close(passenger.KeepAlive)
		second.Close(passenger.KeepAlive)

		require.NoError(f, <-f.begin(passenger.RestartOptions{}))
		synctest.Wait()
		require.Equal(f, []string{d.release("2")}, dirs().Serving)
		require.Equal(f, 1, f.factory.OpenSpawners())
	})
}

// TestReleaseDirsOfAnotherPool are what a core tells the one that takes its place.
func TestReleaseDirsOfAnotherPool(t *testing.T) {
	d := newDeploys(t)
	d.use("9")

	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		dirs := f.ReleaseDirs(o)
		before := []string{d.release("8"), d.release("7"), d.release("6"), d.release("5"), d.release("4")}

		f.RememberReleases(o, nil)
		require.Zero(f, dirs())
		f.RememberReleases(o, before)
		require.Equal(f, passenger.ReleaseDirs{Past: before[:4]}, dirs())

		f.get(o).Close(passenger.KeepAlive)
		want := passenger.ReleaseDirs{Serving: []string{d.release("9")}, Past: before[:4]}
		require.Equal(f, want, dirs())
		require.Equal(f, want, f.group("a").Releases)
		f.RememberReleases(o, []string{d.release("1")})
		require.Equal(f, want, dirs(), "what it knows itself counts")
	})
}

func TestReleaseDirsOfAFailedRestartAreTheOldOnes(t *testing.T) {
	d := newDeploys(t)
	d.use("1")

	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		dirs := f.ReleaseDirs(o)
		f.get(o).Close(passenger.KeepAlive)

		d.use("2")
		f.factory.Change(func(s *spawnertest.Script) { s.Failures = map[int]error{2: errors.New("it does not start")} })
		require.Error(f, <-f.begin(passenger.RestartOptions{}))
		require.Equal(f, passenger.ReleaseDirs{Serving: []string{d.release("1")}}, dirs())
	})
}

// The environment of a release, its interpreter and its code belong together, also when a process is started after the
// link was switched and before the restart.
func TestFilesOfAReleaseStayItsOwnWhereTheLinkLeadsElsewhere(t *testing.T) {
	d := newDeploys(t)
	d.use("1")

	var spawned spawner.App

	script := spawnertest.Script{BeforeSpawn: func(_ context.Context, _ int, app spawner.App) error {
		spawned = app
		return nil
	}}
	inBubble(t, 3, script, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		o.App.EnvFiles = []string{filepath.Join(o.App.Root, ".env")}
		o.App.Python = filepath.Join(o.App.Root, "venv/bin/python")
		o.MinProcesses = 1

		f.get(o).Close(passenger.KeepAlive)
		d.use("2")
		require.True(f, f.factory.Kill(1000))
		synctest.Wait()
		f.get(o).Close(passenger.KeepAlive)
		require.Equal(f, []string{filepath.Join(d.release("1"), ".env")}, spawned.EnvFiles)
		require.Equal(f, filepath.Join(d.release("1"), "venv/bin/python"), spawned.Python)

		require.NoError(f, <-f.begin(passenger.RestartOptions{}))
		require.Equal(f, []string{filepath.Join(d.release("2"), ".env")}, spawned.EnvFiles)
	})
}
