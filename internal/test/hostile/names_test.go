package hostile_test

import "strings"

// nameRows are about headers that only others than clients may set.
func nameRows() []requestRow {
	row := func(name string, want outcome, lines ...string) requestRow {
		return requestRow{name, get(lines...), want, ""}
	}
	see := passed("GET /")

	return []requestRow{
		row("underscore beside dash (R-37)", see.with("X-User", "real"), "X_User: forged", "X-User: real",
			"x_user: forged"),
		row("dash beside underscore (R-37)", see.with("X-User", "real"), "X-User: real", "X_User: forged"),
		row("underscore alone (R-37)", see.without("X-User", "X_user"), "X_User: forged"),
		row("dot (R-37)", see.without("X-User", "X.user"), "X.User: forged"),
		row("other characters of a token (R-37)", see.without("X-User"), "X!User: a", "X#User: a", "X$User: a",
			"X%User: a", "X&User: a", "X'User: a", "X*User: a", "X+User: a", "X^User: a", "X`User: a", "X|User: a",
			"X~User: a"),
		row("names of CGI (R-37)", see.without("Remote-Addr"), "REMOTE_ADDR: 192.0.2.1", "SCRIPT_NAME: /evil",
			"PATH_INFO: /evil", "HTTPS_: on", "PASSENGER_CONNECT_PASSWORD: x", "REQUEST_URI: /evil"),
		row("names of CGI with dashes (R-37)", see.with("Remote-Addr", "192.0.2.1"), "Remote-Addr: 192.0.2.1",
			"Script-Name: /evil", "Path-Info: /evil", "Https: on", "Passenger-Connect-Password: x",
			"Request-Uri: /evil", "Content-Length-: 5"),
		row("underscore length (R-37)", see.without("Content-Length"), "CONTENT_LENGTH: 5", "CONTENT_TYPE: text/evil"),
		row("two types (R-37)", refused("400"), "Content-Type: a/b", "Content-Type: c/d"),
		row("two equal types (R-37)", refused("400"), "Content-Type: a/b", "content-type: a/b"),
		row("one name by other cases (R-37)", see.with("X-A", "b, c, d"), "x-a: b", "X-A: c", "X-a: d"),
		row("many cookies (R-37)", see, "Cookie: a=b", "Cookie: c=d", "cookie: e=f"),
		row("Proxy (R-38)", see.without("Proxy"), "Proxy: http://evil.example:8080"),
		row("Proxy by other cases (R-38)", see.without("Proxy"), "pROXY: evil.example", "PROXY: evil.example"),
		row("Http-Proxy (R-38)", see.with("Http-Proxy", "a"), "Http-Proxy: a"),
		row("X-Forwarded-For (R-39)", see, "X-Forwarded-For: 192.0.2.1"),
		row("X-Forwarded-For, many (R-39)", see, "X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 192.0.2.2",
			"X-Forwarded-For:"),
		row("X-Forwarded-Proto (R-39)", see, "X-Forwarded-Proto: https"),
		row("X-Forwarded-Host and Port (R-39)", see, "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1",
			"X-Forwarded-Server: evil.example"),
		row("X-Forwarded-Ssl (R-39)", see, "X-Forwarded-Ssl: on"),
		row("X-Forwarded-Scheme (R-39)", see, "X-Forwarded-Scheme: https"),
		row("X-Forwarded-Prefix (R-39)", see, "X-Forwarded-Prefix: /evil"),
		row("X-Original-URL and X-Rewrite-URL (R-39)", see, "X-Original-URL: /evil", "X-Rewrite-URL: /evil"),
		row("Forwarded (R-39)", see, "Forwarded: for=192.0.2.1;proto=https;host=evil.example"),
		row("X-Real-IP (R-39)", see, "X-Real-IP: 192.0.2.1"),
		row("X-Request-Id (R-39)", see.without("X-Request-I"), "X-Request-Id: forged", "X-Request-Start: t=1"),
		row("underscore X_Forwarded_For (R-39)", see, "X_Forwarded_For: 192.0.2.1", "X_Forwarded_Proto: https"),
		row("own header (R-40)", declined("400"), "!~Passenger-Envvars: x"),
		row("own header of the address (R-40)", declined("400"), "!~Passenger-Client-Address: 192.0.2.1"),
		row("marker alone (R-40)", declined("400"), "!~: "),
		row("marker with a password (R-40)", declined("400"), "!~: password", "!~FLAGS: SSL", "!~: "),
		row("marker behind others (R-40)", declined("400"), "X-A: b", "!~: password", "X-B: c"),
		row("own header by other cases (R-40)", declined("400"), "!~pASSENGER-x: y"),
		{"own header and a body (R-40)", post("!~A: b", "Content-Length: 5") + "hello", declined("400"), ""},
		row("X-Sendfile-Type (R-50)", see, "X-Sendfile-Type: X-Accel-Redirect"),
		row("X-Accel-Mapping (R-50)", see, "X-Accel-Mapping: /=/etc/"),
	}
}

// hopRows are about Connection.
func hopRows() []requestRow {
	row := func(name string, want outcome, lines ...string) requestRow {
		return requestRow{name + " (R-41)", get(lines...), want, ""}
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
			"Content-Length (R-41)", post("Connection: Content-Length", "Content-Length: 5") + "hello",
			passed("POST /").ofBody("hello"), "",
		},
		{
			"Transfer-Encoding (R-41)", post("Connection: Transfer-Encoding", chunked) + "5\r\nhello\r\n0\r\n\r\n",
			passed("POST /").ofBody("hello"), "",
		},
		row("Connection", see.without("Connection"), "Connection: Connection"),
		row("what is about the connection", see, "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
			"TE: trailers", "Trailer: X-A", "Proxy-Authorization: a", "Proxy-Authenticate: a"),
		row("1,000 names", see.without("X-999"), "Connection: "+strings.Repeat("X-0, ", 1000)+"X-999", "X-999: a"),
		{"close with a long s (R-61)", get("Connection: clo\u017fe"), see, ""},
		{
			"keep-alive with a Kelvin sign by HTTP/1.0 (R-61)",
			request("GET / HTTP/1.0", "Connection: \u212aeep-alive"),
			see.last(), "",
		},
		{"a name with a dotted I (R-61)", get("X-\u0130d: a"), refused("400"), ""},
		{"a listed name with a Kelvin sign (R-61)", get("Connection: X-\u212a", "X-K: a"), see.with("X-K", "a"), ""},
		{"bytes behind a request that closes (R-41)", get("Connection: close") +
			"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", see.last(), ""},
		{"close by other cases (R-41)", get("Connection: CLOSE"), see.last(), ""},
	}
}
