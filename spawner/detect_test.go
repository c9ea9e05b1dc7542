package spawner_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

const flaskSource = `"""A docstring
app = Nothing()
"""
from flask import (
    Flask,  # a comment (
    request,
)

def helper(app=None):
    text = """
from fastapi import FastAPI
"""
    application = 5

app: Flask = Flask(
    __name__,
    static_folder="a(b",
)
`

// applications are directories as documents and generators make them, and how they are started.
var applications = map[string]struct {
	files map[string]string
	// framework and start are those of the first detection, and others the frameworks of the rest.
	framework, start string
	others           []string
}{
	"Rack":  {map[string]string{"config.ru": ""}, "Ruby, Rack", "rack config.ru", nil},
	"Rails": {map[string]string{"config.ru": "", "config/application.rb": "", "package.json": "{}"}, "Ruby on Rails", "rack config.ru", nil},
	"Passenger, Python": {
		map[string]string{
			"passenger_wsgi.py": "",
			"app.py":            flaskSource,
		}, "Python, WSGI", "wsgi passenger_wsgi.py", []string{"Flask"},
	},
	"Django": {
		map[string]string{
			"manage.py":          "    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n",
			"mysite/settings.py": "DEBUG = True\nWSGI_APPLICATION = 'mysite.wsgi.application'\n",
			"mysite/wsgi.py":     "", "mysite/asgi.py": "", "mysite/__init__.py": "", "app.js": "listen(1)",
		}, "Django", "wsgi mysite.wsgi:application", []string{"Node.js"},
	},
	"Django, ASGI": {
		map[string]string{
			"manage.py":                     `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")`,
			"config/settings/local.py":      "",
			"config/settings/local/base.py": "ASGI_APPLICATION = \"config.asgi.application\"\n",
		}, "Django", "asgi config.asgi:application", nil,
	},
	"Django, split settings": {
		map[string]string{
			"manage.py":                   "import os\nos.environ[\"DJANGO_SETTINGS_MODULE\"] = \"config.settings.local\"\n",
			"config/settings/__init__.py": "",
			"config/settings/local.py":    "from .common import *\nfrom .local import *\n",
			"config/settings/common.py":   "from config.paths import *\nWSGI_APPLICATION = 'config.wsgi.application'\n",
			"config/paths.py":             "ASGI_APPLICATION = 'config.asgi.application'\n",
			"config/wsgi.py":              "",
		}, "Django", "asgi config.asgi:application", nil,
	},
	"Django, ASGI alone": {
		map[string]string{
			"manage.py":    `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`,
			"shop/asgi.py": "",
		}, "Django", "asgi shop.asgi:application", nil,
	},
	"Django without names": {
		map[string]string{
			"manage.py":    `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`,
			"shop/wsgi.py": "",
		}, "Django", "wsgi shop.wsgi:application", nil,
	},
	"Flask":          {map[string]string{"hello.py": flaskSource}, "Flask", "wsgi hello:app", nil},
	"Flask, factory": {map[string]string{"flaskr/__init__.py": "import os\nfrom flask import Flask\n\ndef create_app(test_config=None):\n    pass\n"}, "Flask", "wsgi flaskr:create_app()", nil},
	"Flask, made": {
		map[string]string{"wsgi.py": "from flask import Flask\nfrom shop import make\napp = make()\n"},
		"Flask", "wsgi wsgi:app", nil,
	},
	"made by a factory": {
		map[string]string{
			"wsgi.py":          "from shop import create_app\n\napplication = create_app('production')\n",
			"shop/__init__.py": "from flask import Flask\n\ndef create_app(name='development', *args, **others): pass\n",
		}, "Python, WSGI", "wsgi wsgi:application", nil,
	},
	"a factory with arguments": {
		map[string]string{
			"app/__init__.py": "from flask import Flask\n\ndef create_app(config: Dict[str, str], debug=False): pass\n",
			"Procfile":        "web: gunicorn shop:app\n",
		}, "Procfile", "/bin/sh -c exec gunicorn shop:app", nil,
	},
	"a package in src":   {map[string]string{"src/shop/__init__.py": "from flask import Flask\ndef make_app(): pass\n"}, "Flask", "wsgi shop:make_app()", nil},
	"a package's main":   {map[string]string{"shop/__init__.py": "", "shop/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "FastAPI", "asgi shop.main:app", nil},
	"src is the package": {map[string]string{"src/__init__.py": "", "src/main.py": "from fastapi import FastAPI\nfrom . import db\napp = FastAPI()\n"}, "FastAPI", "asgi src.main:app", nil},
	"src has a factory":  {map[string]string{"src/__init__.py": "from flask import Flask\ndef create_app(): pass\n"}, "Flask", "wsgi src:create_app()", nil},
	"imported":           {map[string]string{"wsgi.py": "from shop import app\n\nif __name__ == '__main__':\n    app.run()\n"}, "Python, WSGI", "wsgi wsgi:app", nil},
	"FastAPI":            {map[string]string{"main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"}, "FastAPI", "asgi main:app", nil},
	"FastAPI, in app":    {map[string]string{"app/main.py": "import fastapi\napp = fastapi.FastAPI(title='app')\n", "app/__init__.py": ""}, "FastAPI", "asgi app.main:app", nil},
	"FastAPI, in src":    {map[string]string{"src/main.py": "from fastapi import FastAPI\r\napp = FastAPI()\r\n"}, "FastAPI", "asgi main:app", nil},
	"Starlette":          {map[string]string{"app.py": "from starlette.applications import Starlette\napp = Starlette(debug=True, routes=[\n    Route('/', home),\n])\n"}, "Starlette", "asgi app:app", nil},
	"Quart":              {map[string]string{"app.py": "from quart import Quart\napp = Quart(__name__)\n"}, "Quart", "asgi app:app", nil},
	"Falcon":             {map[string]string{"app.py": "import falcon\napp = application = falcon.App()\n"}, "Falcon", "wsgi app:application", nil},
	"bare ASGI":          {map[string]string{"main.py": "async def app(scope, receive, send):\n    pass\n"}, "Python, ASGI", "asgi main:app", nil},
	"typed WSGI":         {map[string]string{"app.py": "def app(\n    environ: dict[str, str],\n    start_response: Callable[[str, list], None],\n) -> list[bytes]:\n    pass\n"}, "Python, WSGI", "wsgi app:app", nil},
	"bare WSGI":          {map[string]string{"app.py": "def application(environ, start_response):\n    pass\n"}, "Python, WSGI", "wsgi app:application", nil},
	"Node.js":            {map[string]string{"app.js": "http.createServer(f).listen(3000)"}, "Node.js", "node app.js", nil},
	"Node.js, ours":      {map[string]string{"app.js": "require('./server')"}, "Node.js", "node app.js", nil},
	"Express, generated": {
		map[string]string{
			"app.js": "var app = express();\nmodule.exports = app;\n", "bin/www": "server.listen(port);\n",
			"package.json": `{"scripts": {"start": "node ./bin/www"}}`,
		}, "Node.js", "node bin/www", []string{"Node.js", "Node.js"},
	},
	"main of package.json": {map[string]string{"package.json": `{"main": "lib/index"}`, "lib/index.js": "app.listen(80)"}, "Node.js", "node lib/index.js", nil},
	"the package itself": {
		map[string]string{
			"package.json": `{"main": "lib/server", "scripts": {"start": "node ."}}`, "lib/server.js": "require('./app')", "index.js": "app.listen(80)",
		}, "Node.js", "node lib/server.js", []string{"Node.js"},
	},
	"the package's index": {map[string]string{"package.json": `{"scripts": {"start": "node ."}}`, "index.js": "require('./app')"}, "Node.js", "node index.js", []string{"Node.js"}},
	"a careless package.json": {
		map[string]string{
			"package.json": "\ufeff{" + `"main": false, "dependencies": [], "scripts": {"start": "node app/web"}}`,
			"app/web.js":   "",
		},
		"Node.js", "node app/web.js",
		[]string{"Node.js"},
	},
	"server.js": {map[string]string{"server.js": "app.listen(80)"}, "Node.js", "node server.js", nil},
	"npm start": {map[string]string{"package.json": `{"scripts": {"start": "react-scripts start"}}`}, "Node.js", "npm start", nil},
	"Next.js": {
		map[string]string{
			"package.json":   `{"dependencies": {"next": "15"}, "scripts": {"start": "next start"}}`,
			".next/BUILD_ID": "1",
		},
		"Next.js", "node_modules/.bin/next start -H localhost -p $PORT",
		[]string{"Node.js"},
	},
	"Next.js, standalone": {
		map[string]string{
			"package.json":   `{"dependencies": {"next": "15"}, "scripts": {"start": "next start"}}`,
			".next/BUILD_ID": "1",
			"server.js":      "require('next/dist/server/lib/start-server').startServer()",
		},
		"Next.js, standalone", "node server.js",
		[]string{"Node.js"},
	},
	"Next.js, beside another program": {
		map[string]string{
			"package.json":   `{"dependencies": {"next": "15"}, "scripts": {"start": "next start"}}`,
			".next/BUILD_ID": "1", "node_modules/.bin/next": "", "server.js": "app.listen(3000)",
		},
		"Next.js", "node_modules/.bin/next start -H localhost -p $PORT",
		[]string{"Node.js", "Node.js"},
	},
	"Next.js, in a server of its own": {
		map[string]string{
			"package.json":   `{"dependencies": {"next": "15"}, "scripts": {"start": "NODE_ENV=production node web.js"}}`,
			".next/BUILD_ID": "1", "node_modules/.bin/next": "", "web.js": "createServer(f).listen(3000)",
		},
		"Node.js", "node web.js",
		[]string{"Node.js"},
	},
	"Nuxt": {
		map[string]string{
			"package.json":             `{"devDependencies": {"nuxt": "3"}}`,
			".output/server/index.mjs": "",
		}, "Nuxt", "node .output/server/index.mjs", nil,
	},
	"NestJS": {
		map[string]string{
			"package.json": `{"dependencies": {"@nestjs/core": "10"}, "scripts": {"start": "nest start"}}`,
			"dist/main.js": "",
		},
		"NestJS", "node dist/main.js",
		[]string{"Node.js"},
	},
	"SvelteKit": {
		map[string]string{
			"package.json":   `{"devDependencies": {"@sveltejs/adapter-node": "5", "vite": "6"}}`,
			"build/index.js": "",
		},
		"SvelteKit", "node build/index.js", nil,
	},
	"AdonisJS": {
		map[string]string{
			"package.json":        `{"dependencies": {"@adonisjs/core": "6"}, "scripts": {"start": "node bin/server.js"}}`,
			"build/bin/server.js": "",
		},
		"AdonisJS", "node build/bin/server.js",
		[]string{"Node.js"},
	},
	"Nitro": {map[string]string{".output/server/index.mjs": ""}, "Nitro", "node .output/server/index.mjs", nil},
	"Astro": {
		map[string]string{
			"package.json":          `{"dependencies": {"astro": "5"}}`,
			"dist/server/entry.mjs": "",
		}, "Astro", "node dist/server/entry.mjs", nil,
	},
	"app.mjs":     {map[string]string{"app.mjs": "app.listen(80)"}, "Node.js", "node app.mjs", nil},
	"app.cjs":     {map[string]string{"app.cjs": "app.listen(80)"}, "Node.js", "node app.cjs", nil},
	"server.cjs":  {map[string]string{"server.cjs": "app.listen(80)"}, "Node.js", "node server.cjs", nil},
	"main.mjs":    {map[string]string{"main.mjs": "import {serve} from '@hono/node-server'\nserve(app)"}, "Node.js", "node main.mjs", nil},
	"fastify-cli": {map[string]string{"app.js": "module.exports = f", "package.json": `{"scripts": {"start": "fastify start -l info app.js"}}`}, "Node.js", "npm start", []string{"Node.js"}},
	"Deno, jsonc": {map[string]string{"deno.jsonc": "{\n// \"x\n\"tasks\": {/*/ \" */ \"start\": \"deno run // main.ts\",},\n}"}, "Deno", "deno task start", nil},
	"Hono, Bun":   {map[string]string{"bun.lock": "", "package.json": `{"dependencies": {"hono": "4"}}`, "src/index.ts": ""}, "Hono", "bun src/index.ts", nil},
	"Elysia, Bun": {map[string]string{"bun.lock": "", "package.json": `{"dependencies": {"elysia": "1"}}`, "src/index.ts": ""}, "Elysia", "bun src/index.ts", nil},
	"no __init__": {
		map[string]string{
			"shop/main.py": "from fastapi import FastAPI\nfrom shop.db import x\napp = FastAPI()\n",
			"shop/db.py":   "",
		},
		"FastAPI", "asgi shop.main:app", nil,
	},
	"src/app": {map[string]string{"src/app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "FastAPI", "asgi app.main:app", nil},
	"a package's wsgi.py": {
		map[string]string{
			"shop/__init__.py": "",
			"shop/wsgi.py":     "from shop.web import make\n\napplication = make()  # ours\n",
		},
		"Python, WSGI", "wsgi shop.wsgi:application", nil,
	},
	"Django, comments": {
		map[string]string{
			"manage.py":                `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")`,
			"config/settings/local.py": "from .base import *  # noqa\n",
			"config/settings/base.py":  "ASGI_APPLICATION = \"config.asgi.application\"  # noqa\n",
			"config/__init__.py":       "", "config/wsgi.py": "application = get_wsgi_application()\n",
		}, "Django", "asgi config.asgi:application", nil,
	},
	"api.py":     {map[string]string{"api.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "FastAPI", "asgi api:app", nil},
	"app/api.py": {map[string]string{"app/api.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "FastAPI", "asgi app.api:app", nil},
	"Procfile, BOM, no space, capitals, tab": {
		map[string]string{"Procfile": "\ufeffWeb:bin/shop\t-p\t$PORT \r\n"},
		"Procfile", "/bin/sh -c exec bin/shop -p $PORT", nil,
	},
	"Meteor":          {map[string]string{".meteor/release": ""}, "Meteor", "meteor ", nil},
	"Meteor, bundle":  {map[string]string{"star.json": "", "main.js": ""}, "Meteor, bundled", "meteor ", nil},
	"Deno":            {map[string]string{"deno.json": `{"tasks": {"start": "deno run main.ts"}}`}, "Deno", "deno task start", nil},
	"Bun":             {map[string]string{"bun.lock": "", "package.json": `{"scripts": {"start": "bun index.ts"}}`}, "Bun", "bun run start", nil},
	"Bun before 1.2":  {map[string]string{"bun.lockb": "", "package.json": `{"scripts": {"start": "bun index.ts"}}`}, "Bun", "bun run start", nil},
	"PHP":             {map[string]string{"index.php": "", "Procfile": "web: x\n"}, "PHP", "php index.php", []string{"Procfile"}},
	"Laravel":         {map[string]string{"public/index.php": "", "composer.json": `{"require":{"laravel/framework":"^11"}}`, "package.json": `{"scripts":{"build":"vite"}}`}, "Laravel", "php public/index.php", nil},
	"Symfony":         {map[string]string{"public/index.php": "", "composer.json": `{"require":{"symfony/framework-bundle":"7"}}`}, "Symfony", "php public/index.php", nil},
	"Drupal":          {map[string]string{"web/index.php": "", "composer.json": `{"require":{"drupal/core-recommended":"11"}}`}, "Drupal", "php web/index.php", nil},
	"WordPress":       {map[string]string{"index.php": "", "wp-load.php": ""}, "WordPress", "php index.php", nil},
	"DokuWiki":        {map[string]string{"index.php": "", "doku.php": "", "composer.json": "no JSON"}, "DokuWiki", "php index.php", nil},
	"Ruby before PHP": {map[string]string{"index.php": "", "config.ru": ""}, "Ruby, Rack", "rack config.ru", []string{"PHP"}},
	"Procfile":        {map[string]string{"Procfile": "worker: sidekiq\nweb: bundle exec puma -p $PORT\n"}, "Procfile", "/bin/sh -c exec bundle exec puma -p $PORT", nil},
	"Procfile, a script": {
		map[string]string{"Procfile": "web: A=b ./migrate && ./serve\n"},
		"Procfile", "/bin/sh -c A=b ./migrate && ./serve", nil,
	},
	"Ruby on Heroku": {
		map[string]string{"config.ru": "", "Procfile": "web: bundle exec passenger start -p $PORT\n"},
		"Ruby, Rack", "rack config.ru", nil,
	},
	"Procfile, not this server": {
		map[string]string{"Procfile": "web: ./passenger-starter start\n"},
		"Procfile", "/bin/sh -c exec ./passenger-starter start", nil,
	},
	"Go, with a Procfile": {
		map[string]string{"go.mod": "module shop\n", "main.go": "package main\n", "Procfile": "web: bin/shop\n"},
		"Procfile", "/bin/sh -c exec bin/shop", nil,
	},
}

// makeDirectory makes files in a directory.
func makeDirectory(t testing.TB, files map[string]string) string {
	t.Helper()

	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}

	return root
}

func TestApplicationsAreRecognizedAsTheirGeneratorsMakeThem(t *testing.T) {
	for name, want := range applications {
		t.Run(name, func(t *testing.T) {
			found, err := spawner.Detect(makeDirectory(t, want.files))
			require.NoError(t, err)
			require.Equal(t, want.framework, found[0].Framework)
			require.NotEmpty(t, found[0].Because)

			start := strings.Join(found[0].StartCommand, " ")
			if found[0].Type != "" {
				start = found[0].Type + " " + found[0].StartupFile
			}

			require.Equal(t, want.start, start)

			var others []string //nolint:prealloc // nil where there are none
			for _, other := range found[1:] {
				others = append(others, other.Framework)
			}

			require.Equal(t, want.others, others)
		})
	}
}

// What only looks like an application is none.
func TestOtherFilesAreNoApplication(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"nothing":                 {"README": "x"},
		"a program":               {"main.py": "import typer\napp = typer.Typer()\n"},
		"no package of it":        {"shop/main.py": "from fastapi import FastAPI\nimport db\napp = FastAPI()\n"},
		"in a string":             {"main.py": "'''\nfrom fastapi import FastAPI\napp = FastAPI()\n'''\n"},
		"in a function":           {"main.py": "from fastapi import FastAPI\ndef main():\n    app = FastAPI()\n"},
		"a library":               {"package.json": `{"main": "index.js"}`, "index.js": "module.exports = 1"},
		"no JSON":                 {"package.json": "{", "deno.json": "[1]"},
		"this server":             {"Procfile": "web: bundle exec passenger start -p $PORT --max-pool-size 3\n"},
		"this server, by npm":     {"package.json": `{"scripts": {"start": "NODE_ENV=production passenger start"}}`},
		"this server, by Bun":     {"bun.lock": "", "package.json": `{"scripts": {"start": "exec /usr/bin/passenger start"}}`},
		"no line web":             {"Procfile": "worker: x\nweb\n web: y\nweb:\n"},
		"a start script upwards":  {"package.json": `{"scripts": {"start": ""}, "main": "../../etc/passwd"}`},
		"a Django without a name": {"manage.py": "import sys\n"},
		"an unclosed string":      {"main.py": "x = \"\"\"\nfrom fastapi import FastAPI\napp = FastAPI()\n"},
		"nonsense":                {"main.py": strings.Repeat("([{\\\n'", 1000), "app.py": "\x00\xff'''"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spawner.Detect(makeDirectory(t, files))
			require.ErrorIs(t, err, spawner.ErrNoApp)
		})
	}

	_, err := spawner.Detect(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// Who looks may have more rights than whoever has made the links.
func TestDetectionFollowsNoLinksOutOfTheDirectory(t *testing.T) {
	other := makeDirectory(t, map[string]string{"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"})
	root := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(other, "main.py"), filepath.Join(root, "main.py")))
	require.NoError(t, os.Symlink(other, filepath.Join(root, "app")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "Procfile"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(root, "package.json"), 0o700))

	_, err := spawner.Detect(root)
	require.ErrorIs(t, err, spawner.ErrNoApp)

	link := filepath.Join(t.TempDir(), "current")
	require.NoError(t, os.Symlink(other, link))
	found, err := spawner.Detect(link)
	require.NoError(t, err, "the directory itself may be a link")
	require.Equal(t, "main:app", found[0].StartupFile)
}

// A startup file without a type tells it by its name, and one of Python by what is in it.
func TestStartupFilesTellTheirTypes(t *testing.T) {
	root := makeDirectory(t, map[string]string{
		"one.py":           "from fastapi import FastAPI\nservice = 1\napp = FastAPI()\n",
		"shop/service.py":  "def application(environ, start_response): pass\n",
		"shop/__init__.py": "",
		"www":              "",
	})
	config := &spawner.Config{Users: spawner.SameUser}

	for file, want := range map[string]string{
		"one.py":                   "",
		"one:app":                  "",
		"shop.service:application": "",
		"shop:create_app()":        "",
		"shop.missing:app":         "the startup file " + root + "/shop/missing.py does not exist",
		"missing.py":               "the startup file " + root + "/missing.py does not exist",
		"one:app; rm -rf /":        "no application was found",
		"www":                      "no application was found",
		"../one:app":               "no application was found",
		"one:app(debug=True)":      "no application was found",
		strings.Repeat("a", 300):   "no application was found",
	} {
		t.Run(file[:min(len(file), 20)], func(t *testing.T) {
			err := spawner.Check(config, spawner.App{Root: root, StartupFile: file, Python: "/bin/sh"})
			if want == "" {
				require.NoError(t, err)
				return
			}

			e, ok := errors.AsType[*spawner.SpawnError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, e.Summary, want)
		})
	}
}
