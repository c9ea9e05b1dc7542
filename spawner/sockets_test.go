package spawner

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// testSocketDir is a socket directory with a socket in it.
func testSocketDir(t *testing.T) (dir *socketDir, socket loaderproto.Socket) {
	t.Helper()
	path, err := os.MkdirTemp("", "sp") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(path)) })
	private, err := openPrivateDir(path, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, private.remove()) })
	dir, err = private.newSocketDir(&identity{account: account{uid: os.Geteuid()}, gid: os.Getegid()})
	require.NoError(t, err)
	socket.Address = loaderproto.Address{Network: "unix", Addr: filepath.Join(dir.path, "s")}
	l, err := net.Listen("unix", socket.Address.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })

	return dir, socket
}

// Faults: R-10, P12.
func TestSocketOfAnotherUserIsRefused(t *testing.T) {
	dir, socket := testSocketDir(t)
	uid := os.Geteuid()
	require.NoError(t, dir.check([]loaderproto.Socket{socket}, &owner{uid: uid}))
	require.ErrorContains(t, dir.check([]loaderproto.Socket{socket}, &owner{uid: uid + 1}), "does not belong to user")
}

// Faults: R-10.
func TestPeerOfAnotherUserIsRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs SO_PEERCRED")
	}

	_, socket := testSocketDir(t)
	conn, err := dialer(socket.Address, &owner{uid: os.Geteuid()})(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	_, err = dialer(socket.Address, &owner{uid: os.Geteuid() + 1})(t.Context())
	require.ErrorIs(t, err, errPeer)
}

// Faults: R-01.
func TestSocketDirectoryIsRemovedWithItsContents(t *testing.T) {
	dir, _ := testSocketDir(t)
	outside := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir.path, "link")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir.path, "a", "b"), 0o700))
	require.NoError(t, dir.remove())
	require.NoDirExists(t, dir.path)
	require.FileExists(t, outside)
}

func TestSocketDirGoesHoweverDeepItIs(t *testing.T) {
	dir, _ := testSocketDir(t)
	deep, err := os.OpenRoot(dir.path)
	require.NoError(t, err)

	for range 500 {
		require.NoError(t, deep.Mkdir("d", 0o700))
		sub, err := deep.OpenRoot("d")
		require.NoError(t, err)
		require.NoError(t, deep.Close())
		deep = sub
	}

	require.NoError(t, deep.Close())
	require.NoError(t, dir.remove())
	require.NoDirExists(t, dir.path)
}

func TestTemporaryDirectoryThatOthersCanReplaceLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	require.NoError(t, os.Chmod(temp, 0o777)) // without the sticky bit, anyone may rename in it
	t.Setenv("TMPDIR", temp)

	_, err := openPrivateDir("", true)
	require.ErrorContains(t, err, temp)
	entries, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, entries, "each attempt to start a process would leave another one")
}

func TestDirectoryTooLongForSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", loaderproto.UnixPathMax))
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err := openPrivateDir(dir, false)
	require.ErrorIs(t, err, errPathTooLong)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
