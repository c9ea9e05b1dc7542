package spawner_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// secrets are variables of an operator's that no tenant may have.
var secrets = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "VAULT_TOKEN", "DATABASE_URL",
	"PGPASSWORD",
	"SECRET_KEY_BASE", "HTTP_PROXY", "https_proxy", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
	"LD_PRELOAD_OF_ROOT", "NODE_OPTIONS_OF_ROOT", "RUBYOPT_OF_ROOT", "BASH_FUNC_ls%%", "KUBECONFIG",
	"GOOGLE_APPLICATION_CREDENTIALS",
	"PASSENGER_HOOK_ATTACHED_PROCESS", "SSH_AUTH_SOCK", "SUDO_USER", "TMPDIR_OF_ROOT", "PATHOLOGICAL", "LANGX", "TZX",
	"ROOT_URL",
}

const secret = "of the operator"

// inherited are those that each gets.
var inherited = map[string]string{"LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "UTC"}

func poisonEnvironment(t *testing.T) {
	t.Helper()

	for _, name := range secrets {
		t.Setenv(name, secret)
	}

	for name, value := range inherited {
		t.Setenv(name, value)
	}
}

// golden are the names that an application of alice's has, beside those of inherited.
var golden = []string{
	"HOME", "IN_PASSENGER", "LOGNAME", "NODE_ENV", "NODE_PATH", "PASSENGER_APP_ENV", "PASSENGER_GUPID", "PATH", "PWD",
	"PYTHONUNBUFFERED", "RACK_ENV", "RAILS_ENV", "SHELL", "USER", "WSGI_ENV",
}

// added are what shells, interpreters and tests have added.
func added(name string) bool {
	switch name {
	case "_", "SHLVL", "OLDPWD", "GORACE", "PORT", "LC_CTYPE", "MAIL":
		return true
	}

	return strings.HasPrefix(name, "PASSENGER_TESTAPP") || strings.HasPrefix(name, "BUNDLE_") || name == "RUBYOPT" ||
		name == "RUBYLIB" || name == "GEM_HOME"
}

// Of the environment that root has started the server with, another user's application
// gets what is on the list, however it is started.
func TestApplicationOfAnotherUserHasOnlyListedVariables(t *testing.T) {
	requireRoot(t)
	python := func(a *spawner.App) {
		a.Type, a.StartupFile, a.Python = "wsgi", "passenger_wsgi.py",
			interpreters.Find(t, "python", "/usr/bin/python3", "python3")
		writeApp(t, a, "import os, json\njson.dump(dict(os.environ), open('env.json', 'w'))\n"+
			"def application(environ, start):\n    start('200 OK', [])\n    return [b'']\n")
	}

	ruby := func(a *spawner.App) {
		a.Type, a.StartupFile, a.Ruby = "rack", "config.ru", interpreters.Find(t, "ruby", "ruby")
		writeApp(t, a, "require 'json'\nFile.write('env.json', JSON.generate(ENV.to_h))\nrun lambda { |env| [200, "+
			"{}, []] }\n")
	}
	for name, prepare := range map[string]func(a *spawner.App){
		"start command": func(*spawner.App) {},
		"start command of a shell": func(a *spawner.App) {
			a.StartCommand = []string{"/bin/sh", "-c", "exec " + a.StartCommand[0]}
		},
		"login shell": func(a *spawner.App) { a.LoadShellEnv = true },
		"program that serves on its port": func(a *spawner.App) {
			a.Env = testapp.Env("generic")
		},
		"Python":                  python,
		"Python with a preloader": func(a *spawner.App) { python(a); a.SpawnMethod = spawner.SmartSpawning },
		"Ruby":                    func(a *spawner.App) { ruby(a); a.SpawnMethod = spawner.DirectSpawning },
		"Ruby with a preloader":   ruby,
		"Node.js": func(a *spawner.App) {
			a.Type, a.StartupFile, a.NodeJS = "node", "app.js", interpreters.Find(t, "node", "node")
			writeApp(t, a, "require('fs').writeFileSync('env.json', JSON.stringify(process.env))\n"+
				"require('http').createServer((q, s) => s.end()).listen(3000)\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			poisonEnvironment(t)
			f := newUserFixture(t)
			a := tenantApp(t, sharedProgram(t), alice, alice)
			prepare(&a)
			s, err := f.NewSpawner(a)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			p, err := s.Spawn(t.Context())
			require.NoError(t, err)
			defer p.Stop(t.Context())

			env := environmentOf(t, &a, p)
			for name, value := range env {
				require.NotContains(t, value, secret, name)
				require.NotContains(t, secrets, name)
			}

			for name, value := range inherited {
				require.Equal(t, value, env[name], name)
				delete(env, name)
			}

			maps.DeleteFunc(env, func(name, _ string) bool { return added(name) })
			require.Equal(t, golden, slices.Sorted(maps.Keys(env)))
		})
	}
}

// Who runs as the server's user has its environment, but not its secrets.
func TestApplicationOfTheSameUserHasTheEnvironmentButNoSecretsOfTheServer(t *testing.T) {
	poisonEnvironment(t)
	a := app(t, "http")
	env := environmentOf(t, &a, newFixture(t).start(t, a))
	require.Equal(t, secret, env["DATABASE_URL"])

	for name := range env {
		require.False(t, strings.HasPrefix(name, "OTEL_EXPORTER_OTLP"), name)
	}
}

func writeApp(t *testing.T, a *spawner.App, text string) {
	t.Helper()
	a.StartCommand, a.Env = nil, map[string]string{}
	file := filepath.Join(a.Root, a.StartupFile)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	require.NoError(t, os.Chown(file, alice, alice))
	require.NoError(t, os.Chown(a.Root, alice, alice))
}

func environmentOf(t *testing.T, a *spawner.App, p spawner.Process) map[string]string {
	t.Helper()
	env := map[string]string{}
	if p.Info().AppType != "" {
		text, err := os.ReadFile(filepath.Join(a.Root, "env.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &env))

		return env
	}

	for _, v := range stateOf(t, p).Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}

	return env
}
