package spawner

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
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

// Each release that is deployed has a program in the cache of its user's.
func TestBuildsOfOldReleasesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache", "passenger")

	for name, age := range map[string]time.Duration{
		"go-0123456789abcdef": 40 * 24 * time.Hour,
		"go-fedcba9876543210": 20 * 24 * time.Hour,
		"other":               40 * 24 * time.Hour,
	} {
		made := time.Now().Add(-age)
		path := filepath.Join(cache, name)
		require.NoError(t, os.MkdirAll(path, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(path, "shop"), nil, 0o600))
		require.NoError(t, os.Chtimes(path, made, made))
	}

	// It is called as go build -o FILE DIR.
	compiler := "#!/bin/sh\nprintf '#!/bin/sh\\necho it serves\\n' >\"$3\"\nchmod +x \"$3\"\n"
	require.NoError(t, boxed.WriteProgram(filepath.Join(dir, "go"), []byte(compiler), 0o700))

	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", goScript("/srv/shop/releases/2", ".", "shop"))
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "XDG_CACHE_HOME=" + filepath.Dir(cache)}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "it serves\n", string(out))

	require.NoDirExists(t, filepath.Join(cache, "go-0123456789abcdef"))
	require.FileExists(t, filepath.Join(cache, "go-fedcba9876543210", "shop"))
	require.FileExists(t, filepath.Join(cache, "other", "shop"))
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 3)
}
