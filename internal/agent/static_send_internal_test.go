package agent

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The kernel sends large files, small ones are copied; clients see no difference.
func TestStaticFilesOfAllSizesArriveWhole(t *testing.T) {
	s := newStaticSite(t)
	s.stallTimeout = time.Minute

	plain := httptest.NewServer(s)
	defer plain.Close()

	encrypted := httptest.NewUnstartedServer(s)
	encrypted.EnableHTTP2 = true
	encrypted.StartTLS()
	defer encrypted.Close()

	get := func(server *httptest.Server, method, target, span string) (*http.Response, []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, nil)
		require.NoError(t, err)
		if span != "" {
			r.Header.Set("Range", "bytes="+span)
		}

		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())

		return resp, body
	}

	for _, size := range []int{0, 1, 511, copiedFile, copiedFile + 1, 64 << 10, 200_000, 9 << 20} {
		content := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{}).Read(content)
		name := fmt.Sprintf("/%d.png", size)
		s.write("current/public"+name, string(content))

		for _, server := range []*httptest.Server{plain, encrypted} {
			resp, body := get(server, http.MethodGet, name, "")
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.True(t, bytes.Equal(content, body), name)
			require.EqualValues(t, size, resp.ContentLength)

			resp, body = get(server, http.MethodHead, name, "")
			require.EqualValues(t, size, resp.ContentLength)
			require.Empty(t, body)

			if size < 100 {
				continue
			}

			resp, body = get(server, http.MethodGet, name, fmt.Sprintf("%d-%d", size/4, size-2))
			require.Equal(t, http.StatusPartialContent, resp.StatusCode)
			require.True(t, bytes.Equal(content[size/4:size-1], body), name)

			resp, body = get(server, http.MethodGet, name, "1-10,30-40")
			if size > 1000 {
				require.Equal(t, http.StatusPartialContent, resp.StatusCode)
				require.Contains(t, string(body), string(content[30:41]))
			}
		}
	}
}

// Where there was no directory for many requests, one that comes is seen at once.
func TestStaticDirectoryMayComeAfterManyRequests(t *testing.T) {
	s := newStaticSite(t)
	for range 3 * lookAfterMisses {
		require.Equal(t, "app", s.body("/a.txt"))
	}

	s.write("current/public/a.txt", "a")
	require.Equal(t, "a", s.body("/a.txt"))

	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "current/public")))

	for range 3 * lookAfterMisses {
		require.Equal(t, "app", s.body("/a.txt"))
	}

	s.write("current/shared/a.txt", "shared")
	s.link("shared", "current/public")
	require.Equal(t, "shared", s.body("/a.txt"))
}
