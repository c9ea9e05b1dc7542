package handler

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// hopByHop are fields about one connection, RFC 9110 section 7.6.1, with those that other programs use so.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

// notCopied are fields that the handler writes itself, or that must not reach an application.
var notCopied = map[string]bool{
	"Host": true, "Content-Length": true, "Expect": true,
	requestIDHeader: true, requestStartHeader: true,
	// It becomes HTTP_PROXY, which some programs take for their proxy (CVE-2016-5386).
	"Proxy": true,
}

// isOwnField reports whether a field is between the application and us: it neither comes from a client nor goes to one.
func isOwnField(name string) bool { return strings.HasPrefix(name, "!~") }

// connectionTokens returns the fields that Connection lists, by canonical names. A head may list thousands, and have as
// many fields.
func connectionTokens(h http.Header) map[string]bool {
	values := h["Connection"]
	if len(values) == 0 {
		return nil
	}

	var tokens map[string]bool
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			t = strings.Trim(t, " \t")
			if t == "" || httpfield.EqualFold(t, "keep-alive") || httpfield.EqualFold(t, "close") {
				// That is no field, or one that is never forwarded.
				continue
			}

			if tokens == nil {
				tokens = map[string]bool{}
			}

			tokens[http.CanonicalHeaderKey(t)] = true
		}
	}

	return tokens
}

// check refuses a head that exceeds the limits.
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

// checkHeader refuses fields that pretend to come from us, or that another program might read in another way.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if isOwnField(name) || slices.ContainsFunc(values, isAmbiguous) {
			return errBadRequest
		}
	}

	return checkFraming(h)
}

// isAmbiguous reports whether some programs cut the value in two, or at its ends.
func isAmbiguous(v string) bool { return !httpfield.ValidValue(v) || !httpfield.ValidEnds(v) }

// eachField yields the fields that go to the application, each once with all of its values: the client's, as far as the
// application may believe them, and the observer's in place of the client's by these names.
func (r *request) eachField(yield func(name string, values []string)) {
	for name, values := range r.appHeader {
		if len(values) > 0 {
			yield(name, values)
		}
	}

	trust, listed := r.trust(), connectionTokens(r.header())
	for written, values := range r.header() {
		if replaces(r.appHeader, written) || !httpfield.IsPlain(written) || len(values) == 0 {
			continue
		}

		// Middleware may have set it by a name that is not canonical.
		name := textproto.CanonicalMIMEHeaderKey(written)
		if hopByHop[name] || notCopied[name] || listed[name] {
			continue
		}

		if !trust.passes(name) {
			r.logDroppedField(name)
			continue
		}

		if proxyheader.Of(name) != proxyheader.Anybody {
			written = name
		}

		yield(written, values)
	}
}

// merged returns the value of a field that came more than once. An empty line adds nothing to a list.
func merged(name string, values []string) string {
	if slices.Contains(values, "") {
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	}

	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	}

	if name == "Cookie" {
		return strings.Join(values, "; ")
	}

	return strings.Join(values, ", ")
}
