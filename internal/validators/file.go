package validators

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"syscall"
)

const (
	// digestSpan is how much of a file the digest of its contents reads: all of a smaller one, else pieces of it.
	digestSpan   = 1 << 20
	digestPieces = 16
	// maxDigests is how many digests are kept.
	maxDigests = 4096
)

// ETag is the entity tag of an open file in a coding, as "gzip"; an empty coding is the file as it is. The modification
// time counts in nanoseconds, since a deploy may change a file twice in a second.
//
// A time of whole seconds was most probably set by a tool: archives, images of containers and reproducible builds may
// give a file the same time in each release. Then its contents count, too. A number of the file's, as that of its
// inode, would not do: servers beside each other, and a server before and after it was moved, must have the same tags.
func ETag(file io.ReaderAt, info fs.FileInfo, coding string) string {
	tag := make([]byte, 0, 64)
	tag = append(tag, '"')
	tag = strconv.AppendUint(tag, uint64(info.ModTime().UnixNano()), 16)
	tag = append(tag, '-')
	tag = strconv.AppendUint(tag, uint64(info.Size()), 16) //nolint:gosec // G115: a size is never negative

	if info.ModTime().Nanosecond() == 0 {
		// What cannot be read cannot be sent either.
		if digest, err := digests.of(file, info); err == nil {
			tag = append(tag, '-')
			tag = strconv.AppendUint(tag, digest, 16)
		}
	}

	if coding != "" {
		tag = append(tag, '-')
		tag = append(tag, coding...)
	}

	return string(append(tag, '"'))
}

// FileID identifies the contents of a file on this machine: a file that is written or replaced has another one.
type FileID struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // nanoseconds
}

// Size returns the size of the file.
func (id FileID) Size() int64 { return id.size }

// FileIDOf returns false where the system does not tell files apart.
func FileIDOf(info fs.FileInfo) (FileID, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}, false
	}

	return FileID{
		device:   uint64(stat.Dev), //nolint:unconvert // its type differs between systems
		inode:    stat.Ino,
		size:     info.Size(),
		modified: info.ModTime().UnixNano(),
		// An inode is used again, and a tool may set the modification time.
		changed: changedAt(stat),
	}, true
}

// digestCache keeps the digests of files. It is safe for concurrent use.
type digestCache struct {
	mu    sync.Mutex
	known map[FileID]uint64
}

var digests = digestCache{known: map[FileID]uint64{}}

// of returns the digest of a file's contents.
func (c *digestCache) of(file io.ReaderAt, info fs.FileInfo) (uint64, error) {
	id, ok := FileIDOf(info)
	if !ok {
		return digest(file, info.Size())
	}

	c.mu.Lock()
	known, there := c.known[id]
	c.mu.Unlock()

	if there {
		return known, nil
	}

	made, err := digest(file, info.Size())
	if err != nil {
		return 0, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	// Whoever has so many files reads some of them again.
	if len(c.known) >= maxDigests {
		clear(c.known)
	}

	c.known[id] = made

	return made, nil
}

// digest reads size bytes of a file, or if these are many, pieces from its beginning to its end.
func digest(file io.ReaderAt, size int64) (uint64, error) {
	sum := sha256.New()
	if size <= digestSpan {
		if _, err := io.Copy(sum, io.NewSectionReader(file, 0, size)); err != nil {
			return 0, err
		}
	} else {
		const piece = digestSpan / digestPieces

		for i := range int64(digestPieces) {
			from := (size - piece) / (digestPieces - 1) * i
			if i == digestPieces-1 {
				from = size - piece
			}

			if _, err := io.Copy(sum, io.NewSectionReader(file, from, piece)); err != nil {
				return 0, err
			}
		}
	}

	return binary.BigEndian.Uint64(sum.Sum(nil)), nil
}
