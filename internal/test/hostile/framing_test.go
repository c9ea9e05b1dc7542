package hostile_test

import "strings"

const chunked = "Transfer-Encoding: chunked"

// lengthRows are about Content-Length.
func lengthRows() []requestRow {
	return []requestRow{
		{"no doubt (R-32)", post("Content-Length: 5") + "hello", passed("POST /").ofBody("hello"), ""},
		{"plus sign (R-32)", post("Content-Length: +5") + "hello", refused("400"), ""},
		{"minus sign (R-32)", post("Content-Length: -1") + "hello", refused("400"), ""},
		{"minus zero (R-32)", post("Content-Length: -0"), refused("400"), ""},
		{"underscore (R-32)", post("Content-Length: 5_0") + "hello", refused("400"), ""},
		{"hexadecimal (R-32)", post("Content-Length: 0x5") + "hello", refused("400"), ""},
		{"empty (R-32)", post("Content-Length:") + "hello", refused("400"), ""},
		{"blank (R-32)", post("Content-Length:  ") + "hello", refused("400"), ""},
		{"list (R-32)", post("Content-Length: 5, 5") + "hello", refused("400"), ""},
		{"two in one (R-32)", post("Content-Length: 5 5") + "hello", refused("400"), ""},
		{"fraction (R-32)", post("Content-Length: 5.0") + "hello", refused("400"), ""},
		{"exponent (R-32)", post("Content-Length: 1e1") + "hello", refused("400"), ""},
		{"semicolon (R-32)", post("Content-Length: 5;x") + "hello", refused("400"), ""},
		{"quotes (R-32)", post(`Content-Length: "5"`) + "hello", refused("400"), ""},
		{"Arabic digit (R-32)", post("Content-Length: \u0665") + "hello", refused("400"), ""},

		{"two that differ (R-32)", post("Content-Length: 5", "Content-Length: 6") + "hello!", refused("400"), ""},
		{"two by other cases (R-32)", post("Content-Length: 5", "content-length: 6") + "hello!", refused("400"), ""},
		{"two that are equal (R-32)", post("Content-Length: 5", "Content-Length: 5") + "hello", refused("400"), ""},
		{
			"octal (R-32)", post("Content-Length: 010") + "0123456789", passed("POST /").ofBody("0123456789"),
			"it matches the rule: decimal",
		},
		{
			"zeros in front (R-32)",
			post("Content-Length: 0000000000000000005") + "hello", passed("POST /").ofBody("hello"),
			"it matches the rule",
		},

		{"20 digits (R-32)", post("Content-Length: 00000000000000000005") + "hello", refused("400"), ""},
		{
			"spaces around (R-32)", post("Content-Length: \t 5 \t") + "hello", passed("POST /").ofBody("hello"),
			"white space that RFC 9110 allows",
		},
		{"2 to the 63rd (R-32)", post("Content-Length: 9223372036854775808") + "hello", refused("400"), ""},
		{"2 to the 64th plus 5 (R-32)", post("Content-Length: 18446744073709551621") + "hello", refused("400"), ""},
		{"the largest, and the client leaves (R-32)", post("Content-Length: 9223372036854775807") + "hello", outcome{
			codes:  "413",
			half:   true,
			cut:    true,
			silent: true,
		}, ""},
		{
			"no name but that (R-32)", post("Content_Length: 5"), passed("POST /").without("Content_Length"),
			"it is not a length, and does not come through",
		},

		{"of a GET (R-32)", get("Content-Length: 5") + "hello", passed("GET /").ofBody("hello"), ""},
		{
			"of a DELETE (R-32)", request("DELETE / HTTP/1.1", "Content-Length: 5") + "hello",
			passed("DELETE /").ofBody("hello"), "",
		},
		{
			"a request as the body (R-32)",
			post("Content-Length: 42") + "GET /smuggled HTTP/1.1\r\nHost: smuggler\r\n\r\n",
			passed("POST /").ofBody("GET /smuggled HTTP/1.1\r\nHost: smuggler\r\n\r\n"), "",
		},
	}
}

// codingRows are about Transfer-Encoding, alone and beside Content-Length.
func codingRows() []requestRow {
	const body = "5\r\nhello\r\n0\r\n\r\n"

	return []requestRow{
		{"no doubt (R-31)", post(chunked) + body, passed("POST /").ofBody("hello"), ""},
		{"upper case (R-31)", post("TRANSFER-ENCODING: CHUNKED") + body, passed("POST /").ofBody("hello"), ""},

		{"length, then coding (R-30 D14)", post("Content-Length: 15", chunked) + body, refused("400"), ""},
		{"coding, then length (R-30 D14)", post(chunked, "Content-Length: 15") + body, refused("400"), ""},
		{"length 0 and coding (R-30 D14)", post("Content-Length: 0", chunked) + body, refused("400"), ""},
		{"a short length and coding (R-30 D14)", post("Content-Length: 3", chunked) + body, refused("400"), ""},
		{"a long length and coding (R-30 D14)", post(chunked, "Content-Length: 100") + body, refused("400"), ""},
		{
			"equal lengths and coding (R-30 D14)", post("Content-Length: 5", chunked, "Content-Length: 5") + body,
			refused("400"), "",
		},
		{"both for a GET (R-30 D14)", get("Content-Length: 15", chunked) + body, refused("400"), ""},
		{"a bad length and coding (R-30 D14)", post("Content-Length: x", chunked) + body, refused("400"), ""},
		{
			"two lengths that differ and coding (R-30 D14)",
			post("Content-Length: 5", "Content-Length: 6", chunked) + body,
			refused("400"), "",
		},
		{"both, and a request in the chunk (R-30 D14)", post("Content-Length: 4", chunked) +
			"26\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n0\r\n\r\n", refused("400"), ""},
		{"both by HTTP/1.0 (R-30 D14)", request("POST / HTTP/1.0", "Content-Length: 15", "Connection: keep-alive",
			chunked) + body, refused("400"), ""},
		{"coding by HTTP/1.0 (R-31)", request("POST / HTTP/1.0", chunked) + body, refused("400"), ""},
		{
			"coding by HTTP/1.0, kept (R-31)",
			request("POST / HTTP/1.0", "Connection: keep-alive", chunked), refused("400"),
			"",
		},
		{
			"no coding but its name (R-31)", post("Transfer_Encoding: chunked"),
			passed("POST /").without("Transfer_Encoding"), "it is no coding, and does not come through",
		},

		{"two fields (R-31 D13)", post(chunked, chunked) + body, refused("400|501"), ""},
		{
			"chunked, then identity (R-31 D13)",
			post(chunked, "Transfer-Encoding: identity") + body, refused("400|501"),
			"",
		},
		{"two by other cases (R-31 D13)", post(chunked, "transfer-encoding: gzip") + body, refused("400|501"), ""},
		{"coding on a folded line (R-33)", post("Transfer-Encoding:\r\n chunked") + body, refused("400"), ""},
		{"length on a folded line (R-33)", post("Content-Length:\r\n 5") + "hello", refused("400"), ""},
		{
			"coding that ends with LF (R-33)",
			"POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\n\r\n" + body, refused("400"),
			"",
		},
		{"coding behind a CR (R-33)", post("X: y\r"+chunked) + body, refused("400"), ""},
		{"coding behind a NUL (R-33)", post("X: y\x00"+chunked) + body, refused("400"), ""},
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
		rules := "R-31 D13"
		if strings.Contains(coding, "\u212a") {
			rules += " R-61"
		}

		spelling := "coding [" + name.Replace(coding) + "]"

		rows = append(rows,
			requestRow{
				spelling + " (" + rules + ")", post("Transfer-Encoding: "+coding) + body, refused("400|501"), "",
			},
			requestRow{
				spelling + " and length (R-30 " + rules + ")",
				post("Content-Length: 5", "Transfer-Encoding: "+coding) + body, refused("400|501"), "",
			})
	}

	return rows
}
