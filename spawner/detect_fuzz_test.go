package spawner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

func FuzzDetectPython(f *testing.F) {
	for _, app := range applications {
		for name, content := range app.files {
			if strings.HasSuffix(name, ".py") {
				f.Add(content)
			}
		}
	}

	f.Fuzz(func(t *testing.T, source string) {
		root := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(root, "main.py"), []byte(source), 0o600))
		if found, err := spawner.Detect(root); err == nil {
			require.Contains(t, []string{"main:app", "main:application", "main:create_app()", "main:make_app()"},
				found[0].StartupFile)
		}
	})
}

func FuzzDetectNode(f *testing.F) {
	for _, app := range applications {
		for _, file := range []string{"package.json", "deno.jsonc"} {
			if text, ok := app.files[file]; ok {
				f.Add(text)
			}
		}
	}

	f.Add(`{"scripts": {"start": "A=b cross-env C='d e' node -r ./x --inspect -- app.js"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		root := makeDirectory(t, map[string]string{"package.json": text, "deno.jsonc": text, "app.js": ""})
		found, err := spawner.Detect(root)
		require.NoError(t, err)

		for _, one := range found {
			require.NotEmpty(t, one.Because)
			require.NotContains(t, one.StartupFile, "..")
		}
	})
}
