package front

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/httphead"
)

// isSimple reports whether a request with this head is for the front.
func isSimple(h *httphead.Head) bool {
	return h.Minor == 1 && h.Framing != httphead.Chunked && !h.Upgrade && !h.Expect && h.Target[0] == '/'
}

// newRequest makes a request of the head in w, which takes n bytes at w.from. It returns nil for a target that net/http
// refuses.
func (w *work) newRequest(c *conn, n int) (*http.Request, *requestContext) {
	h, at := &w.head, w.from

	// One string has all the others, and is the application's to keep.
	all := string(w.buf[at : at+n])
	text := func(b []byte) string {
		from := cap(w.buf) - cap(b) - at
		return all[from : from+len(b)]
	}

	ctx := &requestContext{conn: c}
	target := text(h.Target)
	if !parseTarget(&ctx.url, target) {
		return nil, nil
	}

	r := blank.WithContext(ctx)
	r.Method, r.URL, r.RequestURI = method(h.Method), &ctx.url, target
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Host, r.RemoteAddr = text(h.Host), c.remote
	r.Header, r.Body = make(http.Header, len(h.Fields)), http.NoBody

	values := make([]string, 0, len(h.Fields))
	for i := range h.Fields {
		name := textproto.CanonicalMIMEHeaderKey(text(h.Fields[i].Name))
		if name == "Host" {
			continue
		}

		value := text(h.Fields[i].Value)
		if had := r.Header[name]; had != nil {
			r.Header[name] = append(had, value)
			continue
		}

		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}

	// As net/http does it, RFC 9111 section 5.4.
	if pragma := r.Header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && r.Header["Cache-Control"] == nil {
		r.Header["Cache-Control"] = []string{"no-cache"}
	}

	r.Close = httpfield.HasToken(r.Header["Connection"], "close")
	if h.Framing == httphead.Length {
		r.ContentLength = h.Length
		r.Body = &body{left: w.buf[at+n : at+n+int(h.Length)]}
	}

	return r, ctx
}

// blank is what requests are made of, since a context can only be set by copying one.
var blank = new(http.Request)

// method returns a method's name without memory of its own if it is one of the usual.
func method(b []byte) string {
	switch string(b) {
	case http.MethodGet:
		return http.MethodGet
	case http.MethodHead:
		return http.MethodHead
	case http.MethodPost:
		return http.MethodPost
	}

	return string(b)
}

// parseTarget reports whether net/http would accept the target.
func parseTarget(u *url.URL, target string) bool {
	path, query, asked := strings.Cut(target, "?")
	if strings.IndexFunc(path, isSpecial) < 0 {
		u.Path, u.RawQuery, u.ForceQuery = path, query, asked && query == ""
		return true
	}

	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}

	*u = *parsed

	return true
}

// isSpecial reports whether a character may have another form in a path without escapes.
func isSpecial(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '/' && c != '-' && c != '_' &&
		c != '.' && c != '~'
}

// body is a request's body, all of which has come.
type body struct{ left []byte }

// Read returns io.EOF at the end.
func (b *body) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		return 0, io.EOF
	}

	n := copy(p, b.left)
	b.left = b.left[n:]

	return n, nil
}

// Close drops the rest.
func (b *body) Close() error {
	b.left = nil
	return nil
}
