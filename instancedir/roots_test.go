package instancedir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

func TestAppRootsChange(t *testing.T) {
	registry := newRegistry(t)
	d := create(t, registry)
	require.NoError(t, d.Finalize())
	before := only(t, registry)

	require.NoError(t, d.SetAppRoots([]string{"/srv/new", "/srv/\x1b[2J"}))
	require.NoError(t, d.Check(), "the file that took the place of the first one is ours")

	after := only(t, registry)
	require.Equal(t, []string{"/srv/new"}, after.Properties.AppRoots, "what cannot be printed is left out")
	after.Properties.AppRoots = before.Properties.AppRoots
	require.Equal(t, before.Properties, after.Properties)

	require.NoError(t, d.SetAppRoots(nil))
	require.Empty(t, only(t, registry).Properties.AppRoots)

	require.NoError(t, os.Remove(filepath.Join(d.Path(), "properties.json")))
	require.ErrorIs(t, d.SetAppRoots(nil), instancedir.ErrGone)
	require.NoError(t, d.Remove())
	require.ErrorIs(t, d.SetAppRoots(nil), instancedir.ErrRemoved)
}
