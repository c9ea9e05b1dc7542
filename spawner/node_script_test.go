package spawner_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// What a start script gives to Node.js beside the file is part of the application. A script that needs a shell is left
// to npm.
func TestStartScriptsOfNodeAreUnderstood(t *testing.T) {
	for script, want := range map[string]struct {
		// start is the startup file or the command, and because a part of the reason.
		start, because string
	}{
		"node server.js":                              {"server.js", "package.json starts it"},
		"node server":                                 {"server.js", "package.json starts it"},
		"node --env-file=.env server.js":              {"server.js", "package.json starts it with --env-file=.env"},
		"node --env-file .env server.js":              {"server.js", "with --env-file .env"},
		"node -r dotenv/config server.js":             {"server.js", "with -r dotenv/config"},
		"node --import ./telemetry.mjs server.js":     {"server.js", "with --import ./telemetry.mjs"},
		"node --max-old-space-size=4096 server.js":    {"server.js", "with --max-old-space-size=4096"},
		"node --experimental-strip-types 'server.js'": {"server.js", "with --experimental-strip-types"},
		"node --enable-source-maps -- server.js":      {"server.js", "with --enable-source-maps"},
		"node --inspect=0.0.0.0 --use-openssl-ca server.js": {
			"server.js", "with --use-openssl-ca, without its --inspect=0.0.0.0",
		},
		"node --watch server.js":                       {"server.js", "without its --watch"},
		"NODE_ENV=production node server.js":           {"server.js", "package.json starts it"},
		"cross-env NODE_ENV=production node server.js": {"server.js", "package.json starts it"},
		"exec node server.js":                          {"server.js", "package.json starts it"},
		"npm run build && node server.js":              {"npm start", ""},
		"node server.js --port $PORT":                  {"npm start", ""},
		"node --env-file=.env":                         {"npm start", ""},
		"node -r":                                      {"npm start", ""},
		"node -e 'require(\"./server\")'":              {"npm start", ""},
		"node dist/missing.js":                         {"npm start", "it starts dist/missing.js, which is not there: build"},
		"node ../server.js":                            {"npm start", ""},
		"node \"server.js":                             {"npm start", ""},
		"nodemon server.js":                            {"npm start", ""},
		"cross-env A=b":                                {"npm start", ""},
	} {
		t.Run(script, func(t *testing.T) {
			text := `{"scripts": {"start": "` + strings.ReplaceAll(script, `"`, `\"`) + `"}}`
			found, err := spawner.Detect(makeDirectory(t, map[string]string{"package.json": text, "server.js": ""}))
			require.NoError(t, err)

			start := found[0].StartupFile
			if start == "" {
				start = strings.Join(found[0].StartCommand, " ")
			}

			require.Equal(t, want.start, start)
			require.Contains(t, found[0].Because, want.because)

			if want.because == "package.json starts it" {
				require.Equal(t, want.because, found[0].Because)
			}
		})
	}
}

// Preloaded modules and variables may be what makes it work at all.
func TestFlagsOfTheStartScriptReachNode(t *testing.T) {
	node := interpreters.Find(t, "node", "node")
	f := newFixture(t)

	const code = `
		const v8 = require("v8");
		const body = [globalThis.first, globalThis.second, process.env.FROM_FILE, process.env.FROM_SCRIPT,
			process.env.NODE_ENV, v8.getHeapStatistics().heap_size_limit < 200 << 20].join();
		require("http").createServer((req, res) => res.end(body)).listen(80);`
	root := makeDirectory(t, map[string]string{
		"package.json": `{"scripts": {"start": "cross-env NODE_ENV=staging FROM_SCRIPT='a b' node --env-file=.env ` +
			`-r ./first --import ./second.mjs --inspect --max-old-space-size=100 server.js"}}`,
		".env":       "FROM_FILE=c\n",
		"first.js":   "globalThis.first = 1",
		"second.mjs": "globalThis.second = 2",
		"server.js":  code,
		"other.js":   code,
	})
	app := spawner.App{Root: root, NodeJS: node, StartTimeout: patience}

	for name, c := range map[string]struct {
		appType, file, want string
	}{
		"detected":     {"", "", "1,2,c,a b,production,true"},
		"named":        {"node", "server.js", "1,2,c,a b,production,true"},
		"another file": {"node", "other.js", ",,,,production,false"},
	} {
		t.Run(name, func(t *testing.T) {
			a := app
			a.Type, a.StartupFile = c.appType, c.file
			a.Environment = "production"
			body, err := get(t, f.start(t, a), "/")
			require.NoError(t, err)
			require.Equal(t, c.want, body)
		})
	}

	// What is configured counts more.
	a := app
	a.Env = map[string]string{"FROM_SCRIPT": "d", "FROM_FILE": "e"}
	body, err := get(t, f.start(t, a), "/")
	require.NoError(t, err)
	require.Contains(t, body, "1,2,e,d,")

	require.NoError(t, os.Remove(filepath.Join(root, ".env")))
	require.Contains(t, f.fail(t, app).Output, ".env: not found")
}

// A file that would say what there is, and cannot be understood, is named.
func TestFilesThatCannotBeUnderstoodAreNamed(t *testing.T) {
	config := &spawner.Config{Users: spawner.SameUser}
	huge := `{"a": "` + strings.Repeat("a", 1<<20) + `"}`

	for name, c := range map[string]struct{ file, text, want string }{
		"a comma too many": {"package.json", "{\"scripts\": {\n\"start\": \"node x.js\",\n}}", "package.json is not JSON (line 3: invalid character '}'"},
		"empty":            {"package.json", "", "package.json is empty"},
		"a mark alone":     {"package.json", "\ufeff", "package.json is empty"},
		"an array":         {"package.json", "[1]", "package.json has a JSON array where an object has to be"},
		"a string":         {"package.json", `"a"`, "package.json has a JSON string"},
		"huge":             {"package.json", huge, "package.json has more than 262144 bytes"},
		"Deno":             {"deno.jsonc", "{", "deno.jsonc is not JSON (line 1"},
		"Composer":         {"composer.json", "{", "composer.json is not JSON"},
		"a Procfile":       {"Procfile", "web bin/shop\n", `Procfile:1: "web bin/shop" names no process`},
		"a tab":            {"Procfile", "web: bin/shop 'a\tb'\n", "Procfile:1: the line web has a tab"},
	} {
		t.Run(name, func(t *testing.T) {
			root := makeDirectory(t, map[string]string{c.file: c.text})
			if c.file == "composer.json" {
				require.NoError(t, os.WriteFile(filepath.Join(root, "index.php"), nil, 0o600))
				found, err := spawner.Detect(root)
				require.NoError(t, err)
				require.Contains(t, found[0].Because, c.want)

				return
			}

			_, err := spawner.Detect(root)
			require.ErrorIs(t, err, spawner.ErrNoApp)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, spawner.Check(config, spawner.App{Root: root}), c.want)

			// What is found nevertheless could be started in another way.
			require.NoError(t, os.WriteFile(filepath.Join(root, "config.ru"), nil, 0o600))
			found, err := spawner.Detect(root)
			require.NoError(t, err)
			require.Contains(t, found[0].Because, c.want)
		})
	}
}

// A site of files needs no application server, and npm start would be a server for its author.
func TestSitesOfFilesAreNamed(t *testing.T) {
	config := &spawner.Config{Users: spawner.SameUser}
	root := makeDirectory(t, map[string]string{
		"package.json": `{"devDependencies": {"vite": "6"}, "scripts": {"dev": "vite"}}`,
	})
	e, ok := errors.AsType[*spawner.SpawnError](spawner.Check(config, spawner.App{Root: root}))
	require.True(t, ok)
	require.Contains(t, e.Advice, "Vite makes a site of files")
	require.Contains(t, e.Advice, "--directory dist $PORT")

	root = makeDirectory(t, map[string]string{
		"package.json": `{"dependencies": {"gatsby": "5"}, "scripts": {"start": "gatsby develop"}}`,
	})
	found, err := spawner.Detect(root)
	require.NoError(t, err)
	require.Contains(t, found[0].Because, "Gatsby makes a site of files")

	root = makeDirectory(t, map[string]string{
		"package.json": `{"dependencies": {"vite": "6", "express": "5"}, "scripts": {"start": "tsx server.ts"}}`,
	})
	found, err = spawner.Detect(root)
	require.NoError(t, err)
	require.NotContains(t, found[0].Because, "site of files")
}
