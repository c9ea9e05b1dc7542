package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// Images of containers, and Procfiles of gunicorn's, name the standard files as logs.
func TestStandardFilesAsLogs(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		option, path string
		toStdout     bool
		line         string
	}{
		{"--log-file", "/dev/stdout", true, "msg=said"},
		{"--log-file", "/dev/stderr", false, "msg=said"},
		{"--log-file", "/proc/self/fd/1", true, "msg=said"},
		{"--log-file", "-", true, "msg=said"},
		{"--app-log-file", "/dev/stdout", true, "said\n"},
		{"--access-log", "/dev/stdout", true, `"target":"/say?said"`},
	} {
		t.Run(test.option+" "+test.path, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), test.option, test.path)})
			c := s.client(t)
			out := map[bool]*printed.Output{true: &s.Stdout, false: &s.Stderr}[test.toStdout]
			require.Equal(t, 200, c.get(t, say("said")).StatusCode)
			out.Await(t, test.line, 1, s.Ended)

			s.tool(t, "reopen-logs")
			require.Equal(t, 200, c.get(t, say("said")).StatusCode)
			out.Await(t, test.line, 2, s.Ended)

			if test.option == "--log-file" {
				shown, err := s.logs(t)
				require.Error(t, err)
				name := map[bool]string{true: "output", false: "error"}[test.toStdout]
				require.Contains(t, shown, "goes to standard "+name+", which another program reads")
			}

			c.CloseIdleConnections()
		})
	}
}
