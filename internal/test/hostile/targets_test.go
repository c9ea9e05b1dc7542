package hostile_test

import "strings"

// targetRows are about what is asked for.
func targetRows() []requestRow {
	raw := func(name, target string) requestRow {
		return requestRow{name + " (R-62)", request("GET " + target + " HTTP/1.1"), passed("GET " + target), ""}
	}
	ask := func(name, line string, want outcome, why string, lines ...string) requestRow {
		return requestRow{name + " (R-36 D20)", bare(append([]string{line}, lines...)...), want, why}
	}
	bad := refused("400")

	return []requestRow{
		raw("query with semicolons", "/?a=1;b=2&a=3;;c"),
		raw("query with odd escapes", "/?a=%zz&b=%&c=%u1234&%00"),
		raw("query with question marks", "/a?b?c??"),
		raw("empty query", "/a?"),
		raw("path with semicolons", "/a;jsessionid=1/b;c"),
		raw("encoded slashes", "/a%2Fb%2f..%2Fc"),
		raw("dots", "/a/../../b/./c/..;/d/%2e%2e/e"),
		raw("double slashes", "//a//b///"),
		raw("a slash and an authority", "//evil.example/a"),
		raw("encoded NUL", "/a%00b?%00"),
		raw("encoded line ends", "/a%0d%0aX-A:%20b"),
		raw("bytes beyond ASCII", "/\xc3\xa4\xff?\xfe"),
		raw("quotes and brackets", "/\"<>\\^`{|}[]"),
		raw("an absolute target in the path", "/http://evil.example/"),
		raw("an absolute target in the query", "/?u=http://evil.example/"),
		ask("absolute", "GET http://x/a?b HTTP/1.1", passed("GET /a?b").with("Host", "x"), "", "Host: x"),
		ask("absolute, upper case", "GET HTTP://x/a HTTP/1.1", passed("GET /a"), "", "Host: x"),
		ask("absolute without a path", "GET http://x HTTP/1.1", passed("GET /"), "", "Host: x"),
		ask("absolute with a query only", "GET http://x?a=/b HTTP/1.1", passed("GET /?a=/b"), "", "Host: x"),
		ask("absolute with dots", "GET http://x/a/../%2e%2e//b HTTP/1.1", passed("GET /a/../%2e%2e//b"), "", "Host: x"),
		ask("a fragment", "GET /a#b?c HTTP/1.1", bad, "", "Host: x"),
		ask("a fragment in the query", "GET /a?b#c HTTP/1.1", bad, "", "Host: x"),
		ask("a fragment alone", "GET #a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute with a fragment", "GET http://x/a#b HTTP/1.1", bad, "", "Host: x"),
		ask("absolute of another authority", "GET http://evil.example/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute by other cases", "GET http://X.example/a HTTP/1.1", passed("GET /a"), "", "Host: x.Example"),
		ask("absolute by HTTP/1.0", "GET http://x/a HTTP/1.0", passed("GET /a").with("Host", "x").last(), ""),
		ask("absolute with a user", "GET http://user:secret@x/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute without Host", "GET http://x/a HTTP/1.1", bad, ""),
		ask("absolute of another scheme", "GET ftp://x/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute without an authority", "GET http:///a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute with a host that is none", "GET http://a\"<b>/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute with an encoded host", "GET http://%c3%a4.example/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute with line ends in the host", "GET http://a%0d%0aX-A:b/a HTTP/1.1", bad, "", "Host: x"),
		ask("absolute with a bad port", "GET http://x:port/a HTTP/1.1", bad, "", "Host: x"),
		ask("opaque", "GET http:x HTTP/1.1", declined("400"), "", "Host: x"),
		ask("no slash", "GET a HTTP/1.1", bad, "", "Host: x"),
		ask("a query only", "GET ?a HTTP/1.1", bad, "", "Host: x"),
		ask("a backslash", "GET \\a HTTP/1.1", bad, "", "Host: x"),
		ask("no target", "GET HTTP/1.1", bad, "", "Host: x"),
		ask("a space", "GET /a b HTTP/1.1", bad, "", "Host: x"),
		ask("bad escape in the path", "GET /a%zz HTTP/1.1", bad, "net/http: wants a path that it can decode",
			"Host: x"),
		ask("OPTIONS asterisk", "OPTIONS * HTTP/1.1", declined("200"), "net/http: responds itself", "Host: x"),
		ask("OPTIONS asterisk with a body", "OPTIONS * HTTP/1.1", declined("200"), "net/http: responds itself",
			"Host: x", "Content-Length: 0"),
		ask("GET asterisk", "GET * HTTP/1.1", declined("400"), "", "Host: x"),
		ask("POST asterisk", "POST * HTTP/1.1", declined("400"), "", "Host: x", "Content-Length: 0"),
		ask("GET authority", "GET x:80 HTTP/1.1", declined("400"), "", "Host: x"),
		ask("CONNECT", "CONNECT x:80 HTTP/1.1", declined("405|501"), "", "Host: x:80"),
		ask("CONNECT without Host", "CONNECT x:80 HTTP/1.1", declined("400|405|501"), "net/http: wants none there"),
		ask("CONNECT of a path", "CONNECT /a HTTP/1.1", declined("405|501"), "", "Host: x"),
		ask("connect", "connect x:80 HTTP/1.1", declined("400|405|501"), "", "Host: x"),
	}
}

// hostRows are about Host.
func hostRows() []requestRow {
	host := func(name string, want outcome, why string, lines ...string) requestRow {
		return requestRow{name + " (R-36)", bare(append([]string{"GET / HTTP/1.1"}, lines...)...), want, why}
	}
	const any = "net/http: it has only characters of a host"
	bad := refused("400")

	return []requestRow{
		host("no Host", bad, ""),
		host("two Hosts", bad, "", "Host: x", "Host: y"),
		host("two equal Hosts", bad, "", "Host: x", "Host: x"),
		host("two Hosts by other cases", bad, "", "Host: x", "hOST: y"),
		host("no Host but its name", bad, "", "H_ost: x"),
		host("empty Host", passed("GET /"), "RFC 9110 allows it", "Host:"),
		host("Host with a port", passed("GET /").with("Host", "x:8080"), "", "Host: x:8080"),
		host("Host of IPv6", passed("GET /").with("Host", "[::1]:80"), "", "Host: [::1]:80"),
		host("Host with a user", bad, "", "Host: a@x"),
		host("Host with a path", bad, "", "Host: x/a"),
		host("Host with a query", bad, "", "Host: x?a"),
		host("Host with a fragment", bad, "", "Host: x#a"),
		host("Host with a space", bad, "", "Host: x y"),
		host("Host with a tab", bad, "", "Host: x\ty"),
		host("Host with quotes", bad, "", `Host: "x"`),
		host("Host with angle brackets", bad, "", "Host: <x>"),
		host("Host with a backslash", bad, "", `Host: x\y`),
		host("Host beyond ASCII", bad, "", "Host: \xc3\xa4.example"),
		host("Host with a NUL", bad, "", "Host: x\x00"),
		host("Host that is a list", passed("GET /").with("Host", "x,y").unlessRefused("400"), any, "Host: x,y"),
		host("Host on a folded line", bad, "", "Host:\r\n x"),
		host("Host with two ports", bad, "", "Host: x:80:80"),
		host("Host with an open bracket", bad, "", "Host: [x"),
		host("Host with a port in words", bad, "", "Host: x:http"),
		host("Host of 8,000 bytes", passed("GET /").with("Host", strings.Repeat("x", 8000)).unlessRefused("400|431"),
			any, "Host: "+strings.Repeat("x", 8000)),
		host("X-Forwarded-Host", passed("GET /").with("Host", "x", "X-Forwarded-Host", ""), "", "Host: x",
			"X-Forwarded-Host: evil.example"),
		host("Host that Connection names", passed("GET /").with("Host", "x"), "", "Host: x", "Connection: Host"),
	}
}

// versionRows are about what is no HTTP/1.1.
func versionRows() []requestRow {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	bad := refused("400")
	version := func(version string, want outcome) requestRow {
		return requestRow{"version " + version + " (R-36)", request("GET / " + version), want, ""}
	}

	return []requestRow{
		{"HTTP/1.0 without Host (R-36)", bare("GET / HTTP/1.0"), passed("GET /").last(), ""},
		{"HTTP/1.0, kept (R-36)", request("GET / HTTP/1.0", "Connection: keep-alive"), passed("GET /"), ""},
		{
			"HTTP/1.0, kept and closed (R-36)",
			request("GET / HTTP/1.0", "Connection: keep-alive, close"), passed("GET /"),
			"net/http: keeps it open",
		},
		{"HTTP/0.9 (R-36)", "GET /\r\n", bad, ""},
		{"HTTP/0.9 without a line end, and the client leaves (R-36)", "GET /", outcome{
			codes:  "400",
			half:   true,
			silent: true,
		}, ""},
		version("HTTP/1.2", refused("505")), version("HTTP/1.9", refused("505")),
		version("HTTP/0.9", refused("400|505")), version("HTTP/2.0", refused("400|505")),
		version("HTTP/3.0", refused("400|505")),
		version("HTTP/2", bad), version("HTTP/1.10", bad), version("HTTP/1.1.1", bad), version("HTTP/01.1", bad),
		version("HTTP/+1.1", bad),
		version("HTTP/11", bad), version("http/1.1", bad), version("HTTP 1.1", bad), version("ICY/1.1", bad),
		version("HTTP/1.\u0661", bad),
		{
			"preface of HTTP/2 and a request of HTTP/1.1 (D15)", preface + get(), refused("505"),
			"HTTP/2 without TLS is an option",
		},
		{"preface of HTTP/2 and nothing, and the client leaves (D15)", preface, outcome{
			codes:  "505",
			half:   true,
			closed: true,
		}, ""},
		{"preface of HTTP/2 behind a request (D15)", get() + preface, outcome{
			closed: true,
			codes:  "200 505",
			seen:   []string{"GET /"},
		}, ""},
		{"preface with a header (D15)", "PRI * HTTP/2.0\r\nHost: x\r\n\r\nSM\r\n\r\n", refused("505"), ""},
		{"hello of TLS, and the client leaves (D15)", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" +
			strings.Repeat("\x8f", 150), outcome{
			half:   true,
			codes:  "400",
			silent: true,
		}, "net/http: waits for the end of the line, but not for long"},
		{"hello of TLS with a line end in it (D15)", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" +
			strings.Repeat("\x8f", 50) + "\r\n", bad, ""},
		{"random bytes (D15)", randomBytes(64 << 10), bad, ""},
		{"1 MB of NUL (D15)", strings.Repeat("\x00", 1<<20), refused("400|431"), ""},
		{"1 MB of line ends (D15)", strings.Repeat("\r\n", 1<<19), bad, ""},
		{"1 MB of spaces (D15)", strings.Repeat(" ", 1<<20), refused("400|431"), ""},
		{"the PROXY protocol (D15)", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(), bad, ""},
		{"SMTP (D15)", "HELO x\r\n", bad, ""},
	}
}
