package hostile_test

import "strings"

// nameRows are about headers that only others than clients may set.
func nameRows() []requestRow {
	row := func(name string, want outcome, lines ...string) requestRow {
		return requestRow{name, get(lines...), want, ""}
	}
	see := passed("GET /")

	return []requestRow{
		row("R-37 underscore beside dash", see.with("X-User", "real"), "X_User: forged", "X-User: real",
			"x_user: forged"),
		row("R-37 dash beside underscore", see.with("X-User", "real"), "X-User: real", "X_User: forged"),
		row("R-37 underscore alone", see.without("X-User", "X_user"), "X_User: forged"),
		row("R-37 dot", see.without("X-User", "X.user"), "X.User: forged"),
		row("R-37 other characters of a token", see.without("X-User"), "X!User: a", "X#User: a", "X$User: a",
			"X%User: a", "X&User: a", "X'User: a", "X*User: a", "X+User: a", "X^User: a", "X`User: a", "X|User: a",
			"X~User: a"),
		row("R-37 names of CGI", see.without("Remote-Addr"), "REMOTE_ADDR: 192.0.2.1", "SCRIPT_NAME: /evil",
			"PATH_INFO: /evil", "HTTPS_: on", "PASSENGER_CONNECT_PASSWORD: x", "REQUEST_URI: /evil"),
		row("R-37 names of CGI with dashes", see.with("Remote-Addr", "192.0.2.1"), "Remote-Addr: 192.0.2.1",
			"Script-Name: /evil", "Path-Info: /evil", "Https: on", "Passenger-Connect-Password: x",
			"Request-Uri: /evil", "Content-Length-: 5"),
		row("R-37 underscore length", see.without("Content-Length"), "CONTENT_LENGTH: 5", "CONTENT_TYPE: text/evil"),
		row("R-37 two types", refused("400"), "Content-Type: a/b", "Content-Type: c/d"),
		row("R-37 two equal types", refused("400"), "Content-Type: a/b", "content-type: a/b"),
		row("R-37 one name by other cases", see.with("X-A", "b, c, d"), "x-a: b", "X-A: c", "X-a: d"),
		row("R-37 many cookies", see, "Cookie: a=b", "Cookie: c=d", "cookie: e=f"),
		row("R-38 Proxy", see.without("Proxy"), "Proxy: http://evil.example:8080"),
		row("R-38 Proxy by other cases", see.without("Proxy"), "pROXY: evil.example", "PROXY: evil.example"),
		row("R-38 Http-Proxy", see.with("Http-Proxy", "a"), "Http-Proxy: a"),
		row("R-39 X-Forwarded-For", see, "X-Forwarded-For: 192.0.2.1"),
		row("R-39 X-Forwarded-For, many", see, "X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 192.0.2.2",
			"X-Forwarded-For:"),
		row("R-39 X-Forwarded-Proto", see, "X-Forwarded-Proto: https"),
		row("R-39 X-Forwarded-Host and Port", see, "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1",
			"X-Forwarded-Server: evil.example"),
		row("R-39 X-Forwarded-Ssl", see, "X-Forwarded-Ssl: on"),
		row("R-39 X-Forwarded-Scheme", see, "X-Forwarded-Scheme: https"),
		row("R-39 X-Forwarded-Prefix", see, "X-Forwarded-Prefix: /evil"),
		row("R-39 X-Original-URL and X-Rewrite-URL", see, "X-Original-URL: /evil", "X-Rewrite-URL: /evil"),
		row("R-39 Forwarded", see, "Forwarded: for=192.0.2.1;proto=https;host=evil.example"),
		row("R-39 X-Real-IP", see, "X-Real-IP: 192.0.2.1"),
		row("R-39 X-Request-Id", see.without("X-Request-I"), "X-Request-Id: forged", "X-Request-Start: t=1"),
		row("R-39 underscore X_Forwarded_For", see, "X_Forwarded_For: 192.0.2.1", "X_Forwarded_Proto: https"),
		row("R-40 own header", declined("400"), "!~Passenger-Envvars: x"),
		row("R-40 own header of the address", declined("400"), "!~Passenger-Client-Address: 192.0.2.1"),
		row("R-40 marker alone", declined("400"), "!~: "),
		row("R-40 marker with a password", declined("400"), "!~: password", "!~FLAGS: SSL", "!~: "),
		row("R-40 marker behind others", declined("400"), "X-A: b", "!~: password", "X-B: c"),
		row("R-40 own header by other cases", declined("400"), "!~pASSENGER-x: y"),
		{"R-40 own header and a body", post("!~A: b", "Content-Length: 5") + "hello", declined("400"), ""},
		row("R-50 X-Sendfile-Type", see, "X-Sendfile-Type: X-Accel-Redirect"),
		row("R-50 X-Accel-Mapping", see, "X-Accel-Mapping: /=/etc/"),
	}
}

// hopRows are about Connection.
func hopRows() []requestRow {
	row := func(name string, want outcome, lines ...string) requestRow {
		return requestRow{"R-41 " + name, get(lines...), want, ""}
	}
	see := passed("GET /")

	return []requestRow{
		row("X-Forwarded-For", see, "Connection: X-Forwarded-For, X-Forwarded-Proto"),
		row("X-Request-Id", see, "Connection: X-Request-Id, X-Request-Start"),
		row("close and another", see.without("X-A", "X-B").last(), "Connection: close, X-A", "X-A: 1", "x-b: 2",
			"Connection: x-B"),
		row("keep-alive and another", see.with("X-A", "", "X-B", "2"), "Connection: keep-alive, X-A", "X-A: 1",
			"X-B: 2"),
		row("another by other cases", see.without("X-A"), "connection: x-a", "X-A: 1"),
		row("another, many spaces and commas", see.without("X-A"), "Connection: ,, \t x-A\t,,", "X-A: 1"),
		row("Cookie", see.without("Cookie"), "Connection: Cookie", "Cookie: a=b"),
		row("Content-Type", see.without("Content-Type"), "Connection: Content-Type", "Content-Type: a/b"),
		{
			"R-41 Content-Length", post("Connection: Content-Length", "Content-Length: 5") + "hello",
			passed("POST /").ofBody("hello"), "",
		},
		{
			"R-41 Transfer-Encoding", post("Connection: Transfer-Encoding", chunked) + "5\r\nhello\r\n0\r\n\r\n",
			passed("POST /").ofBody("hello"), "",
		},
		row("Connection", see.without("Connection"), "Connection: Connection"),
		row("what is about the connection", see, "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
			"TE: trailers", "Trailer: X-A", "Proxy-Authorization: a", "Proxy-Authenticate: a"),
		row("1,000 names", see.without("X-999"), "Connection: "+strings.Repeat("X-0, ", 1000)+"X-999", "X-999: a"),
		{"R-61 close with a long s", get("Connection: clo\u017fe"), see, ""},
		{
			"R-61 keep-alive with a Kelvin sign by HTTP/1.0", request("GET / HTTP/1.0", "Connection: \u212aeep-alive"),
			see.last(), "",
		},
		{"R-61 a name with a dotted I", get("X-\u0130d: a"), refused("400"), ""},
		{"R-61 a listed name with a Kelvin sign", get("Connection: X-\u212a", "X-K: a"), see.with("X-K", "a"), ""},
		{"R-41 bytes behind a request that closes", get("Connection: close") +
			"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", see.last(), ""},
		{"R-41 close by other cases", get("Connection: CLOSE"), see.last(), ""},
	}
}
