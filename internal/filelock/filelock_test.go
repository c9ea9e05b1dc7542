package filelock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/filelock"
)

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })

		return f
	}
	try := func(f *os.File, m filelock.Mode) bool {
		locked, err := filelock.Try(f, m)
		require.NoError(t, err)
		return locked
	}
	a, b := open(), open()
	require.True(t, try(a, filelock.Shared))
	require.True(t, try(b, filelock.Shared))
	require.False(t, try(open(), filelock.Exclusive))

	waited := make(chan error)
	c := open()
	go func() { waited <- filelock.Wait(c, filelock.Exclusive) }()
	require.NoError(t, a.Close())

	select {
	case err := <-waited:
		require.Fail(t, "it did not wait for both", "%v", err)
	default:
	}

	require.NoError(t, b.Close())
	require.NoError(t, <-waited)
	require.False(t, try(open(), filelock.Shared))

	require.NoError(t, c.Close())
	_, err := filelock.Try(c, filelock.Exclusive)
	require.ErrorContains(t, err, "closed")
}
