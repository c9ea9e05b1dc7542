package catalogue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A page that walks through the files sends its readers to some that are gone, if nothing looks.
func TestArchitectureNamesFilesAndPackagesThatExist(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	require.NoError(t, err)

	var paths []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}

		paths = append(paths, "/"+strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(root)+"/"))

		return err
	}))

	place := regexp.MustCompile("`((?:[a-z_0-9]+/)*[a-z_0-9]+\\.go|(?:internal|handler|cmd)/[a-z_0-9/]+)`")
	names := place.FindAllSubmatch(text, -1)
	require.Greater(t, len(names), 50)

	for _, match := range names {
		name := string(match[1])

		found := false
		for _, path := range paths {
			found = found || strings.HasSuffix(path, "/"+name)
		}

		require.True(t, found, "docs/architecture.md names %s, and there is no such file", name)
	}
}
