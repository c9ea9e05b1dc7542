// Package urlpath says what a request asks for, as a path with its escapes, and
// whether that is below the path that an application is mounted at.
package urlpath

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Target is path and query of r.URL, which middleware may have changed, as
// http.StripPrefix does. They are written as the client has written them where that
// says the same: applications tell escapes apart that a url.URL does not. It is empty
// where there is no path.
func Target(r *http.Request) string {
	if sent := originForm(r.RequestURI); sent != "" && saysTheSame(sent, r.URL) {
		return sent
	}

	if r.URL.Opaque != "" {
		return ""
	}

	uri := r.URL.EscapedPath()
	if uri == "" || uri[0] != '/' {
		// http.StripPrefix("/app/", h) leaves no slash.
		uri = "/" + uri
	}

	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		uri += "?" + r.URL.RawQuery
	}

	return uri
}

// originForm takes scheme and authority off a target in absolute form.
func originForm(target string) string {
	_, rest, absolute := strings.Cut(target, "://")
	if !absolute || target[0] == '/' {
		return target
	}

	switch slash := strings.IndexAny(rest, "/?"); {
	case slash < 0:
		return "/"
	case rest[slash] == '?':
		return "/" + rest[slash:]
	default:
		return rest[slash:]
	}
}

// saysTheSame reports whether u is what net/http makes of the target sent, or what
// middleware has made of u means the same.
func saysTheSame(sent string, u *url.URL) bool {
	path, query, asked := strings.Cut(sent, "?")
	if query != u.RawQuery || asked != (query != "" || u.ForceQuery) {
		return false
	}

	switch {
	case u.RawPath != "":
		return u.RawPath == path && decodesTo(path, u.Path, true)
	case u.Path == "":
		return path == "/"
	default:
		// With an escaped slash in it, net/http would have made a RawPath.
		return decodesTo(path, u.Path, false)
	}
}

// decodesTo reports whether escaped is path with escapes. slashes means that escaped
// slashes are the same as others.
func decodesTo(escaped, path string, slashes bool) bool {
	if strings.IndexByte(escaped, '%') < 0 {
		return escaped == path
	}

	for escaped != "" {
		c, size := first(escaped)
		if size == 0 || path == "" || path[0] != c || c == '/' && size > 1 && !slashes {
			return false
		}

		escaped, path = escaped[size:], path[1:]
	}

	return path == ""
}

// first decodes the first byte of escaped, which has size bytes. Zero means a percent sign
// that begins no escape.
func first(escaped string) (c byte, size int) {
	if escaped[0] != '%' {
		return escaped[0], 1
	}

	if len(escaped) < 3 {
		return 0, 0
	}

	high, low := unhex(escaped[1]), unhex(escaped[2])
	if high > 15 || low > 15 {
		return 0, 0
	}

	return high<<4 | low, 3
}

// unhex returns the value of a hexadecimal digit, or more than 15.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}

	return 0xff
}

// Base is a path that applications are mounted at, as URLs write it, without a slash at
// its end; empty means that all paths are below it.
type Base string

// Parse reads a base as people write it, with escapes or without: "/café" and
// "/caf%C3%A9" are the same. The error says what is wrong, and what to do.
func Parse(text string) (Base, error) {
	if text == "" {
		return "", nil
	}

	if text[0] != '/' {
		return "", fmt.Errorf("%q does not begin with a slash: write it as /%s", text, text)
	}

	segments := strings.Split(strings.TrimRight(text, "/"), "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return "", fmt.Errorf("%q has a percent sign that begins no escape: write it as %%25", text)
		case strings.ContainsAny(segment, "?#"):
			return "", fmt.Errorf("%q has a query or fragment, and is to be a path alone: leave that out, "+
				"or write the character as %%3F or %%23", text)
		case decoded == "." || decoded == "..":
			return "", fmt.Errorf("%q has the segment %q, which clients remove from URLs: write the path without it",
				text, segment)
		case strings.ContainsFunc(decoded, func(c rune) bool { return c < ' ' || c == 0x7f }):
			return "", fmt.Errorf("%q has a control character: leave it out", text)
		}

		segments[i] = escape(decoded)
	}

	return Base(strings.Join(segments, "/")), nil
}

// escape writes a segment as URLs have it.
func escape(segment string) string {
	parts := strings.Split(segment, "/")
	for i, part := range parts {
		parts[i] = (&url.URL{Path: "/" + part}).EscapedPath()[1:]
	}

	// A slash within a segment was an escaped one.
	return strings.Join(parts, "%2F")
}

// Cut takes b off the beginning of a path with escapes; ok is false where that is not
// below b. They are compared segment by segment, decoded, so that an escaped slash
// separates nothing; dots and semicolons mean what they do to the application.
func (b Base) Cut(path string) (below string, ok bool) {
	// Most paths are written as the base is.
	if below, ok = strings.CutPrefix(path, string(b)); ok && (below == "" || below[0] == '/') {
		return below, true
	}

	base := string(b)
	for base != "" {
		if path == "" || path[0] != '/' {
			return "", false
		}

		var wanted, got string
		wanted, base = segment(base[1:])
		got, path = segment(path[1:])
		if !sameDecoded(wanted, got) {
			return "", false
		}
	}

	return path, path == "" || path[0] == '/'
}

// segment cuts the first segment off.
func segment(path string) (first, rest string) {
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}

	return path, ""
}

// sameDecoded reports whether a and b are the same without their escapes.
func sameDecoded(a, b string) bool {
	for a != "" && b != "" {
		c, size := first(a)
		d, length := first(b)
		if c != d || size == 0 || length == 0 {
			return false
		}

		a, b = a[size:], b[length:]
	}

	return a == b
}
