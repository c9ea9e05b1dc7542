package hostile_test

import (
	"fmt"
	"strings"
)

const (
	ok        = "HTTP/1.1 200 OK\r\n"
	okChunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

// okOf is an answer that says this length, with this body.
func okOf(length int, body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, length, body)
}

// upload is a request with a body that is too long to go out at once.
func upload() string {
	return post("Content-Length: 1000000") + strings.Repeat("u", 1_000_000)
}

// cutRows are answers that end too early.
func cutRows() []answerRow {
	half := strings.Repeat("h", 512<<10)

	return []answerRow{
		{"C1 nothing", "", says(closes), badGateway()},
		{"C1 nothing to a POST", post("Content-Length: 5") + "hello", says(closes), badGateway()},
		{
			"C1 nothing to half a body", post("Content-Length: 500000") + "half", saysAfter(readsHead, closes),
			badGateway().partial(),
		},
		{
			"C1 half a head to half a body", post("Content-Length: 500000") + "half",
			saysAfter(readsHead, closes, ok+"X-A"), badGateway().partial(),
		},
		{"C1 one byte", "", says(closes, "H"), badGateway()},
		{"C1 half a status line", "", says(closes, "HTTP/1.1 20"), badGateway()},
		{"C1 a status line", "", says(closes, ok), badGateway()},
		{"C1 half a header", "", says(closes, ok+"Content-Len"), badGateway()},
		{"C1 no empty line", "", says(closes, ok+"Content-Length: 5\r\n"), badGateway()},
		{"C1 half an empty line", "", says(closes, ok+"Content-Length: 0\r\n\r"), badGateway()},
		{"C1 only an empty line", "", says(closes, "\r\n\r\n"), badGateway()},
		{
			"C1 half a head behind an interim one", "", says(closes, "HTTP/1.1 103 Early Hints\r\n\r\n", ok+"Content-Len"),
			badGateway().after(1),
		},
		{
			"C1 half a head, reset", post("Content-Length: 5") + "hello", saysAfter(readsHead, resets, ok+"Content-Len"),
			badGateway(),
		},
		{"C1 nothing, reset", post("Content-Length: 5") + "hello", saysAfter(readsHead, resets), badGateway()},
		{"C1 half a head, reset in an upload", upload(), saysAfter(readsHead, resets, ok+"Content-Len"), badGateway()},
		{"C1 nothing, reset in an upload", upload(), saysAfter(readsHead, resets), badGateway()},
		{
			"C1 closed as soon as accepted", post("Content-Length: 5") + "hello", saysAfter(readsNothing, closes),
			badGateway().unseen(),
		},
		{"C2 50 of 100 bytes", "", says(closes, okOf(100, half[:50])), brokenVisibly()},
		{"C2 no byte of 100", "", says(closes, okOf(100, "")), brokenVisibly()},
		{"C2 half of 1 MB", "", says(closes, okOf(1<<20, half)), brokenVisibly()},
		{"C2 all bytes but one", "", says(closes, okOf(1<<19+1, half)), brokenVisibly()},
		{"C2 50 of 100 bytes, then reset", upload(), saysAfter(readsHead, resets, okOf(100, half[:50])), broken()},
		{"C2 half of 1 MB, then reset", upload(), saysAfter(readsHead, resets, okOf(1<<20, half)), broken()},
		{
			"C2 50 of 100 bytes by HTTP/1.0", "", says(closes, "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n"+half[:50]),
			brokenVisibly(),
		},
		{
			"C2 R-45 5 of 2 to the 63rd - 1 bytes", "",
			says(closes, ok+"Content-Length: 9223372036854775807\r\n\r\nhello"), brokenVisibly(),
		},
		{"C3 no chunk", "", says(closes, okChunked), broken()},
		{"C3 in a size", "", says(closes, okChunked+"5"), broken()},
		{"C3 in a chunk", "", says(closes, okChunked+"10\r\nhello"), broken()},
		{"C3 behind a chunk", "", says(closes, okChunked+"5\r\nhello"), broken()},
		{"C3 between chunks", "", says(closes, okChunked+"5\r\nhello\r\n"), broken()},
		{"C3 behind the last size", "", says(closes, okChunked+"5\r\nhello\r\n0"), broken()},
		{"C3 no last line end", "", says(closes, okChunked+"5\r\nhello\r\n0\r\n"), broken()},
		{"C3 half a last line end", "", says(closes, okChunked+"5\r\nhello\r\n0\r\n\r"), broken()},
		{"C3 in a trailer", "", says(closes, okChunked+"5\r\nhello\r\n0\r\nX-A: b"), broken()},
		{"C3 behind a trailer", "", says(closes, okChunked+"5\r\nhello\r\n0\r\nX-A: b\r\n"), broken()},
		{"C3 in a chunk of 512 KB", "", says(closes, okChunked+"100000\r\n"+half), broken()},
		{"C3 in a chunk, then reset", upload(), saysAfter(readsHead, resets, okChunked+"10\r\nhello"), broken()},
	}
}
