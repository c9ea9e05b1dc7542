package passenger_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A restart.txt whose time lies in the future restarts the application once,
// however often it is looked at, before that time comes and after it.
// Faults: F7.
func TestRestartFileFromTheFutureRestartsOnce(t *testing.T) {
	for name, blocking := range map[string]bool{"rolling": false, "blocking": true} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			restartTxt := filepath.Join(root, "tmp", "restart.txt")
			inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
				o := options("a")
				o.App.Root, o.BlockingRestarts, o.MinProcesses = root, blocking, 2
				serve := func(span time.Duration) uint32 {
					for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(time.Second) {
						f.get(o).Close(passenger.KeepAlive)
					}

					synctest.Wait()

					return f.group("a").Generation
				}
				require.EqualValues(f, 0, serve(time.Minute))
				touch(f, restartTxt, time.Now().Add(time.Hour))
				require.EqualValues(f, 1, serve(time.Minute))
				started := len(f.factory.Processes())
				require.EqualValues(f, 1, serve(2*time.Hour), "its time has come and gone")
				require.Len(f, f.factory.Processes(), started, "no process was replaced")

				touch(f, restartTxt, time.Now().Add(10*365*24*time.Hour))
				require.EqualValues(f, 2, serve(time.Minute))
				touch(f, restartTxt, time.Now())
				require.EqualValues(f, 3, serve(time.Minute), "now is another time than the future")
			})
		})
	}
}

// A deploy may come before the first request that a started application has.
func TestRestartFileTouchedBeforeTheFirstRequestRestarts(t *testing.T) {
	for name, before := range map[string]bool{"a new file": false, "a file that was there": true} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			restartTxt := filepath.Join(root, "tmp", "restart.txt")
			inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
				o := options("a")
				o.App.Root = root
				if before {
					touch(f, restartTxt, time.Now())
				}

				require.NoError(f, f.Start(f.Context(), o))
				time.Sleep(time.Minute)
				touch(f, restartTxt, time.Now())
				f.get(o).Close(passenger.KeepAlive)
				synctest.Wait()
				require.EqualValues(f, 1, f.group("a").Generation)

				require.NoError(f, f.Start(f.Context(), o), "a further start forgets no touch")
				time.Sleep(time.Minute)
				touch(f, restartTxt, time.Now())
				require.NoError(f, f.Start(f.Context(), o))
				f.get(o).Close(passenger.KeepAlive)
				synctest.Wait()
				require.EqualValues(f, 2, f.group("a").Generation)
			})
		})
	}
}

// A file that was there before the start restarts nothing.
func TestRestartFileOlderThanTheStartRestartsNothing(t *testing.T) {
	root := t.TempDir()
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = root
		touch(f, filepath.Join(root, "tmp", "restart.txt"), time.Now())
		require.NoError(f, f.Start(f.Context(), o))
		f.get(o).Close(passenger.KeepAlive)
		synctest.Wait()
		require.Zero(f, f.group("a").Generation)
	})
}

// One that was there before the application restarts nothing.
// Faults: F7.
func TestOlderRestartFileFromTheFutureRestartsNothing(t *testing.T) {
	root := t.TempDir()
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = root
		touch(f, filepath.Join(root, "tmp", "restart.txt"), time.Now().Add(time.Minute))

		for range 20 {
			f.get(o).Close(passenger.KeepAlive)
			time.Sleep(10 * time.Second)
		}

		require.Zero(f, f.group("a").Generation)
	})
}
