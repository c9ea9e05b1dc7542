package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sourcesOfPHP are files that hold secrets, such as passwords of databases, and copies of them that editors leave.
var sourcesOfPHP = []string{
	"index.php", "sub/config.PHP", "config.php~", "config.php.bak", "config.inc", "old.php5", "page.phtml", "lib.phar",
	"assets/app-0a1b2c3d.php", "config.php.html", "config.bak.php", "shop.module", "sub/shop.INSTALL.bak", "shop.theme~",
}

// Web servers send the same files as passenger start, and ask the application for the same rest.
func TestStaticBehindWebServers(t *testing.T) {
	t.Parallel()
	forEachFront(t, func(t *testing.T, _ *flying, w *webServer, tenants []*tenant) {
		const digested = "/assets/app-0a1b2c3d.js"

		app := tenants[0]
		for name, text := range map[string]string{
			"page.html": "page", "sub/index.html": "sub index", "sub/file.txt": "file", "with space.txt": "space",
			".env": hidden, "sub/.git/config": hidden, ".well-known/token": "token", ".well-known/.env": hidden,
			digested: "script",
		} {
			writePublic(t, app.root, name, text)
		}

		c := w.client(app)

		for target, want := range map[string]string{
			"/page": "page", "/page.html": "page", "/page?a=b": "page", "/sub/": "sub index", "/sub/file.txt": "file",
			"/with%20space.txt": "space", "/.well-known/token": "token", digested: "script",
		} {
			a := c.get(t, target)
			require.Equal(t, http.StatusOK, a.StatusCode, target)
			require.Equal(t, want, a.body, target)
		}

		for _, target := range []string{
			"/", "/sub", "/page/", "/none", "/none/", "/.env", "/sub/.git/config", "/.well-known/.env",
			"/assets/app-0a1b2c3e.js",
		} {
			require.Equal(t, "go", readTenant(t, c.get(t, target)).Name, target)
		}

		for _, name := range sourcesOfPHP {
			writePublic(t, app.root, name, hidden)
			require.Equal(t, "go", readTenant(t, c.get(t, "/"+name)).Name, name)
		}

		for _, name := range []string{"php.txt", "three.module.js"} {
			writePublic(t, app.root, name, "no source")
			require.Equal(t, "no source", c.get(t, "/"+name).body)
		}

		for _, target := range []string{"/page", "/page.html", "/sub/", "/sub/file.txt", digested} {
			require.Equal(t, "go", readTenant(t, c.ask(t, http.MethodPost, target, nil)).Name, "POST "+target)
		}

		require.Empty(t, c.ask(t, http.MethodHead, "/page", nil).body)

		// A page at the root is the whole site's.
		require.NoError(t, os.WriteFile(filepath.Join(app.root, "public/index.html"), []byte("index"), 0o644))
		require.Equal(t, "index", c.get(t, "/").body)

		require.Equal(t, "public, max-age=31536000, immutable", c.get(t, digested).Header.Get("Cache-Control"))
		require.NotContains(t, c.get(t, "/page").Header.Get("Cache-Control"), "immutable")
		require.NotContains(t, c.get(t, "/assets/app-0a1b2c3e.js").Header.Get("Cache-Control"), "immutable")
	})
}

// writePublic writes one of the files that an application shows to all.
func writePublic(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, "public", name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}
