package spawner

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/loaderproto"
)

// While a process's directory is made, looked into
// and removed, its user replaces what is in it by links to files of root as
// fast as can be. A long run does it 10,000 times.
// Faults: H1, P12, R-09.
func TestRacerInItsDirectoryTouchesNoFileOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		interpreters.Missing(t, "root", "needs root, to become another user")
	}

	times := longtests.Rounds(t, 300, 10_000)

	base, err := os.MkdirTemp("", "sp") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(base)) }()
	require.NoError(t, os.Chmod(base, 0o711))
	canaries := filepath.Join(base, "canaries")
	require.NoError(t, os.Mkdir(canaries, 0o711))

	for i := range 3 {
		require.NoError(t, os.WriteFile(filepath.Join(canaries, fmt.Sprint(i)), []byte("tweet"), 0o600))
	}

	work := filepath.Join(base, "work")
	require.NoError(t, os.Mkdir(work, 0o711))
	dir, err := openPrivateDir(work, true)
	require.NoError(t, err)
	tenant := &identity{account: account{name: "tenant", uid: 61001}, gid: 61001, switched: true}

	for range times {
		sockets, err := dir.newSocketDir(tenant)
		require.NoError(t, err)
		done := make(chan struct{})
		var racers sync.WaitGroup
		started := make(chan struct{})
		racers.Go(func() {
			_ = tenant.withRights(func() error {
				race(sockets.path, canaries, started, done)
				return nil
			})
		})
		<-started

		socket := loaderproto.Socket{Address: loaderproto.Address{
			Network: "unix",
			Addr:    filepath.Join(sockets.path, "s"),
		}}
		for range 3 {
			require.Error(t, sockets.check([]loaderproto.Socket{socket}, &owner{uid: tenant.uid}),
				"a link, a directory and nothing are no sockets")
		}

		_ = sockets.remove() // the racer may be faster
		close(done)
		racers.Wait()
		require.NoError(t, sockets.remove())
		require.NoDirExists(t, sockets.path)
	}

	for i := range 3 {
		text, err := os.ReadFile(filepath.Join(canaries, fmt.Sprint(i)))
		require.NoError(t, err)
		require.Equal(t, "tweet", string(text))
	}

	info, err := os.Stat(canaries)
	require.NoError(t, err)
	require.Zero(t, statOf(info).Uid)
	require.Equal(t, os.FileMode(0o711), info.Mode().Perm())
	require.NoError(t, dir.remove())
}

// race replaces what is in dir until done.
func race(dir, canaries string, started chan<- struct{}, done <-chan struct{}) {
	s, d := filepath.Join(dir, "s"), filepath.Join(dir, "d")
	for n := 0; ; n++ {
		_ = os.Symlink(filepath.Join(canaries, "0"), s)
		_ = os.Mkdir(d, 0o700)
		_ = os.Symlink(canaries, filepath.Join(d, "out"))
		_ = os.Rename(d, s)
		_ = os.Rename(s, d)
		_ = os.Remove(s)
		_ = os.Remove(filepath.Join(d, "out"))
		_ = os.Remove(d)
		_ = os.Symlink(canaries, d)
		_ = os.Remove(d)
		if n == 0 {
			close(started)
		}

		select {
		case <-done:
			return
		default:
		}
	}
}
