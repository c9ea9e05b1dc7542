package handler

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Limits of the head of an answer. One that exceeds them is malformed.
const (
	maxResponseFields = 100
	// maxInterim is how many answers of status 1xx may come before the one.
	maxInterim = 16
)

// response is the application's answer.
type response struct {
	status int
	header http.Header // by canonical names
	// spellings are those that the application has of other names.
	spellings []spelling
	// length is that of the body: -1 up to the end of the connection.
	length  int64
	chunked bool
	// keepAlive: the application will not close the connection.
	keepAlive bool
	// complete: its body has been read to its end.
	complete bool
	http10   bool
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadResponse, fmt.Sprintf(format, args...))
}

// readHead reads the head of the answer, after passing on interim ones.
func (x *exchange) readHead() error {
	if _, err := x.br.Peek(1); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}

	x.session.Report(nil)
	if x.event.FirstByte == 0 {
		x.event.FirstByte = x.since()
	}

	for interim := 0; ; interim++ {
		head, err := x.readHeadBytes()
		if err != nil {
			return err
		}

		if err := x.resp.parse(head); err != nil {
			return err
		}

		switch {
		case x.resp.status == http.StatusSwitchingProtocols:
			return x.checkSwitch()
		case x.resp.status >= 200:
			return x.resp.frame(x.r.Method)
		}

		if interim == maxInterim {
			return malformed("more than %d interim answers", maxInterim)
		}

		x.passInterim()
	}
}

// passInterim gives the client an interim answer: early hints, mostly. That it
// may go on is the server's to say, which has.
func (x *exchange) passInterim() {
	if x.resp.status == http.StatusContinue || !x.r.ProtoAtLeast(1, 1) {
		return
	}

	out := x.w.Header()
	before := out.Clone()
	x.resp.copyHeader(out)
	x.w.WriteHeader(x.resp.status)
	clear(out)
	maps.Copy(out, before)
}

// readHeadBytes reads up to the empty line, which it includes.
func (x *exchange) readHeadBytes() (string, error) {
	end := []byte("\r\n\r\n")

	x.out = x.out[:0]
	for {
		if _, err := x.br.Peek(1); err != nil {
			return "", fmt.Errorf("%w: in its head: %w", errAppDied, err)
		}

		piece, _ := x.br.Peek(x.br.Buffered())
		from := max(len(x.out)-len(end)+1, 0)
		seen := len(x.out)
		x.out = append(x.out, piece...)
		if i := bytes.Index(x.out[from:], end); i >= 0 {
			size := from + i + len(end)
			_, _ = x.br.Discard(size - seen) // of what is buffered
			x.out = x.out[:size]
			if size > x.h.cfg.MaxResponseHead {
				return "", malformed("its head is over %d bytes", x.h.cfg.MaxResponseHead)
			}

			return string(x.out), nil
		}

		if len(x.out) > x.h.cfg.MaxResponseHead {
			return "", malformed("its head is over %d bytes", x.h.cfg.MaxResponseHead)
		}

		_, _ = x.br.Discard(len(piece))
	}
}

// parse reads a head. It is stricter than some: a line ends with CRLF, a name
// is a token with the colon right after it, and nothing is folded.
func (p *response) parse(head string) error {
	line, rest, _ := strings.Cut(head, "\r\n")
	if err := p.parseStatusLine(line); err != nil {
		return err
	}

	if p.header == nil {
		p.header = make(http.Header, 8)
	}

	clear(p.header)
	p.spellings = p.spellings[:0]
	values := make([]string, 0, strings.Count(rest, "\r\n"))
	if cap(values) > maxResponseFields+1 {
		return malformed("more than %d header fields", maxResponseFields)
	}

	for {
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
		if had := p.header[name]; had != nil {
			p.header[name] = append(had, value)
			continue
		}

		p.spell(name, written)
		values = append(values, value)
		p.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

func (p *response) parseStatusLine(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")

	switch version {
	case "HTTP/1.1":
		p.http10 = false
	case "HTTP/1.0":
		p.http10 = true
	default:
		return malformed("status line %.40q", line)
	}

	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 100 || !httpfield.ValidValue(reason) {
		return malformed("status line %.40q", line)
	}

	p.status = status

	return nil
}

// frame finds out where the body ends, RFC 9112 section 6.3, without the
// leniency that allows to disagree about it.
func (p *response) frame(method string) error {
	p.length, p.chunked = -1, false

	lengths, codings := p.header["Content-Length"], p.header["Transfer-Encoding"]
	switch {
	case len(lengths) > 0 && len(codings) > 0:
		return malformed("both a length and a transfer coding")
	case len(lengths) > 1 || len(codings) > 1:
		return malformed("two lengths or transfer codings")
	case len(codings) == 1:
		if !httpfield.EqualFold(codings[0], "chunked") || p.http10 {
			return malformed("transfer coding %.40q", codings[0])
		}

		p.chunked = true
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil || lengths[0][0] == '+' {
			return malformed("length %.40q", lengths[0])
		}

		p.length = int64(n)
	}

	if method == http.MethodHead || p.status == http.StatusNoContent || p.status == http.StatusNotModified {
		p.length, p.chunked = 0, false
	}

	tokens := p.header["Connection"]
	p.keepAlive = (p.chunked || p.length >= 0) && !hasToken(tokens, "close") &&
		(!p.http10 || hasToken(tokens, "keep-alive"))

	return nil
}

// checkSwitch accepts the change of protocol that was asked for and no other.
func (x *exchange) checkSwitch() error {
	if x.upgrade == "" || !hasToken(x.resp.header["Upgrade"], x.upgrade) {
		return malformed("it changes to a protocol that was not asked for")
	}

	return nil
}

// copyHeader gives to what is for the client. What middleware has set before stays
// beside it, or gives way: see joins.
func (p *response) copyHeader(to http.Header) {
	listed := connectionTokens(p.header)
	gather(to, p.header)

	for name, values := range p.header {
		if hopByHop[name] || ownHeader(name) || name == "Content-Length" || name == "Status" ||
			slices.Contains(listed, name) {
			continue
		}

		to[name] = beside(to, name, values)
	}
}

// joins are the header fields of a response that add up: of which several come from
// several places, and what one says does not replace what another one says.
var joins = map[string]bool{
	"Set-Cookie": true, "Vary": true, "Link": true, "Server-Timing": true, "Via": true, "Www-Authenticate": true,
	"Content-Security-Policy": true, "Content-Security-Policy-Report-Only": true, "Accept-Ch": true,
	"Access-Control-Expose-Headers": true, "Cache-Status": true, "Report-To": true,
}

// beside returns the values of a field that the application has, behind those that
// middleware has set if it is one of joins.
func beside(to http.Header, name string, values []string) []string {
	if len(to) == 0 {
		return values // the ordinary case
	}

	if had := to[name]; len(had) > 0 && joins[name] {
		return slices.Concat(had, values)
	}

	return values
}

// gather puts what middleware has set by another spelling of a name in from under the
// name, so that no field is there twice.
func gather(to, from http.Header) {
	for name, values := range to {
		canonical := http.CanonicalHeaderKey(name)
		if _, both := from[canonical]; both && canonical != name {
			delete(to, name)
			to[canonical] = slices.Concat(to[canonical], values)
		}
	}
}
