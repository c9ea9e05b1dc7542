package handler

import (
	"net/http"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Names of fields are the same in any case, RFC 9110 section 5.1, and yet programs look for their usual spelling.
// HTTP/2 has small letters only.

// usual are names whose usual spelling is Go's form, which net/http and middleware look for. They keep it.
var usual = map[string]bool{
	"Accept-Ranges": true, "Access-Control-Allow-Origin": true, "Age": true, "Allow": true, "Cache-Control": true,
	"Connection": true, "Content-Disposition": true, "Content-Encoding": true, "Content-Language": true,
	"Content-Length": true, "Content-Location": true, "Content-Range": true, "Content-Security-Policy": true,
	"Content-Type": true, "Date": true, "Expires": true, "Keep-Alive": true, "Last-Modified": true, "Link": true,
	"Location": true, "Pragma": true, "Retry-After": true, "Server-Timing": true, "Set-Cookie": true, "Status": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Vary": true,
}

// spell notes how the application writes a name.
func (r *response) spell(canonical, written string) {
	if canonical != written && !usual[canonical] {
		r.spellings = append(r.spellings, httpfield.Spelling{Canonical: canonical, Written: written})
	}
}

// respell puts fields under their names as written. Unless all is set, middleware comes in between and must still find
// what it looks for, mostly an entity tag; names in small letters are of no use to any program.
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

// wireNames are the names of request fields that clients spell in another way than Go, whose server has changed them
// before we see them.
var wireNames = sync.OnceValue(func() map[string]string {
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
})

// wireName returns how a request's field of that canonical name is written.
func wireName(canonical string) string {
	if written, ok := wireNames()[canonical]; ok {
		return written
	}

	return canonical
}
