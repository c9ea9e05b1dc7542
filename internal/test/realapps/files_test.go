package realapps_test

import (
	"io/fs"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// withoutPackages is a file system in which npm's packages do not show.
type withoutPackages struct{ fs.FS }

func (f withoutPackages) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "node_modules" }), err
}

// copyTree copies a directory, with what links in it lead to.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "cp", "-rL", from, to).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
