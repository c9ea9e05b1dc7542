package spawner_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// meteorApp is an application that a stand-in for Meteor's tool runs: the real
// one cannot be had here.
func meteorApp(t *testing.T, kind string) spawner.App {
	t.Helper()
	interpreters.Find(t, "node", "node")
	standIns, err := filepath.Abs("../loaders/testdata/meteor")
	require.NoError(t, err)
	a := app(t, "http")
	a.Root = t.TempDir()
	require.NoError(t, os.CopyFS(a.Root, os.DirFS(filepath.Join(standIns, kind))))
	a.Env = map[string]string{}
	marker, value, _ := strings.Cut(testapp.Marker(), "=")
	a.Env[marker] = value
	a.Type, a.StartCommand, a.Meteor = "", nil, filepath.Join(standIns, "meteor")
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "settings.json"), []byte(`{"key": "value"}`), 0o600))
	a.MeteorSettings = "settings.json"

	return a
}

// report is what the stand-ins say of themselves.
func report(t *testing.T, p spawner.Process) map[string]any {
	t.Helper()
	body, err := get(t, p, "/")
	require.NoError(t, err)
	var said map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &said), body)

	return said
}

func TestMeteorSource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := meteorApp(t, "app")
	found, err := spawner.Detect(a.Root)
	require.NoError(t, err)
	require.Equal(t, "meteor", found[0].Type)

	for environment, production := range map[string]bool{"production": true, "development": false} {
		a.Environment = environment
		p := f.start(t, a)
		said := report(t, p)
		argv, err := json.Marshal(said["argv"])
		require.NoError(t, err)
		require.Equal(t, production, strings.Contains(string(argv), "--production"))
		settings, err := json.Marshal(said["settings"])
		require.NoError(t, err)
		require.JSONEq(t, `{"key": "value"}`, string(settings))
		p.Stop(t.Context())
	}
}

func TestMeteorBundle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := meteorApp(t, "bundle")
	found, err := spawner.Detect(a.Root)
	require.NoError(t, err)
	require.Equal(t, "meteor", found[0].Type)
	said := report(t, f.start(t, a))
	require.Equal(t, "http://localhost/", said["ROOT_URL"])
	require.Equal(t, "1", said["HTTP_FORWARDED_COUNT"])
	settings, ok := said["METEOR_SETTINGS"].(string)
	require.True(t, ok)
	require.JSONEq(t, `{"key": "value"}`, settings)

	a.Env["ROOT_URL"] = "https://shop.example"
	require.Equal(t, "https://shop.example", report(t, f.start(t, a))["ROOT_URL"])
}

func TestMeteorIsMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := meteorApp(t, "app")
	a.Meteor = "no-such-meteor"
	require.Contains(t, f.fail(t, a).Summary, "the interpreter no-such-meteor was not found")
	a.Type = "meteor"
	require.NoError(t, os.RemoveAll(filepath.Join(a.Root, ".meteor")))
	require.Contains(t, f.fail(t, a).Summary, ".meteor does not exist")
}
