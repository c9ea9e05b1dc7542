package spawner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The error names both ways to have the program built.
func TestBuilderThatIsMissingIsNamed(t *testing.T) {
	r := &resolver{app: &App{Root: t.TempDir()}, path: "/missing"}
	err := r.findBuilder(&command{}, "builder-that-is-missing")
	require.Error(t, err)

	e := &SpawnError{}
	(&diagnosis{app: r.app, err: err}).explain(e)
	require.Equal(t,
		"the application has to be built at its start, and builder-that-is-missing was not found", e.Summary)
	require.Contains(t, e.Advice, "Build it where Go is")
	require.Contains(t, e.Advice, "install Go")
}
