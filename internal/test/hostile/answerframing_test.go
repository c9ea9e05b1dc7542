package hostile_test

import "strings"

// answerLengthRows are about where an answer ends.
func answerLengthRows() []answerRow {
	length := func(name, lines string) answerRow {
		return answerRow{"C5 " + name, "", says(keeps, ok+lines+"\r\n\r\n12"), badGateway()}
	}
	coding := func(name, lines string) answerRow {
		return answerRow{"C5 " + name, "", says(keeps, ok+lines+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"), badGateway()}
	}

	return []answerRow{
		{
			"C4 length, then coding", "", says(keeps, ok+"Content-Length: 5\r\n"+chunked+"\r\n\r\n0\r\n\r\n"),
			badGateway(),
		},
		{"C4 coding, then length", "", says(keeps, ok+chunked+"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), badGateway()},
		{
			"C4 length 0 and coding", "", says(keeps, ok+"Content-Length: 0\r\n"+chunked+"\r\n\r\n0\r\n\r\n"),
			badGateway(),
		},
		{
			"C4 length and coding identity", "",
			says(keeps, ok+"Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nab"), badGateway(),
		},
		length("two lengths that differ", "Content-Length: 1\r\nContent-Length: 2"),
		length("two lengths that are equal", "Content-Length: 2\r\nContent-Length: 2"),
		length("two lengths by other cases", "Content-Length: 2\r\ncontent-length: 2"),
		length("length -1", "Content-Length: -1"),
		length("length +2", "Content-Length: +2"),
		length("length 0x2", "Content-Length: 0x2"),
		length("length 2_0", "Content-Length: 2_0"),
		length("length 2.0", "Content-Length: 2.0"),
		length("empty length", "Content-Length:"),
		length("length that is a list", "Content-Length: 2, 2"),
		length("length with a space in it", "Content-Length: 2 2"),
		length("length in Arabic", "Content-Length: \u0662"),
		length("length in words", "Content-Length: two"),
		length("R-45 length 2 to the 63rd", "Content-Length: 9223372036854775808"),
		length("R-45 length 2 to the 64th plus 2", "Content-Length: 18446744073709551618"),
		{"C5 zeros in front of the length", "", says(keeps, ok+"Content-Length: 002\r\n\r\n12"), whole("12").keeping()},
		{
			"C5 white space around the length", "", says(keeps, ok+"Content-Length: \t2 \t\r\n\r\n12"),
			whole("12").keeping(),
		},
		coding("coding gzip, chunked", "Transfer-Encoding: gzip, chunked"),
		coding("coding chunked, gzip", "Transfer-Encoding: chunked, gzip"),
		coding("coding chunked, chunked", "Transfer-Encoding: chunked, chunked"),
		coding("coding identity", "Transfer-Encoding: identity"),
		coding("coding xchunked", "Transfer-Encoding: xchunked"),
		coding("coding with a comma", "Transfer-Encoding: ,chunked"),
		coding("empty coding", "Transfer-Encoding:"),
		coding("two codings", chunked+"\r\n"+chunked),
		coding("R-61 coding with a Kelvin sign", "Transfer-Encoding: chun\u212aed"),
		{
			"C5 coding by HTTP/1.0", "", says(closes, "HTTP/1.0 200 OK\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			badGateway(),
		},
		{
			"C5 coding in capitals", "", says(keeps, ok+"TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			whole("ab").keeping(),
		},
		{"C15 neither", "", says(closes, ok+"\r\nall of it"), whole("all of it").dropping()},
		{"C15 neither, in two pieces", "", says(closes, ok, "\r\n", "all ", "of it"), whole("all of it").dropping()},
		{
			"C15 neither, to HTTP/1.0", request("GET / HTTP/1.0"), says(closes, ok+"\r\nall of it"),
			whole("all of it").dropping(),
		},
		{
			"C15 neither, to HTTP/1.0 that would stay", request("GET / HTTP/1.0", "Connection: keep-alive"),
			says(closes, ok+"\r\nall of it"), whole("all of it").dropping(),
		},
		{
			"C15 neither, by HTTP/1.0", "", says(closes, "HTTP/1.0 200 OK\r\n\r\nall of it"),
			whole("all of it").dropping(),
		},
		{
			"C15 neither, and keep-alive", "", says(closes, ok+"Connection: keep-alive\r\n\r\nall of it"),
			whole("all of it").dropping(),
		},
		{"C15 neither, and no byte", "", says(closes, ok+"\r\n"), whole("").dropping()},
		{
			"C15 neither, 1 MB", "", says(closes, ok+"\r\n"+strings.Repeat("x", 1<<20)),
			whole(strings.Repeat("x", 1<<20)).framed("chunked").dropping(),
		},
		{
			"C15 neither, 1 MB to HTTP/1.0", request("GET / HTTP/1.0"), says(closes, ok+"\r\n"+strings.Repeat("x", 1<<20)),
			whole(strings.Repeat("x", 1<<20)).framed("close").dropping(),
		},
		{
			"C15 chunks, to HTTP/1.0", request("GET / HTTP/1.0"), says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").keeping(),
		},
		{
			"C15 by HTTP/1.0 with a length", "", says(closes, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").framed("length").dropping(),
		},
		{
			"C15 by HTTP/1.0, kept", "", says(keeps,
				"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").framed("length").keeping(),
		},
	}
}

// answerChunkRows are about chunks.
func answerChunkRows() []answerRow {
	bad := func(name, body string) answerRow {
		return answerRow{"C3 " + name, "", says(keeps, okChunked+body), broken()}
	}
	good := func(name, body, want string) answerRow {
		return answerRow{"C3 " + name, "", says(keeps, okChunked+body), whole(want).keeping()}
	}

	return []answerRow{
		good("chunks", "2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n", "ab0123456789"),
		good("no chunk but the last", "0\r\n\r\n", ""),
		good("zeros in front", "0002\r\nab\r\n00\r\n\r\n", "ab"),
		good("an extension", "2;a=b\r\nab\r\n0;c\r\n\r\n", "ab"),
		good("a trailer", "2\r\nab\r\n0\r\nX-A: b\r\nSet-Cookie: c=d\r\n\r\n", "ab"),
		bad("a trailer of 1 MB", "2\r\nab\r\n0\r\n"+strings.Repeat("X-A: 0123456789\r\n", 60_000)+"\r\n"),
		bad("size in words", "zz\r\nab\r\n0\r\n\r\n"),
		bad("size 0x2", "0x2\r\nab\r\n0\r\n\r\n"),
		bad("size +2", "+2\r\nab\r\n0\r\n\r\n"),
		bad("size -2", "-2\r\nab\r\n0\r\n\r\n"),
		bad("no size", "\r\nab\r\n0\r\n\r\n"),
		bad("R-45 size of 17 digits", "10000000000000002\r\nab\r\n0\r\n\r\n"),
		{"C3 R-45 size 2 to the 64th - 1", "", says(closes, okChunked+"ffffffffffffffff\r\nab\r\n0\r\n\r\n"), broken()},
		{"C3 R-45 size 2 to the 63rd", "", says(closes, okChunked+"8000000000000000\r\nab\r\n0\r\n\r\n"), broken()},
		bad("LF behind the size", "2\nab\r\n0\r\n\r\n"),
		bad("LF behind the data", "2\r\nab\n0\r\n\r\n"),
		bad("nothing behind the data", "2\r\nab0\r\n\r\n"),
		bad("more data than the size", "2\r\nabc\r\n0\r\n\r\n"),
		bad("an extension of 1 MB", "2;"+strings.Repeat("x", 1<<20)+"\r\nab\r\n0\r\n\r\n"),
	}
}
