package hostile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxAccepted is how many rows of the set may be accepted: those that other servers refuse
// by limits of a configuration, or where an old habit is at stake and not a rule.
const maxAccepted = 6

// refusedSetRows are requests that servers for applications refuse, by rule: the kinds of
// which such servers have collections, so that they can be counted.
func refusedSetRows() []requestRow {
	const configured = "another server refuses it by a limit of its configuration"
	bad, inBody := refused("400"), refusedInBody()
	row := func(name, raw string, want outcome) requestRow {
		return requestRow{"set: " + name + " (D14)", raw, want, ""}
	}
	line := func(name, line string, want outcome) requestRow { return row(name, request(line), want) }
	head := func(name string, want outcome, lines ...string) requestRow {
		return row(name, post(lines...)+"hello", want)
	}
	body := func(name, body string) requestRow { return row(name, post(chunked)+body, inBody) }
	accepted := func(name, raw string, want outcome) requestRow {
		return requestRow{"set: " + name + " (D14)", raw, want, configured}
	}

	return []requestRow{
		// The first line.
		line("a method alone", "GET", bad),
		line("a method and a target", "GET /foo", bad),
		line("four words", "GET /foo bar HTTP/1.1", bad),
		line("no target", "GET  HTTP/1.1", bad),
		line("a dash and a colon in the method", "-bl:argh /foo HTTP/1.1", bad),
		line("brackets in the method", "[GET] /foo HTTP/1.1", bad),
		line("a question mark in the method", "GET? /foo HTTP/1.1", bad),
		line("a sharp s in the method", "GE\u00df /foo HTTP/1.1", bad),
		line("a letter of Latin-1 in the method", "GE\xdf /foo HTTP/1.1", bad),
		line("a NUL behind the method", "GET\x00 /foo HTTP/1.1", bad),
		line("a method of 5,000 bytes", strings.Repeat("GET", 1667)+" /foo HTTP/1.1", refused("501")),
		line("a tab in the place of a space", "GET\t/foo HTTP/1.1", bad),
		line("another protocol", "GET /foo FTP/1.1", bad),
		line("a protocol in small letters", "GET /foo http/1.1", bad),
		line("a version without a dot", "GET /foo HTTP/11", bad),
		line("a version of two digits", "GET /foo HTTP/1.11", bad),
		line("a version before the first", "GET /foo HTTP/0.99", bad),
		line("a version 0.9", "GET /foo HTTP/0.9", refused("505")),
		line("a version to come", "GET /foo HTTP/2.0", refused("505")),
		line("a version 1.5", "GET /foo HTTP/1.5", refused("505")),
		line("a space behind the version", "GET /foo HTTP/1.1 ", bad),
		line("a fragment", "GET /foo#bar HTTP/1.1", bad),
		line("a relative target", "GET foo HTTP/1.1", bad),
		line("a control character in the target", "GET /\x01 HTTP/1.1", bad),
		row("LF behind the first line", "GET /foo HTTP/1.1\nHost: x\r\n\r\n", bad),
		row("CR behind the first line", "GET /foo HTTP/1.1\rHost: x\r\n\r\n", bad),
		row("a hello of TLS", "\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\r\n\r\n", bad),
		row("a PROXY line", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"+get(), bad),
		row("a broken PROXY line", "PROXY UNKNOWN x y\r\n"+get(), bad),
		// The lines of a head.
		head("a NUL in a name", bad, "ba\x00z: bar"),
		head("a space in front of the colon", bad, "Foo : bar"),
		head("a tab in front of the colon", bad, "Foo\t: bar"),
		head("a space in a name", bad, "Foo bar: baz"),
		head("a name beyond ASCII", bad, "H\u00f6st: x"),
		head("a name of Latin-1", bad, "H\xf6st: x"),
		head("a bracket in a name", bad, "Foo[: bar"),
		head("no name", bad, ": bar"),
		head("no colon", bad, "foo"),
		head("a folded line", bad, "Foo: bar\r\n baz"),
		head("a line folded by a tab", bad, "Foo: bar\r\n\tbaz"),
		head("a NUL in a value", bad, "Foo: b\x00r"),
		head("CR in a value", bad, "Foo: b\rr"),
		head("LF in front of a value", bad, "Foo:\nbar"),
		head("LF in a value", bad, "Foo: b\nr"),
		head("0xa0 behind a value", bad, "Foo: bar\xa0"),
		head("0x85 in front of a value", bad, "Foo: \x85bar"),
		head("no host", bad, "Host: y"), // a second one
		head("two types", bad, "Content-Type: a/b", "Content-Type: a/b"),
		// What says where the body ends.
		head("a length in words", bad, "Content-Length: five"),
		head("a length with a sign", bad, "Content-Length: +5"),
		head("a negative length", bad, "Content-Length: -5"),
		head("a length with an underscore", bad, "Content-Length: 0_5"),
		head("a length of other digits", bad, "Content-Length: \u0665"),
		head("a length beyond a space of Latin-1", bad, "Content-Length: \xa05"),
		head("two lengths", bad, "Content-Length: 5", "Content-Length: 6"),
		head("two equal lengths", bad, "Content-Length: 5", "Content-Length: 5"),
		head("a list of lengths", bad, "Content-Length: 5,5"),
		head("length and coding", bad, "Content-Length: 5", chunked),
		head("coding and length", bad, chunked, "Content-Length: 5"),
		head("an unknown coding", refused("501"), "Transfer-Encoding: cow"),
		head("chunked twice", refused("501"), "Transfer-Encoding: chunked, chunked"),
		head("chunked, and another coding", refused("501"), "Transfer-Encoding: chunked, gzip"),
		head("two fields for the coding", refused("501"), chunked, "Transfer-Encoding: identity"),
		head("a coding with a vertical tab", bad, "Transfer-Encoding: \x0bchunked"),
		head("a coding beyond ASCII", refused("501"), "Transfer-Encoding: chun\u212aed"),
		row("a coding by HTTP/1.0", request("POST / HTTP/1.0", chunked)+"0\r\n\r\n", bad),
		body("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
		body("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
		body("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
		body("a size behind a space", " 5\r\nhello\r\n0\r\n\r\n"),
		body("no line end behind a chunk", "5\r\nhello0\r\n\r\n"),
		body("LF behind a size", "5\nhello\r\n0\r\n\r\n"),
		body("a length in the trailer", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
		body("a line without a colon in the trailer", "5\r\nhello\r\n0\r\nfoo\r\n\r\n"),
		// What only a configuration refuses.
		accepted("a first line of 5,000 bytes", request("GET /"+strings.Repeat("a", 4980)+" HTTP/1.1"),
			passed("GET /"+strings.Repeat("a", 4980))),
		accepted("a field of 8,100 bytes", get("X-A: "+strings.Repeat("a", 8100)), passed("GET /")),
		accepted("a method in small letters", request("get / HTTP/1.1"), passed("get /")),
		accepted("a name with an underscore", get("X_Forwarded_For: 192.0.2.1"),
			passed("GET /").without("X-Forwarded-Fo")),
	}
}

func TestRefusedSet(t *testing.T) {
	accepted := 0

	rows := refusedSetRows()
	for _, row := range rows {
		if len(row.want.seen) > 0 {
			accepted++
		}
	}

	require.LessOrEqual(t, accepted, maxAccepted)
	t.Logf("%d of %d are accepted", accepted, len(rows))
}
