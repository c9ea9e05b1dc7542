package spawner_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// BenchmarkDetection is what a start adds: what an application is, its interpreter and its WebSockets, in a directory
// with much in it.
func BenchmarkDetection(b *testing.B) {
	files := map[string]string{".python-version": "3.12\n", "package.json": "{}", "README": ""}
	for i := range 40 {
		files[fmt.Sprintf("part%d/__init__.py", i)] = "import os\n"
		files[fmt.Sprintf("part%d/routing.py", i)] = channelsRouting
	}

	home := makeHome(b)
	a := versionedApp(b, home, "wsgi", files)
	config := &spawner.Config{Users: spawner.SameUser}

	for b.Loop() {
		_, err := spawner.Detect(a.Root)
		require.NoError(b, err)
		_, err = spawner.Interpreters(config, a)
		require.NoError(b, err)
		require.NotEmpty(b, spawner.DetectStreams(a).Paths)
	}
}
