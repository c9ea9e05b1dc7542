package spawner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program without a version is the system's choice; else the newest counts that can be executed.
func TestNewestPHPThatCanBeExecutedIsFound(t *testing.T) {
	const name = "php-of-this-test"

	for want, files := range map[string]map[string]os.FileMode{
		"":             {name + "8.4": 0o600, name: 0o600},
		name:           {name: 0o700, name + "8.4": 0o700},
		name + "8.10":  {name + "8.9": 0o700, name + "8.10": 0o700},
		name + "8.3":   {name + "8.3": 0o700, name + "8.4": 0o600, name + "-old": 0o700},
		name + "7.4":   {name + "7.4": 0o700, name + "x8.4": 0o700},
		name + "8.4.1": {name + "8.4": 0o700, name + "8.4.1": 0o700},
	} {
		dir := t.TempDir()
		for file, mode := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte("#!/bin/sh\n"), mode))
		}

		t.Setenv("PATH", dir)

		found := newResolver(&App{Root: dir}, "", nil).findPHP(name)
		if want == "" {
			require.Empty(t, found)
		} else {
			require.Equal(t, filepath.Join(dir, want), found)
		}
	}
}
