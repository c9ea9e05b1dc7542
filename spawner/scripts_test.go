package spawner_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// writeFiles makes files, and directories of those that end with a slash.
func writeFiles(t *testing.T, root string, names ...string) {
	t.Helper()

	for _, name := range names {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))

		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(file, 0o755))
			continue
		}

		require.NoError(t, os.WriteFile(file, []byte("<?php echo 1;\n"), 0o644))
	}
}

func TestScriptsAreFound(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	writeFiles(t, outside, "secret.php")
	writeFiles(t, root, "index.php", "about.php", "upload.jpg", "wp-admin/index.php", "wp-admin/post.php", "empty/",
		".git/hook.php", ".env.php", "vendor/eval.php", "node_modules/x.php", "dir.php/inner.php", "a b.php", "UPPER.PHP",
		"x.phtml", "x.inc", ".well-known/acme.php", "sub/vendor/ok.php", "config.php~")
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret.php"), filepath.Join(root, "out.php")))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "outdir")))
	require.NoError(t, os.Symlink("about.php", filepath.Join(root, "in.php")))

	for dir, text := range map[string]string{
		"data":    "<IfModule mod_authz_core.c>\n    Require all denied\n</IfModule>\n",
		"old":     "Order allow,deny\r\nDeny from all\r\n",
		"partial": "<FilesMatch \"x\">\nRequire all denied\n</FilesMatch>\nOptions -Indexes\n",
	} {
		writeFiles(t, root, dir+"/page.php", dir+"/sub/index.php", dir+"/a.css")
		require.NoError(t, os.WriteFile(filepath.Join(root, dir, ".htaccess"), []byte(text), 0o600))
	}

	scripts := spawner.FindScripts(&spawner.App{Root: root})
	require.True(t, scripts.IsDenied("data/a.css"))
	require.True(t, scripts.IsDenied("old/sub/a.css"))
	require.False(t, scripts.IsDenied("partial/a.css"))
	require.False(t, scripts.IsDenied("upload.jpg"))

	require.Equal(t, spawner.Scripts{Root: root, DocumentRoot: ".", FrontController: "index.php"}, scripts)
	alone := spawner.FindScripts(&spawner.App{Root: root, NoFrontController: true})

	// front means that only the front controller serves the path.
	const front = "front"

	long := strings.Repeat("/data/x", 400)[len("/data"):]

	for path, want := range map[string]string{
		"/": "/index.php", "/index.php": "/index.php", "/about.php": "/about.php", "/in.php": "/in.php",
		"/index.php/": "/index.php|/", "/index.php/a/b": "/index.php|/a/b", "/index.php/a/": "/index.php|/a/",
		"/about.php/.x/y": "/about.php|/.x/y", "/about.php/vendor/.git": "/about.php|/vendor/.git",
		"/about.php/a\\b": "/about.php|/a\\b", "/about.php" + long: "/about.php|" + long,
		"/about.php/x.php": "/about.php|/x.php", "//about.php": "/about.php", "/x/../about.php": "/about.php",
		"/wp-admin/": "/wp-admin/index.php", "/wp-admin/post.php": "/wp-admin/post.php", "/a b.php": "/a b.php",
		"/dir.php/inner.php": "/dir.php/inner.php", "/sub/vendor/ok.php": "/sub/vendor/ok.php",
		"/.well-known/acme.php": "/.well-known/acme.php",

		"/upload.jpg": front, "/upload.jpg/x.php": front, "/upload.jpg/about.php": front, "/upload.jpg/../x.php": front,
		"/missing.php": front, "/missing.php/x": front, "/empty/": front, "/empty": front, "/blog/post": front,
		"/out.php": front, "/outdir/secret.php": front, "/outdir/": front, "/.git/hook.php": front, "/.env.php": front,
		"/vendor/eval.php": front, "/./vendor/eval.php": front, "/x/../vendor/eval.php": front,
		"/node_modules/x.php": front, "/UPPER.PHP": front, "/x.phtml": front, "/x.inc": front, "/config.php~": front,
		"/dir.php": front, "/dir.php/": front, "/about.php.": front, "/about.php ": front, "/.well-known/.x.php": front,

		"/data/page.php": "none", "/data/sub/": "none", "/data/": "none", "/data": "none", "/data/x": "none",
		"/old/page.php": "none", "/x/../data/page.php": "none", "/partial/page.php": "/partial/page.php",

		"/App\\User": front, "/..\\about.php": front, long: front, long + "/about.php": front,
		"/" + strings.Repeat("x", 2000): front, "/data" + long: "none", "/database" + long: front,

		"/about.php\x00.jpg": "none", "about.php": "none", "": "none",
	} {
		t.Run(fmt.Sprintf("%.40q", path), func(t *testing.T) {
			script, err := scripts.Find(path)

			own, ownErr := alone.Find(path)
			switch want {
			case "none":
				require.ErrorIs(t, err, spawner.ErrNoScript)
			case front:
				require.NoError(t, err)
				require.Equal(t, spawner.Script{Filename: filepath.Join(root, "index.php"), Name: "/index.php"}, script)
				require.ErrorIs(t, ownErr, spawner.ErrNoScript)
			default:
				name, info, _ := strings.Cut(want, "|")
				require.NoError(t, err)
				require.Equal(t, spawner.Script{
					Filename: filepath.Join(root, name),
					Name:     name,
					PathInfo: info,
				}, script)
				require.NoError(t, ownErr)
				require.Equal(t, script, own)
			}
		})
	}

	_, err := scripts.Find("/wp-admin")
	require.ErrorIs(t, err, spawner.ErrDirectory)
}

func TestHtaccessThatCannotBeReadDeniesItsDirectory(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	writeFiles(t, root, "shared/page.php", "loop/page.php", "none/page.php")

	rules := filepath.Join(outside, "rules")
	require.NoError(t, os.WriteFile(rules, []byte("Require all denied\n"), 0o600))
	require.NoError(t, os.Symlink(rules, filepath.Join(root, "shared/.htaccess")))
	require.NoError(t, os.Symlink(".htaccess", filepath.Join(root, "loop/.htaccess")))

	scripts := spawner.FindScripts(&spawner.App{Root: root})
	for dir, denied := range map[string]bool{"shared": true, "loop": true, "none": false} {
		require.Equal(t, denied, scripts.IsDenied(dir+"/page.php"), dir)
		_, err := scripts.Find("/" + dir + "/page.php")
		require.Equal(t, denied, errors.Is(err, spawner.ErrNoScript), dir)
	}

	// Names that cannot be there have no rules: the front controller may serve them.
	require.False(t, scripts.IsDenied("none/page.php/x"))
	require.False(t, scripts.IsDenied("none/"+strings.Repeat("x", 300)+"/y"))
}

func TestDocumentRootIsThatOfTheFrontController(t *testing.T) {
	for name, test := range map[string]struct {
		files   []string
		startup string
		want    spawner.Scripts
	}{
		"public":           {[]string{"public/index.php", "index.php"}, "", spawner.Scripts{DocumentRoot: "public", FrontController: "index.php"}},
		"web":              {[]string{"web/index.php"}, "", spawner.Scripts{DocumentRoot: "web", FrontController: "index.php"}},
		"root":             {[]string{"index.php", "public/style.css"}, "", spawner.Scripts{DocumentRoot: ".", FrontController: "index.php"}},
		"none":             {[]string{"about.php"}, "", spawner.Scripts{DocumentRoot: "."}},
		"startup file":     {[]string{"htdocs/app.php"}, "htdocs/app.php", spawner.Scripts{DocumentRoot: "htdocs", FrontController: "app.php"}},
		"startup in root":  {[]string{"app.php"}, "./app.php", spawner.Scripts{DocumentRoot: ".", FrontController: "app.php"}},
		"index in no file": {[]string{"public/index.php/", "index.php"}, "", spawner.Scripts{DocumentRoot: ".", FrontController: "index.php"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			writeFiles(t, root, test.files...)
			test.want.Root = root
			require.Equal(t, test.want, spawner.FindScripts(&spawner.App{Root: root, StartupFile: test.startup}))

			if test.startup != "" {
				absolute := filepath.Join(root, test.startup)
				require.Equal(t, test.want, spawner.FindScripts(&spawner.App{Root: root, StartupFile: absolute}))
			}
		})
	}
}

func TestSourcesAreNotPublic(t *testing.T) {
	dir := t.TempDir()

	for name, want := range map[string]struct{ inRoot, inPublic bool }{
		"style.css": {true, true}, "a.php.css": {false, false}, "php": {true, true}, "js/app.js": {true, true},
		"index.php": {false, false}, "INDEX.PHP": {false, false}, "a.phtml": {false, false}, "a.phar": {false, false},
		"a.inc": {false, false}, "config.php~": {false, false}, "config.php.bak": {false, false}, "a.php7": {false, false},
		"config.inc.txt": {false, false}, ".htaccess": {false, false}, ".env": {false, false}, "a/.git/config": {false, false},
		".user.ini": {false, false}, ".well-known/acme-challenge/x": {true, true}, ".well-known/.x": {false, false},
		"modules/shop/shop.module": {false, false}, "shop.INSTALL": {false, false}, "x/shop.theme.bak": {false, false},
		"shop.profile~": {false, false}, "phptemplate.engine": {false, false}, "three.module.js": {true, true},
		"jquery-ui.theme.css": {true, true}, "app.module.css.map": {true, true}, "module": {true, true},
		"composer.json": {false, true}, "composer.lock": {false, true}, "vendor/a/LICENSE": {false, true},
		"node_modules/a.js": {false, true}, "a/vendor/a.css": {true, true},
		"Passengerfile.json": {false, true}, "passenger-standalone.json": {false, true}, "Procfile": {false, true},
		"passenger.3000.log": {false, true}, "log/passenger.80.log.1.gz": {false, true},
		"tmp/pids/passenger.3000.pid": {false, true}, "passenger.sock.log": {false, true},
		"passenger.jpg": {true, true}, "log/passengers.log": {true, true},
	} {
		root := spawner.Scripts{Root: dir, DocumentRoot: "."}
		require.Equal(t, want.inRoot, root.IsPublic(name), name)
		public := spawner.Scripts{Root: dir, DocumentRoot: "public"}
		require.Equal(t, want.inPublic, public.IsPublic(name), name)
	}
}
