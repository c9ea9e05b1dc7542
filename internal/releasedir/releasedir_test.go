package releasedir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/releasedir"
)

func TestDirectoryInARelease(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)

	for _, dir := range []string{"releases/1/web/deep", "releases/2/web/deep", "away/web/deep", "shared"} {
		require.NoError(t, os.MkdirAll(filepath.Join(top, dir), 0o755))
	}

	for link, target := range map[string]string{
		"current": "releases/2", "releases/2/linked": "../../away/web", "web": "away/web", "up": ".",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(top, link)))
	}

	for _, test := range []struct {
		app, dir, release, want string
	}{
		{"current", "current/public", "releases/1", "releases/1/public"},
		{"current", "current", "releases/1", "releases/1"},
		{"current", "current/web/public", "releases/1", "releases/1/web/public"},
		{"current/web", "current/public", "releases/1/web", "releases/1/public"},
		{"current/web", "current/web/public", "releases/1/web", "releases/1/web/public"},
		{"current/web/deep", "current/public", "releases/1/web/deep", "releases/1/public"},
		{"current/web", "current", "releases/1/web", "releases/1"},
		{"current/gone", "current/public", "releases/1/gone", "releases/1/public"},
		{"up/current/web", "up/current/public", "releases/1/web", "releases/1/public"},
		// The link is not above both.
		{"current", "shared", "releases/1", ""},
		{"current/web", "shared", "releases/1/web", ""},
		{"current/linked", "current/public", "away/web", ""},
		{"web", "public", "away/web", ""},
		{"web", "web/public", "away/web", "away/web/public"},
	} {
		place, ok := releasedir.Of(filepath.Join(top, test.app), filepath.Join(top, test.dir))
		require.True(t, ok, "%v", test)
		require.Equal(t, filepath.Join(top, test.dir), filepath.Join(place.Root, place.Rel))

		root, ok := place.In(filepath.Join(top, test.release))
		require.Equal(t, test.want != "", ok, "%v", test)
		if ok {
			require.Equal(t, filepath.Join(top, test.want), filepath.Join(root, place.Rel))
		}
	}

	_, ok := releasedir.Of("/srv/shop", "/var/files")
	require.False(t, ok)
}
