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
		row("websocket that the application declines (R-42)", asked, upgrade, "Upgrade: websocket"),
		row("websocket by other cases (R-42)", asked, "connection: keep-alive, uPGRADE", "upgrade: WebSocket"),
		row("h2c (R-42 D20)", see, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
			"HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("h2c, settings not named (R-42 D20)", see, upgrade, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("HTTP2-Settings alone (R-42)", see, "HTTP2-Settings: AAMAAABkAAQAAP__"),
		row("two in one (R-42)", see, upgrade, "Upgrade: websocket, h2c"),
		row("two fields (R-42)", see, upgrade, "Upgrade: websocket", "Upgrade: h2c"),
		row("a version (R-42)", see, upgrade, "Upgrade: websocket/13"),
		row("an unknown protocol (R-42)", see, upgrade, "Upgrade: foo"),
		row("TLS (R-42)", see, upgrade, "Upgrade: TLS/1.0, HTTP/1.1"),
		row("empty (R-42)", see, upgrade, "Upgrade:"),
		row("not named in Connection (R-42)", see, "Upgrade: websocket"),
		row("a Kelvin sign (R-61 R-42)", see, upgrade, "Upgrade: websoc\u212aet"),
		row("a long s (R-61 R-42)", see, upgrade, "Upgrade: web\u017focket"),
		{
			"by HTTP/1.0 (R-42)", request("GET / HTTP/1.0", upgrade, "Upgrade: websocket"), see.last(),
			"RFC 9110 says that it is to be ignored",
		},
		{"by POST (R-42)", post(upgrade, "Upgrade: websocket", "Content-Length: 0"), declined("400"), ""},
		{"by HEAD (R-42)", request("HEAD / HTTP/1.1", upgrade, "Upgrade: websocket"), declined("400"), ""},
		{"with a body (R-42)", get(upgrade, "Upgrade: websocket", "Content-Length: 5") + "hello", declined("400"), ""},
		{
			"with chunks (R-42)",
			get(upgrade, "Upgrade: websocket", chunked) + "5\r\nhello\r\n0\r\n\r\n", declined("400"),
			"",
		},
		{
			"with a request behind it (R-42)", get(upgrade, "Upgrade: websocket") + request("GET /next HTTP/1.1"),
			passed("GET /", "GET /next"), "the application declines",
		},
	}
}

// expectRows are about Expect, where the application behaves.
func expectRows() []requestRow {
	const expect = "Expect: 100-continue"
	continued := outcome{codes: "100 200", seen: []string{"POST /"}}.ofBody("hello")

	return []requestRow{
		{"the body comes at once (D17 R-43)", post(expect, "Content-Length: 5") + "hello", continued, ""},
		{"chunks come at once (D17 R-43)", post(expect, chunked) + "5\r\nhello\r\n0\r\n\r\n", continued, ""},
		{"by other cases (D17 R-43)", post("expect: 100-CONTINUE", "Content-Length: 5") + "hello", continued, ""},
		{"no body (D17 R-43)", post(expect, "Content-Length: 0"), passed("POST /"), ""},
		{"of a GET (D17 R-43)", get(expect), passed("GET /"), ""},
		{
			"by HTTP/1.0 (D17 R-43)", request("POST / HTTP/1.0", expect, "Content-Length: 5") + "hello",
			passed("POST /").ofBody("hello").last(), "RFC 9110: no 100 there",
		},
		{
			"something else (D17 R-43)", post("Expect: 200-ok", "Content-Length: 5") + "hello", refused("417"),
			"net/http: responds itself",
		},
		{"nothing (D17 R-43)", post("Expect:", "Content-Length: 5") + "hello", passed("POST /").ofBody("hello"), ""},
		{"broken chunks (D17 R-43)", post(expect, chunked) + "zz\r\n", outcome{
			codes:  "100 400",
			closed: true,
			cut:    true,
		}, ""},
		{"a target that is none (D17 R-43)", request("POST * HTTP/1.1", expect, "Content-Length: 5") + "hello", outcome{
			codes:  "400",
			closed: true,
		}, ""},
	}
}
