package companion_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/companion"
)

func parse(t *testing.T, text string) (companion.Specs, error) {
	t.Helper()
	var raw any
	require.NoError(t, json.Unmarshal([]byte(text), &raw))

	return companion.Parse(raw)
}

func TestCompanionsAreParsedWithTheirDefaults(t *testing.T) {
	got, err := parse(t, `{
		"sidekiq": {"command": "bundle exec sidekiq", "count": 2, "stop_signal": "SIGINT", "stop_timeout": 25.5, "memory_limit": 300,
			"restart": "on-failure", "overlap": false, "environment": {"A": "b", "N": 1000000, "ON": true}},
		"beat": {"command": ["celery", "beat"]}
	}`)
	require.NoError(t, err)
	require.Equal(t, companion.Specs{
		{
			Name: "beat", Command: []string{"celery", "beat"}, Count: 1, Restart: companion.RestartAlways,
			StopSignal: syscall.SIGTERM, StopTimeout: 10 * time.Second, Overlap: true, MemoryLimit: -1,
		},
		{
			Name: "sidekiq", Command: []string{"bundle", "exec", "sidekiq"}, Count: 2,
			Restart: companion.RestartOnFailure, StopSignal: syscall.SIGINT, StopTimeout: 25500 * time.Millisecond,
			Env: map[string]string{"A": "b", "N": "1000000", "ON": "true"}, MemoryLimit: 300,
		},
	}, got)

	// The core gets it as JSON.
	text, err := json.Marshal(got)
	require.NoError(t, err)
	var again companion.Specs
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, got, again)
}

func TestFaultsOfCompanionsNameTheKey(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf(`"w%d": {"command": "x"}`, i)
	}

	for text, want := range map[string]string{
		`[]`:                        "companions must be an object of names and companions",
		`{"a b": {"command": "x"}}`: `companions: "a b" is no name: use at most 32 letters`,
		`{"` + strings.Repeat("n", 33) + `": {"command": "x"}}`: "is no name",
		`{"w": "x"}`:                                         "companions: w: it must be an object with the key command",
		`{"w": {}}`:                                          "companions: w: the key command is missing",
		`{"w": {"command": "a 'b"}}`:                         "companions: w: command cannot be used",
		`{"w": {"command": []}}`:                             "companions: w: command names no program",
		`{"w": {"command": [1]}}`:                            "companions: w: command must be a text or a list of texts",
		`{"w": {"command": 1}}`:                              "companions: w: command must be a text or a list of texts",
		`{"w": {"command": "x", "count": 0}}`:                "companions: w: count is 0: it must be a whole number from 1 to 64",
		`{"w": {"command": "x", "count": 65}}`:               "companions: w: count is 65",
		`{"w": {"command": "x", "count": 1.5}}`:              "companions: w: count is 1.5",
		`{"w": {"command": "x", "restart": "often"}}`:        "companions: w: restart is often: it must be always, on-failure or never",
		`{"w": {"command": "x", "stop_signal": "STOP"}}`:     "companions: w: stop_signal is STOP: it must be TERM",
		`{"w": {"command": "x", "stop_timeout": 0}}`:         "companions: w: stop_timeout is 0",
		`{"w": {"command": "x", "stop_timeout": 4000}}`:      "at most 3600",
		`{"w": {"command": "x", "overlap": "no"}}`:           "companions: w: overlap is no: it must be true or false",
		`{"w": {"command": "x", "environment": []}}`:         "companions: w: environment must be an object",
		`{"w": {"command": "x", "environment": {"A": []}}}`:  "companions: w: environment has a value of A that is no text",
		`{"w": {"command": "x", "environment": {"A=": ""}}}`: "companions: w: environment has a variable",
		`{"w": {"command": "x", "memory_limit": -1}}`:        "companions: w: memory_limit is -1: it must be a whole number of MB",
		`{"w": {"command": "x", "kind": "y"}}`:               `companions: w: there is no key "kind": use command, count, environment`,
		`{` + strings.Join(many, ",") + `}`:                  "there are 65 companions, and 64 at most can be run",
	} {
		_, err := parse(t, text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "\n", text)
	}
}

func TestProcfileLinesBesideWebAreCompanions(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte(text), 0o600))
	}
	write("Web: serve\nrelease: migrate\nworker: A=b work\nbeat: tick\n")
	configured, err := parse(t, `{"beat": {"command": "tock"}}`)
	require.NoError(t, err)

	got, err := companion.WithProcfile(configured, dir)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []string{"tock"}, got[0].Command, "the configuration counts more")
	require.Equal(t, "worker", got[1].Name)
	require.Equal(t, []string{"/bin/sh", "-c", "A=b exec work"}, got[1].Command)

	write("worker: 'x\n")
	_, err = companion.WithProcfile(nil, dir)
	require.ErrorContains(t, err, "Procfile:1: the command of worker cannot be used")

	write("nonsense\n")
	_, err = companion.WithProcfile(nil, dir)
	require.ErrorContains(t, err, `Procfile:1: "nonsense" names no process`)
}
