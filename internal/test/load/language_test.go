package load_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
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
			interpreters.Missing(t, "go", "no go in PATH")
		}

		program, err := goProgram()
		require.NoError(t, err)
		app.StartCommand = []string{program}
	}}
	inPython = &language{"python", func(t *testing.T, app *spawner.App) {
		t.Helper()
		path := interpreters.Find(t, "python", os.Getenv("PASSENGER_TEST_PYTHON"), "python3", "/usr/bin/python3")

		// Not a shim, which would take longer than Python does.
		out, err := exec.CommandContext(t.Context(), path, "-c", "import sys; print(sys.executable)").Output()
		require.NoError(t, err)
		app.Python = strings.TrimSpace(string(out))
	}}
	inRuby = &language{"ruby", func(t *testing.T, app *spawner.App) {
		t.Helper()
		app.Ruby = interpreters.Find(t, "ruby", os.Getenv("PASSENGER_TEST_RUBY"), "ruby")
		if exec.CommandContext(t.Context(), app.Ruby, "-e", "require 'rack'").Run() != nil {
			interpreters.Missing(t, "ruby", "no Ruby that has rack")
		}
	}}
	inNode = &language{"node", func(t *testing.T, app *spawner.App) {
		t.Helper()
		app.NodeJS = interpreters.Find(t, "node", os.Getenv("PASSENGER_TEST_NODE"), "node")
	}}
	languages = []*language{inGo, inPython, inRuby, inNode}
)

// some are the languages of which two kinds are enough: one that takes any
// number of requests at once, and one that takes one. In long runs all.
func some() []*language {
	if longtests.Enabled() {
		return languages
	}

	return []*language{inGo, inPython}
}

// batch is how many requests one part of a test waits for; in long runs so
// many that a test has 20,000.
func batch(t *testing.T) int64 {
	t.Helper()
	return int64(longtests.Rounds(t, 150, 10_000))
}
