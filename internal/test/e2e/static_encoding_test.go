package e2e_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStaticEncodings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public := filepath.Join(dir, "public")
	require.NoError(t, os.Mkdir(public, 0o755))
	text := strings.Repeat("body { color: red }\n", 200)

	now := time.Now().Truncate(time.Second)
	for name, file := range map[string]struct {
		content string
		age     time.Duration
	}{
		"large.css":    {text, 0},
		"small.css":    {"a{}", 0},
		"picture.png":  {text, 0},
		"made.css":     {text, time.Hour},
		"made.css.gz":  {"made, gzip", 0},
		"made.css.br":  {"made, brotli", 0},
		"stale.js":     {text, 0},
		"stale.js.gz":  {"stale", time.Hour},
		"page.html":    {"<p>page", time.Hour},
		"page.html.gz": {"page, gzip", time.Hour},
	} {
		path := filepath.Join(public, name)
		require.NoError(t, os.WriteFile(path, []byte(file.content), 0o644))
		require.NoError(t, os.Chtimes(path, now, now.Add(-file.age)))
	}

	c := start(t, &launch{dir: dir, args: testApp(t)}).client(t)

	const varies = "Accept-Encoding"
	for _, test := range []struct {
		path, accept, encoding, body, vary string
	}{
		{"/large.css", "gzip, deflate", "gzip", text, varies},
		{"/large.css", "", "", text, varies},
		{"/large.css", "gzip;q=0", "", text, varies},
		{"/large.css", "gzip; q=0.000, br", "", text, varies},
		{"/large.css", "GZIP;q=0.5", "gzip", text, varies},
		{"/large.css", "gzip\t;\tQ=0", "", text, varies},
		{"/large.css", ", ,gzip ,", "gzip", text, varies},
		{"/large.css", "xgzip", "", text, varies},
		{"/small.css", "gzip", "", "a{}", ""},
		{"/picture.png", "gzip", "", text, ""},
		{"/made.css", "gzip, br", "br", "made, brotli", varies},
		{"/made.css", "gzip", "gzip", "made, gzip", varies},
		{"/made.css", "", "", text, varies},
		{"/stale.js", "gzip", "gzip", text, varies},
		{"/page", "gzip", "gzip", "page, gzip", varies},
		{"/made.css.gz", "gzip", "", "made, gzip", ""},
	} {
		a := c.get(t, test.path, "Accept-Encoding", test.accept)
		name := test.path + ", " + test.accept
		require.Equal(t, http.StatusOK, a.StatusCode, name)
		require.Equal(t, test.encoding, a.Header.Get("Content-Encoding"), name)
		require.Equal(t, test.vary, a.Header.Get("Vary"), name)
		body := a.body
		if strings.HasPrefix(body, "\x1f\x8b") {
			z, err := gzip.NewReader(strings.NewReader(body))
			require.NoError(t, err, name)
			plain, err := io.ReadAll(z)
			require.NoError(t, err, name)
			require.Less(t, len(body), len(plain), name)
			body = string(plain)
		}

		require.Equal(t, test.body, body, name)
		if test.encoding != "" && test.path != "/page" {
			require.Contains(t, a.Header.Get("Content-Type"),
				map[string]string{".css": "text/css", ".js": "javascript"}[filepath.Ext(test.path)], name)
		}

		modified := a.Header.Get("Last-Modified")
		a = c.get(t, test.path, "Accept-Encoding", test.accept, "If-Modified-Since", modified)
		require.Equal(t, http.StatusNotModified, a.StatusCode, name)
	}

	a := c.ask(t, http.MethodHead, "/large.css", nil, "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	require.Empty(t, a.body)
}
