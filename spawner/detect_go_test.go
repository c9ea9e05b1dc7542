package spawner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

const goMain = "// A program.\n//\n// package other\npackage main\n\nfunc main() {}\n"

func TestProgramsOfGoAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		// binary is executable, and newer than go.mod; old makes it older.
		binary string
		old    bool
		// want is the start command, or what a build has of it; empty means that there is no program.
		want string
	}{
		"in the root": {map[string]string{"go.mod": "module example.com/shop\n", "main.go": goMain, "a_test.go": "package shop"}, "", false, "go build -o \"$N\" . &&"},
		"with a version": {
			map[string]string{
				"go.mod":    "// x\nmodule \"example.com/shop/v2\"\n",
				"main.go":   goMain,
				"vendor.go": "//go:build ignore\n\npackage gen\n",
			},
			"", false, "go build -o \"$N\" . &&",
		},
		"in cmd":              {map[string]string{"go.mod": "module example.com/x\n", "x.go": "package x\n", "cmd/shop/main.go": goMain, "cmd/README": ""}, "", false, "go build -o \"$N\" ./cmd/shop &&"},
		"built":               {map[string]string{"go.mod": "module example.com/shop\n", "main.go": goMain}, "shop", false, "./shop"},
		"built, in bin":       {map[string]string{"go.mod": "module example.com/x\n", "cmd/shop/main.go": goMain}, "bin/shop", false, "./bin/shop"},
		"built, in cmd":       {map[string]string{"go.mod": "module example.com/x\n", "cmd/shop/main.go": goMain}, "cmd/shop/shop", false, "./cmd/shop/shop"},
		"built long ago":      {map[string]string{"go.mod": "module example.com/shop\n", "main.go": goMain}, "shop", true, "go build"},
		"a library":           {map[string]string{"go.mod": "module example.com/shop\n", "shop.go": "package shop\n"}, "", false, ""},
		"a generator":         {map[string]string{"go.mod": "module example.com/shop\n", "gen.go": "//go:build ignore\n\npackage main\n", "shop.go": "package shop\n"}, "", false, ""},
		"several":             {map[string]string{"go.mod": "module example.com/x\n", "cmd/a/main.go": goMain, "cmd/b/main.go": goMain}, "", false, ""},
		"several, one serves": {map[string]string{"go.mod": "module example.com/x\n", "cmd/api/main.go": goMain, "cmd/worker/main.go": goMain}, "", false, "./cmd/api &&"},
		"several, its name":   {map[string]string{"go.mod": "module example.com/x\n", "cmd/api/main.go": goMain, "cmd/x/main.go": goMain}, "", false, "./cmd/x &&"},
		"no module":           {map[string]string{"main.go": goMain}, "", false, ""},
		"nonsense":            {map[string]string{"go.mod": "module example.com/x\n", "main.go": "\x00package main"}, "", false, ""},
		"a name for a shell":  {map[string]string{"go.mod": "module example.com/$(reboot)\n", "main.go": goMain}, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := makeDirectory(t, c.files)
			if c.binary != "" {
				path := filepath.Join(root, c.binary)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, nil, 0o755))

				built := time.Now().Add(time.Minute)
				if c.old {
					built = built.Add(-time.Hour)
				}

				require.NoError(t, os.Chtimes(path, built, built))
			}

			found, err := spawner.Detect(root)
			if c.want == "" {
				require.ErrorIs(t, err, spawner.ErrNoApp)
				return
			}

			require.NoError(t, err)
			require.Equal(t, "Go", found[0].Framework)
			require.Contains(t, strings.Join(found[0].StartCommand, " "), c.want)
		})
	}
}
