package e2e_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// A directory of files to send lies in the tenant's own, who can put a link in its place: the files that are sent are
// those that the tenant could read, whatever the core may.
func TestSendfileSendsNothingThatTheTenantCannotReach(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)

	// Anybody may read the file, and only its user may enter the directory, as in most homes.
	closed := box.tenantDir(t, "closed", binUID, map[string]string{"secret.txt": "a secret"})
	require.NoError(t, os.Chmod(closed, 0o700))

	a := box.sendingTenant(t, "a")
	root := filepath.Join(a.root, "storage")
	a.options["sendfile_roots"] = root
	a.options["accel_redirect"] = `{"/files/": "` + root + `"}`
	ask := func(name, value string) *reply {
		return f.client(t).get(t, "/"+name+"?"+value, f.header(t, a)...)
	}

	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "own.txt"), []byte("an own file"), 0o600))
	require.NoError(t, os.Chown(filepath.Join(root, "own.txt"), daemonUID, daemonUID))
	require.NoError(t, os.Chown(root, daemonUID, daemonUID))
	require.Equal(t, "an own file", ask("X-Sendfile", root+"/own.txt").body)
	require.Equal(t, "an own file", ask("X-Accel-Redirect", "/files/own.txt").body)

	require.NoError(t, os.Rename(root, root+".old"))
	require.NoError(t, os.Symlink(closed, root))

	for _, request := range [][2]string{
		{"X-Sendfile", root + "/secret.txt"},
		{"X-Sendfile", closed + "/secret.txt"},
		{"X-Accel-Redirect", "/files/secret.txt"},
	} {
		response := ask(request[0], request[1])
		require.Equal(t, http.StatusNotFound, response.StatusCode, "%s", request)
		require.NotContains(t, response.body, "secret", "%s", request)
	}

	f.stop(t)
}

// The directory of an application of PHP can become a link, too: which scripts others have in a closed directory is not
// told.
func TestScriptsAreLookedForWithTheTenantsRights(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	interpreters.Find(t, "php", "php-cgi")
	box := newFlyingSandbox(t)
	f := startFlying(t, box)

	script := map[string]string{"public/index.php": "<?php echo 'own';", "public/assets/index.php": "<?php"}
	closed := box.tenantDir(t, "closed", binUID, maps.Clone(script))
	require.NoError(t, os.Chmod(closed, 0o700))

	a := &tenant{
		name: "a",
		root: box.tenantDir(t, "a", daemonUID, script),
		options: map[string]string{
			"env_vars": box.markedEnv(t, map[string]string{}), "php_server": "cgi", "front_controller": "false",
		},
	}
	c := f.client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	statusOf := func(target string) int { return c.get(t, target, f.header(t, a)...).StatusCode }

	require.Equal(t, http.StatusMovedPermanently, statusOf("/assets"))
	require.Equal(t, http.StatusNotFound, statusOf("/none"))

	require.NoError(t, os.Rename(a.root, a.root+".old"))
	require.NoError(t, os.Symlink(closed, a.root))
	require.Equal(t, http.StatusNotFound, statusOf("/assets"))

	f.stop(t)
}
