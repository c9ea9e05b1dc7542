package hostile_test

import (
	"fmt"
	"strings"
)

// answerHeaderRows are about headers that are not for the client.
func answerHeaderRows() []answerRow {
	row := func(name, lines string, pairs ...string) answerRow {
		return answerRow{name, "", says(keeps, ok+lines+"\r\nContent-Length: 2\r\n\r\nab"), whole("ab").with(pairs...)}
	}

	var cookies, merged strings.Builder
	for i := range 50 {
		fmt.Fprintf(&cookies, "Set-Cookie: c%d=%d; Path=/\r\n", i, i)
		fmt.Fprintf(&merged, ", c%d=%d; Path=/", i, i)
	}

	return []answerRow{
		row("C13 R-41 close and another", "Connection: close, X-A\r\nX-A: 1\r\nX-B: 2", "X-A", "", "X-B", "2"),
		row("C13 R-41 keep-alive and another", "Connection: keep-alive, X-A\r\nX-A: 1", "X-A", ""),
		row("C13 R-41 another, by other cases", "connection: x-a\r\nX-A: 1\r\nx-a: 2", "X-A", ""),
		row("C13 R-41 two fields", "X-B: 2\r\nConnection: X-A\r\nX-A: 1\r\nConnection: X-B", "X-A", "", "X-B", ""),
		row("C13 R-41 odd commas", "Connection: ,, \tX-A ,,close,\r\nX-A: 1", "X-A", ""),
		row("C13 R-41 what is about the connection",
			"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\nTE: x\r\nTrailer: "+
				"X-A\r\nUpgrade: h2c"),
		row("C13 R-41 Content-Length", "Connection: Content-Length"),
		row("C14 X-Sendfile", "X-Sendfile: /etc/passwd", "X-Sendfile", ""),
		row("C14 X-Sendfile by other cases", "x-sendfile: /etc/passwd", "X-Sendfile", ""),
		row("C14 X-Accel-Redirect", "X-Accel-Redirect: /protected/a", "X-Accel-Redirect", ""),
		row("C14 X-Accel-Redirect, and much else",
			"X-Accel-Redirect: /etc/passwd\r\nX-Accel-Buffering: no\r\nX-Accel-Charset: x", "X-Accel-Redirect", ""),
		row("R-40 own headers", "!~Request-OOB-Work: yes\r\n!~A: b\r\n!~: c\r\nX-A: b", "X-A", "b"),
		row("C8 Status", "Status: 500 Oops"),
		row("C8 50 cookies", strings.TrimSuffix(cookies.String(), "\r\n"), "Set-Cookie", merged.String()[2:]),
		row("C8 one name by other cases", "x-a: 1\r\nX-A: 2\r\nX-a: 3", "X-A", "1, 2, 3"),
		row("C8 Date and Server", "Date: yesterday\r\nServer: app", "Date", "yesterday", "Server", "app"),
		row("C8 no type", "X-A: b", "Content-Type", ""),
		row("C8 a name of net/http", "Trailer-X-A: b\r\nTransfer-Encodin: chunked", "Trailer-X-A", "b"),
		{
			"C8 a type for markup", "", says(keeps, ok+"Content-Length: 8\r\n\r\n<script>"),
			whole("<script>").with("Content-Type", "").keeping(),
		},
		{
			"R-61 C13 close with a long s", "", says(keeps, ok+"Connection: clo\u017fe\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").keeping(),
		},
	}
}

// deliveryRows are about answers that come in an odd manner.
func deliveryRows() []answerRow {
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

	return []answerRow{
		{
			"C18 byte by byte", "", says(keeps, bytewise(ok+"X-A: b\r\nContent-Length: 5\r\n\r\nhello")...),
			whole("hello").with("X-A", "b").keeping(),
		},
		{
			"C18 chunks byte by byte", "", says(keeps, bytewise(okChunked+"5\r\nhello\r\n0\r\n\r\n")...),
			whole("hello").keeping(),
		},
		{"C18 to its end byte by byte", "", says(closes, bytewise(ok+"\r\nhello")...), whole("hello").dropping()},
		{"C18 a line end in two pieces", "", says(keeps, ok+"Content-Length: 2\r\n\r", "\nab"), whole("ab").keeping()},
		{"C18 after a while", "", patient(keeps, okOf(2, "ab")), whole("ab").keeping()},
		{"C18 a pause in the head", "", pausing(keeps, ok+"Content-", "Length: 2\r\n\r\nab"), whole("ab").keeping()},
		{"C18 a pause behind the head", "", pausing(keeps, okOf(2, ""), "ab"), whole("ab").keeping()},
		{"C18 a pause in a body", "", pausing(keeps, okOf(4, "ab"), "cd"), whole("abcd").keeping()},
		{
			"C18 pauses in chunks", "", pausing(keeps, okChunked+"2\r\na", "b\r", "\n2\r\ncd\r\n0\r\n", "\r\n"),
			whole("abcd").keeping(),
		},
		{
			"C18 a pause to HTTP/1.0", request("GET / HTTP/1.0"), pausing(closes, ok+"\r\nab", "cd"),
			whole("abcd").dropping(),
		},
		{
			"C18 a pause between chunks", "", pausing(keeps, okChunked+"2\r\nab\r\n", "2\r\ncd\r\n", "0\r\n\r\n"),
			whole("abcd").keeping(),
		},
		{
			"C18 a pause, and the end of the connection", "", pausing(closes, ok+"\r\nab", "cd"),
			whole("abcd").dropping(),
		},
		{"C2 a pause in 100 bytes, and the end", "", pausing(closes, okOf(100, "ab"), "cd"), brokenVisibly()},
		{"C3 a pause in a chunk, and the end", "", pausing(closes, okChunked+"5\r\nab", "c"), brokenVisibly()},
		{
			"C9 R-52 a pause, and bytes that are too many", "", pausing(keeps, okOf(4, "ab"), "cd"+okOf(6, "forged")),
			whole("abcd").dropping(),
		},
		{
			"C18 4 MB that are not kept", "", says(keeps, unkept+"Content-Length: 4194304\r\n\r\n"+large),
			whole(large).framed("length").keeping(),
		},
		{"C18 a pause in chunks that are not kept", "", pausing(keeps, unkept+chunked+"\r\n\r\n2\r\nab\r\n",
			"2\r\ncd\r\n0\r\n\r\n"), whole("abcd").keeping()},
		{
			"C2 50 of 100 bytes that are not kept", "", says(closes, unkept+"Content-Length: 100\r\n\r\n"+large[:50]),
			broken(),
		},
		{"C3 half a chunk that is not kept", "", says(closes, unkept+chunked+"\r\n\r\n5\r\nab"), broken()},
		{"C9 R-52 behind a length that is not kept", "", says(keeps, unkept+"Content-Length: 2\r\n\r\nab"+
			okOf(6, "forged")), whole("ab").dropping()},
		{"C9 R-52 behind chunks that are not kept", "", says(keeps, unkept+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"+
			okOf(6, "forged")), whole("ab").dropping()},
		{"C18 4 MB", "", says(keeps, okOf(len(large), large)), whole(large).framed("length").keeping()},
		{
			"C18 4 MB in chunks", "", says(keeps, okChunked+"400000\r\n"+large+"\r\n0\r\n\r\n"),
			whole(large).framed("chunked").keeping(),
		},
		{
			"C18 20,000 chunks", "", says(keeps, okChunked+strings.Repeat("1\r\nx\r\n", 20_000)+"0\r\n\r\n"),
			whole(strings.Repeat("x", 20_000)).keeping(),
		},
		{"C18 closed although it says nothing of that", "", says(closes, okOf(2, "ab")), whole("ab").dropping()},
		{"C18 reset although it says nothing of that", "", says(resets, okOf(2, "ab")), whole("ab").dropping()},
		{
			"C18 closed as it says", "", says(closes, ok+"Connection: close\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").dropping(),
		},
		{
			"C18 kept although it says close", "", says(keeps, ok+"Connection: close\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").dropping(),
		},
		{
			"C18 the body again", post("Content-Length: 5") + "hello", says(keeps, okOf(5, "hello")),
			whole("hello").keeping(),
		},
		{
			"C18 HTTP/1.0 that stays", request("GET / HTTP/1.0", "Connection: keep-alive"), says(keeps, okOf(2, "ab")),
			whole("ab").framed("length").keeping(),
		},
	}
}

// leavingRows are about clients that do not wait.
func leavingRows() []answerRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

	return []answerRow{
		{"C19 R-52 an answer that is too late", "", saysLate(forged, hangs), left()},
		{
			"C19 R-52 an answer to a POST that is too late", post("Content-Length: 5") + "hello", saysLate(forged, hangs),
			left(),
		},
		{
			"C19 R-52 an answer to half a body", post("Content-Length: 500000") + "half", saysAfter(readsHead, hangs),
			left().partial(),
		},
		{
			"C19 R-52 an answer to half of the chunks", post(chunked) + "4\r\nhalf\r\n", saysAfter(readsHead, hangs),
			left().partial(),
		},
		{
			"C19 R-52 half an answer, and the rest too late", "", saysLate("cond half", hangs, okOf(20, "first half ")),
			left(),
		},
		{"C17 an answer without an end", "", says(repeats, ok+"\r\n", strings.Repeat("x", 8<<10)), left()},
		{"C17 chunks without an end", "", says(repeats, okChunked, strings.Repeat("5\r\nhello\r\n", 1000)), left()},
		{"C17 a length without an end", "", says(repeats, ok+"Content-Length: 9223372036854775807\r\n\r\n",
			strings.Repeat("x", 8<<10)), left()},
		{"C17 events without an end", "", says(repeats, ok+"Content-Type: text/event-stream\r\n\r\n",
			strings.Repeat("data: x\n\n", 1000)), left()},
	}
}
