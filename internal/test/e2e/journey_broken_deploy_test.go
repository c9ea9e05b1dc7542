package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// More faults than each kind of application has.
const (
	syntaxFault   fault = "a syntax error"
	variableFault fault = "a missing environment variable"
)

// Journey 2, a deploy that is broken: whatever is wrong, the exit status is 1, and the
// application's own message, with file and line, is with the command, in the log, in
// status and in the hook. The old processes serve as before, the repaired release goes
// live with the next restart, and a roll-back to older files reaches browsers.
func TestJourneyBrokenDeploy(t *testing.T) {
	t.Parallel()
	shop := releaseKinds[1]
	place := "passenger_wsgi.py\", line "
	shop.faults = map[fault]releaseFault{
		syntaxFault: {"passenger_wsgi.py", "import os\ndef application(:\n", []string{place + "2", "SyntaxError"}},
		bootFault:   {"passenger_wsgi.py", "\nimport flusk\n", []string{place + "2", "No module named 'flusk'"}},
		variableFault: {
			"passenger_wsgi.py", "import os\n\nos.environ['SHOP_KEY']\n",
			[]string{place + "3", "KeyError: 'SHOP_KEY'", "environment variable SHOP_KEY"},
		},
		wellFault: {
			"passenger_wsgi.py", strings.Replace(wsgiRelease, "'well'", "1 / 0", 1),
			[]string{"GET /up", "500", place + "5", "ZeroDivisionError"},
		},
		lazyFault: {"pages.py", "page = 1\nimport flusk\n", []string{
			"GET /", "500", "pages.py\", line 2",
			"No module named 'flusk'",
		}},
	}
	told := t.TempDir()
	said, script := filepath.Join(told, "said"), filepath.Join(told, "hook")
	text := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$PASSENGER_ERROR_MESSAGE\" \"$PASSENGER_ERROR_ADVICE\" "+
		"\"$PASSENGER_APP_ERROR_MESSAGE\" >%[1]s.$$\nmv %[1]s.$$ %[1]s\n", said)
	require.NoError(t, boxed.WriteProgram(script, []byte(text), 0o700))
	d := startDeployment(t, &shop, "--ctl", "hook_spawn_failed="+script)

	n := 2
	for _, f := range []fault{syntaxFault, bootFault, variableFault, wellFault, lazyFault} {
		d.fail(n, f, byRestartApp)
		requireTells(t, awaitFile(t, said), shop.faults[f].tells, "the hook of "+string(f))
		require.NoError(t, os.Remove(said))

		// Repaired in its place.
		shop.write(t, d.release(n), d.page(n), n, noFault)
		d.succeed(n, byRestartApp)
		n++
	}

	d.rollBack(n-2, byRestartApp)
	require.Equal(t, http.StatusOK, d.c.get(t, "/up").StatusCode)
	d.load.RequireNoneLost(t)
}
