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
		whole("R-34 two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
		whole("R-34 capital hexadecimal", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
		whole("R-34 zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
		whole("R-34 a small extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"),
		whole("R-34 a quoted extension", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"),
		whole("R-34 D8 200,000 chunks of one byte", many+"0\r\n\r\n", strings.Repeat("x", 200_000)),
		chunks("R-34 D8 size 2 to the 64th - 1", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", outcome{
			cut:    true,
			half:   true,
			codes:  "400",
			closed: true,
		}.optionalCodes()),
		chunks("R-34 D8 size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 D8 size of 17 digits, mostly zeros", "00000000000000005\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 D8 an extension of 1 MB", "5;"+strings.Repeat("x", 1<<20)+"\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 D8 an extension of 5,000 bytes", "5;"+strings.Repeat("x", 5000)+"\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 D8 extensions of 3,000 bytes each", strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\nx\r\n", 30)+
			"0\r\n\r\n", bad),
		chunks("R-34 size 0x5", "0x5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 size +5", "+5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 size -5", "-5\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 size -0", "5\r\nhello\r\n-0\r\n\r\n", bad),
		chunks("R-34 size 5_0", "5_0\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 size 5g", "5g\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 no size", "\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 no size but an extension", ";a=b\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 space in front of the size", " 5\r\nhello\r\n0\r\n\r\n", bad),
		{"R-34 space behind the size", post(chunked) + "5 \r\nhello\r\n0\r\n\r\n", bad, ""},
		{"R-34 tab behind the size", post(chunked) + "5\t\r\nhello\r\n0\r\n\r\n", bad, ""},
		chunks("R-34 an extension of 256 bytes and 1", "5;"+strings.Repeat("x", 256)+"\r\nhello\r\n0\r\n\r\n", bad),
		whole("R-34 an extension of 256 bytes", "5;"+strings.Repeat("x", 255)+"\r\nhello\r\n0\r\n\r\n", "hello"),
		whole("R-34 extensions of 16 KB", strings.Repeat("1;"+strings.Repeat("x", 255)+"\r\nx\r\n", 64)+"0\r\n\r\n",
			strings.Repeat("x", 64)),
		chunks("R-34 extensions of 16 KB and 1", strings.Repeat("1;"+strings.Repeat("x", 255)+"\r\nx\r\n", 65)+
			"0\r\n\r\n", bad),
		chunks("R-34 DEL in an extension", "5;a\x7f\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 NUL behind the size", "5\x00\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 LF behind the size", "5\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 LF behind the data", "5\r\nhello\n0\r\n\r\n", bad),
		chunks("R-34 nothing behind the data", "5\r\nhello0\r\n\r\n", bad),
		chunks("R-34 more data than the size", "5\r\nhello!\r\n0\r\n\r\n", bad),
		chunks("R-34 less data than the size", "6\r\nhello\r\n0\r\n\r\n", bad),
		chunks("R-34 LF behind the last size", "5\r\nhello\r\n0\n\r\n", bad),
		chunks("R-34 no last line end", "5\r\nhello\r\n0\r\n", bad),
		chunks("R-34 bytes for the last line end", "5\r\nhello\r\n0\r\nXX", bad),
		chunks("R-34 no line end behind the last size", "5\r\nhello\r\n0", bad),
		chunks("R-34 no last chunk, and the client leaves", "5\r\nhello\r\n", left),
		chunks("R-34 half a size, and the client leaves", "5", left),
		chunks("R-34 half a chunk, and the client leaves", "5\r\nhel", left),
		chunks("R-34 no last line end, and the client leaves", "5\r\nhello\r\n0\r\n", left),
		chunks("R-34 half a last line end, and the client leaves", "5\r\nhello\r\n0\r\n\r", left),
		chunks("R-34 bytes behind the last chunk", "0\r\n\r\nXX\r\n", outcome{
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
		trailer("R-35 one", "X-A: b\r\n", dropped("X-A"), ""),
		trailer("R-35 one that was announced", "X-A: b\r\n", dropped("X-A", "Trailer"), "", "Trailer: X-A"),
		trailer("R-35 one with the name of a header", "X-A: evil\r\n", passed("POST /").with("X-A", "good"), "",
			"X-A: good"),
		trailer("R-35 X-Forwarded-For", "X-Forwarded-For: 192.0.2.1\r\n", dropped(), drops),
		trailer("R-35 forbidden: Host", "Host: evil\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: a type", "Content-Type: a/b\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: credentials", "authorization: Basic eDp5\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: Connection", "X-A: b\r\nConnection: close\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: Cookie", "Cookie: a=b\r\n", refusedInBody(), ""),
		trailer("R-35 own header", "!~Passenger-Envvars: x\r\n", dropped(), drops),
		trailer("R-35 forbidden: length", "Content-Length: 5\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: coding", "Transfer-Encoding: gzip\r\n", refusedInBody(), ""),
		trailer("R-35 forbidden: length, announced", "Content-Length: 5\r\n", refused("400"), "",
			"Trailer: Content-Length"),
		trailer("R-35 forbidden: coding, announced", "", refused("400"), "", "Trailer: X-A, transfer-encoding"),
		trailer("R-35 no colon", "X-A\r\n", refusedInBody(), ""),
		trailer("R-35 space before the colon", "X A : b\r\n", refusedInBody(), ""),
		trailer("R-35 NUL", "X-A: \x00\r\n", refusedInBody(), ""),
		trailer("R-35 CR", "X-A: b\rc\r\n", refusedInBody(), ""),
		trailer("R-35 no name", ": b\r\n", refusedInBody(), ""),
		trailer("R-35 space in front", " X-A: b\r\n", refusedInBody(), ""),
		trailer("R-35 LF ends it", "X-A: b\n", refusedInBody(), ""),
		trailer("R-35 folded", "X-A: b\r\n c\r\n", refusedInBody(), ""),
		trailer("R-35 8 KB", strings.Repeat("X-A: bbbbbbbbb\r\n", 512), refusedInBody(), ""),
		trailer("R-35 1 MB", "X-A: "+strings.Repeat("b", 1<<20)+"\r\n", refusedInBody(), ""),
		trailer("R-35 a request line", "GET /smuggled HTTP/1.1\r\nHost: x\r\n", refusedInBody(), ""),
	}
}
