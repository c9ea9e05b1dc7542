package agent

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// lookedDir is a directory in which nothing is beside a file. It notes which names it was asked for.
type lookedDir struct{ names []string }

func (d *lookedDir) has(name string) bool {
	d.names = append(d.names, name)
	return false
}

func (*lookedDir) open(string) (*openedFile, error) { panic("nothing is there") }

// A look at what stands beside a file takes as long as the file itself, so that there is none for a client that takes
// no coding.
func TestFilesBesideAFileAreLookedForIfTheClientTakesACoding(t *testing.T) {
	for accepted, want := range map[string]struct {
		looks  []string
		varies string
	}{
		"":             {nil, "Accept-Encoding"},
		"identity":     {nil, "Accept-Encoding"},
		"gzip;q=0":     {nil, "Accept-Encoding"},
		"gzip":         {[]string{"a.png.br", "a.png.zst", "a.png.gz"}, ""},
		"br;q=0, gzip": {[]string{"a.png.br", "a.png.zst", "a.png.gz"}, ""},
	} {
		var dir lookedDir
		f := &staticFile{dir: &dir, name: "a.png"}
		r := httptest.NewRequest(http.MethodGet, "/a.png", nil)
		r.Header.Set("Accept-Encoding", accepted)

		w := httptest.NewRecorder()
		require.False(t, f.serveEncoded(w, r), accepted)
		require.Equal(t, want.looks, dir.names, accepted)
		require.Equal(t, want.varies, w.Header().Get("Vary"), accepted)
	}
}
