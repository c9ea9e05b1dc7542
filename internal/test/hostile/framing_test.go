package hostile_test

import "strings"

const chunked = "Transfer-Encoding: chunked"

// lengthRows are about Content-Length.
func lengthRows() []requestRow {
	return []requestRow{
		{"R-32 no doubt", post("Content-Length: 5") + "hello", passed("POST /").ofBody("hello"), ""},
		{"R-32 plus sign", post("Content-Length: +5") + "hello", refused("400"), ""},
		{"R-32 minus sign", post("Content-Length: -1") + "hello", refused("400"), ""},
		{"R-32 minus zero", post("Content-Length: -0"), refused("400"), ""},
		{"R-32 underscore", post("Content-Length: 5_0") + "hello", refused("400"), ""},
		{"R-32 hexadecimal", post("Content-Length: 0x5") + "hello", refused("400"), ""},
		{"R-32 empty", post("Content-Length:") + "hello", refused("400"), ""},
		{"R-32 blank", post("Content-Length:  ") + "hello", refused("400"), ""},
		{"R-32 list", post("Content-Length: 5, 5") + "hello", refused("400"), ""},
		{"R-32 two in one", post("Content-Length: 5 5") + "hello", refused("400"), ""},
		{"R-32 fraction", post("Content-Length: 5.0") + "hello", refused("400"), ""},
		{"R-32 exponent", post("Content-Length: 1e1") + "hello", refused("400"), ""},
		{"R-32 semicolon", post("Content-Length: 5;x") + "hello", refused("400"), ""},
		{"R-32 quotes", post(`Content-Length: "5"`) + "hello", refused("400"), ""},
		{"R-32 Arabic digit", post("Content-Length: \u0665") + "hello", refused("400"), ""},
		{"R-32 two that differ", post("Content-Length: 5", "Content-Length: 6") + "hello!", refused("400"), ""},
		{"R-32 two by other cases", post("Content-Length: 5", "content-length: 6") + "hello!", refused("400"), ""},
		{"R-32 two that are equal", post("Content-Length: 5", "Content-Length: 5") + "hello", refused("400"), ""},
		{
			"R-32 octal", post("Content-Length: 010") + "0123456789", passed("POST /").ofBody("0123456789"),
			"it matches the rule: decimal",
		},
		{
			"R-32 zeros in front", post("Content-Length: 0000000000000000005") + "hello", passed("POST /").ofBody("hello"),
			"it matches the rule",
		},
		{"R-32 20 digits", post("Content-Length: 00000000000000000005") + "hello", refused("400"), ""},
		{
			"R-32 spaces around", post("Content-Length: \t 5 \t") + "hello", passed("POST /").ofBody("hello"),
			"white space that RFC 9110 allows",
		},
		{"R-32 2 to the 63rd", post("Content-Length: 9223372036854775808") + "hello", refused("400"), ""},
		{"R-32 2 to the 64th plus 5", post("Content-Length: 18446744073709551621") + "hello", refused("400"), ""},
		{"R-32 the largest, and the client leaves", post("Content-Length: 9223372036854775807") + "hello", outcome{
			codes:  "413",
			half:   true,
			cut:    true,
			silent: true,
		}, ""},
		{
			"R-32 no name but that", post("Content_Length: 5"), passed("POST /").without("Content_Length"),
			"it is not a length, and does not come through",
		},
		{"R-32 of a GET", get("Content-Length: 5") + "hello", passed("GET /").ofBody("hello"), ""},
		{
			"R-32 of a DELETE", request("DELETE / HTTP/1.1", "Content-Length: 5") + "hello",
			passed("DELETE /").ofBody("hello"), "",
		},
		{
			"R-32 a request as the body", post("Content-Length: 42") + "GET /smuggled HTTP/1.1\r\nHost: smuggler\r\n\r\n",
			passed("POST /").ofBody("GET /smuggled HTTP/1.1\r\nHost: smuggler\r\n\r\n"), "",
		},
	}
}

// codingRows are about Transfer-Encoding, alone and beside Content-Length.
func codingRows() []requestRow {
	const body = "5\r\nhello\r\n0\r\n\r\n"

	return []requestRow{
		{"R-31 no doubt", post(chunked) + body, passed("POST /").ofBody("hello"), ""},
		{"R-31 upper case", post("TRANSFER-ENCODING: CHUNKED") + body, passed("POST /").ofBody("hello"), ""},
		{"R-30 D14 length, then coding", post("Content-Length: 15", chunked) + body, refused("400"), ""},
		{"R-30 D14 coding, then length", post(chunked, "Content-Length: 15") + body, refused("400"), ""},
		{"R-30 D14 length 0 and coding", post("Content-Length: 0", chunked) + body, refused("400"), ""},
		{"R-30 D14 a short length and coding", post("Content-Length: 3", chunked) + body, refused("400"), ""},
		{"R-30 D14 a long length and coding", post(chunked, "Content-Length: 100") + body, refused("400"), ""},
		{
			"R-30 D14 equal lengths and coding", post("Content-Length: 5", chunked, "Content-Length: 5") + body,
			refused("400"), "",
		},
		{"R-30 D14 both for a GET", get("Content-Length: 15", chunked) + body, refused("400"), ""},
		{"R-30 D14 a bad length and coding", post("Content-Length: x", chunked) + body, refused("400"), ""},
		{
			"R-30 D14 two lengths that differ and coding", post("Content-Length: 5", "Content-Length: 6", chunked) + body,
			refused("400"), "",
		},
		{"R-30 D14 both, and a request in the chunk", post("Content-Length: 4", chunked) +
			"26\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n0\r\n\r\n", refused("400"), ""},
		{"R-30 D14 both by HTTP/1.0", request("POST / HTTP/1.0", "Content-Length: 15", "Connection: keep-alive",
			chunked) + body, refused("400"), ""},
		{"R-31 coding by HTTP/1.0", request("POST / HTTP/1.0", chunked) + body, refused("400"), ""},
		{
			"R-31 coding by HTTP/1.0, kept", request("POST / HTTP/1.0", "Connection: keep-alive", chunked), refused("400"),
			"",
		},
		{
			"R-31 no coding but its name", post("Transfer_Encoding: chunked"),
			passed("POST /").without("Transfer_Encoding"), "it is no coding, and does not come through",
		},
		{"R-31 D13 two fields", post(chunked, chunked) + body, refused("400|501"), ""},
		{
			"R-31 D13 chunked, then identity", post(chunked, "Transfer-Encoding: identity") + body, refused("400|501"),
			"",
		},
		{"R-31 D13 two by other cases", post(chunked, "transfer-encoding: gzip") + body, refused("400|501"), ""},
		{"R-33 coding on a folded line", post("Transfer-Encoding:\r\n chunked") + body, refused("400"), ""},
		{"R-33 length on a folded line", post("Content-Length:\r\n 5") + "hello", refused("400"), ""},
		{
			"R-33 coding that ends with LF", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\n\r\n" + body, refused("400"),
			"",
		},
		{"R-33 coding behind a CR", post("X: y\r"+chunked) + body, refused("400"), ""},
		{"R-33 coding behind a NUL", post("X: y\x00"+chunked) + body, refused("400"), ""},
	}
}

// codingSpellings are not exactly "chunked".
var codingSpellings = []string{
	"", "identity", "gzip", "gzip, chunked", "gzip,chunked", "identity, chunked", "chunked, identity", "chunked, gzip",
	"chunked, chunked", "chunked,chunked", ",chunked", "chunked,", ", chunked", "chunked ,", "xchunked", "chunkedx",
	"x chunked", "chunked x",
	"chunked;q=1", "chunked; q=1", "chunked=1", `"chunked"`, "'chunked'", "chunk", "chunke", "chun ked", "chunked\x0b",
	"\x0bchunked",
	"chunked\x0c", "\u00a0chunked", "chunked\u00a0", "chun\u212aed", "CHUNKED, IDENTITY", "deflate", "compress",
	"trailers", "chunked/1.0",
	"chunked%20", "\\chunked", "0", "cow", "chunked\u200b", "\xefchunked", "chunked:",
}

func codingSpellingRows() []requestRow {
	const body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	name := strings.NewReplacer("\x0b", "VT", "\x0c", "FF", "\u00a0", "NBSP", "\u200b", "ZWSP", "\xef", "0xEF", "/",
		" slash ")

	rows := make([]requestRow, 0, 2*len(codingSpellings))
	for _, coding := range codingSpellings {
		rule := "R-31 D13 coding ["
		if strings.Contains(coding, "\u212a") {
			rule = "R-61 " + rule
		}

		rows = append(rows,
			requestRow{
				rule + name.Replace(coding) + "]", post("Transfer-Encoding: "+coding) + body, refused("400|501"),
				"",
			},
			requestRow{
				"R-30 " + rule + name.Replace(coding) + "] and length",
				post("Content-Length: 5", "Transfer-Encoding: "+coding) + body, refused("400|501"), "",
			})
	}

	return rows
}
