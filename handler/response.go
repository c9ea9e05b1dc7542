package handler

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// maxResponseFields bounds the fields of a head. A response that exceeds it is malformed.
const maxResponseFields = 100

// response is the head of the application's response, and what it says of the body.
type response struct {
	status int
	header http.Header // by canonical names
	// spellings are the names that the application writes in another form.
	spellings []httpfield.Spelling
	// length is that of the body; -1 means up to the end of the connection, or in chunks.
	length  int64
	chunked bool
	// keepAlive reports whether the application will not close the connection.
	keepAlive bool
	// complete reports whether the body was read to its end.
	complete bool
	http10   bool
}

// parse reads a head. It is stricter than other programs: a line ends with CRLF, a name is a token with the colon right
// after it, and nothing is folded.
func (r *response) parse(head string) error {
	line, rest, _ := strings.Cut(head, "\r\n")
	if err := r.parseStatusLine(line); err != nil {
		return err
	}

	return r.parseFields(rest)
}

// parseFields reads the lines up to an empty one.
func (r *response) parseFields(rest string) error {
	if r.header == nil {
		r.header = make(http.Header, 8)
	}

	clear(r.header)
	r.spellings = r.spellings[:0]
	values := make([]string, 0, strings.Count(rest, "\r\n"))
	if cap(values) > maxResponseFields+1 {
		return malformed("more than %d header fields", maxResponseFields)
	}

	for {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			return nil
		}

		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !httpfield.IsToken(name) || !httpfield.ValidValue(value) {
			return malformed("header field %.40q", name)
		}

		written := name

		name = http.CanonicalHeaderKey(name)
		if had := r.header[name]; had != nil {
			r.header[name] = append(had, value)
			continue
		}

		r.spell(name, written)
		values = append(values, value)
		r.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

func (r *response) parseStatusLine(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")

	switch version {
	case "HTTP/1.1":
		r.http10 = false
	case "HTTP/1.0":
		r.http10 = true
	default:
		return malformed("status line %.40q", line)
	}

	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 100 || !httpfield.ValidValue(reason) {
		return malformed("status line %.40q", line)
	}

	r.status = status

	return nil
}

// frame finds out where the body ends, RFC 9112 section 6.3, without the leniency by which two programs may disagree
// about it. method is that of the request.
func (r *response) frame(method string) error {
	r.length, r.chunked = -1, false

	lengths, codings := r.header["Content-Length"], r.header["Transfer-Encoding"]
	switch {
	case len(lengths) > 0 && len(codings) > 0:
		return malformed("both a length and a transfer coding")
	case len(lengths) > 1 || len(codings) > 1:
		return malformed("two lengths or transfer codings")
	case len(codings) == 1:
		if !httpfield.EqualFold(codings[0], "chunked") || r.http10 {
			return malformed("transfer coding %.40q", codings[0])
		}

		r.chunked = true
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil || lengths[0][0] == '+' {
			return malformed("length %.40q", lengths[0])
		}

		r.length = int64(n)
	}

	if method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		r.length, r.chunked = 0, false
	}

	tokens := r.header["Connection"]
	r.keepAlive = (r.chunked || r.length >= 0) && !httpfield.HasToken(tokens, "close") &&
		(!r.http10 || httpfield.HasToken(tokens, "keep-alive"))

	return nil
}

// checkUpgrade accepts the change to the protocol that was asked for, and to no other.
func (r *response) checkUpgrade(asked string) error {
	if asked == "" || !httpfield.HasToken(r.header["Upgrade"], asked) {
		return malformed("it changes to a protocol that was not asked for")
	}

	return nil
}

// copyHeader adds the fields that are for the client. What middleware has set before stays beside them, or is replaced:
// see additive.
func (r *response) copyHeader(to http.Header) {
	listed := connectionTokens(r.header)
	unifyNames(to, r.header)

	for name, values := range r.header {
		if hopByHop[name] || isOwnField(name) || name == "Content-Length" || name == "Status" || listed[name] {
			continue
		}

		to[name] = addValues(to, name, values)
	}
}

// additive are the fields of a response that add up: several programs set them, and none replaces what another one
// says.
var additive = map[string]bool{
	"Set-Cookie": true, "Vary": true, "Link": true, "Server-Timing": true, "Via": true, "Www-Authenticate": true,
	"Content-Security-Policy": true, "Content-Security-Policy-Report-Only": true, "Accept-Ch": true,
	"Access-Control-Expose-Headers": true, "Cache-Status": true, "Report-To": true,
}

// addValues returns the application's values of a field, behind those that middleware has set if the field is additive.
func addValues(to http.Header, name string, values []string) []string {
	if len(to) == 0 {
		// The ordinary case: no middleware has set anything.
		return values
	}

	if had := to[name]; len(had) > 0 && additive[name] {
		return slices.Concat(had, values)
	}

	return values
}

// unifyNames moves what middleware has set by another spelling of a name in from to that name, so that no field is
// there twice.
func unifyNames(to, from http.Header) {
	for name, values := range to {
		canonical := http.CanonicalHeaderKey(name)
		if _, both := from[canonical]; both && canonical != name {
			delete(to, name)
			to[canonical] = slices.Concat(to[canonical], values)
		}
	}
}
