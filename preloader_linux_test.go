package passenger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner"
)

// slowRubyApp is an application whose preloader says by a FIFO that it loads it, and
// loads it for ever.
func slowRubyApp(t *testing.T) (o *passenger.Options, loading string) {
	t.Helper()
	dir := t.TempDir()
	loading = filepath.Join(dir, "loading")
	require.NoError(t, syscall.Mkfifo(loading, 0o600))
	source := fmt.Sprintf("File.write(%q, 'x')\nsleep\n", loading)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ru"), []byte(source), 0o600))
	ruby := interpreters.Find(t, "ruby", "ruby")

	return &passenger.Options{App: spawner.App{
		Root:      dir,
		GroupName: "a",
		Type:      "rack",
		Ruby:      ruby,
	}}, loading
}

// TestRealPreloaderThatStartsIsGoneAfterTheEnd: its release is retired while the preloader
// starts, and the pool ends before that start has.
func TestRealPreloaderThatStartsIsGoneAfterTheEnd(t *testing.T) {
	ways := map[string]func(*passenger.Pool) error{
		"rolling restart": func(p *passenger.Pool) error {
			_, _, err := p.BeginRestart("a", passenger.RestartOptions{Method: passenger.RestartRolling})
			return err
		},
		"blocking restart": func(p *passenger.Pool) error {
			_, _, err := p.BeginRestart("a", passenger.RestartOptions{Method: passenger.RestartBlocking})
			return err
		},
		"DetachApp": func(p *passenger.Pool) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = p.DetachApp(ctx, "a") // it ends later, or not at all

			return nil
		},
		"none": func(*passenger.Pool) error { return nil },
	}
	for way, retire := range ways {
		for end, endPool := range map[string]func(*passenger.Pool) error{
			"Close":    (*passenger.Pool).Close,
			"Shutdown": func(p *passenger.Pool) error { return p.Shutdown(context.Background()) },
		} {
			t.Run(way+"/"+end, func(t *testing.T) {
				o, loading := slowRubyApp(t)
				socketDir, err := os.MkdirTemp("", "pool") //nolint:usetesting // that of t is too long for sockets
				require.NoError(t, err)
				defer func() { require.NoError(t, os.RemoveAll(socketDir)) }()
				leakgate.Check(t, leakgate.Dir(socketDir))
				factory, err := spawner.New(spawner.Config{Users: spawner.SameUser, Dir: socketDir})
				require.NoError(t, err)
				pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
				require.NoError(t, err)

				stop := pool.AsyncGet(o, func(*passenger.Session, error) {})
				_, err = os.ReadFile(loading) // which blocks until the preloader loads
				require.NoError(t, err)
				_ = stop()
				require.NoError(t, retire(pool))
				require.NoError(t, endPool(pool))
				require.Empty(t, preloadersOf(t, o.App.Root), "nothing runs when the pool has ended")
				require.NoError(t, factory.Close())
			})
		}
	}
}

func TestRealPreloaderThatStartsIsGoneAfterDetachApp(t *testing.T) {
	o, loading := slowRubyApp(t)
	leakgate.Check(t)
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	require.NoError(t, err)
	pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, pool.Close())
		require.NoError(t, factory.Close())
	}()

	for range 3 {
		pool.AsyncGet(o, func(*passenger.Session, error) {})
		_, err = os.ReadFile(loading)
		require.NoError(t, err)
		require.NoError(t, pool.DetachApp(t.Context(), "a"))
		require.Empty(t, preloadersOf(t, o.App.Root))
		require.Empty(t, pool.Inspect().Groups)
	}
}

// preloadersOf are the processes whose command line or directory names the application.
func preloadersOf(t *testing.T, root string) (found []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)

	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended meanwhile
		}

		cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
		if err == nil && cwd == root || strings.Contains(string(line), root) {
			found = append(found, dir+": "+string(line))
		}
	}

	return found
}
