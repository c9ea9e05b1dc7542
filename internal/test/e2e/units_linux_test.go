package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const units = "../../../packaging/systemd"

// setting returns the value of a setting that a unit has once.
func setting(t testing.TB, unit, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(units, unit))
	require.NoError(t, err)

	var values []string
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			values = append(values, strings.TrimSpace(value))
		}
	}

	require.Len(t, values, 1, "%s of %s", name, unit)

	return values[0]
}

// systemd finds nothing wrong with the units, and they leave little to the services.
func TestUnitsAreValidAndClosed(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		interpreters.Missing(t, "systemd", "systemd-analyze is not there")
	}

	dir := t.TempDir()
	entries, err := os.ReadDir(units)
	require.NoError(t, err)
	verify := make([]string, 0, 2+len(entries))

	verify = append(verify, "verify", "--man=no")
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(units, e.Name()))
		require.NoError(t, err)

		// The program has to be there.
		here := strings.ReplaceAll(string(text), "/usr/local/bin/passenger", filepath.Join(built, "passenger"))
		name := strings.Replace(e.Name(), "@.", "@shop.", 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(here), 0o644))
		verify = append(verify, filepath.Join(dir, name))
	}

	out, err := exec.CommandContext(t.Context(), analyze, verify...).CombinedOutput()
	require.NoError(t, err, string(out))

	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, dir, "of our units")
		require.NotContains(t, line, "passenger", "of our units")
	}

	for unit, tenths := range map[string]string{"flying-passenger.service": "35", "passenger@.service": "20"} {
		path, err := filepath.Abs(filepath.Join(units, unit))
		require.NoError(t, err)
		out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager",
			"--threshold="+tenths, path).CombinedOutput()
		if strings.Contains(string(out), "unrecognized option") {
			t.Skip("this systemd-analyze is older than 250")
		}

		require.NoError(t, err, string(out))
	}
}

// The whole server, its watchdog included, gets along with the capabilities of the unit,
// and all kinds of applications do without new privileges.
func TestFlyingWithTheRightsOfItsUnit(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	setpriv := interpreters.Find(t, "setpriv", "setpriv")
	list := strings.ToLower(setting(t, "flying-passenger.service", "CapabilityBoundingSet"))
	bounding := "-all," + strings.ReplaceAll(strings.ReplaceAll(list, "cap_", "+"), " ", ",")
	_, options, _ := strings.Cut(setting(t, "flying-passenger.service", "ExecStart"),
		"password-file=/etc/passenger/password ")
	require.NotEmpty(t, options)

	box := newFlyingSandbox(t)
	f := startFlyingWith(t, box, func(cmd *exec.Cmd) {
		cmd.Args = slices.Concat([]string{setpriv, "--bounding-set", bounding, "--no-new-privs", cmd.Path},
			cmd.Args[1:])
		cmd.Path = setpriv
	}, strings.Fields(options)...)
	want := rightsWith(t, ofCore)
	want["NoNewPrivs"] = "1"
	requireRights(t, f.Cmd.Process.Pid, want)
	requireRights(t, f.core(t), want)

	tenants := box.kindsOfTenants(t)
	want = rightsWithout(t, 0)

	want["NoNewPrivs"] = "1"
	for _, a := range tenants {
		e := f.byHTTP(t, a, "/")
		require.Equal(t, binUID, e.UID)
		requireRights(t, e.PID, want)
	}

	before := f.core(t)
	_, err := f.admin(t, "watchdog_api").Call(t.Context(), "POST", "/reload.json", nil)
	require.NoError(t, err)
	f.requireOtherCore(t, before)

	for _, a := range tenants {
		require.Equal(t, binUID, f.byHTTP(t, a, "/").UID)
	}

	f.stop(t)
}
