package agent

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnusableBufferDirectoryIsLoggedWithItsOption(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")

	for _, test := range []struct{ tmp, option, want string }{
		{gone, "", gone},
		{dir, gone, gone},
		{gone, dir, ""},
		{dir, "", ""},
	} {
		t.Setenv("TMPDIR", test.tmp)

		var log bytes.Buffer
		cfg := Config{}
		cfg.DataBufferDir = test.option
		cfg.warnOfBuffers(jsonLogger(&log))

		if test.want == "" {
			require.Empty(t, log.String(), "%+v", test)
			continue
		}

		require.Contains(t, log.String(), "write to "+test.want+": no such file or directory: make the directory, or "+
			"name another one with --data-buffer-dir")
	}
}
