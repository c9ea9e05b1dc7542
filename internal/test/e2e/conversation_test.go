package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	uploadSize   = 50 << 20
	downloadSize = 100 << 20
	// maxMemory is far below what is sent, in MB.
	maxMemory = 48
	// octets keeps applications from taking a body for a form.
	octets = "application/octet-stream"
)

// unbuffered passes requests on as they come.
const unbuffered = "--request-buffering=false"

func TestConversation(t *testing.T) {
	t.Parallel()

	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := k.start(t)
			converse(t, s, s.client(t), false)
		})
		if k.streams {
			t.Run(k.name+", unbuffered", func(t *testing.T) {
				t.Parallel()
				s := k.start(t, unbuffered)
				converse(t, s, s.client(t), true)
			})
		}
	}

	t.Run("HTTP2", func(t *testing.T) {
		t.Parallel()
		s := kinds[0].start(t, unbuffered, "--http2-cleartext")
		require.Equal(t, "HTTP/2.0", s.client(t, http2).get(t, "/").Proto)
		converse(t, s, s.client(t, http2), true)
	})
	t.Run("UnixSocket", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "socket")
		s := kinds[0].start(t, "--socket", path, unbuffered)
		require.Equal(t, "unix:"+path, s.url)
		converse(t, s, s.client(t), true)
		s.stop(t)
		require.NoFileExists(t, path)
	})
}

func converse(t *testing.T, s *server, c *client, streams bool) {
	t.Helper()
	home := c.get(t, "/")
	require.Equal(t, http.StatusOK, home.StatusCode)
	require.Contains(t, home.body, "Hello from")
	head := c.ask(t, http.MethodHead, "/", nil)
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Empty(t, head.body)
	require.Equal(t, home.Header.Get("Content-Type"), head.Header.Get("Content-Type"))

	a := c.ask(t, http.MethodPost, "/form", strings.NewReader("name=J%C3%BCrgen&n=1%2B1"), "Content-Type",
		"application/x-www-form-urlencoded")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.JSONEq(t, `{"name": "Jürgen", "n": "1+1"}`, a.body)
	require.Equal(t, http.StatusNotFound, c.get(t, "/nowhere").StatusCode)

	redirect := c.get(t, "/redirect")
	require.Contains(t, []int{http.StatusFound, http.StatusSeeOther}, redirect.StatusCode)
	target, err := redirect.Location()
	require.NoError(t, err)
	require.Equal(t, c.base+"/", target.String())

	requireCookies(t, c)
	requireKeepAlive(t, c)
	requireUpload(t, c)
	requireDownload(t, c)
	if streams {
		requireStream(t, c)
	}

	requireChunked(t, c)
	require.Less(t, s.peakMemory(t), maxMemory)
}

func requireCookies(t *testing.T, c *client) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	with := *c

	with.Client = &http.Client{Transport: c.Transport, Jar: jar}
	for i := range 3 {
		require.JSONEq(t, fmt.Sprintf(`{"visits": %d}`, i+1), with.get(t, "/cookies").body)
	}
}

// requireKeepAlive checks that one connection is enough.
func requireKeepAlive(t *testing.T, c *client) {
	t.Helper()

	for range 3 {
		reused := false
		r := c.request(t, http.MethodGet, "/pid", nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		}))
		a, err := c.do(r)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Regexp(t, `^\d+$`, a.body)
		require.True(t, reused)
	}
}

// form is a form with a large file, and the file's checksum.
var form = sync.OnceValue(func() (f struct{ body, contentType, sum string }) {
	var b strings.Builder
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "large.bin")
	if err != nil {
		panic(err) // a strings.Builder takes everything
	}

	hash := sha256.New()
	_, _ = io.CopyN(io.MultiWriter(part, hash), rand.NewChaCha8([32]byte{}), uploadSize)
	_ = w.Close()
	f.body, f.contentType, f.sum = b.String(), w.FormDataContentType(), hex.EncodeToString(hash.Sum(nil))

	return f
})

func requireUpload(t *testing.T, c *client) {
	t.Helper()
	f := form()
	a := c.ask(t, http.MethodPost, "/upload", strings.NewReader(f.body), "Content-Type", f.contentType)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.JSONEq(t, fmt.Sprintf(`{"size": %d, "sha256": %q}`, uploadSize, f.sum), a.body)
}

func requireDownload(t *testing.T, c *client) {
	t.Helper()
	resp, err := c.Do(c.request(t, http.MethodGet, fmt.Sprintf("/download?bytes=%d", downloadSize), nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	buf := make([]byte, 64<<10)

	size, right := 0, 0
	for err == nil {
		var n int
		n, err = resp.Body.Read(buf)
		size += n
		right += bytes.Count(buf[:n], []byte("x"))
	}

	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, downloadSize, size)
	require.Equal(t, downloadSize, right)
}

// requireStream checks that the application gets what has been sent, and that
// its response arrives, before the request ends.
func requireStream(t *testing.T, c *client) {
	t.Helper()
	const rounds, block = 4, 64 << 10
	body, send := io.Pipe()
	defer send.Close()
	next, failed := make(chan struct{}, rounds), make(chan error, 1)
	next <- struct{}{}
	go func() {
		piece := bytes.Repeat([]byte("y"), block)
		for range next {
			if _, err := send.Write(piece); err != nil {
				failed <- err
				return
			}
		}

		failed <- send.Close()
	}()
	resp, err := c.Do(c.request(t, http.MethodPost, "/chunked", body, "Content-Type", octets))
	if err != nil {
		close(next)
		require.NoError(t, err)
	}
	defer resp.Body.Close()

	// Half of it, since applications may hold back a little.
	buf := make([]byte, block/2)
	for i := range rounds {
		if _, err = io.ReadFull(resp.Body, buf); err != nil {
			break
		}

		if i < rounds-1 {
			next <- struct{}{}
		}
	}

	close(next)
	require.NoError(t, err)
	rest, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, rounds*block/2, rest)
	require.NoError(t, <-failed)
}

// requireChunked checks bodies without a length, small ones and ones that have
// to be kept on disk.
func requireChunked(t *testing.T, c *client) {
	t.Helper()

	for _, size := range []int{0, 1, 300 << 10} {
		sent := form().body[:size]

		// The reader's type must not tell the length.
		a := c.ask(t, http.MethodPost, "/chunked", io.MultiReader(strings.NewReader(sent)), "Content-Type", octets)
		require.Equal(t, http.StatusOK, a.StatusCode)
		requireSame(t, sent, a.body)
	}
}

// requireSame does not print what is large.
func requireSame(t *testing.T, want, got string) {
	t.Helper()
	if want != got {
		require.FailNow(t, "not what was sent", "%d bytes came back as %d", len(want), len(got))
	}
}
