package agent

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStaticValidatorsNoticeARollBack(t *testing.T) {
	s := newStaticSite(t)
	text := strings.Repeat("body { color: red }\n", 200)
	s.write("current/public/a.css", text)
	s.write("current/public/b.css", text)
	s.write("current/public/b.css.gz", "gzip")
	path := filepath.Join(s.dir, "current/public/a.css")
	now := time.Now()
	require.NoError(t, os.Chtimes(path, now, now))

	for _, test := range []struct{ target, coding string }{{"/a.css", ""}, {"/a.css", "gzip"}, {"/b.css", "gzip"}} {
		ask := func(header ...string) *httptest.ResponseRecorder {
			return s.ask(test.target, append(header, "Accept-Encoding", test.coding)...)
		}
		first := ask()
		require.Equal(t, test.coding, first.Header().Get("Content-Encoding"))
		tag, modified := first.Header().Get("ETag"), first.Header().Get("Last-Modified")
		require.NotEmpty(t, tag)

		require.Equal(t, http.StatusNotModified, ask("If-None-Match", tag).Code)
		require.Equal(t, http.StatusNotModified, ask("If-Modified-Since", modified).Code)
		require.Equal(t, http.StatusOK, ask("If-None-Match", `"x"`, "If-Modified-Since", modified).Code,
			"the tag counts")
		later := now.Add(time.Hour).UTC().Format(http.TimeFormat)
		require.Equal(t, http.StatusOK, ask("If-Modified-Since", later).Code, "it is older now")
		require.Equal(t, http.StatusNotModified, ask("If-None-Match", tag, "If-Modified-Since", later).Code)
		require.Equal(t, http.StatusOK, ask("Range", "bytes=0-1", "If-Range", `"x"`).Code)
		if !strings.HasPrefix(tag, "W/") {
			require.Equal(t, http.StatusPartialContent, ask("Range", "bytes=0-1", "If-Range", tag).Code)
		}
	}

	plain, small := s.ask("/a.css").Header().Get("ETag"),
		s.ask("/a.css", "Accept-Encoding", "gzip").Header().Get("ETag")
	require.NotEqual(t, plain, strings.TrimPrefix(small, "W/"))
	require.NoError(t, os.Chtimes(path, now, now.Add(time.Nanosecond)))
	require.NotEqual(t, plain, s.ask("/a.css").Header().Get("ETag"))
}

// Archives, images of containers and reproducible builds give the files of each release the same time.
func TestStaticValidatorsNoticeOtherContentsOfTheSameTimeAndSize(t *testing.T) {
	s := newStaticSite(t)
	built := time.Unix(1_700_000_000, 0)
	put := func(name, contents string) {
		s.write("current/public/"+name, contents)
		require.NoError(t, os.Chtimes(filepath.Join(s.dir, "current/public", name), built, built))
	}
	large := func(mark string) string { return strings.Repeat("x", 2<<20) + mark + strings.Repeat("x", 2<<20) }

	for _, test := range []struct{ name, target, coding, before, after string }{
		{"small.txt", "/small.txt", "", "release 1", "release 2"},
		{"empty.txt", "/empty.txt", "", "", ""},
		{"page.html", "/page", "", "release 1", "release 2"},
		{"app.css", "/app.css", "gzip", strings.Repeat("a { color: red }", 200), strings.Repeat("b { color: red }", 200)},
		{"end.bin", "/end.bin", "", large("") + "1", large("") + "2"},
		{"beside.js.gz", "/beside.js", "gzip", "gzip 1", "gzip 2"},
	} {
		put("beside.js", "plain")
		put(test.name, test.before)
		ask := func(header ...string) *httptest.ResponseRecorder {
			return s.ask(test.target, append(header, "Accept-Encoding", test.coding)...)
		}

		first := ask()
		tag := first.Header().Get("ETag")
		require.Equal(t, test.coding, first.Header().Get("Content-Encoding"))
		require.Equal(t, http.StatusNotModified, ask("If-None-Match", tag).Code, test.name)

		// Once in a file of its own, and once in the same.
		for _, replace := range []bool{true, false} {
			if replace {
				require.NoError(t, os.Remove(filepath.Join(s.dir, "current/public", test.name)))
			}

			put(test.name, test.after)
			second := ask("If-None-Match", tag)
			if test.before == test.after {
				require.Equal(t, http.StatusNotModified, second.Code, test.name)
				continue
			}

			require.Equal(t, http.StatusOK, second.Code, test.name)
			require.NotEqual(t, first.Body.Bytes(), second.Body.Bytes(), test.name)

			put(test.name, test.before)
			require.Equal(t, http.StatusNotModified, ask("If-None-Match", tag).Code, "%s: what is the same", test.name)
		}
	}
}

func TestStaticCacheControl(t *testing.T) {
	s := newStaticSite(t)

	s.cacheControl = "public, max-age=60"
	for name, forever := range map[string]bool{
		"app-0a1b2c3d.js": true, "app.0a1b2c3d.css": true, "app_0a1b2c3d4e5f60718293a4b5c6d7e8f9.png": true,
		"app-0a1b2c3d.js.map": true, "app-0a1b2c3d.min.js": true, "assets/app-0a1b2c3d.digested.js": true,
		"app.js": false, "app-0a1b2c3.js": false, "report-20240101.pdf": false, "well-deadbeef.txt": false,
		"0a1b2c3d4e5f6071.jpg": false, "a-550e8400-e29b-41d4-a716-44665544a000.jpg": false, "app-0a1b2c3d": false,
		"app-0A1B2C3D.js": false, "-0a1b2c3d.js": false,
	} {
		s.write("current/public/"+name, "x")
		want := s.cacheControl
		if forever {
			want = foreverCache
		}

		require.Equal(t, want, s.ask("/"+name).Header().Get("Cache-Control"), name)
	}

	for _, good := range []string{
		"", "no-cache", "public, max-age=0", `private="a", MAX-AGE=1`, "public, x=y", `no-cache="set-cookie, x", max-age=5`,
	} {
		require.NoError(t, (&Config{StaticCacheControl: good}).checkCacheControl(), good)
	}

	for _, bad := range []string{"max-age", "max-age=-1", "max-age=1h", "public max-age=1", "public,,", "a\nb", "é"} {
		require.ErrorContains(t, (&Config{StaticCacheControl: bad}).checkCacheControl(), "static_cache_control is", bad)
	}
}
