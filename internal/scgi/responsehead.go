package scgi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// responseHead is the head of a response as it was when the status was set, with
// what is found out of the body added.
type responseHead struct {
	b           []byte
	length      int64 // of the body, -1: not said
	bodyAllowed bool  // by the status
	wantsType   bool
}

// notSent are headers that are between us and the web server, and those that are
// written otherwise; Date is the web server's.
var notSent = map[string]bool{
	"Status": true, "Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "Content-Length": true,
}

func newResponseHead(status int, header http.Header, log logr.Logger) responseHead {
	h := responseHead{length: -1, bodyAllowed: status != http.StatusNoContent && status != http.StatusNotModified}
	h.b = append(make([]byte, 0, 512), "Status: "...)
	h.b = strconv.AppendInt(h.b, int64(status), 10)
	h.b = append(h.b, ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}

	h.line(text)
	_, hasType := header["Content-Type"]
	// The type of a body in a coding cannot be found in its bytes.
	h.wantsType = !hasType && h.bodyAllowed && header.Get("Content-Encoding") == ""

	names := make([]string, 0, 16)
	for name := range header {
		names = append(names, name)
	}

	slices.Sort(names)

	for _, name := range names {
		if notSent[http.CanonicalHeaderKey(name)] || !httpfield.IsToken(name) {
			continue
		}

		for _, v := range header[name] {
			h.field(name, v)
		}
	}

	h.takeLength(header, log)

	return h
}

// takeLength takes Content-Length from the header; one that is wrong counts as none.
func (h *responseHead) takeLength(header http.Header, log logr.Logger) {
	v := header.Get("Content-Length")
	if v == "" || !h.bodyAllowed {
		return
	}

	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || v[0] == '+' {
		log.Info("a handler of SCGI requests has set a Content-Length that is no number", "value", show(v))
		return
	}

	h.length = n
	h.writeLength(n)
}

// sniff adds the type of a body that begins with p, if nothing says it.
func (h *responseHead) sniff(p []byte) {
	if h.wantsType {
		h.wantsType = false
		h.field("Content-Type", http.DetectContentType(p))
	}
}

func (h *responseHead) writeLength(n int64) {
	h.b = append(h.b, "Content-Length: "...)
	h.b = strconv.AppendInt(h.b, n, 10)
	h.b = append(h.b, "\r\n"...)
}

// field writes a header. What would end its line, or the head, becomes a space.
func (h *responseHead) field(name, value string) {
	h.b = append(h.b, name...)
	h.b = append(h.b, ": "...)
	h.line(strings.Trim(value, " \t\r\n"))
}

func (h *responseHead) line(s string) {
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' || c == 0 {
			c = ' '
		}

		h.b = append(h.b, c)
	}

	h.b = append(h.b, "\r\n"...)
}

// bytes returns the head, which nothing can be added to after that.
func (h *responseHead) bytes() []byte {
	h.wantsType = false
	return append(h.b, "\r\n"...)
}
