package hostile_test

import "strings"

// chunkRows are about chunks.
func chunkRows() []requestRow {
	chunks := func(name, body string, want outcome) requestRow {
		return requestRow{name, post(chunked) + body, want, ""}
	}
	whole := func(name, body, sees string) requestRow {
		return requestRow{name, post(chunked) + body, passed("POST /").ofBody(sees), ""}
	}
	bad := refusedInBody()
	left := outcome{
		half:   true,
		cut:    true,
		codes:  "400",
		closed: true,
	}.optionalCodes()
	many := strings.Repeat("1\r\nx\r\n", 200_000)

	return []requestRow{
		whole("two chunks (R-34)", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
		whole("capital hexadecimal (R-34)", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		whole("zeros in front (R-34)", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
		whole("a small extension (R-34)", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"),
		whole("a quoted extension (R-34)", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"),
		whole("200,000 chunks of one byte (R-34 D8)", many+"0\r\n\r\n", strings.Repeat("x", 200_000)),
		chunks("size 2 to the 64th - 1 (R-34 D8)", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", outcome{
			cut:    true,
			half:   true,
			codes:  "400",
			closed: true,
		}.optionalCodes()),
		chunks("size of 17 digits (R-34 D8)", "10000000000000005\r\nhello\r\n0\r\n\r\n", bad),
		chunks("size of 17 digits, mostly zeros (R-34 D8)", "00000000000000005\r\nhello\r\n0\r\n\r\n", bad),
		chunks("an extension of 1 MB (R-34 D8)", "5;"+strings.Repeat("x", 1<<20)+"\r\nhello\r\n0\r\n\r\n", bad),
		chunks("an extension of 5,000 bytes (R-34 D8)", "5;"+strings.Repeat("x", 5000)+"\r\nhello\r\n0\r\n\r\n", bad),
		chunks("extensions of 3,000 bytes each (R-34 D8)",
			strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\nx\r\n", 30)+
				"0\r\n\r\n", bad),
		chunks("size 0x5 (R-34)", "0x5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("size +5 (R-34)", "+5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("size -5 (R-34)", "-5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("size -0 (R-34)", "5\r\nhello\r\n-0\r\n\r\n", bad),
		chunks("size 5_0 (R-34)", "5_0\r\nhello\r\n0\r\n\r\n", bad),
		chunks("size 5g (R-34)", "5g\r\nhello\r\n0\r\n\r\n", bad),
		chunks("no size (R-34)", "\r\nhello\r\n0\r\n\r\n", bad),
		chunks("no size but an extension (R-34)", ";a=b\r\nhello\r\n0\r\n\r\n", bad),
		chunks("space in front of the size (R-34)", " 5\r\nhello\r\n0\r\n\r\n", bad),
		{"space behind the size (R-34)", post(chunked) + "5 \r\nhello\r\n0\r\n\r\n", bad, ""},
		{"tab behind the size (R-34)", post(chunked) + "5\t\r\nhello\r\n0\r\n\r\n", bad, ""},
		chunks("an extension of 256 bytes and 1 (R-34)", "5;"+strings.Repeat("x", 256)+"\r\nhello\r\n0\r\n\r\n", bad),
		whole("an extension of 256 bytes (R-34)", "5;"+strings.Repeat("x", 255)+"\r\nhello\r\n0\r\n\r\n", "hello"),
		whole("extensions of 16 KB (R-34)", strings.Repeat("1;"+strings.Repeat("x", 255)+"\r\nx\r\n", 64)+"0\r\n\r\n",
			strings.Repeat("x", 64)),
		chunks("extensions of 16 KB and 1 (R-34)", strings.Repeat("1;"+strings.Repeat("x", 255)+"\r\nx\r\n", 65)+
			"0\r\n\r\n", bad),
		chunks("DEL in an extension (R-34)", "5;a\x7f\r\nhello\r\n0\r\n\r\n", bad),
		chunks("NUL behind the size (R-34)", "5\x00\r\nhello\r\n0\r\n\r\n", bad),
		chunks("LF behind the size (R-34)", "5\nhello\r\n0\r\n\r\n", bad),
		chunks("LF in an extension (R-34)", "5;a\nb\r\nhello\r\n0\r\n\r\n", bad),
		chunks("CR in an extension (R-34)", "5;a\rb\r\nhello\r\n0\r\n\r\n", bad),
		chunks("LF behind the data (R-34)", "5\r\nhello\n0\r\n\r\n", bad),
		chunks("nothing behind the data (R-34)", "5\r\nhello0\r\n\r\n", bad),
		chunks("more data than the size (R-34)", "5\r\nhello!\r\n0\r\n\r\n", bad),
		chunks("less data than the size (R-34)", "6\r\nhello\r\n0\r\n\r\n", bad),
		chunks("LF behind the last size (R-34)", "5\r\nhello\r\n0\n\r\n", bad),
		chunks("no last line end (R-34)", "5\r\nhello\r\n0\r\n", bad),
		chunks("bytes for the last line end (R-34)", "5\r\nhello\r\n0\r\nXX", bad),
		chunks("no line end behind the last size (R-34)", "5\r\nhello\r\n0", bad),
		chunks("no last chunk, and the client leaves (R-34)", "5\r\nhello\r\n", left),
		chunks("half a size, and the client leaves (R-34)", "5", left),
		chunks("half a chunk, and the client leaves (R-34)", "5\r\nhel", left),
		chunks("no last line end, and the client leaves (R-34)", "5\r\nhello\r\n0\r\n", left),
		chunks("half a last line end, and the client leaves (R-34)", "5\r\nhello\r\n0\r\n\r", left),
		chunks("bytes behind the last chunk (R-34)", "0\r\n\r\nXX\r\n", outcome{
			codes:  "200 400",
			closed: true,
			seen:   []string{"POST /"},
		}),
	}
}

// trailerRows are about what may follow the last chunk.
func trailerRows() []requestRow {
	trailer := func(name, trailer string, want outcome, why string, lines ...string) requestRow {
		return requestRow{
			name, post(append(lines, chunked)...) + "5\r\nhello\r\n0\r\n" + trailer + "\r\n",
			want.ofBody("hello"), why,
		}
	}
	const drops = "net/http: keeps them apart, and we drop them"
	dropped := func(names ...string) outcome { return passed("POST /").without(names...) }

	return []requestRow{
		trailer("one (R-35)", "X-A: b\r\n", dropped("X-A"), ""),
		trailer("one that was announced (R-35)", "X-A: b\r\n", dropped("X-A", "Trailer"), "", "Trailer: X-A"),
		trailer("one with the name of a header (R-35)", "X-A: evil\r\n", passed("POST /").with("X-A", "good"), "",
			"X-A: good"),
		trailer("X-Forwarded-For (R-35)", "X-Forwarded-For: 192.0.2.1\r\n", dropped(), drops),
		trailer("forbidden: Host (R-35)", "Host: evil\r\n", refusedInBody(), ""),
		trailer("forbidden: a type (R-35)", "Content-Type: a/b\r\n", refusedInBody(), ""),
		trailer("forbidden: credentials (R-35)", "authorization: Basic eDp5\r\n", refusedInBody(), ""),
		trailer("forbidden: Connection (R-35)", "X-A: b\r\nConnection: close\r\n", refusedInBody(), ""),
		trailer("forbidden: Cookie (R-35)", "Cookie: a=b\r\n", refusedInBody(), ""),
		trailer("own header (R-35)", "!~Passenger-Envvars: x\r\n", dropped(), drops),
		trailer("forbidden: length (R-35)", "Content-Length: 5\r\n", refusedInBody(), ""),
		trailer("forbidden: coding (R-35)", "Transfer-Encoding: gzip\r\n", refusedInBody(), ""),
		trailer("forbidden: length, announced (R-35)", "Content-Length: 5\r\n", refused("400"), "",
			"Trailer: Content-Length"),
		trailer("forbidden: coding, announced (R-35)", "", refused("400"), "", "Trailer: X-A, transfer-encoding"),
		trailer("no colon (R-35)", "X-A\r\n", refusedInBody(), ""),
		trailer("space before the colon (R-35)", "X A : b\r\n", refusedInBody(), ""),
		trailer("NUL (R-35)", "X-A: \x00\r\n", refusedInBody(), ""),
		trailer("CR (R-35)", "X-A: b\rc\r\n", refusedInBody(), ""),
		trailer("no name (R-35)", ": b\r\n", refusedInBody(), ""),
		trailer("space in front (R-35)", " X-A: b\r\n", refusedInBody(), ""),
		trailer("LF ends it (R-35)", "X-A: b\n", refusedInBody(), ""),
		trailer("folded (R-35)", "X-A: b\r\n c\r\n", refusedInBody(), ""),
		trailer("8 KB (R-35)", strings.Repeat("X-A: bbbbbbbbb\r\n", 512), refusedInBody(), ""),
		trailer("1 MB (R-35)", "X-A: "+strings.Repeat("b", 1<<20)+"\r\n", refusedInBody(), ""),
		trailer("a request line (R-35)", "GET /smuggled HTTP/1.1\r\nHost: x\r\n", refusedInBody(), ""),
	}
}
