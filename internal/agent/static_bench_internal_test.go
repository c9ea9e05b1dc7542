package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	serving := passenger.ReleaseDirs{Serving: []string{dir}}

	for name, test := range map[string]struct{ rel, target string }{
		"no directory": {"none", "/x"}, "no file": {"public", "/x"}, "file": {"public", "/a.txt"},
	} {
		b.Run(name, func(b *testing.B) {
			s := &static{
				app: dir, rel: test.rel, releases: func() passenger.ReleaseDirs { return serving },
				next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			}
			r := httptest.NewRequest(http.MethodGet, test.target, nil)
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(&discarded{header: http.Header{}}, r)
			}
		})
	}
}

// discarded is a response that no client reads.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header               { return d.header }
func (*discarded) WriteHeader(int)                     {}
func (*discarded) Write(p []byte) (int, error)         { return len(p), nil }
func (*discarded) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
