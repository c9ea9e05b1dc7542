package handler

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Names of header fields are the same in any case, RFC 9110 section 5.1, and yet
// programs look for them as everybody writes them. HTTP/2 has small letters only.

// usual are names that are spelled as everybody does in Go's form, which net/http and
// middleware look for. They keep it.
var usual = map[string]bool{
	"Accept-Ranges": true, "Access-Control-Allow-Origin": true, "Age": true, "Allow": true, "Cache-Control": true,
	"Connection": true, "Content-Disposition": true, "Content-Encoding": true, "Content-Language": true,
	"Content-Length": true, "Content-Location": true, "Content-Range": true, "Content-Security-Policy": true,
	"Content-Type": true, "Date": true, "Expires": true, "Keep-Alive": true, "Last-Modified": true, "Link": true,
	"Location": true, "Pragma": true, "Retry-After": true, "Server-Timing": true, "Set-Cookie": true, "Status": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Vary": true,
}

// spell notes how the application writes a name.
func (p *response) spell(canonical, written string) {
	if canonical != written && !usual[canonical] {
		p.spellings = append(p.spellings, httpfield.Spelling{Canonical: canonical, Written: written})
	}
}

// writeHeader writes the head of the response, with the names as x.spelled says. Whoever
// looks at the header before and after sees Go's form.
func (x *exchange) writeHeader(status int) {
	if len(x.spelled) == 0 || x.r.ProtoMajor != 1 {
		x.w.WriteHeader(status)
		return
	}

	out := x.w.Header()
	respell(out, x.spelled, writesAtOnce(x.w))
	x.w.WriteHeader(status)

	for _, s := range x.spelled {
		if values, there := out[s.Written]; there {
			delete(out, s.Written)
			out[s.Canonical] = values
		}
	}
}

// respell puts fields under their names as written. Middleware that comes between, where
// not all are to be put, would miss those that it looks for: an entity tag, mostly, and
// of names in small letters nobody needs the spelling.
func respell(h http.Header, spelled []httpfield.Spelling, all bool) {
	for _, s := range spelled {
		values, there := h[s.Canonical]
		if !there || !all && (s.Canonical == "Etag" || strings.ToLower(s.Written) == s.Written) {
			continue
		}

		delete(h, s.Canonical)
		h[s.Written] = values
	}
}

// writesAtOnce reports whether w is a server's own, so that nothing looks at the header
// between us and the client.
func writesAtOnce(w http.ResponseWriter) bool {
	switch reflect.TypeOf(w).String() {
	case "*http.response", "*scgi.response":
		return true
	}

	return false
}

// wireNames are the names of requests' headers that clients spell in another way than
// Go does, whose server has changed them before we see them.
var wireNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"A-IM", "ALPN", "AMP-Cache-Transform", "CDN-Loop", "CF-Connecting-IP", "CF-IPCountry", "CF-RAY", "Content-MD5",
		"DAV", "DNT", "DPoP", "DPR", "ETag", "IM", "MIME-Version", "NEL", "OData-MaxVersion", "OData-Version", "RTT",
		"SOAPAction", "TTL",
		"Sec-CH-DPR", "Sec-CH-Device-Memory", "Sec-CH-Prefers-Color-Scheme", "Sec-CH-Prefers-Reduced-Motion",
		"Sec-CH-UA",
		"Sec-CH-UA-Arch", "Sec-CH-UA-Bitness", "Sec-CH-UA-Form-Factors", "Sec-CH-UA-Full-Version",
		"Sec-CH-UA-Full-Version-List", "Sec-CH-UA-Mobile", "Sec-CH-UA-Model", "Sec-CH-UA-Platform",
		"Sec-CH-UA-Platform-Version", "Sec-CH-UA-WoW64",
		"Sec-CH-Viewport-Height", "Sec-CH-Viewport-Width", "Sec-CH-Width", "Sec-GPC",
		"Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol",
		"Sec-WebSocket-Version", "WWW-Authenticate",
		"X-API-Key", "X-ATT-DeviceId", "X-CSRF-Token", "X-CSRFToken", "X-GitHub-Delivery", "X-GitHub-Event",
		"X-GitHub-Hook-ID",
		"X-GitLab-Event", "X-GitLab-Token", "X-HTTP-Method-Override", "X-UA-Compatible", "X-UIDH",
		"X-XSRF-TOKEN", "X-XSS-Protection",
	} {
		names[http.CanonicalHeaderKey(name)] = name
	}

	return names
}()

// wireName is how a request's header of that canonical name is written.
func wireName(canonical string) string {
	if written, ok := wireNames[canonical]; ok {
		return written
	}

	return canonical
}
