package agent

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
)

// encodings are those of files beside a file that have it in them, the best
// first.
var encodings = []struct{ name, extension string }{{"br", ".br"}, {gzipName, ".gz"}}

const (
	gzipName = "gzip"
	// leastCompressed is what is not worth the work, mostCompressed what would
	// take too much of it for each request.
	leastCompressed = 1 << 10
	mostCompressed  = 4 << 20
)

// serveEncoded serves what stands beside a file and was made of it, or returns
// false.
func (s *static) serveEncoded(w http.ResponseWriter, r *http.Request, name string, info fs.FileInfo) bool {
	for _, encoding := range encodings {
		f, encoded := s.open(name + encoding.extension)
		if f == nil {
			continue
		}
		defer func() { _ = f.Close() }() // it was only read
		if encoded.ModTime().Before(info.ModTime()) {
			continue // it was made of an older one
		}
		vary(w)
		if accepts(r, encoding.name) {
			setEncoding(w, name, encoding.name)
			http.ServeContent(w, r, name, info.ModTime(), f)
			return true
		}
	}
	return false
}

// serveCompressed serves a text in a smaller form, or returns false.
func (*static) serveCompressed(w http.ResponseWriter, r *http.Request, name string, f *os.File, info fs.FileInfo) bool {
	if !compressible(name) || info.Size() < leastCompressed || info.Size() > mostCompressed {
		return false
	}
	vary(w)
	if !accepts(r, gzipName) {
		return false
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, io.LimitReader(f, mostCompressed))
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		_, err = f.Seek(0, io.SeekStart)
		return err != nil
	}
	setEncoding(w, name, gzipName)
	http.ServeContent(w, r, name, info.ModTime(), bytes.NewReader(b.Bytes()))
	return true
}

// compressible: what a file of this name has gets much smaller.
func compressible(name string) bool {
	kind, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(name)), ";")
	return strings.HasPrefix(kind, "text/") || slices.Contains([]string{
		"application/javascript", "application/json", "application/manifest+json", "application/wasm", "application/xml", "image/svg+xml",
	}, kind)
}

// vary tells caches that others get something else. The header may be there
// already.
func vary(w http.ResponseWriter) { w.Header().Set("Vary", "Accept-Encoding") }

func setEncoding(w http.ResponseWriter, name, encoding string) {
	w.Header().Set("Content-Encoding", encoding)
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream" // looking into it would find the coding
	}
	w.Header().Set("Content-Type", kind)
}

// accepts: the client has named the coding, and not to refuse it (RFC 9110,
// section 12.5.3).
func accepts(r *http.Request, encoding string) bool {
	for _, header := range r.Header["Accept-Encoding"] {
		for item := range strings.SplitSeq(header, ",") {
			name, weight, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(name), encoding) {
				return !isZero(weight)
			}
		}
	}
	return false
}

func isZero(weight string) bool {
	value, isWeight := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
	return isWeight && value != "" && strings.Trim(value, "0.") == ""
}
