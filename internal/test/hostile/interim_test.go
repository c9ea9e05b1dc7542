package hostile_test

import "strings"

// interimRows are about answers 1xx.
func interimRows() []answerRow {
	const hints, goOn = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	const websocket = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	upgrade := get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a")
	hinted := func(n int) string { return strings.Repeat(hints, n) }
	expecting := post("Expect: 100-continue", "Content-Length: 5")

	return []answerRow{
		{"C11 R-43 one hint", "", says(keeps, hints, okOf(2, "ab")), whole("ab").after(1).with("Link", "").keeping()},
		{"C11 R-43 16 hints", "", says(keeps, hinted(16)+okOf(2, "ab")), whole("ab").after(16).keeping()},
		{"C11 R-43 17 hints", "", says(keeps, hinted(17)+okOf(2, "ab")), badGateway().after(16)},
		{"C11 R-43 5,000 hints", "", says(closes, hinted(5000)+okOf(2, "ab")), badGateway().after(16)},
		{"C11 R-43 hints without an end", "", says(repeats, hints), badGateway().after(16)},
		{"C11 R-43 hints and no answer", "", says(closes, hinted(3)), badGateway().after(3)},
		{
			"C11 R-43 hints to HTTP/1.0", request("GET / HTTP/1.0"), says(keeps, hints+okOf(2, "ab")),
			whole("ab").keeping(),
		},
		{
			"C11 R-43 processing and 199", "", says(keeps, "HTTP/1.1 102 X\r\n\r\nHTTP/1.1 199 X\r\n\r\n"+okOf(2, "ab")),
			whole("ab").after(2).keeping(),
		},
		{
			"C11 R-43 a hint with a length", "", says(keeps, "HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n"+okOf(2, "ab")),
			whole("ab").after(1).keeping(),
		},
		{"C11 R-43 a hint with own headers", "", says(keeps, "HTTP/1.1 103 X\r\n!~A: b\r\nConnection: close\r\n\r\n"+
			okOf(2, "ab")), whole("ab").after(1).keeping()},
		{
			"C11 R-43 a hint with a LF", "", says(keeps, "HTTP/1.1 103 X\r\nLink: a\nSet-Cookie: b\r\n\r\n"+okOf(2, "ab")),
			badGateway(),
		},
		{"C11 R-43 100 that nobody asked for", "", says(keeps, goOn+okOf(2, "ab")), whole("ab").keeping()},
		{"C11 R-43 16 times 100", "", says(keeps, strings.Repeat(goOn, 16)+okOf(2, "ab")), whole("ab").keeping()},
		{"C11 R-43 100 and no answer", "", says(closes, goOn), badGateway()},
		{
			"C11 R-43 100 that a client waits for", expecting + "hello", says(keeps, goOn+okOf(2, "ab")),
			whole("ab").continued("").keeping(),
		},
		{"C11 R-43 R-42 101 that nobody asked for", "", says(hangs, websocket), badGateway()},
		{"C11 R-43 R-42 101 to a POST", post("Content-Length: 5") + "hello", says(hangs, websocket), badGateway()},
		{
			"C11 R-43 R-42 101 to an upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
				"HTTP2-Settings: A"), says(hangs, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
			badGateway(),
		},
		{
			"C11 R-43 R-42 101 with another token", upgrade,
			says(hangs, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), badGateway(),
		},
		{"C11 R-43 R-42 101 with no token", upgrade, says(hangs, "HTTP/1.1 101 X\r\n\r\n"), badGateway()},
		{
			"C11 R-43 R-42 R-61 101 with a Kelvin sign", upgrade,
			says(closes, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websoc\u212aet\r\n\r\n"), badGateway(),
		},
		{
			"C11 R-43 R-42 101 that was asked for", upgrade, says(closes, websocket+"welcome"),
			whole("welcome").of(101).dropping(),
		},
		{
			"C11 R-43 R-42 101 behind a hint", upgrade, says(closes, hints+websocket+"welcome"),
			whole("welcome").of(101).after(1).dropping(),
		},
		{
			"C10 D17 R-43 417 and the body unread", expecting,
			saysAfter(readsHead, drains, "HTTP/1.1 417 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"),
			whole("ab").of(417).continued("hello").dropping().optionallyContinued(),
		},
		{
			"C10 D17 R-43 200 and the body unread", expecting, saysAfter(readsHead, drains, okOf(2, "ab")),
			whole("ab").continued("hello").optionallyContinued(),
		},
		{"C10 D17 R-43 no answer", expecting, says(closes), badGateway().continued("hello").optionallyContinued()},
		{"C10 D17 R-43 an answer after a while", expecting, func() *script {
			sc := newScript(keeps, okOf(2, "ab"))
			sc.patient = true
			return sc
		}, whole("ab").continued("hello").keeping()},
		{
			"C10 413 before 1 MB is read", upload(),
			saysAfter(readsHead, drains, "HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"),
			whole("ab").of(413).dropping(),
		},
		{
			"C10 413 that says it stays", upload(),
			saysAfter(readsHead, drains, "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nab"),
			whole("ab").of(413).dropping(),
		},
		{
			"C10 chunks before 1 MB is read", upload(), saysAfter(readsHead, drains, okChunked+"2\r\nab\r\n0\r\n\r\n"),
			whole("ab").dropping(),
		},
		{
			"C10 200 before the rest of 5 bytes", post("Content-Length: 5") + "hello",
			saysAfter(readsHead, drains, okOf(2, "ab")), whole("ab"),
		},
		{"C10 413 before chunks are read", post(chunked) + strings.Repeat("ffff\r\n"+strings.Repeat("u", 0xffff)+"\r\n",
			20) + "0\r\n\r\n", saysAfter(readsHead, drains,
			"HTTP/1.1 413 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"), whole("ab").of(413).dropping()},
	}
}
