package handler

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// hopByHop are headers about one connection, RFC 9110 section 7.6.1, with
// those that others made so. Host, Content-Length, Expect and what marks
// the request are written or answered here and not copied.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

var notCopied = map[string]bool{
	"Host": true, "Content-Length": true, "Expect": true,
	requestIDHeader: true, requestStartHeader: true,
	// Becomes HTTP_PROXY, which some take for their proxy (CVE-2016-5386).
	"Proxy": true,
}

// plainName: made of letters, digits and dashes, the only names that stay
// apart when dashes become underscores.
func plainName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}

	return name != ""
}

// ownHeader: a name that the application and we talk to each other by, and
// that never comes from a client nor goes to one.
func ownHeader(name string) bool { return strings.HasPrefix(name, "!~") }

// connectionTokens returns what the Connection header lists, canonical.
func connectionTokens(h http.Header) []string {
	values := h["Connection"]
	if len(values) == 0 {
		return nil
	}

	var tokens []string
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			t = strings.Trim(t, " \t")
			if t == "" || httpfield.EqualFold(t, "keep-alive") || httpfield.EqualFold(t, "close") {
				continue // no header, or one that is never passed on
			}

			tokens = append(tokens, http.CanonicalHeaderKey(t))
		}
	}

	return tokens
}

// hasToken: the comma-separated values list token, in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if httpfield.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}

	return false
}

// check refuses a head that is larger than it may be.
func (l *Limits) check(target string, h http.Header) error {
	if l.Target > 0 && len(target) > l.Target {
		return errLongTarget
	}

	fields, size := 0, len(target)
	for name, values := range h {
		fields += len(values)
		for _, v := range values {
			size += len(name) + len(v)
			if l.Field > 0 && len(name)+len(v) > l.Field {
				return errLargeHead
			}
		}
	}

	if l.Fields > 0 && fields > l.Fields || l.Head > 0 && size > l.Head {
		return errLargeHead
	}

	return nil
}

// checkHeader refuses a request whose headers pretend to come from us, or that others
// might read in another way.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if ownHeader(name) || slices.ContainsFunc(values, unclear) {
			return errBadRequest
		}
	}

	return checkFraming(h)
}

// unclear: a value that some cut in two, and some at its ends.
func unclear(v string) bool { return !httpfield.ValidValue(v) || !httpfield.ValidEnds(v) }

// eachHeader yields the headers that go to the application, each once with all of its
// values: the client's, as far as the application may believe them, and those of the
// observer in the place of the client's by these names.
func (x *exchange) eachHeader(yield func(name string, values []string)) {
	yieldOwn(x.appHeader, yield)

	trust, listed := x.trust(), connectionTokens(x.r.Header)
	for written, values := range x.r.Header {
		if replaced(x.appHeader, written) || !plainName(written) || len(values) == 0 {
			continue
		}

		// Middleware may have set it by a name that is not canonical.
		name := textproto.CanonicalMIMEHeaderKey(written)
		if hopByHop[name] || notCopied[name] || slices.Contains(listed, name) {
			continue
		}

		if !trust.passes(name) {
			x.tellOfDropped(name)
			continue
		}

		if proxyheader.Of(name) != proxyheader.Anybody {
			written = name
		}

		yield(written, values)
	}
}

// firstElement is that of a list with commas.
func firstElement(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.Trim(first, " \t")
}

// merged is the value of a header that came more than once.
func merged(name string, values []string) string {
	if len(values) == 1 {
		return values[0]
	}

	if name == "Cookie" {
		return strings.Join(values, "; ")
	}

	return strings.Join(values, ", ")
}
