package spawner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

func TestFilesOfAReleaseAreBelowItsDirectory(t *testing.T) {
	files := []string{
		"/srv/shop/current/.env", "-/srv/shop/current/../local.env", ".env", "-.env.local", "/srv/shop/shared/.env",
		"/srv/shop/current2/.env",
	}
	app := spawner.App{
		Root:           "/srv/shop/current/",
		StartupFile:    "/srv/shop/current/web/app.js",
		StartCommand:   []string{"/srv/shop/current/bin/shop"},
		Ruby:           "/usr/bin/ruby",
		Python:         "/srv/shop/current/venv/bin/python",
		NodeJS:         "node",
		MeteorSettings: "settings.json",
		EnvFiles:       files,
	}

	moved := app.InRelease("/srv/shop/releases/7")
	require.Equal(t, spawner.App{
		Root:           "/srv/shop/releases/7",
		StartupFile:    "/srv/shop/releases/7/web/app.js",
		StartCommand:   []string{"/srv/shop/current/bin/shop"},
		Ruby:           "/usr/bin/ruby",
		Python:         "/srv/shop/releases/7/venv/bin/python",
		NodeJS:         "node",
		MeteorSettings: "settings.json",
		EnvFiles: []string{
			"/srv/shop/releases/7/.env", "-/srv/shop/releases/7/../local.env", ".env", "-.env.local",
			"/srv/shop/shared/.env", "/srv/shop/current2/.env",
		},
	}, moved)
	require.Equal(t, "/srv/shop/current/.env", files[0], "the caller's stay as they are")
}

// An application may be a directory of what a link leads to, as web of current, and have files beside that.
func TestFilesOfAReleaseMayBeBesideTheApplication(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)

	in := func(path string) string { return filepath.Join(dir, path) }
	for _, release := range []string{"releases/7/web/shop", "releases/8/web/shop", "elsewhere/linked"} {
		require.NoError(t, os.MkdirAll(in(release), 0o755))
	}

	// The release is that of the start, also when the link leads to another one by now.
	require.NoError(t, os.Symlink("releases/8", in("current")))
	require.NoError(t, os.Symlink(in("elsewhere/linked"), in("releases/8/linked")))

	for _, test := range []struct{ root, release, file, want string }{
		{"current/web", "releases/7/web", "current/.env", "releases/7/.env"},
		{"current/web", "releases/7/web", "current/web/.env", "releases/7/web/.env"},
		{"current/web", "releases/7/web", "current/web2/.env", "releases/7/web2/.env"},
		{"current/web/shop", "releases/7/web/shop", "current/.env", "releases/7/.env"},
		{"current/web/shop", "releases/7/web/shop", "current/web/.env", "releases/7/web/.env"},

		// What is beside the link is no release's.
		{"current/web", "releases/7/web", ".env", ".env"},
		{"current/web", "releases/7/web", "current2/.env", "current2/.env"},
		{"current", "releases/7", "releases/.env", "releases/.env"},
		// The names are the same, and yet the link is the last part of the path.
		{"releases/8/linked", "elsewhere/linked", "releases/8/.env", "releases/8/.env"},
		// Without a link nothing moves.
		{"releases/7/web", "releases/7/web", "releases/7/.env", "releases/7/.env"},
	} {
		file := in(test.file)
		app := spawner.App{Root: in(test.root), EnvFiles: []string{file, "-" + file}, Python: file}
		moved := app.InRelease(in(test.release))
		require.Equal(t, in(test.release), moved.Root)
		require.Equal(t, []string{in(test.want), "-" + in(test.want)}, moved.EnvFiles, "%+v", test)
		require.Equal(t, in(test.want), moved.Python, "%+v", test)
	}
}
