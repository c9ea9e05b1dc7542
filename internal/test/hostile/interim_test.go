package hostile_test

import "strings"

// interimRows are about responses 1xx.
func interimRows() []responseRow {
	const hints, goOn = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	const websocket = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	upgrade := get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a")
	hinted := func(n int) string { return strings.Repeat(hints, n) }
	expecting := post("Expect: 100-continue", "Content-Length: 5")

	return []responseRow{
		{"one hint (C11 R-43)", "", says(keeps, hints, okOf(2, "ab")), whole("ab").after(1).with("Link", "").keeping()},
		{"16 hints (C11 R-43)", "", says(keeps, hinted(16)+okOf(2, "ab")), whole("ab").after(16).keeping()},
		{"17 hints (C11 R-43)", "", says(keeps, hinted(17)+okOf(2, "ab")), badGateway().after(16)},
		{"5,000 hints (C11 R-43)", "", says(closes, hinted(5000)+okOf(2, "ab")), badGateway().after(16)},
		{"hints without an end (C11 R-43)", "", says(repeats, hints), badGateway().after(16)},
		{"hints and no response (C11 R-43)", "", says(closes, hinted(3)), badGateway().after(3)},
		{
			"hints to HTTP/1.0 (C11 R-43)", request("GET / HTTP/1.0"), says(keeps, hints+okOf(2, "ab")),
			whole("ab").keeping(),
		},
		{
			"processing and 199 (C11 R-43)",
			"", says(keeps, "HTTP/1.1 102 X\r\n\r\nHTTP/1.1 199 X\r\n\r\n"+okOf(2, "ab")),
			whole("ab").after(2).keeping(),
		},
		{
			"a hint with a length (C11 R-43)",
			"", says(keeps, "HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n"+okOf(2, "ab")),
			whole("ab").after(1).keeping(),
		},
		{"a hint with own headers (C11 R-43)", "", says(keeps, "HTTP/1.1 103 X\r\n!~A: b\r\nConnection: close\r\n\r\n"+
			okOf(2, "ab")), whole("ab").after(1).keeping()},
		{
			"a hint with a LF (C11 R-43)",
			"", says(keeps, "HTTP/1.1 103 X\r\nLink: a\nSet-Cookie: b\r\n\r\n"+okOf(2, "ab")),
			badGateway(),
		},
		{"100 without a request for it (C11 R-43)", "", says(keeps, goOn+okOf(2, "ab")), whole("ab").keeping()},
		{"16 times 100 (C11 R-43)", "", says(keeps, strings.Repeat(goOn, 16)+okOf(2, "ab")), whole("ab").keeping()},
		{"100 and no response (C11 R-43)", "", says(closes, goOn), badGateway()},
		{
			"100 that a client waits for (C11 R-43)", expecting + "hello", says(keeps, goOn+okOf(2, "ab")),
			whole("ab").continued("").keeping(),
		},
		{"101 without a request for it (C11 R-43 R-42)", "", says(hangs, websocket), badGateway()},
		{"101 to a POST (C11 R-43 R-42)", post("Content-Length: 5") + "hello", says(hangs, websocket), badGateway()},
		{
			"101 to an upgrade to h2c (C11 R-43 R-42)", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
				"HTTP2-Settings: A"), says(hangs, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
			badGateway(),
		},
		{
			"101 with another token (C11 R-43 R-42)", upgrade,
			says(hangs, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), badGateway(),
		},
		{"101 with no token (C11 R-43 R-42)", upgrade, says(hangs, "HTTP/1.1 101 X\r\n\r\n"), badGateway()},
		{
			"101 with a Kelvin sign (C11 R-43 R-42 R-61)", upgrade,
			says(closes, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websoc\u212aet\r\n\r\n"), badGateway(),
		},
		{
			"101 that was asked for (C11 R-43 R-42)", upgrade, says(closes, websocket+"welcome"),
			whole("welcome").of(101).dropping(),
		},
		{
			"101 behind a hint (C11 R-43 R-42)", upgrade, says(closes, hints+websocket+"welcome"),
			whole("welcome").of(101).after(1).dropping(),
		},
		{
			"417 and the body unread (C10 D17 R-43)", expecting,
			saysAfter(readsHead, drains, "HTTP/1.1 417 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"),
			whole("ab").of(417).continued("hello").dropping().optionallyContinued(),
		},
		{
			"200 and the body unread (C10 D17 R-43)", expecting, saysAfter(readsHead, drains, okOf(2, "ab")),
			whole("ab").continued("hello").optionallyContinued(),
		},
		{"no response (C10 D17 R-43)", expecting, says(closes), badGateway().continued("hello").optionallyContinued()},
		{"a response after a while (C10 D17 R-43)", expecting, func() *script {
			sc := newScript(keeps, okOf(2, "ab"))
			sc.patient = true
			return sc
		}, whole("ab").continued("hello").keeping()},
		{
			"413 before 1 MB is read (C10)", upload(),
			saysAfter(readsHead, drains, "HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"),
			whole("ab").of(413).dropping(),
		},
		{
			"413 that says it stays (C10)", upload(),
			saysAfter(readsHead, drains, "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").of(413).dropping(),
		},
		{
			"chunks before 1 MB is read (C10)",
			upload(), saysAfter(readsHead, drains, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").dropping(),
		},
		{
			"200 before the rest of 5 bytes (C10)", post("Content-Length: 5") + "hello",
			saysAfter(readsHead, drains, okOf(2, "ab")), whole("ab"),
		},
		{
			"413 before chunks are read (C10)",
			post(chunked) + strings.Repeat("ffff\r\n"+strings.Repeat("u", 0xffff)+"\r\n",
				20) + "0\r\n\r\n", saysAfter(readsHead, drains,
				"HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"), whole("ab").of(413).dropping(),
		},
	}
}
