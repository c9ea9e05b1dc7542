package agent

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file is read from where it was sought, also after the kernel has read from it.
func TestOpenedFileIsReadFromWhereItWasSought(t *testing.T) {
	s := newStaticSite(t)
	s.write("current/public/a.txt", "0123456789")

	dir, err := openPublic(filepath.Join(s.dir, "current"), "public")
	require.NoError(t, err)
	defer dir.close()
	f, err := dir.open("a.txt")
	require.NoError(t, err)
	defer f.Close()

	read := func(n int) string {
		b := make([]byte, n)
		n, err := io.ReadFull(f, b)
		require.NoError(t, err)

		return string(b[:n])
	}
	seek := func(offset int64, whence int) int64 {
		at, err := f.Seek(offset, whence)
		require.NoError(t, err)

		return at
	}

	require.EqualValues(t, 10, seek(0, io.SeekEnd))
	require.EqualValues(t, 3, seek(3, io.SeekStart))
	require.Equal(t, "34", read(2))
	require.EqualValues(t, 6, seek(1, io.SeekCurrent))
	require.Equal(t, "67", read(2))
	_, err = f.Seek(-1, io.SeekStart)
	require.Error(t, err)

	raw, err := f.SyscallConn()
	require.NoError(t, err)
	seek(2, io.SeekStart)
	require.NoError(t, raw.Read(func(uintptr) bool {
		require.EqualValues(t, 2, f.position())
		_, err := f.Read(make([]byte, 3))

		return err == nil
	}))
	require.EqualValues(t, 5, seek(0, io.SeekCurrent))
	require.Equal(t, "56789", read(5))
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
