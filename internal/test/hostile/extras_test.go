package hostile_test

import "strings"

// extraRows are about bytes that nobody has asked for. They must not be another
// client's answer.
func extraRows() []answerRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

	// The server may read 16 KB at once: the body ends where they do.
	exact := func(n int) string {
		head := okOf(n, "")
		n -= len(head)
		return okOf(n, strings.Repeat("x", n))
	}
	exactBody := func(n int) string { return strings.Repeat("x", n-len(okOf(n, ""))) }

	return []answerRow{
		{"C9 R-52 behind a length", "", says(keeps, okOf(2, "ab")+"cd"), whole("ab").dropping()},
		{"C9 R-52 one byte", "", says(keeps, okOf(2, "ab")+"c"), whole("ab").dropping()},
		{"C9 R-52 a line end", "", says(keeps, okOf(2, "ab")+"\r\n"), whole("ab").dropping()},
		{"C9 R-52 behind length 0", "", says(keeps, okOf(0, "")+forged), whole("").dropping()},
		{"C9 R-52 behind chunks", "", says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"+forged), whole("ab").dropping()},
		{"C9 R-52 1 MB", "", says(closes, okOf(2, "ab")+strings.Repeat("x", 1<<20)), whole("ab").dropping()},
		{"C9 R-52 without an end", "", says(repeats, okOf(2, "ab")+forged, forged), whole("ab").dropping()},
		{"C9 R-52 behind 16 KB", "", says(keeps, exact(16<<10)+forged), whole(exactBody(16 << 10)).dropping()},
		{"C9 R-52 late, behind a length", "", saysLate(forged, keeps, okOf(2, "ab")), whole("ab").dropping()},
		{
			"C9 R-52 late, behind chunks", "", saysLate(forged, keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").dropping(),
		},
		{"C9 R-52 late, a line end", "", saysLate("\r\n", keeps, okOf(2, "ab")), whole("ab").dropping()},
		{
			"C9 R-52 late, half an answer", "", saysLate("HTTP/1.1 200 OK\r\nX-A", keeps, okOf(2, "ab")),
			whole("ab").dropping(),
		},
		{"C22 R-52 two answers", "", says(keeps, okOf(2, "ab")+forged), whole("ab").dropping()},
		{
			"C22 R-52 two answers, the first close-delimited", "", says(closes, ok+"\r\nab"+forged),
			whole("ab" + forged).dropping(),
		},
		{"C22 R-52 1,000 answers", "", says(keeps, okOf(2, "ab")+strings.Repeat(forged, 1000)), whole("ab").dropping()},
		{
			"C22 R-52 two answers to a POST", post("Content-Length: 5") + "hello", says(keeps, okOf(2, "ab")+forged),
			whole("ab").dropping(),
		},
		{
			"C22 R-52 late, a second answer to a POST", post("Content-Length: 5") + "hello",
			saysLate(forged, keeps, okOf(2, "ab")), whole("ab").dropping(),
		},
		{
			"C22 R-52 an answer before the request", post("Content-Length: 5") + "hello",
			saysAfter(readsNothing, drains, forged), whole("forged").unseen(),
		},
	}
}

// bodilessRows are about answers that have no body, whatever they say.
func bodilessRows() []answerRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	head := request("HEAD / HTTP/1.1")
	none := whole("")

	return []answerRow{
		{"C12 R-52 204", "", says(keeps, "HTTP/1.1 204 X\r\n\r\n"), none.of(204).keeping()},
		{
			"C12 R-52 204 with a length", "", says(keeps, "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nab"),
			none.of(204).dropping(),
		},
		{
			"C12 R-52 204 with a length of 0", "", says(keeps, "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n"),
			none.of(204).keeping(),
		},
		{
			"C12 R-52 204 with chunks", "", says(keeps, "HTTP/1.1 204 X\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			none.of(204).dropping(),
		},
		{"C12 R-52 204 with a body", "", says(keeps, "HTTP/1.1 204 X\r\n\r\n"+forged), none.of(204).dropping()},
		{
			"C12 R-52 204, and a body late", "", saysLate(forged, keeps, "HTTP/1.1 204 X\r\nContent-Length: 45\r\n\r\n"),
			none.of(204).dropping(),
		},
		{
			"C12 R-52 304", "", says(keeps, "HTTP/1.1 304 X\r\nETag: \"a\"\r\nContent-Length: 2\r\n\r\n"),
			none.of(304).with("ETag", `"a"`).keeping(),
		},
		{
			"C12 R-52 304 with a body", "", says(keeps, "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\nab"),
			none.of(304).dropping(),
		},
		{
			"C12 R-52 304 with chunks", "", says(keeps, "HTTP/1.1 304 X\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			none.of(304).dropping(),
		},
		{
			"C12 R-52 304, and a body late", "", saysLate(forged, keeps, "HTTP/1.1 304 X\r\nContent-Length: 45\r\n\r\n"),
			none.of(304).dropping(),
		},
		{"C12 R-52 HEAD", head, says(keeps, okOf(5, "")), none.with("Content-Length", "5").keeping()},
		{"C12 R-52 HEAD with a body", head, says(keeps, okOf(5, "hello")), none.dropping()},
		{"C12 R-52 HEAD with chunks", head, says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"), none.dropping()},
		{"C12 R-52 HEAD with neither", head, says(keeps, ok+"\r\n"), none.keeping()},
		{"C12 R-52 HEAD with a body and neither", head, says(closes, ok+"\r\nhello"), none.dropping()},
		{"C12 R-52 HEAD, and a body late", head, saysLate(forged, keeps, okOf(45, "")), none.dropping()},
		{"C12 R-52 HEAD with both", head, says(keeps, ok+"Content-Length: 5\r\n"+chunked+"\r\n\r\n"), badGateway()},
	}
}
