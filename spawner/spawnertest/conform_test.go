package spawnertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

func dummySubject(t *testing.T, script Script) Subject {
	t.Helper()
	script.HandlerFor = whoami
	broken := spawner.App{Root: "/broken"}
	script.BeforeSpawn = func(_ context.Context, _ int, app spawner.App) error {
		if app.Root == broken.Root {
			return errors.New("broken")
		}

		return nil
	}
	f := New(script)

	return Subject{
		Factory: f,
		App:     app,
		Broken:  broken,
		Kill:    func(p spawner.Process) { f.Kill(p.Info().PID) },
		Empty: func() error {
			if n := f.Live(); n != 0 {
				return fmt.Errorf("%d processes live", n)
			}

			return nil
		},
	}
}

func TestDummyConforms(t *testing.T) {
	t.Run("pipes", func(t *testing.T) {
		Conform(t, func(t *testing.T) Subject { t.Helper(); return dummySubject(t, Script{}) })
	})
	t.Run("slow", func(t *testing.T) {
		Conform(t, func(t *testing.T) Subject {
			t.Helper()
			return dummySubject(t, Script{SpawnDelay: 10 * time.Millisecond, StopDelay: 10 * time.Millisecond})
		})
	})
	t.Run("sockets", func(t *testing.T) {
		Conform(t, func(t *testing.T) Subject { t.Helper(); return dummySubject(t, Script{UnixDir: t.TempDir()}) })
	})
}

func TestDummyConformsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dummySubject(t, Script{SpawnDelay: time.Hour, StopDelay: time.Hour})
		testServes(t, &s)
	})
}
