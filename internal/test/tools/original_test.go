package tools_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// original returns a command of Passenger's own tools, which find instances in the
// box.
func (b *box) original(ctx context.Context, t *testing.T, tool string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, interpreters.Find(t, "passenger", tool, "/usr/sbin/"+tool), args...)
	cmd.Dir, cmd.WaitDelay = b.registry, time.Second

	// The tool would look for other programs beside itself, and not find its own.
	cmd.Env = append(b.env(), "PATH="+os.Getenv("PATH"))

	return cmd
}

// varies matches what is another one at another time, as the figures of a process are once they were measured.
var varies = regexp.MustCompile(`(?m)^(Version|Date   ) : .*$|(Uptime|Last used): .*$|(CPU|Memory  ): \S+ +`)

// The original's tool and ours show the same of our server.
func TestOriginalToolShowsTheSame(t *testing.T) {
	t.Parallel()

	s := newBox(t).start(t)
	for _, args := range [][]string{nil, {"--verbose"}, {"--no-header"}, {"--force-colors", "--no-header"}} {
		theirs := finish(t, s.original(t.Context(), t, "passenger-status", args...))
		ours := s.run(t, "passenger-status", args...)
		require.Equal(t, varies.ReplaceAllString(theirs.stdout, "$1$2$3"),
			varies.ReplaceAllString(ours.stdout, "$1$2$3"))
		require.Equal(t, theirs.status, ours.status)
	}

	for _, args := range [][]string{
		{"list-instances"},
		{"detach-process", "1"},
		{"detach-process", "1", "--ignore-nonexistant-pid"},
		{"api-call", "GET", "/ping.json"},
	} {
		theirs := finish(t, s.original(t.Context(), t, "passenger-config", args...))
		ours := s.run(t, "passenger-config", args...)

		// A line more than the original has, below that of the instance.
		ours.stdout = strings.Replace(ours.stdout, strings.Repeat(" ", 36)+s.dir+" on "+s.url+"/\n", "", 1)
		require.Equal(t, theirs, ours)
	}
}
