package agent

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

func TestPasswordIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	first, made, err := loadPassword(path, "--password-file")
	require.NoError(t, err)
	require.True(t, made)
	require.GreaterOrEqual(t, len(first), minPassword)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)

	again, made, err := loadPassword(path, "--password-file")
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, first, again)
	other, _, err := loadPassword(path+"2", "--password-file")
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestPasswordFilesThatAreRefused(t *testing.T) {
	const good = "correct-horse-battery-staple\n"

	write := func(mode os.FileMode, content string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			require.NoError(t, os.Chmod(path, mode))
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"as it should be":     {write(0o600, good), ""},
		"only to be read":     {write(0o400, good), ""},
		"readable to a group": {write(0o640, good), "0640"},
		"readable to all":     {write(0o604, good), "0604"},
		"short":               {write(0o600, "change-me\n"), "fewer than 16"},
		"empty":               {write(0o600, ""), "fewer than 16"},
		"long":                {write(0o600, strings.Repeat("a", maxPasswordFile+1)), "more than"},
		"quotes":              {write(0o600, `correct-"horse"-battery`), "quotes"},
		"two lines":           {write(0o600, good+good), "spaces"},
		"a directory": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t,
				os.Mkdir(path, 0o700))
		}, "not a file"},
		"a FIFO": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t,
				syscall.Mkfifo(path, 0o600))
		}, "not a file"},
		"a link": {func(t *testing.T, path string) {
			t.Helper()
			write(0o600, good)(t, path+"2")
			require.NoError(t, os.Symlink(path+"2", path))
		}, "symbolic link"},
		"another user's": {func(t *testing.T, path string) {
			t.Helper()
			if os.Geteuid() != 0 {
				interpreters.Missing(t, "root", "only root can give a file away")
			}

			write(0o600, good)(t, path)
			require.NoError(t, os.Chown(path, 61001, 61001))
		}, "another user"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "password")
			test.prepare(t, path)
			password, made, err := loadPassword(path, "--password-file")
			require.False(t, made)
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, strings.TrimSpace(good), password)
				return
			}

			require.ErrorContains(t, err, test.want)
			require.Empty(t, password)
			require.NotContains(t, err.Error(), "horse")
		})
	}
}

func TestSecret(t *testing.T) {
	s := newSecret(testPassword)
	require.True(t, s.is(testPassword))

	for _, wrong := range []string{
		"", testPassword[1:], testPassword[:len(testPassword)-1], testPassword + "\x00",
		strings.ToUpper(testPassword),
	} {
		require.False(t, s.is(wrong))
	}
}

func TestSocketDirectories(t *testing.T) {
	if os.Geteuid() != 0 {
		interpreters.Missing(t, "root", "only root has others to fear")
	}

	for name, test := range map[string]struct {
		mode os.FileMode
		uid  int
		want string
	}{
		"root's own":           {0o755, 0, ""},
		"closed":               {0o700, 0, ""},
		"with a group":         {0o775, 0, "others than root"},
		"for all":              {0o777, 0, "others than root"},
		"for all, as /tmp":     {0o777 | os.ModeSticky, 0, "others than root"},
		"another user's":       {0o755, 61001, "others than root"},
		"another user's above": {0o755, -61001, "others than root"},
	} {
		t.Run(name, func(t *testing.T) {
			above := filepath.Join(t.TempDir(), "above")
			dir := filepath.Join(above, "dir")
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.Chmod(dir, test.mode))
			if test.uid >= 0 {
				require.NoError(t, os.Chown(dir, test.uid, -1))
			} else {
				require.NoError(t, os.Chown(above, -test.uid, -1))
			}

			if err := checkClosed(dir); test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}
