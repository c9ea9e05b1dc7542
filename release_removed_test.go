package passenger_test

import (
	"context"
	"io/fs"
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

// startsWhereItIs makes spawns fail whose directory does not exist, as those of the real spawner do.
func startsWhereItIs(_ context.Context, _ int, app spawner.App) error {
	_, err := os.Stat(app.Root)
	return err
}

func (f *fixture) roots() (roots []string) {
	for _, p := range f.group("a").Processes {
		roots = append(roots, filepath.Base(p.ReleaseRoot))
	}

	return roots
}

// A deploy has removed the release that serves, before its restart or without one.
func TestReleaseThatWasRemovedIsReplacedByTheOneTheLinkLeadsTo(t *testing.T) {
	for name, rest := range map[string]func(f *fixture, o *passenger.Options){
		"the last process ends": func(f *fixture, o *passenger.Options) {
			f.factory.Kill(1000)
			f.factory.Kill(1001) // unless it was replaced
			f.get(o).Close(passenger.KeepAlive)
		},
		"another one serves": func(f *fixture, o *passenger.Options) {
			require.True(f, f.factory.Kill(1000))
			f.get(o).Close(passenger.KeepAlive)
		},
		"more are needed": func(f *fixture, o *passenger.Options) {
			ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
			defer cancel()

			for range 3 {
				s, err := f.Get(ctx, o)
				require.NoError(f, err)
				defer s.Close(passenger.KeepAlive)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDeploys(t)
			d.use("1")
			inBubble(t, 3, spawnertest.Script{BeforeSpawn: startsWhereItIs}, func(f *fixture) {
				o := options("a")
				o.App.Root = filepath.Join(d.dir, "current")
				f.started(o, 2)

				d.use("2")
				require.NoError(f, os.RemoveAll(d.release("1")))
				rest(f, o)
				time.Sleep(time.Minute)
				synctest.Wait()

				require.Subset(f, []string{"2"}, f.roots(), "all are of the release that is there")
				require.GreaterOrEqual(f, len(f.roots()), 2)
				require.Nil(f, f.group("a").LastSpawnError)
			})
		})
	}
}

func TestRestartIntoAReleaseThatIsRemovedMeanwhileEndsInTheNextOne(t *testing.T) {
	d := newDeploys(t)
	d.use("1")
	script := spawnertest.Script{SpawnDelay: 20 * time.Second, BeforeSpawn: startsWhereItIs}
	inBubble(t, 3, script, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		f.started(o, 2)

		d.use("2")
		restarted := f.begin(passenger.RestartOptions{})
		time.Sleep(time.Second)
		d.use("3")
		require.NoError(f, os.RemoveAll(d.release("2")))
		require.NoError(f, <-restarted)
		synctest.Wait()
		require.Equal(f, []string{"3", "3"}, f.roots())
	})
}

func TestReleaseThatWasRemovedIsAnErrorWhereTheLinkLeadsNowhereElse(t *testing.T) {
	d := newDeploys(t)
	d.use("1")
	inBubble(t, 3, spawnertest.Script{BeforeSpawn: startsWhereItIs}, func(f *fixture) {
		o := options("a")
		o.App.Root = filepath.Join(d.dir, "current")
		f.started(o, 1)
		require.NoError(f, os.RemoveAll(d.release("1")))
		require.True(f, f.factory.Kill(1000))
		synctest.Wait()

		for range 3 {
			_, err := f.Get(f.Context(), o)
			require.ErrorIs(f, err, fs.ErrNotExist)
			time.Sleep(time.Minute)
			synctest.Wait()
		}

		d.use("1")
		f.get(o).Close(passenger.KeepAlive)
		require.Equal(f, []string{"1"}, f.roots())
	})
}
