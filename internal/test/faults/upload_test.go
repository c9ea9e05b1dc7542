//go:build linux

package faults_test

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

const gigabyte = 1 << 30

// generator is a body of any size that is never in memory as a whole.
type generator struct {
	left  int64
	block []byte
	at    int
	sum   uint32
}

func newGenerator(size int64) *generator {
	g := &generator{left: size, block: make([]byte, 65537)} // not a multiple of any buffer
	_, _ = rand.NewChaCha8([32]byte{}).Read(g.block)        // never fails
	return g
}

func (g *generator) Read(p []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}

	n := copy(p[:min(int64(len(p)), g.left)], g.block[g.at:])
	g.at = (g.at + n) % len(g.block)
	g.sum = crc32.Update(g.sum, castagnoli, p[:n])
	g.left -= int64(n)

	return n, nil
}

// A body of any size takes little memory, and leaves nothing on disk.
// Faults: D7.
func TestLargeUploadsTakeLittleMemory(t *testing.T) {
	s := start(t, "--max-pool-size", "1")
	c := s.client(t)
	require.Equal(t, summary(3*megabyte, sumOf(3*megabyte), nil), c.post(t, "/sum", newGenerator(3*megabyte)).body)
	before, _ := s.memory(t)
	size := int64(longtests.Rounds(t, 200*megabyte, gigabyte))

	for name, length := range map[string]int64{"Length": size, "Chunked": -1} {
		t.Run(name, func(t *testing.T) {
			body := newGenerator(size)
			r := c.request(t.Context(), t, http.MethodPost, "/sum", body)
			r.ContentLength = length
			a, err := c.do(r)
			require.NoError(t, err)
			require.Equal(t, summary(size, body.sum, nil), a.body)
			s.requireBufferFiles(t, s.Tmp, 0)
			_, peak := s.memory(t)
			t.Logf("%d MB were in use before, %d MB at most", before, peak)
			require.Less(t, peak, before+32)
		})
	}
}

func sumOf(size int64) uint32 {
	g := newGenerator(size)
	_, _ = io.Copy(io.Discard, g)
	return g.sum
}

// An upload that is broken off in its middle gives the disk back.
// Faults: D7.
func TestUploadAbortedInTheMiddleFreesTheDisk(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1")
	s.client(t).requireOK(t, "/pid")

	for i := range 2 {
		c := s.dial(t, fmt.Sprintf("POST /serve?large HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", gigabyte))
		_, err := io.CopyN(c, newGenerator(gigabyte), 100*megabyte)
		require.NoError(t, err)
		s.requireBufferFiles(t, s.Tmp, 1)
		c.abort(i)
		s.requireBufferFiles(t, s.Tmp, 0)
	}

	entries, err := os.ReadDir(s.Tmp)
	require.NoError(t, err)
	require.Len(t, entries, 1, "the directory of the server itself")
	require.Empty(t, s.lines("served large."))
}

// A body that is too large is refused by its length, or as soon as it is too
// large, and the connection is closed.
// Faults: D7.
func TestUploadsOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	const limit = 200 << 10
	s := start(t, "--max-pool-size", "1", "--max-request-body-size", fmt.Sprint(limit))
	require.Equal(t, summary(limit, sumOf(limit), nil), s.client(t).post(t, "/sum", newGenerator(limit)).body)

	for name, head := range map[string]string{
		"Length":   fmt.Sprintf("Content-Length: %d\r\n\r\n", limit+1),
		"Continue": fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", 10*gigabyte),
		"Chunked":  fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", gigabyte, strings.Repeat("x", 2*limit)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "POST /serve?over HTTP/1.1\r\nHost: x\r\n"+head)
			a := c.reply()
			require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
			require.True(t, a.Close)
			require.Empty(t, c.rest())
			s.requireBufferFiles(t, s.Tmp, 0)
			require.Empty(t, s.lines("served over."))
		})
	}
}
