package hostile_test

// upgradeRows are about requests that want to change the protocol.
func upgradeRows() []requestRow {
	row := func(name string, want outcome, lines ...string) requestRow {
		return requestRow{name, get(append(lines, "Sec-WebSocket-Key: a")...), want, ""}
	}
	const upgrade = "Connection: Upgrade"
	see := passed("GET /").without("Upgrade", "Connection")
	asked := passed("GET /").with("Upgrade", "websocket", "Connection", "upgrade")

	return []requestRow{
		row("R-42 websocket that the application declines", asked, upgrade, "Upgrade: websocket"),
		row("R-42 websocket by other cases", asked, "connection: keep-alive, uPGRADE", "upgrade: WebSocket"),
		row("R-42 D20 h2c", see, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
			"HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("R-42 D20 h2c, settings not named", see, upgrade, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("R-42 HTTP2-Settings alone", see, "HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("R-42 two in one", see, upgrade, "Upgrade: websocket, h2c"),
		row("R-42 two fields", see, upgrade, "Upgrade: websocket", "Upgrade: h2c"),
		row("R-42 a version", see, upgrade, "Upgrade: websocket/13"),
		row("R-42 an unknown protocol", see, upgrade, "Upgrade: foo"),
		row("R-42 TLS", see, upgrade, "Upgrade: TLS/1.0, HTTP/1.1"),
		row("R-42 empty", see, upgrade, "Upgrade:"),
		row("R-42 not named in Connection", see, "Upgrade: websocket"),
		row("R-61 R-42 a Kelvin sign", see, upgrade, "Upgrade: websoc\u212aet"),
		row("R-61 R-42 a long s", see, upgrade, "Upgrade: web\u017focket"),
		{
			"R-42 by HTTP/1.0", request("GET / HTTP/1.0", upgrade, "Upgrade: websocket"), see.last(),
			"RFC 9110 says that it is to be ignored",
		},
		{"R-42 by POST", post(upgrade, "Upgrade: websocket", "Content-Length: 0"), declined("400"), ""},
		{"R-42 by HEAD", request("HEAD / HTTP/1.1", upgrade, "Upgrade: websocket"), declined("400"), ""},
		{"R-42 with a body", get(upgrade, "Upgrade: websocket", "Content-Length: 5") + "hello", declined("400"), ""},
		{
			"R-42 with chunks", get(upgrade, "Upgrade: websocket", chunked) + "5\r\nhello\r\n0\r\n\r\n", declined("400"),
			"",
		},
		{
			"R-42 with a request behind it", get(upgrade, "Upgrade: websocket") + request("GET /next HTTP/1.1"),
			passed("GET /", "GET /next"), "the application declines",
		},
	}
}

// expectRows are about Expect, where the application behaves.
func expectRows() []requestRow {
	const expect = "Expect: 100-continue"
	continued := outcome{codes: "100 200", seen: []string{"POST /"}}.ofBody("hello")

	return []requestRow{
		{"D17 R-43 the body comes at once", post(expect, "Content-Length: 5") + "hello", continued, ""},
		{"D17 R-43 chunks come at once", post(expect, chunked) + "5\r\nhello\r\n0\r\n\r\n", continued, ""},
		{"D17 R-43 by other cases", post("expect: 100-CONTINUE", "Content-Length: 5") + "hello", continued, ""},
		{"D17 R-43 no body", post(expect, "Content-Length: 0"), passed("POST /"), ""},
		{"D17 R-43 of a GET", get(expect), passed("GET /"), ""},
		{
			"D17 R-43 by HTTP/1.0", request("POST / HTTP/1.0", expect, "Content-Length: 5") + "hello",
			passed("POST /").ofBody("hello").last(), "RFC 9110: no 100 there",
		},
		{
			"D17 R-43 something else", post("Expect: 200-ok", "Content-Length: 5") + "hello", refused("417"),
			"net/http: answers itself",
		},
		{"D17 R-43 nothing", post("Expect:", "Content-Length: 5") + "hello", passed("POST /").ofBody("hello"), ""},
		{"D17 R-43 broken chunks", post(expect, chunked) + "zz\r\n", outcome{
			codes:  "100 400",
			closed: true,
			cut:    true,
		}, ""},
		{"D17 R-43 a target that is none", request("POST * HTTP/1.1", expect, "Content-Length: 5") + "hello", outcome{
			codes:  "400",
			closed: true,
		}, ""},
	}
}
