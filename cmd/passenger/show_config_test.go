package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// showOf runs config --show, and returns what it prints.
func showOf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())

	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(append([]string{"config", "--show"}, args...))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())

	return out.String(), err
}

func TestConfigShowsEachValueAndItsSource(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "Passengerfile.json")
	require.NoError(t, os.WriteFile(file, []byte(
		`{"max_requests": 5, "envvars": {"TOKEN": "s3cret"}, "min_instances": 4, "disable_turbocaching": true}`),
		0o600))
	t.Setenv("PASSENGER_MIN_INSTANCES", "2")
	t.Setenv("RACK_ENV", "staging")

	text, err := showOf(t, dir, "--port", "8080", "--app-type", "node")
	require.ErrorContains(t, err, "app.js", "there is no application")

	for _, line := range []string{
		`port +8080 +--port`,
		`environment +staging +RACK_ENV`,
		`max_requests +5 +` + file,
		`min_instances +2 +PASSENGER_MIN_INSTANCES`,
		`turbocaching +false +` + file,
		`max_pool_size +6 +default`,
		`envvars +{"TOKEN":"\(not shown\)"} +` + file,
	} {
		require.Regexp(t, `(?m)^`+line+`$`, text)
	}

	require.NotContains(t, text, "s3cret")
	require.NotContains(t, text, "disable_turbocaching")
}

func TestConfigShowsFlyingAndJSON(t *testing.T) {
	text, err := showOf(t, "--flying", "--json", "--socket-file", "/run/s", "--no-user-switching", "--max-requests",
		"-1")
	require.ErrorContains(t, err, "--max-requests: max_requests is -1: it must be 0 (never) or more")

	var shown shownConfig
	require.NoError(t, json.Unmarshal([]byte(text), &shown))
	require.Contains(t, shown.Options, shownOption{"socket_file", "/run/s", "--socket-file"})
	require.Contains(t, shown.Options, shownOption{"user_switching", false, "--no-user-switching"})
	require.Contains(t, shown.Options, shownOption{"min_instances", 0.0, "default"})
}

func TestConfigShowsApplicationsWithTheirOwnValues(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"),
		[]byte(`{"apps": [{"dir": "shop", "max_requests": 9}]}`), 0o600))

	text, err := showOf(t, dir)
	require.ErrorContains(t, err, "shop does not exist")
	require.Regexp(t, `(?m)^`+filepath.Join(dir, "shop")+`:\nmax_requests  9 .*Passengerfile.json$`, text)
}
