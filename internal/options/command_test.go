package options_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/options"
)

func TestStartCommandsThatNeedNoShell(t *testing.T) {
	for text, want := range map[string][]string{
		"node app.js":                   {"node", "app.js"},
		"  npm   start  ":               {"npm", "start"},
		`sh -c 'a && b; c' x "y z" \$A`: {"sh", "-c", "a && b; c", "x", "y z", "$A"},
		"serve -b unix:$SOCKET":         {"serve", "-b", "unix:$SOCKET"},
		"serve -p $PORT ${PORT}":        {"serve", "-p", "$PORT", "$PORT"},
		`serve "--listen=:$PORT" ''`:    {"serve", "--listen=:$PORT", ""},
		"node --title=a=b # app":        {"node", "--title=a=b"},
	} {
		got, err := options.ParseCommand(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestStartCommandsForAShell(t *testing.T) {
	for text, want := range map[string]string{
		"NODE_ENV=test node app.js":       "NODE_ENV=test exec node app.js",
		"node app.js >>log 2>&1":          "exec node app.js >>log 2>&1",
		">>log node app.js":               ">>log exec node app.js",
		"node $HOME/app.js":               "exec node $HOME/app.js",
		`node "$(pwd)/app.js"`:            `exec node "$(pwd)/app.js"`,
		"node ~/app.js *.js":              "exec node ~/app.js *.js",
		"exec node app.js":                "exec node app.js",
		"serve ${PORT:-80}":               "exec serve ${PORT:-80}",
		"cd web && npm start":             "cd web && exec npm start",
		"make; A=b ./serve || ./fallback": "make; A=b ./serve || exec ./fallback",
		"worker & ./serve":                "worker & exec ./serve",
		"exec node $APP":                  "exec node $APP",
		"cd web && . ./start":             "cd web && . ./start",
		"./serve | tee log":               "./serve | tee log",
		"trap 'rm x' EXIT; ./serve":       "trap 'rm x' EXIT; ./serve",
		"serve() { node app.js; }; serve": "serve() { node app.js; }; serve",
		"./serve &":                       "./serve &",
		"if true; then ./serve; fi":       "if true; then ./serve; fi",
		"A=b":                             "A=b",
	} {
		got, err := options.ParseCommand(text)
		require.NoError(t, err, text)
		require.Equal(t, []string{"/bin/sh", "-c", want}, got, text)
	}
}

func TestStartCommandsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "  ", "# nothing", "a 'b", "a &&", "( a"} {
		_, err := options.ParseCommand(text)
		require.Error(t, err, text)
	}
}

// TestNoShellStaysBeforeAProgram asks the program whose number the shell had.
func TestNoShellStaysBeforeAProgram(t *testing.T) {
	for _, text := range []string{
		`A=b sh -c 'echo $$ $A'`,
		`cd / && A=b sh -c 'echo $$ $A'`,
		`A=c; export A; false || A=b sh -c 'echo $$ $A' 2>&1`,
	} {
		for _, shell := range []string{"/bin/sh", "dash", "bash", "busybox"} {
			path, err := exec.LookPath(shell)
			if err != nil {
				continue
			}

			argv, err := options.ParseCommand(text)
			require.NoError(t, err)
			if shell == "busybox" {
				argv[0] = "sh"
			}

			cmd := exec.Command(path, argv[1:]...)
			cmd.Args[0] = argv[0]
			var out strings.Builder
			cmd.Stdout = &out
			require.NoError(t, cmd.Start())
			pid := cmd.Process.Pid
			require.NoError(t, cmd.Wait())
			var got int
			var value string
			_, err = fmt.Sscan(out.String(), &got, &value)
			require.NoError(t, err, out.String())
			require.Equal(t, pid, got, "%s: %s", shell, text)
			require.Equal(t, "b", value, "%s: %s", shell, text)
		}
	}
}
