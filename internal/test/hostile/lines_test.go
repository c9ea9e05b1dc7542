package hostile_test

import "strings"

// lineRows are about line ends and white space in the head.
func lineRows() []requestRow {
	return []requestRow{
		{"LF ends all lines (R-33)", "GET / HTTP/1.1\nHost: x\nX-A: b\n\n", refused("400"), ""},
		{"LF ends one line (R-33)", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\nX-B: c\r\n\r\n", refused("400"), ""},
		{"LF ends the head (R-33)", "GET / HTTP/1.1\r\nHost: x\r\n\n", refused("400"), ""},
		{"LF ends the request line (R-33)", "GET / HTTP/1.1\nHost: x\r\n\r\n", refused("400"), ""},
		{"LF CR (R-33)", "GET / HTTP/1.1\n\rHost: x\n\r\n\r", refused("400"), ""},

		{"CR ends all lines (R-33)", "GET / HTTP/1.1\rHost: x\r\r", refused("400"), ""},
		{"CR in a value (R-33)", get("X-A: b\rc"), refused("400"), ""},
		{"CR at the end of a value (R-33)", get("X-A: b\r"), refused("400"), ""},
		{"CR in a name (R-33)", get("X-\rA: b"), refused("400"), ""},
		{"CR in the target (R-33)", request("GET /a\rb HTTP/1.1"), refused("400"), ""},
		{"CR in the version (R-33)", request("GET / HTTP\r/1.1"), refused("400"), ""},

		{"NUL in a value (R-33)", get("X-A: b\x00c"), refused("400"), ""},
		{"NUL in a name (R-33)", get("X-\x00A: b"), refused("400"), ""},
		{"NUL in the target (R-33)", request("GET /a\x00b HTTP/1.1"), refused("400"), ""},
		{"NUL in the method (R-33)", request("GE\x00T / HTTP/1.1"), refused("400"), ""},
		{"NUL at the beginning (R-33)", "\x00" + get(), refused("400"), ""},
		{"NUL ends the head (R-33)", "GET / HTTP/1.1\r\nHost: x\r\n\x00\r\n\r\n", refused("400"), ""},

		{"escape in a value (R-33)", get("X-A: \x1b[31mred"), refused("400"), ""},
		{"DEL in a value (R-33)", get("X-A: b\x7f"), refused("400"), ""},
		{"LF at the beginning of a value (R-33)", get("X-A:\nb"), refused("400"), ""},
		{"LF and a space at the beginning of a value (R-33)", get("X-A:\n b"), refused("400"), ""},
		{"LF behind a space in a value (R-33)", get("X-A: \nb"), refused("400"), ""},

		{"byte 0x85 in front of a value (R-33)", get("X-A: \x85b"), refused("400"), ""},
		{"byte 0x85 behind a value (R-33)", get("X-A: b\x85"), refused("400"), ""},
		{"byte 0xa0 in front of a value (R-33)", get("X-A: \xa0b"), refused("400"), ""},
		{"byte 0xa0 behind a value (R-33)", get("X-A: b\xa0 "), refused("400"), ""},
		{"byte 0xa0 alone (R-33)", get("X-A:\xa0"), refused("400"), ""},
		{"no-break space behind a value (R-33)", get("X-A: b\u00a0"), refused("400"), ""},
		{"next line in front of a value (R-33)", get("X-A: \u0085b"), refused("400"), ""},
		{
			"a letter that ends with 0xa0 (R-33)", get("X-A: voil\u00e0"), passed("GET /").with("X-A", "voil\u00e0"),
			"no parser takes it for a space",
		},
		{"a body and bytes 0xa0 (R-33)", post("Content-Length: \xa05") + "hello", refused("400"), ""},

		{"VT in front of a value (R-33)", get("X-A: \x0bb"), refused("400"), ""},
		{"FF behind a value (R-33)", get("X-A: b\x0c"), refused("400"), ""},
		{"tab in a value (R-33)", get("X-A: b\tc"), passed("GET /").with("X-A", "b\tc"), "RFC 9110 allows it"},
		{
			"bytes beyond ASCII in a value (R-33)", get("X-A: \xff\xe4\xc3\xa4"),
			passed("GET /").with("X-A", "\xff\xe4\xc3\xa4"), "RFC 9110 allows them",
		},

		{"space before the colon (R-33)", get("X-A : b"), refused("400"), ""},
		{"tab before the colon (R-33)", get("X-A\t: b"), refused("400"), ""},
		{"space before the colon of a length (R-33)", post("Content-Length : 5") + "hello", refused("400"), ""},
		{
			"space before the colon of a coding (R-33)",
			post("Transfer-Encoding : chunked") + "0\r\n\r\n", refused("400"),
			"",
		},

		{"space in a name (R-33)", get("X A: b"), refused("400"), ""},
		{"space before the first header (R-33)", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", refused("400"), ""},
		{"tab before the first header (R-33)", "GET / HTTP/1.1\r\n\tHost: x\r\n\r\n", refused("400"), ""},
		{"a folded line (R-33)", get("X-A: b\r\n c"), refused("400"), ""},
		{"a line folded by a tab (R-33)", get("X-A: b\r\n\tc"), refused("400"), ""},
		{"a folded line that looks like a header (R-33)", get("X-A: b\r\n Content-Length: 5"), refused("400"), ""},
		{"a line of spaces (R-33)", get("X-A: b\r\n  "), refused("400"), ""},
		{"no name (R-33)", get(": b"), refused("400"), ""},
		{"no colon (R-33)", get("X-A"), refused("400"), ""},
		{"parenthesis in a name (R-33)", get("X(A: b"), refused("400"), ""},
		{"slash in a name (R-33)", get("X/A: b"), refused("400"), ""},
		{"name beyond ASCII (R-33)", get("X-\xc3\xa4: b"), refused("400"), ""},
		{"quoted name (R-33)", get(`"X-A": b`), refused("400"), ""},
		{
			"empty line in front (R-33)", "\r\n" + get(), refused("400"),
			"net/http: takes none in front of the first request",
		},
		{
			"empty line behind a body (R-33)",
			post("Content-Length: 5") + "hello\r\n", passed("POST /").ofBody("hello"),
			"net/http: RFC 9112 lets it skip it",
		},

		{"two spaces in the request line (R-33)", request("GET  / HTTP/1.1"), refused("400"), ""},
		{"two spaces before the version (R-33)", request("GET /  HTTP/1.1"), refused("400"), ""},
		{"tabs in the request line (R-33)", request("GET\t/\tHTTP/1.1"), refused("400"), ""},
		{"space behind the version (R-33)", request("GET / HTTP/1.1 "), refused("400"), ""},
		{"space in front of the method (R-33)", " " + get(), refused("400"), ""},

		{"only a line end, and the client leaves (R-33)", "\n", outcome{codes: "400", closed: true, half: true}, ""},
		{"half a head, and the client leaves (R-33)", "GET / HTTP/1.1\r\nHost: x\r\nX-A", outcome{
			codes:  "400",
			closed: true,
			half:   true,
		}.optionalCodes(), ""},
		{"no empty line, and the client leaves (R-33)", "GET / HTTP/1.1\r\nHost: x\r\n", outcome{
			codes:  "400",
			closed: true,
			half:   true,
		}.optionalCodes(), ""},
		{"a head byte by byte (R-33)", get("X-A: b"), passed("GET /").with("X-A", "b").byteByByte(), ""},
		{
			"a body byte by byte (R-33)", post("Content-Length: 100") + strings.Repeat("x", 100),
			passed("POST /").ofBody(strings.Repeat("x", 100)).byteByByte(), "",
		},
	}
}
