package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

// BenchmarkStatic is what static files cost a request: one that is not for a file, and a small file.
func BenchmarkStatic(b *testing.B) {
	dir := b.TempDir()
	public := filepath.Join(dir, "public")
	require.NoError(b, os.Mkdir(public, 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(public, "a.txt"), []byte("a"), 0o600))

	var text strings.Builder
	for i := range 80_000 {
		fmt.Fprintf(&text, ".class-%d { color: #%06x; margin: %dpx }\n", i, i*7919, i%97)
	}

	require.NoError(b, os.WriteFile(filepath.Join(public, "a.css"), []byte(text.String()), 0o600))
	serving := passenger.ReleaseDirs{Serving: []string{dir}}

	serve := newStaticBench(dir, serving)
	probe := &discarded{header: http.Header{}}
	head := httptest.NewRequest(http.MethodHead, "/a.css", nil)
	head.Header.Set("Accept-Encoding", "gzip")
	serve("public").ServeHTTP(probe, head)
	tag := probe.header.Get("ETag")

	for _, test := range []struct {
		name, rel, method, target string
		header                    []string
	}{
		{"no directory", "none", http.MethodGet, "/x", nil},
		{"no file", "public", http.MethodGet, "/x", nil},
		{"file", "public", http.MethodGet, "/a.txt", nil},
		{"plain, 4 MB", "public", http.MethodGet, "/a.css", nil},
		{"gzip", "public", http.MethodGet, "/a.css", []string{"Accept-Encoding", "gzip"}},
		{"HEAD, gzip", "public", http.MethodHead, "/a.css", []string{"Accept-Encoding", "gzip"}},
		{"304, gzip", "public", http.MethodGet, "/a.css", []string{"Accept-Encoding", "gzip", "If-None-Match", tag}},
		{"range, gzip", "public", http.MethodGet, "/a.css", []string{"Accept-Encoding", "gzip", "Range", "bytes=0-99"}},
		{"600 ranges", "public", http.MethodGet, "/a.css", []string{"Range", "bytes=" + strings.Repeat("0-99,", 599) +
			"0-99"}},
		{"5,000 codings", "public", http.MethodHead, "/a.css", []string{"Accept-Encoding", strings.Repeat("x,", 5000)}},
	} {
		b.Run(test.name, func(b *testing.B) {
			s := serve(test.rel)

			r := httptest.NewRequest(test.method, test.target, nil)
			for i := 0; i < len(test.header); i += 2 {
				r.Header.Set(test.header[i], test.header[i+1])
			}

			s.ServeHTTP(&discarded{header: http.Header{}}, r) // which may compress it
			b.ReportAllocs()

			for b.Loop() {
				s.ServeHTTP(&discarded{header: http.Header{}}, r)
			}
		})
	}
}

func newStaticBench(dir string, serving passenger.ReleaseDirs) func(rel string) *static {
	return func(rel string) *static {
		s := &static{
			releases:   func() passenger.ReleaseDirs { return serving },
			next:       http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			compressor: newCompressor(defaultStaticCache),
		}
		s.locate(dir, joined(dir, rel))

		return s
	}
}

// discarded is a response that no client reads.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header               { return d.header }
func (*discarded) WriteHeader(int)                     {}
func (*discarded) Write(p []byte) (int, error)         { return len(p), nil }
func (*discarded) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
