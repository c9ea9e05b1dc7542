package validators_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/validators"
)

// described is what is known of a file without a system's identity.
type described struct {
	fs.FileInfo

	size     int64
	modified time.Time
}

func (d described) Size() int64        { return d.size }
func (d described) ModTime() time.Time { return d.modified }
func (described) Sys() any             { return nil }

type counted struct {
	*bytes.Reader

	read int
}

func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.Reader.ReadAt(p, offset)
	c.read += n

	return n, err
}

func tagOf(contents []byte, modified time.Time) (tag string, read int) {
	file := &counted{Reader: bytes.NewReader(contents)}
	tag = validators.ETag(file, described{size: int64(len(contents)), modified: modified}, "")

	return tag, file.read
}

func TestTagOfATimeThatAToolSet(t *testing.T) {
	built := time.Unix(1_700_000_000, 0)

	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 5 << 20} {
		contents := make([]byte, size)
		tag, read := tagOf(contents, built)
		require.LessOrEqual(t, read, 1<<20, size)

		again, _ := tagOf(bytes.Clone(contents), built)
		require.Equal(t, tag, again, "another server has the same")

		later, _ := tagOf(contents, built.Add(time.Second))
		require.NotEqual(t, tag, later)

		if size == 0 {
			continue
		}

		for _, place := range []int{0, size - 1} {
			contents[place] = 1
			other, _ := tagOf(contents, built)
			require.NotEqual(t, tag, other, "%d of %d", place, size)
			contents[place] = 0
		}
	}
}

func TestTagOfATimeOfTheSystemsReadsNothing(t *testing.T) {
	_, read := tagOf([]byte("x"), time.Unix(1_700_000_000, 1))
	require.Zero(t, read)
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

func TestTagOfAFileThatCannotBeRead(t *testing.T) {
	info := described{size: 1, modified: time.Unix(1, 0)}
	require.Equal(t, `"3b9aca00-1-gzip"`, validators.ETag(broken{}, info, "gzip"))
}

func TestContentsAreReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("contents"), 0o600))
	built := time.Unix(1_700_000_000, 0)
	require.NoError(t, os.Chtimes(path, built, built))
	info, err := os.Stat(path)
	require.NoError(t, err)

	file := &counted{Reader: bytes.NewReader([]byte("contents"))}
	tag := validators.ETag(file, info, "")
	require.Equal(t, tag, validators.ETag(file, info, ""))
	require.Equal(t, len("contents"), file.read)
	require.Equal(t, `"`+tag[1:len(tag)-1]+`-gzip"`, validators.ETag(file, info, "gzip"), "each coding has its own")
}
