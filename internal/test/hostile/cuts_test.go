package hostile_test

import (
	"fmt"
	"strings"
)

const (
	ok        = "HTTP/1.1 200 OK\r\n"
	okChunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

// okOf is a response that says this length, with this body.
func okOf(length int, body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, length, body)
}

// upload is a request with a body that is too long to go out at once.
func upload() string {
	return post("Content-Length: 1000000") + strings.Repeat("u", 1_000_000)
}

// cutRows are responses that end too early.
func cutRows() []responseRow {
	half := strings.Repeat("h", 512<<10)

	return []responseRow{
		{"nothing (C1)", "", says(closes), badGateway()},
		{"nothing to a POST (C1)", post("Content-Length: 5") + "hello", says(closes), badGateway()},
		{
			"nothing to half a body (C1)", post("Content-Length: 500000") + "half", saysAfter(readsHead, closes),
			badGateway().partial(),
		},
		{
			"half a head to half a body (C1)", post("Content-Length: 500000") + "half",
			saysAfter(readsHead, closes, ok+"X-A"), badGateway().partial(),
		},
		{"one byte (C1)", "", says(closes, "H"), badGateway()},
		{"half a status line (C1)", "", says(closes, "HTTP/1.1 20"), badGateway()},
		{"a status line (C1)", "", says(closes, ok), badGateway()},
		{"half a header (C1)", "", says(closes, ok+"Content-Len"), badGateway()},
		{"no empty line (C1)", "", says(closes, ok+"Content-Length: 5\r\n"), badGateway()},
		{"half an empty line (C1)", "", says(closes, ok+"Content-Length: 0\r\n\r"), badGateway()},
		{"only an empty line (C1)", "", says(closes, "\r\n\r\n"), badGateway()},
		{
			"half a head behind an interim one (C1)",
			"", says(closes, "HTTP/1.1 103 Early Hints\r\n\r\n", ok+"Content-Len"),
			badGateway().after(1),
		},
		{
			"half a head, reset (C1)",
			post("Content-Length: 5") + "hello", saysAfter(readsHead, resets, ok+"Content-Len"),
			badGateway(),
		},
		{"nothing, reset (C1)", post("Content-Length: 5") + "hello", saysAfter(readsHead, resets), badGateway()},
		{
			"half a head, reset in an upload (C1)",
			upload(), saysAfter(readsHead, resets, ok+"Content-Len"), badGateway(),
		},
		{"nothing, reset in an upload (C1)", upload(), saysAfter(readsHead, resets), badGateway()},
		{
			"closed as soon as accepted (C1)", post("Content-Length: 5") + "hello", saysAfter(readsNothing, closes),
			badGateway().unseen(),
		},
		{"50 of 100 bytes (C2)", "", says(closes, okOf(100, half[:50])), brokenVisibly()},
		{"no byte of 100 (C2)", "", says(closes, okOf(100, "")), brokenVisibly()},
		{"half of 1 MB (C2)", "", says(closes, okOf(1<<20, half)), brokenVisibly()},
		{"all bytes but one (C2)", "", says(closes, okOf(1<<19+1, half)), brokenVisibly()},
		{"50 of 100 bytes, then reset (C2)", upload(), saysAfter(readsHead, resets, okOf(100, half[:50])), broken()},
		{"half of 1 MB, then reset (C2)", upload(), saysAfter(readsHead, resets, okOf(1<<20, half)), broken()},
		{
			"50 of 100 bytes by HTTP/1.0 (C2)",
			"", says(closes, "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n"+half[:50]),
			brokenVisibly(),
		},
		{
			"5 of 2 to the 63rd - 1 bytes (C2 R-45)", "",
			says(closes, ok+"Content-Length: 9223372036854775807\r\n\r\nhello"), brokenVisibly(),
		},
		{"no chunk (C3)", "", says(closes, okChunked), broken()},
		{"in a size (C3)", "", says(closes, okChunked+"5"), broken()},
		{"in a chunk (C3)", "", says(closes, okChunked+"10\r\nhello"), broken()},
		{"behind a chunk (C3)", "", says(closes, okChunked+"5\r\nhello"), broken()},
		{"between chunks (C3)", "", says(closes, okChunked+"5\r\nhello\r\n"), broken()},
		{"behind the last size (C3)", "", says(closes, okChunked+"5\r\nhello\r\n0"), broken()},
		{"no last line end (C3)", "", says(closes, okChunked+"5\r\nhello\r\n0\r\n"), broken()},
		{"half a last line end (C3)", "", says(closes, okChunked+"5\r\nhello\r\n0\r\n\r"), broken()},
		{"in a trailer (C3)", "", says(closes, okChunked+"5\r\nhello\r\n0\r\nX-A: b"), broken()},
		{"behind a trailer (C3)", "", says(closes, okChunked+"5\r\nhello\r\n0\r\nX-A: b\r\n"), broken()},
		{"in a chunk of 512 KB (C3)", "", says(closes, okChunked+"100000\r\n"+half), broken()},
		{"in a chunk, then reset (C3)", upload(), saysAfter(readsHead, resets, okChunked+"10\r\nhello"), broken()},
	}
}
