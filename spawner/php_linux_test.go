package spawner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// TestPHPRunsAsTheUserOfItsApplication: php-fpm gets its configuration in a directory of that user.
func TestPHPRunsAsTheUserOfItsApplication(t *testing.T) {
	t.Parallel()

	for _, server := range []string{spawner.PHPServerCGI, spawner.PHPServerFPM} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			f := newUserFixture(t)
			a := phpApp(t, server, `<?php echo posix_geteuid(), "|", posix_getegid();`)
			a.Root = ownedApp(t, a.Root, alice)
			p := f.start(t, a)
			require.Equal(t, alice, p.Info().UID)
			require.Contains(t, askPHP(t, p, "/"), fmt.Sprintf("\r\n\r\n%d|%d", alice, alice))
			require.NotContains(t, f.log.String(), "ERROR")
		})
	}
}

// ownedApp moves an application to where other users get, and gives it to one.
func ownedApp(t *testing.T, root string, uid int) string {
	t.Helper()
	dir := shortDir(t)
	require.NoError(t, os.CopyFS(dir, os.DirFS(root)))
	require.NoError(t, os.Chmod(dir, 0o755))

	for _, name := range []string{dir, filepath.Join(dir, "index.php")} {
		require.NoError(t, os.Lchown(name, uid, uid))
	}

	return dir
}
