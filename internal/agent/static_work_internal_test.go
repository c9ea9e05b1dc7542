package agent

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// compressions is how many there were.
func (s *staticSite) compressions() int64 { return s.compressor.begun.Load() }

func (s *staticSite) request(ctx context.Context, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}

	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)

	return w
}

// styleSheet is one that compresses as those of people do.
func styleSheet(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, ".class-%d { color: #%06x; margin: %dpx }\n", i, i*7919%0xffffff, i%97)
	}

	return b.String()
}

func unzipped(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	z, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)

	return string(b)
}

// Of all that a head can ask for, only a GET that needs the bytes costs a compression, and only the first one.
func TestStaticRequestCostsNoMoreWorkThanItsResponseNeeds(t *testing.T) {
	s := newStaticSite(t)
	content := styleSheet(2000)
	s.write("current/public/a.css", content)
	const zipped = "Accept-Encoding"
	first := s.request(t.Context(), http.MethodHead, "/a.css", zipped, "gzip")
	tag, modified := first.Header().Get("ETag"), first.Header().Get("Last-Modified")
	many := func(member string, count int) string {
		return strings.Repeat(member+",", count-1) + member
	}

	for _, test := range []struct {
		name, method string
		header       []string
		status       int
		coding       string
		maxBytes     int
	}{
		{"HEAD", http.MethodHead, []string{zipped, "gzip"}, 200, "gzip", 0},
		{"HEAD of the file as it is", http.MethodHead, nil, 200, "", 0},
		{"If-None-Match", http.MethodGet, []string{zipped, "gzip", "If-None-Match", tag}, 304, "", 0},
		{"If-None-Match *", http.MethodGet, []string{zipped, "gzip", "If-None-Match", "*"}, 304, "", 0},
		{"If-None-Match, a long list", http.MethodGet, []string{zipped, "gzip", "If-None-Match", many(`"x"`, 5000) +
			"," + tag}, 304, "", 0},
		{"If-Modified-Since", http.MethodGet, []string{zipped, "gzip", "If-Modified-Since", modified}, 304, "", 0},
		{"If-Match", http.MethodGet, []string{zipped, "gzip", "If-Match", `"x"`}, 412, "gzip", 0},
		{"If-Unmodified-Since", http.MethodGet, []string{
			zipped, "gzip", "If-Unmodified-Since",
			"Mon, 01 Jan 2001 00:00:00 GMT",
		}, 412, "gzip", 0},
		{"a range", http.MethodGet, []string{zipped, "gzip", "Range", "bytes=0-9"}, 206, "", 10},
		{"a range beyond the end", http.MethodGet, []string{zipped, "gzip", "Range", "bytes=99999999-"}, 416, "", 100},
		{"16 ranges", http.MethodGet, []string{zipped, "gzip", "Range", "bytes=" + many("0-1", 16)}, 206, "", 16 * 200},
		{"17 ranges", http.MethodGet, []string{zipped, "gzip", "Range", "bytes=" + many("0-1", 17)}, 416, "", 100},
		{"600 ranges", http.MethodGet, []string{zipped, "gzip", "Range", "bytes=" + many("0-", 600)}, 416, "", 100},
		{"ranges that overlap", http.MethodGet, []string{"Range", "bytes=0-,0-,0-"}, 200, "", len(content)},
		{
			"ranges of nearly all", http.MethodGet,
			[]string{"Range", fmt.Sprintf("bytes=0-%d,2-", len(content)/2)},
			200,
			"", len(content),
		},
		{
			"a list of codings that is too long", http.MethodGet,
			[]string{zipped, many("x", 5000) + ", gzip"},
			200, "",
			len(content),
		},
		{"many lists of codings", http.MethodGet, slicesOf(40, zipped, "y", zipped, "gzip"), 200, "", len(content)},
	} {
		w := s.request(t.Context(), test.method, "/a.css", test.header...)
		require.Equal(t, test.status, w.Code, test.name)
		require.Equal(t, test.coding, w.Header().Get("Content-Encoding"), test.name)
		require.LessOrEqual(t, w.Body.Len(), test.maxBytes, test.name)
		require.Equal(t, "Accept-Encoding", w.Header().Get("Vary"), test.name)
		if test.status == http.StatusRequestedRangeNotSatisfiable {
			require.Equal(t, "bytes */"+strconv.Itoa(len(content)), w.Header().Get("Content-Range"), test.name)
		}

		require.Zero(t, s.compressions(), test.name)
	}

	require.Empty(t, first.Header().Get("Content-Length"), "it is not known yet")

	for range 3 {
		get := s.request(t.Context(), http.MethodGet, "/a.css", zipped, "gzip")
		length := strconv.Itoa(get.Body.Len())
		require.Equal(t, content, unzipped(t, get))
		head := s.request(t.Context(), http.MethodHead, "/a.css", zipped, "gzip")
		require.Equal(t, length, head.Header().Get("Content-Length"))
		require.Equal(t, get.Header(), head.Header())
	}

	require.EqualValues(t, 1, s.compressions())

	// A date does not say in which coding the client has the first part.
	w := s.request(t.Context(), http.MethodGet, "/a.css", zipped, "gzip", "Range", "bytes=5-", "If-Range", modified)
	require.Equal(t, content, unzipped(t, w))
	require.EqualValues(t, 1, s.compressions())
}

// slicesOf is a header with a pair many times and another one at the end.
func slicesOf(count int, name, value string, last ...string) (header []string) {
	for range count {
		header = append(header, name, value)
	}

	return append(header, last...)
}

func TestStaticFileIsCompressedOnceForManyClients(t *testing.T) {
	s := newStaticSite(t)
	content := styleSheet(2000)
	s.write("current/public/a.css", content)
	var wg sync.WaitGroup

	bodies := make([]*httptest.ResponseRecorder, 32)
	for i := range bodies {
		wg.Go(func() {
			bodies[i] = s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding", "gzip")
		})
	}

	wg.Wait()

	for _, w := range bodies {
		require.Equal(t, content, unzipped(t, w))
	}

	require.EqualValues(t, 1, s.compressions())

	changed := styleSheet(1999)
	s.write("current/public/a.css", changed)
	w := s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding", "gzip")
	require.Equal(t, changed, unzipped(t, w))
	require.EqualValues(t, 2, s.compressions(), "another version of the file")
}

func TestStaticFilesAreSentAsTheyAreWhileTooManyAreCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStaticSite(t)
		content := styleSheet(2000)
		s.write("current/public/a.css", content)

		for range cap(s.compressor.slots) {
			s.compressor.slots <- struct{}{}
		}

		// One client waits, and one leaves, which holds nothing of it.
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			s.request(ctx, http.MethodGet, "/a.css", "Accept-Encoding", "gzip")
		}()
		synctest.Wait()
		leave()
		<-left

		began := time.Now()
		w := s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding", "gzip")
		require.Equal(t, maxCompressionWait, time.Since(began))
		require.Equal(t, content, w.Body.String())
		require.Empty(t, w.Header().Get("Content-Encoding"))
		require.False(t, strings.HasPrefix(w.Header().Get("ETag"), "W/"), "that of the file as it is")
		synctest.Wait()
		require.Empty(t, s.compressor.running)
		require.Zero(t, s.compressions())

		for range cap(s.compressor.slots) {
			<-s.compressor.slots
		}

		require.Equal(t, content, unzipped(t, s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding",
			"gzip")))
	})
}

func TestCompressedStaticFilesAreKeptWithinTheLimit(t *testing.T) {
	s := newStaticSite(t)
	s.compressor = newCompressor(minStaticCache)

	const files = 12
	for i := range files {
		// What does not compress fills the cache soon.
		noise := make([]byte, 200<<10)

		state := uint32(i + 1)
		for j := range noise {
			state = state*1664525 + 1013904223
			noise[j] = byte(state >> 24)
		}

		s.write(fmt.Sprintf("current/public/%d.txt", i), string(noise))
	}

	ask := func(i int) {
		w := s.request(t.Context(), http.MethodGet, fmt.Sprintf("/%d.txt", i), "Accept-Encoding", "gzip")
		require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
		s.compressor.mu.Lock()
		defer s.compressor.mu.Unlock()
		require.LessOrEqual(t, s.compressor.bytes, s.compressor.limit)
		require.Len(t, s.compressor.kept, s.compressor.used.Len())

		var kept int64
		for e := s.compressor.used.Front(); e != nil; e = e.Next() {
			kept += int64(len(s.compressor.at(e).body))
		}

		require.Equal(t, kept, s.compressor.bytes)
	}
	for i := range files {
		ask(i)
		ask(0) // what is used stays
	}

	require.EqualValues(t, files, s.compressions())

	s.write("current/public/large.txt", styleSheet(10000))
	w := s.request(t.Context(), http.MethodGet, "/large.txt", "Accept-Encoding", "gzip")
	require.Empty(t, w.Header().Get("Content-Encoding"), "more than its share of the cache")
	require.EqualValues(t, files, s.compressions())
}

func TestStaticCacheSizeThatIsOfNoUseIsRefused(t *testing.T) {
	for size, want := range map[int64]string{
		0: "", minStaticCache: "", 1 << 40: "",
		-1: "static_cache_size is -1: it must be 0 (static files are not compressed) or at least " +
			"1048576 bytes",
		minStaticCache - 1: "static_cache_size is 1048575: it must be",
	} {
		err := (&Config{StaticCacheSize: size}).checkStaticCacheSize()
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}

	s := newStaticSite(t)
	s.compressor = newCompressor(0)
	s.write("current/public/a.css", styleSheet(100))
	require.Empty(t, s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding",
		"gzip").Header().Get("Content-Encoding"))
}

func TestStaticSiblingsAreSentInTheirOrder(t *testing.T) {
	s := newStaticSite(t)
	s.write("current/public/a.css", styleSheet(100))

	for _, extension := range []string{"br", "zst", "gz"} {
		s.write("current/public/a.css."+extension, "made "+extension)
	}

	for accept, want := range map[string]string{
		"gzip, zstd, br": "made br", "gzip, zstd": "made zst", "gzip": "made gz", "br;q=0, zstd;q=0.1": "made zst",
	} {
		w := s.request(t.Context(), http.MethodGet, "/a.css", "Accept-Encoding", accept)
		require.Equal(t, want, w.Body.String(), accept)
		require.Equal(t, strconv.Itoa(len(want)), w.Header().Get("Content-Length"), accept)
	}

	require.Zero(t, s.compressions())
}

// Names that no file can have are not searched for fingerprints, which would take time with the square of their length.
func TestStaticNamesThatNoFileHasCostNothing(t *testing.T) {
	const uuid = "550e8400-e29b-41d4-a716-44665544a000."
	require.Nil(t, candidates("/"+strings.Repeat(uuid, 100)))
	require.Nil(t, candidates("/"+strings.Repeat("a/", 5000)+"b"))
	require.NotNil(t, candidates("/"+strings.Repeat("a", maxFileName)))
}

func TestStaticFileThatChangesIsNotKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.css")
	require.NoError(t, os.WriteFile(path, []byte(styleSheet(100)), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 5000), 0o600))

	c := newCompressor(defaultStaticCache)
	_, err = c.compress(t.Context(), f, info)
	require.ErrorIs(t, err, errFileChanged)
	require.Empty(t, c.kept)
}
