package hostile_test

import "strings"

// extraRows are about bytes that no request has asked for. They must not be another
// client's response.
func extraRows() []responseRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

	// The server may read 16 KB at once: the body ends where they do.
	exact := func(n int) string {
		head := okOf(n, "")
		n -= len(head)
		return okOf(n, strings.Repeat("x", n))
	}
	exactBody := func(n int) string { return strings.Repeat("x", n-len(okOf(n, ""))) }

	return []responseRow{
		{"behind a length (C9 R-52)", "", says(keeps, okOf(2, "ab")+"cd"), whole("ab").dropping()},
		{"one byte (C9 R-52)", "", says(keeps, okOf(2, "ab")+"c"), whole("ab").dropping()},
		{"a line end (C9 R-52)", "", says(keeps, okOf(2, "ab")+"\r\n"), whole("ab").dropping()},
		{"behind length 0 (C9 R-52)", "", says(keeps, okOf(0, "")+forged), whole("").dropping()},
		{"behind chunks (C9 R-52)", "", says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"+forged), whole("ab").dropping()},
		{"1 MB (C9 R-52)", "", says(closes, okOf(2, "ab")+strings.Repeat("x", 1<<20)), whole("ab").dropping()},
		{"without an end (C9 R-52)", "", says(repeats, okOf(2, "ab")+forged, forged), whole("ab").dropping()},
		{"behind 16 KB (C9 R-52)", "", says(keeps, exact(16<<10)+forged), whole(exactBody(16 << 10)).dropping()},
		{"late, behind a length (C9 R-52)", "", saysLate(forged, keeps, okOf(2, "ab")), whole("ab").dropping()},
		{
			"late, behind chunks (C9 R-52)", "", saysLate(forged, keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").dropping(),
		},
		{"late, a line end (C9 R-52)", "", saysLate("\r\n", keeps, okOf(2, "ab")), whole("ab").dropping()},
		{
			"late, half a response (C9 R-52)", "", saysLate("HTTP/1.1 200 OK\r\nX-A", keeps, okOf(2, "ab")),
			whole("ab").dropping(),
		},
		{"two responses (C22 R-52)", "", says(keeps, okOf(2, "ab")+forged), whole("ab").dropping()},
		{
			"two responses, the first close-delimited (C22 R-52)", "", says(closes, ok+"\r\nab"+forged),
			whole("ab" + forged).dropping(),
		},
		{
			"1,000 responses (C22 R-52)",
			"", says(keeps, okOf(2, "ab")+strings.Repeat(forged, 1000)), whole("ab").dropping(),
		},
		{
			"two responses to a POST (C22 R-52)", post("Content-Length: 5") + "hello",
			says(keeps, okOf(2, "ab")+forged), whole("ab").dropping(),
		},
		{
			"late, a second response to a POST (C22 R-52)", post("Content-Length: 5") + "hello",
			saysLate(forged, keeps, okOf(2, "ab")), whole("ab").dropping(),
		},
		{
			"a response before the request (C22 R-52)", post("Content-Length: 5") + "hello",
			saysAfter(readsNothing, drains, forged), whole("forged").unseen(),
		},
	}
}

// bodilessRows are about responses that have no body, whatever they say.
func bodilessRows() []responseRow {
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	head := request("HEAD / HTTP/1.1")
	none := whole("")

	return []responseRow{
		{"204 (C12 R-52)", "", says(keeps, "HTTP/1.1 204 X\r\n\r\n"), none.of(204).keeping()},
		{
			"204 with a length (C12 R-52)", "", says(keeps, "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nab"),
			none.of(204).dropping(),
		},
		{
			"204 with a length of 0 (C12 R-52)", "", says(keeps, "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n"),
			none.of(204).keeping(),
		},
		{
			"204 with chunks (C12 R-52)", "", says(keeps, "HTTP/1.1 204 X\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			none.of(204).dropping(),
		},
		{"204 with a body (C12 R-52)", "", says(keeps, "HTTP/1.1 204 X\r\n\r\n"+forged), none.of(204).dropping()},
		{
			"204, and a body late (C12 R-52)",
			"", saysLate(forged, keeps, "HTTP/1.1 204 X\r\nContent-Length: 45\r\n\r\n"),
			none.of(204).dropping(),
		},
		{
			"304 (C12 R-52)", "", says(keeps, "HTTP/1.1 304 X\r\nETag: \"a\"\r\nContent-Length: 2\r\n\r\n"),
			none.of(304).with("ETag", `"a"`).keeping(),
		},
		{
			"304 with a body (C12 R-52)", "", says(keeps, "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\nab"),
			none.of(304).dropping(),
		},
		{
			"304 with chunks (C12 R-52)", "", says(keeps, "HTTP/1.1 304 X\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			none.of(304).dropping(),
		},
		{
			"304, and a body late (C12 R-52)",
			"", saysLate(forged, keeps, "HTTP/1.1 304 X\r\nContent-Length: 45\r\n\r\n"),
			none.of(304).dropping(),
		},
		{"HEAD (C12 R-52)", head, says(keeps, okOf(5, "")), none.with("Content-Length", "5").keeping()},
		{"HEAD with a body (C12 R-52)", head, says(keeps, okOf(5, "hello")), none.dropping()},
		{"HEAD with chunks (C12 R-52)", head, says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"), none.dropping()},
		{"HEAD with neither (C12 R-52)", head, says(keeps, ok+"\r\n"), none.keeping()},
		{"HEAD with a body and neither (C12 R-52)", head, says(closes, ok+"\r\nhello"), none.dropping()},
		{"HEAD, and a body late (C12 R-52)", head, saysLate(forged, keeps, okOf(45, "")), none.dropping()},
		{"HEAD with both (C12 R-52)", head, says(keeps, ok+"Content-Length: 5\r\n"+chunked+"\r\n\r\n"), badGateway()},
	}
}
