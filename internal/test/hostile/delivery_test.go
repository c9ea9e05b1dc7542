package hostile_test

import (
	"fmt"
	"strings"
)

// responseHeaderRows are about headers that are not for the client.
func responseHeaderRows() []responseRow {
	row := func(name, lines string, pairs ...string) responseRow {
		sends := says(keeps, ok+lines+"\r\nContent-Length: 2\r\n\r\nab")
		return responseRow{name, "", sends, whole("ab").with(pairs...)}
	}

	var cookies, merged strings.Builder
	for i := range 50 {
		fmt.Fprintf(&cookies, "Set-Cookie: c%d=%d; Path=/\r\n", i, i)
		fmt.Fprintf(&merged, ", c%d=%d; Path=/", i, i)
	}

	return []responseRow{
		row("close and another (C13 R-41)", "Connection: close, X-A\r\nX-A: 1\r\nX-B: 2", "X-A", "", "X-B", "2"),
		row("keep-alive and another (C13 R-41)", "Connection: keep-alive, X-A\r\nX-A: 1", "X-A", ""),
		row("another, by other cases (C13 R-41)", "connection: x-a\r\nX-A: 1\r\nx-a: 2", "X-A", ""),
		row("two fields (C13 R-41)", "X-B: 2\r\nConnection: X-A\r\nX-A: 1\r\nConnection: X-B", "X-A", "", "X-B", ""),
		row("odd commas (C13 R-41)", "Connection: ,, \tX-A ,,close,\r\nX-A: 1", "X-A", ""),
		row("what is about the connection (C13 R-41)",
			"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\nTE: x\r\nTrailer: "+
				"X-A\r\nUpgrade: h2c"),
		row("Content-Length (C13 R-41)", "Connection: Content-Length"),
		row("X-Sendfile (C14)", "X-Sendfile: /etc/passwd", "X-Sendfile", ""),
		row("X-Sendfile by other cases (C14)", "x-sendfile: /etc/passwd", "X-Sendfile", ""),
		row("X-Accel-Redirect (C14)", "X-Accel-Redirect: /protected/a", "X-Accel-Redirect", ""),
		row("X-Accel-Redirect, and much else (C14)",
			"X-Accel-Redirect: /etc/passwd\r\nX-Accel-Buffering: no\r\nX-Accel-Charset: x", "X-Accel-Redirect", ""),
		row("own headers (R-40)", "!~Request-OOB-Work: yes\r\n!~A: b\r\n!~: c\r\nX-A: b", "X-A", "b"),
		row("Status (C8 C21)", "Status: 500 Oops"),
		row("50 cookies (C8)", strings.TrimSuffix(cookies.String(), "\r\n"), "Set-Cookie", merged.String()[2:]),
		row("one name by other cases (C8)", "x-a: 1\r\nX-A: 2\r\nX-a: 3", "X-A", "1, 2, 3"),
		row("Date and Server (C8)", "Date: yesterday\r\nServer: app", "Date", "yesterday", "Server", "app"),
		row("no type (C8)", "X-A: b", "Content-Type", ""),
		row("a name of net/http (C8)", "Trailer-X-A: b\r\nTransfer-Encodin: chunked", "Trailer-X-A", "b"),
		{
			"a type for markup (C8)", "", says(keeps, ok+"Content-Length: 8\r\n\r\n<script>"),
			whole("<script>").with("Content-Type", "").keeping(),
		},
		{
			"close with a long s (R-61 C13)",
			"", says(keeps, ok+"Connection: clo\u017fe\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").keeping(),
		},
	}
}

// deliveryRows are about responses that come in an odd manner.
func deliveryRows() []responseRow {
	large := strings.Repeat("0123456789abcdef", 256<<10) // 4 MB
	pausing := func(then ending, pieces ...string) func() *script {
		return func() *script {
			sc := newScript(then, pieces...)
			sc.pauses = true
			return sc
		}
	}
	const unkept = ok + "X-Accel-Buffering: no\r\n"
	patient := func(then ending, pieces ...string) func() *script {
		return func() *script {
			sc := newScript(then, pieces...)
			sc.patient = true
			return sc
		}
	}

	return []responseRow{
		{
			"byte by byte (C18)", "", says(keeps, bytewise(ok+"X-A: b\r\nContent-Length: 5\r\n\r\nhello")...),
			whole("hello").with("X-A", "b").keeping(),
		},
		{
			"chunks byte by byte (C18)", "", says(keeps, bytewise(okChunked+"5\r\nhello\r\n0\r\n\r\n")...),
			whole("hello").keeping(),
		},
		{"to its end byte by byte (C18)", "", says(closes, bytewise(ok+"\r\nhello")...), whole("hello").dropping()},
		{
			"a line end in two pieces (C18)",
			"", says(keeps, ok+"Content-Length: 2\r\n\r", "\nab"), whole("ab").keeping(),
		},
		{"after a while (C18)", "", patient(keeps, okOf(2, "ab")), whole("ab").keeping()},
		{"a pause in the head (C18)", "", pausing(keeps, ok+"Content-", "Length: 2\r\n\r\nab"), whole("ab").keeping()},
		{"a pause behind the head (C18)", "", pausing(keeps, okOf(2, ""), "ab"), whole("ab").keeping()},
		{"a pause in a body (C18)", "", pausing(keeps, okOf(4, "ab"), "cd"), whole("abcd").keeping()},
		{
			"pauses in chunks (C18)", "", pausing(keeps, okChunked+"2\r\na", "b\r", "\n2\r\ncd\r\n0\r\n", "\r\n"),
			whole("abcd").keeping(),
		},
		{
			"a pause to HTTP/1.0 (C18)", request("GET / HTTP/1.0"), pausing(closes, ok+"\r\nab", "cd"),
			whole("abcd").dropping(),
		},
		{
			"a pause between chunks (C18)", "", pausing(keeps, okChunked+"2\r\nab\r\n", "2\r\ncd\r\n", "0\r\n\r\n"),
			whole("abcd").keeping(),
		},
		{
			"a pause, and the end of the connection (C18)", "", pausing(closes, ok+"\r\nab", "cd"),
			whole("abcd").dropping(),
		},
		{"a pause in 100 bytes, and the end (C2)", "", pausing(closes, okOf(100, "ab"), "cd"), brokenVisibly()},
		{"a pause in a chunk, and the end (C3)", "", pausing(closes, okChunked+"5\r\nab", "c"), brokenVisibly()},
		{
			"a pause, and bytes that are too many (C9 R-52)", "", pausing(keeps, okOf(4, "ab"), "cd"+okOf(6, "forged")),
			whole("abcd").dropping(),
		},
		{
			"4 MB that are not kept (C18)", "", says(keeps, unkept+"Content-Length: 4194304\r\n\r\n"+large),
			whole(large).framed("length").keeping(),
		},
		{"a pause in chunks that are not kept (C18)", "", pausing(keeps, unkept+chunked+"\r\n\r\n2\r\nab\r\n",
			"2\r\ncd\r\n0\r\n\r\n"), whole("abcd").keeping()},
		{
			"50 of 100 bytes that are not kept (C2)", "", says(closes, unkept+"Content-Length: 100\r\n\r\n"+large[:50]),
			broken(),
		},
		{"half a chunk that is not kept (C3)", "", says(closes, unkept+chunked+"\r\n\r\n5\r\nab"), broken()},
		{"behind a length that is not kept (C9 R-52)", "", says(keeps, unkept+"Content-Length: 2\r\n\r\nab"+
			okOf(6, "forged")), whole("ab").dropping()},
		{"behind chunks that are not kept (C9 R-52)", "", says(keeps, unkept+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"+
			okOf(6, "forged")), whole("ab").dropping()},
		{"4 MB (C18)", "", says(keeps, okOf(len(large), large)), whole(large).framed("length").keeping()},
		{
			"4 MB in chunks (C18)", "", says(keeps, okChunked+"400000\r\n"+large+"\r\n0\r\n\r\n"),
			whole(large).framed("chunked").keeping(),
		},
		{
			"20,000 chunks (C18)", "", says(keeps, okChunked+strings.Repeat("1\r\nx\r\n", 20_000)+"0\r\n\r\n"),
			whole(strings.Repeat("x", 20_000)).keeping(),
		},
		{"closed although it says nothing of that (C18)", "", says(closes, okOf(2, "ab")), whole("ab").dropping()},
		{"reset although it says nothing of that (C18)", "", says(resets, okOf(2, "ab")), whole("ab").dropping()},
		{
			"closed as it says (C18)", "", says(closes, ok+"Connection: close\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").dropping(),
		},
		{
			"kept although it says close (C18)", "", says(keeps, ok+"Connection: close\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").dropping(),
		},
		{
			"the body again (C18)", post("Content-Length: 5") + "hello", says(keeps, okOf(5, "hello")),
			whole("hello").keeping(),
		},
		{
			"HTTP/1.0 that stays (C18)",
			request("GET / HTTP/1.0", "Connection: keep-alive"), says(keeps, okOf(2, "ab")),
			whole("ab").framed("length").keeping(),
		},
	}
}

// leavingRows are about clients that do not wait.
func leavingRows() []responseRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

	return []responseRow{
		{"a response that is too late (C19 R-52)", "", saysLate(forged, hangs), left()},
		{
			"a response to a POST that is too late (C19 R-52)",
			post("Content-Length: 5") + "hello", saysLate(forged, hangs),
			left(),
		},
		{
			"a response to half a body (C19 R-52)", post("Content-Length: 500000") + "half",
			saysAfter(readsHead, hangs), left().partial(),
		},
		{
			"a response to half of the chunks (C19 R-52)", post(chunked) + "4\r\nhalf\r\n", saysAfter(readsHead, hangs),
			left().partial(),
		},
		{
			"half a response, and the rest too late (C19 R-52)",
			"", saysLate("cond half", hangs, okOf(20, "first half ")),
			left(),
		},
		{"a response without an end (C17)", "", says(repeats, ok+"\r\n", strings.Repeat("x", 8<<10)), left()},
		{"chunks without an end (C17)", "", says(repeats, okChunked, strings.Repeat("5\r\nhello\r\n", 1000)), left()},
		{"a length without an end (C17)", "", says(repeats, ok+"Content-Length: 9223372036854775807\r\n\r\n",
			strings.Repeat("x", 8<<10)), left()},
		{"events without an end (C17)", "", says(repeats, ok+"Content-Type: text/event-stream\r\n\r\n",
			strings.Repeat("data: x\n\n", 1000)), left()},
	}
}
