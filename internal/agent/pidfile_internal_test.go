package agent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

// What is no pid file is neither overwritten nor waited for, and what is wrong with it is said.
func TestPIDFileThatIsNoneIsNamed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))

	text := func(content string) func(path string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}

	for name, row := range map[string]struct {
		make         func(path string) error
		create, find string
	}{
		"directory": {
			func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory",
			"is not a regular file: name the server's with --pid-file",
		},
		"FIFO": {
			func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"is not a regular file: name another file with --pid-file, or remove this one",
			"is not a regular file: name the server's with --pid-file",
		},
		"link": {
			func(path string) error { return os.Symlink("elsewhere", path) },
			"is a symbolic link: name the file that it leads to", "is a symbolic link: name the file that it leads to",
		},
		"settings": {
			text(`{"port": 1}`), "has something else than a process id in it: name another file with --pid-file",
			"has something else than a process id in it: name the server's with --pid-file",
		},
		"much": {
			text(strings.Repeat("1", 4096)), "has something else than a process id in it",
			"has something else than a process id in it",
		},
		"notes": {
			text(" " + strings.Repeat("é", 4096)), "has something else than a process id in it",
			"has something else than a process id in it",
		},
		"left behind":   {text("4711\n"), "", ""},
		"empty":         {text(""), "", ""},
		"lost power":    {text(strings.Repeat("\x00", 5)), "", ""},
		"other bytes":   {text("\xff{\"4711"), "", ""},
		"beyond an int": {text("99999999999999999999\n"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			require.NoError(t, row.make(path))
			before := contentOf(path)

			server, err := FindServer(path)
			if row.find != "" {
				require.ErrorContains(t, err, "cannot read the pid file: "+path+" "+row.find)
			} else {
				require.NoError(t, err)
				require.False(t, server.Alive)
				require.NoError(t, server.Close())
			}

			p, err := createPIDFile(path)
			if row.create == "" {
				require.NoError(t, err)
				require.NoError(t, p.remove())
				return
			}

			require.ErrorContains(t, err, "cannot use the pid file: ")
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, row.create)
			require.Equal(t, before, contentOf(path))
		})
	}
}

// contentOf returns what a regular file has, and nothing of what is none.
func contentOf(path string) string {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}

	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}

	return string(b)
}

// A start that fails for a full disk leaves no file that names no server.
// Faults: F3.
func TestPIDFileOnAFullDiskIsRemoved(t *testing.T) {
	disk := smalldisk.Mount(t, "size=64k,mode=700")
	_ = os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 128<<10), 0o600) // as much as there is room for

	path := filepath.Join(disk, "pid")
	_, err := createPIDFile(path)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoFileExists(t, path)
}
