package incident

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTreeHasWhatAProcessHasStarted(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	})

	found := tree(t.Context(), os.Getpid())
	require.Equal(t, os.Getpid(), found[0].PID)
	require.NotEmpty(t, found[0].Threads)
	files, _ := found[0].Files.Get()
	require.Positive(t, files)

	for _, p := range found {
		if p.PID == cmd.Process.Pid {
			require.Equal(t, os.Getpid(), p.Parent)
			require.Contains(t, p.Command, "1000")

			return
		}
	}

	require.Fail(t, "the child is not in the tree")
}

func TestCommandLineHasNoSecrets(t *testing.T) {
	for words, shown := range map[string]string{
		"":                                        "",
		"serve\x00--port\x003000\x00":             "serve --port 3000",
		"serve\x00--password=staple\x00":          "serve --password=(hidden)",
		"serve\x00--password\x00staple\x00-v":     "serve --password (hidden) -v",
		"serve\x00API_KEY=staple":                 "serve API_KEY=(hidden)",
		"serve\x00redis://me:staple@cache\x00":    "serve redis://me:(hidden)@cache",
		"a\x1b[31mb\xff\x00":                      "ab\ufffd",
		"ruby: rack app (production)\x00\x00\x00": "ruby: rack app (production)",
	} {
		require.Equal(t, shown, commandLine(words), "%q", words)
	}
}
