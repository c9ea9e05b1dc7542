//go:build linux

package faults_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// nodeApp is a copy of an application of testdata, which may be touched.
func nodeApp(t testing.TB, name string) *launch {
	t.Helper()
	node := interpreters.Find(t, "node", "node")
	ws, err := filepath.Abs("../../../examples/apps/websocket/node_modules/ws")
	require.NoError(t, err)
	if _, err := os.Stat(ws); err != nil {
		interpreters.Missing(t, "node", "the packages of the example websocket are not installed: run npm ci there")
	}

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))))

	return &launch{app: dir, args: []string{"--nodejs", node, "--envvar", "FAULTS_WS=" + ws}}
}
