package instancedir

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func testDirectory(t *testing.T) directory {
	t.Helper()
	d, err := openDirectory(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })

	return d
}

// TestCreateTakesNothingOver: neither a file nor what a link leads to.
func TestCreateTakesNothingOver(t *testing.T) {
	d := testDirectory(t)
	require.NoError(t, d.create("there", []byte("first"), mine(0o600)))
	require.NoError(t, os.Symlink("missing", d.path("dangling")))
	require.NoError(t, os.Symlink("there", d.path("link")))

	for _, name := range []string{"there", "dangling", "link"} {
		require.ErrorIs(t, d.create(name, []byte("second"), mine(0o644)), fs.ErrExist)
		require.ErrorIs(t, d.createDirectory(name, mine(0o755)), fs.ErrExist)
	}

	content, err := os.ReadFile(d.path("there"))
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	require.NoFileExists(t, d.path("missing"))

	require.NoError(t, d.replace("link", []byte("third"), mine(0o644)))
	content, err = d.read("there", 10)
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	content, err = d.read("link", 10)
	require.NoError(t, err)
	require.Equal(t, "third", string(content))
}

func TestReadLimit(t *testing.T) {
	d := testDirectory(t)
	require.NoError(t, d.create("ten", []byte("0123456789"), mine(0o600)))
	_, err := d.read("ten", 10)
	require.NoError(t, err)
	_, err = d.read("ten", 9)
	require.ErrorContains(t, err, "more than 9 bytes")
}
