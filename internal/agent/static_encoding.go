package agent

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
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

// readSeeker is what http.ServeContent reads.
type readSeeker = io.ReadSeeker

// serveEncoded serves what stands beside a file and was made of it, or returns
// false.
func (f *staticFile) serveEncoded(w http.ResponseWriter, r *http.Request) bool {
	for _, encoding := range encodings {
		if name := f.name + encoding.extension; f.dir.has(name) && f.serveBeside(w, r, name, encoding.name) {
			return true
		}
	}
	return false
}

// serveBeside serves a file in a coding, or returns false.
func (f *staticFile) serveBeside(w http.ResponseWriter, r *http.Request, name, coding string) bool {
	beside, encoded, err := f.dir.open(name)
	if err != nil {
		return false // the file itself is served
	}
	defer beside.Close()

	if encoded.ModTime().Before(f.info.ModTime()) {
		return false // it was made of an older one
	}
	vary(w)
	if !accepts(r, coding) {
		return false
	}
	f.serveAs(w, r, encoded, coding, beside)

	return true
}

// serveCompressed serves a text in a smaller form, or returns false.
func (f *staticFile) serveCompressed(w http.ResponseWriter, r *http.Request) bool {
	if !compressible(f.name) || f.info.Size() < leastCompressed || f.info.Size() > mostCompressed {
		return false
	}
	vary(w)
	if !accepts(r, gzipName) {
		return false
	}

	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, io.LimitReader(f.file, mostCompressed))
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		_, err = f.file.Seek(0, io.SeekStart)
		return err != nil
	}
	f.serveAs(w, r, f.info, gzipName, bytes.NewReader(b.Bytes()))

	return true
}

// vary tells caches that others get something else. The header may be there
// already.
func vary(w http.ResponseWriter) { w.Header().Set("Vary", "Accept-Encoding") }

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
