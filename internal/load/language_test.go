package load_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// language is one that there is an application in, in testdata.
type language struct {
	name string
	// complete says what to start, or ends the test for want of it.
	complete func(t *testing.T, app *spawner.App)
}

var (
	inGo = &language{"go", func(t *testing.T, app *spawner.App) {
		t.Helper()
		if _, err := exec.LookPath("go"); err != nil {
			missing(t, "go", "no go in PATH")
		}
		program, err := goProgram()
		require.NoError(t, err)
		app.StartCommand = []string{program}
	}}
	inPython = &language{"python", func(t *testing.T, app *spawner.App) {
		t.Helper()
		path := interpreter(t, "python", os.Getenv("PASSENGER_TEST_PYTHON"), "python3", "/usr/bin/python3")
		// Not a shim, which would take longer than Python does.
		out, err := exec.CommandContext(t.Context(), path, "-c", "import sys; print(sys.executable)").Output()
		require.NoError(t, err)
		app.Python = strings.TrimSpace(string(out))
	}}
	inRuby = &language{"ruby", func(t *testing.T, app *spawner.App) {
		t.Helper()
		app.Ruby = interpreter(t, "ruby", os.Getenv("PASSENGER_TEST_RUBY"), "ruby")
		if exec.CommandContext(t.Context(), app.Ruby, "-e", "require 'rack'").Run() != nil {
			missing(t, "ruby", "no Ruby that has rack")
		}
	}}
	inNode = &language{"node", func(t *testing.T, app *spawner.App) {
		t.Helper()
		app.NodeJS = interpreter(t, "node", os.Getenv("PASSENGER_TEST_NODE"), "node")
	}}
	languages = []*language{inGo, inPython, inRuby, inNode}
)

// interpreter finds a language's interpreter, or ends the test.
func interpreter(t *testing.T, language string, candidates ...string) string {
	t.Helper()
	for _, c := range candidates {
		if path, err := exec.LookPath(c); c != "" && err == nil {
			return path
		}
	}
	missing(t, language, "no interpreter for "+language+" in PATH")
	return ""
}

// missing ends a test for want of something: as a failure where the language
// is required.
func missing(t *testing.T, language, reason string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PASSENGER_REQUIRE"), ","), language) {
		require.FailNow(t, reason)
	}
	t.Skip(reason)
}
