package handler_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/test/smalldisk"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// smallDisk is a file system with room for 1200 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	return smalldisk.Mount(t, "size=1200k")
}

// Faults: F3.
func TestFullDiskFailsOnlyItsUpload(t *testing.T) {
	dir := smallDisk(t)
	var log logged.Buffer
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)},
		handler.Config{DataBufferDir: dir, Logger: log.Logger()}, func(s *site) {
			for range 3 {
				resp, _ := s.do(http.MethodPost, "/", strings.Repeat("x", 2<<20))
				require.Equal(s, http.StatusInsufficientStorage, resp.StatusCode)

				// The room is there again at once.
				resp, body := s.do(http.MethodPost, "/", strings.Repeat("x", 1100<<10))
				require.Equal(s, http.StatusOK, resp.StatusCode)
				require.Len(s, body, 1100<<10)
			}

			require.Equal(s, 1, log.Count("cannot be buffered"), "once in a while")
		})
}

// Faults: F3.
func TestResponseThatFindsTheDiskFullHoldsItsProcess(t *testing.T) {
	dir := smallDisk(t)
	const size = 3 << 20
	var taken atomic.Int64
	serveConfig(t, sized(&taken), handler.Config{DataBufferDir: dir}, func(s *site) {
		for range 2 {
			conn, resp := s.slowReader(fmt.Sprintf("/length?%d", size))
			synctest.Wait()
			require.Equal(s, 1, s.sessions(), "the process waits, since there is no room")
			body, err := io.ReadAll(resp.Body)
			require.NoError(s, err)
			requireSame(s, pattern(size), string(body))
			require.NoError(s, conn.Close())
			left, err := os.ReadDir(dir)
			require.NoError(s, err)
			require.Empty(s, left)
		}
	})
}
