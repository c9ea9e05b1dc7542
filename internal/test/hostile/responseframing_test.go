package hostile_test

import "strings"

// responseLengthRows are about where a response ends.
func responseLengthRows() []responseRow {
	length := func(name, lines string) responseRow {
		return responseRow{name + " (C5)", "", says(keeps, ok+lines+"\r\n\r\n12"), badGateway()}
	}
	coding := func(name, lines string) responseRow {
		return responseRow{name + " (C5)", "", says(keeps, ok+lines+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"), badGateway()}
	}

	return []responseRow{
		{
			"length, then coding (C4)", "", says(keeps, ok+"Content-Length: 5\r\n"+chunked+"\r\n\r\n0\r\n\r\n"),
			badGateway(),
		},
		{
			"coding, then length (C4)",
			"", says(keeps, ok+chunked+"\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), badGateway(),
		},
		{
			"length 0 and coding (C4)", "", says(keeps, ok+"Content-Length: 0\r\n"+chunked+"\r\n\r\n0\r\n\r\n"),
			badGateway(),
		},
		{
			"length and coding identity (C4)", "",
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
		length("length 2 to the 63rd (R-45)", "Content-Length: 9223372036854775808"),
		length("length 2 to the 64th plus 2 (R-45)", "Content-Length: 18446744073709551618"),
		{
			"zeros in front of the length (C5)",
			"", says(keeps, ok+"Content-Length: 002\r\n\r\n12"), whole("12").keeping(),
		},
		{
			"white space around the length (C5)", "", says(keeps, ok+"Content-Length: \t2 \t\r\n\r\n12"),
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
		coding("coding with a Kelvin sign (R-61)", "Transfer-Encoding: chun\u212aed"),
		{
			"coding by HTTP/1.0 (C5)", "", says(closes, "HTTP/1.0 200 OK\r\n"+chunked+"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			badGateway(),
		},
		{
			"coding in capitals (C5)", "", says(keeps, ok+"TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
			whole("ab").keeping(),
		},
		{"neither (C15)", "", says(closes, ok+"\r\nall of it"), whole("all of it").dropping()},
		{"neither, in two pieces (C15)", "", says(closes, ok, "\r\n", "all ", "of it"), whole("all of it").dropping()},
		{
			"neither, to HTTP/1.0 (C15)", request("GET / HTTP/1.0"), says(closes, ok+"\r\nall of it"),
			whole("all of it").dropping(),
		},
		{
			"neither, to HTTP/1.0 that would stay (C15)", request("GET / HTTP/1.0", "Connection: keep-alive"),
			says(closes, ok+"\r\nall of it"), whole("all of it").dropping(),
		},
		{
			"neither, by HTTP/1.0 (C15)", "", says(closes, "HTTP/1.0 200 OK\r\n\r\nall of it"),
			whole("all of it").dropping(),
		},
		{
			"neither, and keep-alive (C15)", "", says(closes, ok+"Connection: keep-alive\r\n\r\nall of it"),
			whole("all of it").dropping(),
		},
		{"neither, and no byte (C15)", "", says(closes, ok+"\r\n"), whole("").dropping()},
		{
			"neither, 1 MB (C15)", "", says(closes, ok+"\r\n"+strings.Repeat("x", 1<<20)),
			whole(strings.Repeat("x", 1<<20)).framed("chunked").dropping(),
		},
		{
			"neither, 1 MB to HTTP/1.0 (C15)",
			request("GET / HTTP/1.0"), says(closes, ok+"\r\n"+strings.Repeat("x", 1<<20)),
			whole(strings.Repeat("x", 1<<20)).framed("close").dropping(),
		},
		{
			"chunks, to HTTP/1.0 (C15)", request("GET / HTTP/1.0"), says(keeps, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").keeping(),
		},
		{
			"by HTTP/1.0 with a length (C15)", "", says(closes, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").framed("length").dropping(),
		},
		{
			"by HTTP/1.0, kept (C15)", "", says(keeps,
				"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").framed("length").keeping(),
		},
	}
}

// responseChunkRows are about chunks.
func responseChunkRows() []responseRow {
	bad := func(name, body string) responseRow {
		return responseRow{name + " (C3)", "", says(keeps, okChunked+body), broken()}
	}
	good := func(name, body, want string) responseRow {
		return responseRow{name + " (C3)", "", says(keeps, okChunked+body), whole(want).keeping()}
	}

	return []responseRow{
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
		bad("size of 17 digits (R-45)", "10000000000000002\r\nab\r\n0\r\n\r\n"),
		{
			"size 2 to the 64th - 1 (C3 R-45)",
			"", says(closes, okChunked+"ffffffffffffffff\r\nab\r\n0\r\n\r\n"), broken(),
		},
		{"size 2 to the 63rd (C3 R-45)", "", says(closes, okChunked+"8000000000000000\r\nab\r\n0\r\n\r\n"), broken()},
		bad("LF behind the size", "2\nab\r\n0\r\n\r\n"),
		bad("LF behind the data", "2\r\nab\n0\r\n\r\n"),
		bad("nothing behind the data", "2\r\nab0\r\n\r\n"),
		bad("more data than the size", "2\r\nabc\r\n0\r\n\r\n"),
		bad("an extension of 1 MB", "2;"+strings.Repeat("x", 1<<20)+"\r\nab\r\n0\r\n\r\n"),
	}
}
