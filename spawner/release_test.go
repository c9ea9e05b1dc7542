package spawner_test

import (
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
