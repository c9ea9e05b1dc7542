package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

// TestStaticFilesOfPHPFollowTheReleaseThatServes: its document root may be another one.
func TestStaticFilesOfPHPFollowTheReleaseThatServes(t *testing.T) {
	s := newStaticSite(t)
	s.php = &phpFiles{}
	s.locate(filepath.Join(s.dir, "current"), filepath.Join(s.dir, "current"))

	inRoot, inPublic := filepath.Join(s.dir, "in-root"), filepath.Join(s.dir, "in-public")
	for file, text := range map[string]string{
		"in-root/index.php": "<?php", "in-root/a.css": "root", "in-root/vendor/a.css": "SECRET",
		"in-root/data/.htaccess": "Deny from all", "in-root/data/a.css": "SECRET", "in-root/a.inc": "SECRET",
		"in-public/public/index.php": "<?php", "in-public/public/a.css": "public", "in-public/secret.css": "SECRET",
		"in-public/public/vendor/a.css": "an asset",
	} {
		s.write(file, text)
	}

	ask := func(path string) string { return s.request(t.Context(), http.MethodGet, path).Body.String() }

	s.serves = passenger.ReleaseDirs{Serving: []string{inRoot}}
	require.Equal(t, "root", ask("/a.css"))

	for _, path := range []string{"/index.php", "/vendor/a.css", "/data/a.css", "/data/../data/a.css", "/a.inc", "/"} {
		require.Equal(t, "app", ask(path), path)
	}

	s.serves = passenger.ReleaseDirs{Serving: []string{inPublic}}
	require.Equal(t, "public", ask("/a.css"))
	require.Equal(t, "an asset", ask("/vendor/a.css"))
	require.Equal(t, "app", ask("/secret.css"))
	require.Equal(t, "app", ask("/index.php"))

	s.serves = passenger.ReleaseDirs{}
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "current")))
	require.NoError(t, os.Symlink(inRoot, filepath.Join(s.dir, "current")))
	require.Equal(t, "root", ask("/a.css"))
	require.Equal(t, "app", ask("/vendor/a.css"))
}
