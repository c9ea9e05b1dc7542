package hostile_test

import (
	"fmt"
	"strings"
)

// statusRows are about the status line.
func statusRows() []responseRow {
	bad := func(name, line string) responseRow {
		return responseRow{name + " (C6)", "", says(keeps, line+"\r\nContent-Length: 0\r\n\r\n"), badGateway()}
	}
	good := func(name, line string, status int) responseRow {
		return responseRow{
			name + " (C6)", "", says(keeps, line+"\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").of(status).keeping(),
		}
	}

	return []responseRow{
		good("no reason", "HTTP/1.1 200", 200),
		good("no reason but a space", "HTTP/1.1 404 ", 404),
		good("a reason beyond ASCII", "HTTP/1.1 404 Fu\xdf", 404),
		good("status 599", "HTTP/1.1 599 X", 599),
		good("status 604", "HTTP/1.1 604 X", 604),
		good("status 999", "HTTP/1.1 999 X", 999),
		bad("status 099", "HTTP/1.1 099 X"),
		bad("status 99", "HTTP/1.1 99 X"),
		bad("status 1000", "HTTP/1.1 1000 X"),
		bad("status 20", "HTTP/1.1 20 X"),
		bad("status 0", "HTTP/1.1 000 X"),
		bad("status -20", "HTTP/1.1 -20 X"),
		bad("status +20", "HTTP/1.1 +20 X"),
		bad("status 2e2", "HTTP/1.1 2e2 X"),
		bad("status in words", "HTTP/1.1 OK"),
		bad("status in Arabic", "HTTP/1.1 \u0662\u0660\u0660 OK"),
		bad("status and reason in one", "HTTP/1.1 200OK"),
		bad("two spaces", "HTTP/1.1  200 OK"),
		bad("tab", "HTTP/1.1\t200\tOK"),
		bad("no status", "HTTP/1.1"),
		bad("no version", "200 OK"),
		bad("space in front", " HTTP/1.1 200 OK"),
		bad("empty line in front", "\r\nHTTP/1.1 200 OK"),
		bad("version HTTP/2.0", "HTTP/2.0 200 OK"),
		bad("version HTTP/1.2", "HTTP/1.2 200 OK"),
		bad("version HTTP/0.9", "HTTP/0.9 200 OK"),
		bad("version in lower case", "http/1.1 200 OK"),
		bad("ICY", "ICY 200 OK"),
		bad("a header for it, as of CGI", "Status: 200 OK"),
		bad("something else", "220 mail.example ESMTP"),
		{"HTTP/0.9 (C6 C21)", "", says(closes, "<html>hello</html>\r\n\r\n"), badGateway()},
		{"random bytes (C6)", "", says(closes, randomBytes(64<<10)), badGateway()},
		{"1 MB of NUL (C6)", "", says(closes, strings.Repeat("\x00", 1<<20)), badGateway()},
		{"a reply of the session protocol (C6)", "", says(closes, "pong"), badGateway()},
	}
}

// headRows are about the lines of a head.
func headRows() []responseRow {
	bad := func(name, lines string) responseRow {
		return responseRow{name + " (C8 R-44)", "", says(keeps, ok+lines+"\r\nContent-Length: 0\r\n\r\n"), badGateway()}
	}
	good := func(name, lines string, pairs ...string) responseRow {
		return responseRow{
			name + " (C8 R-44)", "", says(keeps, ok+lines+"\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").with(pairs...).keeping(),
		}
	}

	return []responseRow{
		bad("CR in a value", "X-A: b\rc"),
		bad("CR at the end of a value", "X-A: b\r"),
		bad("LF in a value", "X-A: b\nc"),
		bad("LF and a header", "X-A: b\nSet-Cookie: c=d"),
		bad("LF and a response", "X-A: b\n\nHTTP/1.1 200 OK\nContent-Length: 0\n\n"),
		bad("NUL in a value", "X-A: b\x00c"),
		bad("DEL in a value", "X-A: b\x7f"),
		bad("escape in a value", "X-A: \x1b[31m"),
		bad("CR in a name", "X-\rA: b"),
		bad("LF in a name", "X-\nA: b"),
		bad("NUL in a name", "X-\x00A: b"),
		bad("a line of NUL", "X-A: b\r\n\x00"),
		bad("space before the colon", "X-A : b"),
		bad("tab before the colon", "X-A\t: b"),
		bad("space in a name", "X A: b"),
		bad("name beyond ASCII", "X-\xe4: b"),
		bad("parenthesis in a name", "X(A: b"),
		bad("a folded line", "X-A: b\r\n c"),
		bad("a line folded by a tab", "X-A: b\r\n\tc"),
		bad("a folded line first", " X-A: b"),
		bad("no colon", "X-A"),
		bad("no name", ": b"),
		bad("a space for a name", " : b"),
		{"LF ends all lines (C8 R-44)", "", says(closes, "HTTP/1.1 200 OK\nContent-Length: 0\n\n"), badGateway()},
		{"CR ends all lines (C8 R-44)", "", says(closes, "HTTP/1.1 200 OK\rContent-Length: 0\r\r"), badGateway()},
		{"LF ends the head (C8 R-44)", "", says(closes, ok+"Content-Length: 2\r\n\nab"), badGateway()},
		{
			"NUL in the reason phrase (C8 R-44)", "", says(keeps, "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n"),
			badGateway(),
		},
		{
			"CR in the reason phrase (C8 R-44)", "", says(keeps, "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
			badGateway(),
		},
		good("tab in a value", "X-A: b\tc", "X-A", "b\tc"),
		good("bytes beyond ASCII in a value", "X-A: \xe4\xff", "X-A", "\xe4\xff"),
		good("no value", "X-A:\r\nX-B: \t ", "X-A", "", "X-B", ""),
		good("no space behind the colon", "X-A:b:c", "X-A", "b:c"),
		good("an encoded line end", "Location: /a%0d%0aSet-Cookie:%20b", "Location", "/a%0d%0aSet-Cookie:%20b"),
		good("characters of a token in a name", "!#$%&'*+-.^_`|~0A: b"),
	}
}

// headSizeRows are about how much of a head there is.
func headSizeRows() []responseRow {
	const limit, length = 64 << 10, "Content-Length: 2\r\n"
	cookie := "a=" + strings.Repeat("b", 1000)
	sized := func(n int) string {
		filler := n - len(ok+length+"X-A: \r\n\r\n")
		return ok + length + "X-A: " + strings.Repeat("x", filler) + "\r\n\r\nab"
	}
	lines := func(n int) string {
		var b strings.Builder
		b.WriteString(ok + length)

		for i := range n - 1 {
			fmt.Fprintf(&b, "X-%d: y\r\n", i)
		}

		return b.String() + "\r\nab"
	}

	return []responseRow{
		{"64 KB of head (C7 R-45)", "", says(keeps, sized(limit)), whole("ab").keeping()},
		{"one byte less (C7 R-45)", "", says(keeps, sized(limit-1)), whole("ab").keeping()},
		{"one byte more (C7 R-45)", "", says(keeps, sized(limit+1)), badGateway()},
		{"12 MB of head (C7 R-45)", "", says(closes, sized(12<<20)), badGateway()},
		{
			"a head without an end (C7 R-45)", "", says(repeats, ok, "X-A: "+strings.Repeat("x", 1000)+"\r\n"),
			badGateway(),
		},
		{"a line without an end (C7 R-45)", "", says(repeats, ok+"X-A: ", strings.Repeat("x", 1000)), badGateway()},
		{
			"a status line without an end (C7 R-45)", "", says(repeats, "HTTP/1.1 200 ", strings.Repeat("x", 1000)),
			badGateway(),
		},
		{"100 lines (C7 R-45)", "", says(keeps, lines(100)), whole("ab").keeping()},
		{"101 lines (C7 R-45)", "", says(keeps, lines(101)), badGateway()},
		{"5,000 lines (C7 R-45)", "", says(keeps, lines(5000)), badGateway()},
		{"20,000 lines (C7 R-45)", "", says(closes, lines(20_000)), badGateway()},
		{
			"101 times one header (C7 R-45)",
			"", says(keeps, ok+length+strings.Repeat("Set-Cookie: a=b\r\n", 100)+"\r\nab"),
			badGateway(),
		},
		{
			"60 cookies of 1,000 bytes (C7 R-45)", "",
			says(keeps, ok+length+strings.Repeat("Set-Cookie: "+cookie+"\r\n", 60)+"\r\nab"),
			whole("ab").with("Set-Cookie", cookie+strings.Repeat(", "+cookie, 59)).keeping(),
		},
		{"8 KB byte by byte (C7 R-45)", "", says(keeps, bytewise(sized(8<<10))...), whole("ab").keeping()},
	}
}
