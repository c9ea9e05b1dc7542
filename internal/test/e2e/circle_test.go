package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A start command that starts the server with the same configuration ends with the second one.
func TestStartCommandThatStartsTheServerAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"start_command": "%s start --address 127.0.0.1 --port $PORT", "on_start_failure": "exit"}`,
		filepath.Join(built, "passenger"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Passengerfile.json"), []byte(config), 0o600))

	cmd := newSandbox(t).command(t.Context(), &launch{dir: dir, args: []string{
		"--address", "127.0.0.1", "--port", freePort(t),
	}})
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "start_command starts this server as its own application, again and again")
	require.Equal(t, 1, strings.Count(string(out), "Passenger web server started"))
}
