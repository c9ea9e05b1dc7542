package hostile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// sizeRows are about much of something.
func sizeRows() []requestRow {
	fill := func(n int) string { return strings.Repeat("x", n) }
	lines := func(n, length int) []string {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("X-%d: ", i)
			lines[i] += fill(length - len(lines[i]) - len("\r\n"))
		}

		return lines
	}
	tooLarge, large, long := refused("431"), declined("431"), declined("414")

	// What 32 KB of a field are beside its name.
	const field = 32<<10 - len("X-A")

	return []requestRow{
		{"R-46 60 KB of head", get(lines(60, 1000)...), passed("GET /"), ""},
		{"R-46 79 KB of head", get(lines(79, 1000)...), passed("GET /"), ""},
		{"R-46 90 KB of head", get(lines(90, 1000)...), tooLarge, ""},
		{"R-46 900 fields", get(lines(900, 30)...), passed("GET /"), ""},
		{"R-46 1,000 fields", get(lines(999, 30)...), passed("GET /"), ""},
		{"R-46 1,001 fields", get(lines(1001, 30)...), large, ""},
		{"R-46 1,001 times one field", get(strings.TrimSuffix(strings.Repeat("a:\r\n", 1001), "\r\n")), large, ""},
		{"R-46 3,000 fields", get(lines(3000, 20)...), large, ""},
		{"R-46 16,000 times one field", get(strings.TrimSuffix(strings.Repeat("a:\r\n", 16_000), "\r\n")), large, ""},
		{"R-46 D9 100,000 fields", get(lines(100_000, 20)...), tooLarge, ""},
		{"R-46 a field of 32 KB less 1", get("X-A: " + fill(field-1)), passed("GET /").with("X-A", fill(field-1)), ""},
		{"R-46 a field of 32 KB", get("X-A: " + fill(field)), passed("GET /").with("X-A", fill(field)), ""},
		{"R-46 a field of 32 KB and 1", get("X-A: " + fill(field+1)), large, ""},
		{"R-46 a field of 60 KB", get("X-A: " + fill(60<<10)), large, ""},
		{"R-46 D9 a cookie of 1 MB", get("Cookie: a=" + fill(1<<20)), tooLarge, ""},
		{"R-46 a name of 100 KB", get(fill(100<<10) + ": a"), tooLarge, ""},
		{"R-46 a field of 1 MB without an end", "GET / HTTP/1.1\r\nX-A: " + fill(1<<20), tooLarge, ""},
		{"R-46 a folded field of 1 MB", get("X-A: " + strings.Repeat("b\r\n ", 1<<18)), tooLarge, ""},
		{
			"R-46 a target of 32 KB less 1", request("GET /" + fill(32<<10-2) + " HTTP/1.1"),
			passed("GET /" + fill(32<<10-2)), "",
		},
		{
			"R-46 a target of 32 KB", request("GET /" + fill(32<<10-1) + " HTTP/1.1"), passed("GET /" + fill(32<<10-1)),
			"",
		},
		{"R-46 a target of 32 KB and 1", request("GET /" + fill(32<<10) + " HTTP/1.1"), long, ""},
		{"R-46 a query of 60 KB", request("GET /?" + strings.Repeat("a=b&", 15<<10) + " HTTP/1.1"), long, ""},
		{"R-46 D9 a target of 64 KB", request("GET /" + fill(64<<10) + " HTTP/1.1"), declined("414|431"), ""},
		{"R-46 a target of 1 MB", request("GET /" + fill(1<<20) + " HTTP/1.1"), refused("414|431"), ""},
		{"R-46 a method of 64 KB", request(strings.Repeat("M", 64<<10) + " / HTTP/1.1"), refused("501"), ""},
		{"R-46 a method of 1 MB", request(strings.Repeat("M", 1<<20) + " / HTTP/1.1"), tooLarge, ""},
		{
			"R-46 1,000 cookies", get("Cookie: " + strings.TrimSuffix(strings.Repeat("a=b; ", 1000), "; ")),
			passed("GET /"), "nobody counts them",
		},
		{
			"R-46 3,000 parameters", request("GET /?" + strings.Repeat("a&", 3000) + " HTTP/1.1"),
			passed("GET /?" + strings.Repeat("a&", 3000)), "nobody counts them",
		},
		{"R-46 a version of 1 MB", request("GET / HTTP/1." + strings.Repeat("1", 1<<20)), tooLarge, ""},
		{"R-46 40 KB of a body that is no chunk", post(chunked) + fill(40<<10), refusedInBody(), ""},
		{
			"R-46 300 KB of a body", post("Content-Length: 300000") + fill(300_000),
			passed("POST /").ofBody(fill(300_000)), "it is kept in a file",
		},
		{
			"R-46 300 KB of chunks", post(chunked) + "493e0\r\n" + fill(300_000) + "\r\n0\r\n\r\n",
			passed("POST /").ofBody(fill(300_000)), "it is kept in a file",
		},
		{
			"R-46 300 KB of chunks, and a broken one", post(chunked) + "493e0\r\n" + fill(300_000) + "\r\nzz\r\n",
			refusedInBody(), "",
		},
		{"R-46 300 KB of half a body, and the client leaves", post("Content-Length: 600000") + fill(300_000), outcome{
			half: true,
			cut:  true,
		}, ""},
	}
}

// methodRows are about methods.
func methodRows() []requestRow {
	method := func(name, method string, want outcome) requestRow {
		return requestRow{"R-36 " + name, request(method + " / HTTP/1.1"), want, ""}
	}

	return []requestRow{
		method("method of 32 bytes", strings.Repeat("M", 32), passed(strings.Repeat("M", 32)+" /")),
		method("method of 33 bytes", strings.Repeat("M", 33), refused("501")),
		method("method of 5,000 bytes", strings.Repeat("M", 5000), refused("501")),
		method("method in lower case", "get", passed("get /")),
		method("method nobody knows", "FOO", passed("FOO /")),
		method("method of token characters", "!#$%&'*+-.^_`|~0a", passed("!#$%&'*+-.^_`|~0a /")),
		method("method with a slash", "GE/T", refused("400")),
		method("method with a colon", "GET:", refused("400")),
		method("method beyond ASCII", "GET\u00e4", refused("400")),
		method("method of one letter", "G", passed("G /")),
		method("no method", "", refused("400")),
		method("control request: PING", "PING", declined("400|405|501")),
		method("control request: ping", "ping", declined("400|405|501")),
		method("control request: OOBW", "OOBW", declined("400|405|501")),
		method("PRI of HTTP/2", "PRI", passed("PRI /")),
		method("TRACE", "TRACE", passed("TRACE /").unlessRefused("405")),
		{"R-36 HEAD", request("HEAD / HTTP/1.1"), passed("HEAD /").by(func() *script {
			return newScript(keeps, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
		}), ""},
	}
}

// orderRows are about requests that come before their turn.
func orderRows() []requestRow {
	const many = 500
	numbered := func(from, to int) (raw string, seen []string) {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
			seen = append(seen, fmt.Sprintf("GET /%d", i))
		}

		return b.String(), seen
	}
	first, seen := numbered(0, many)
	second, more := numbered(many, 2*many)
	codes := strings.TrimSpace(strings.Repeat("200 ", many))
	bad := func(name, raw, code string) requestRow {
		return requestRow{"D16 1,000 requests and " + name, first + raw + second, outcome{
			codes:  codes + " " + code,
			closed: true,
			reset:  true,
			seen:   seen,
		}, ""}
	}
	patient := func() *script {
		sc := newScript(keeps, plainAnswer)
		sc.patient = true
		return sc
	}

	return []requestRow{
		{"D16 1,000 requests", first + second, passed(append(seen[:many:many], more...)...), ""},
		bad("one with two lengths", post("Content-Length: 1", "Content-Length: 2")+"xy", "400"),
		bad("one with an unknown coding", post("Transfer-Encoding: gzip, chunked")+"0\r\n\r\n", "501"),
		bad("one without Host", bare("GET / HTTP/1.1"), "400"),
		bad("one line of something else", "something else\r\n", "400"),
		{"D16 D14 a request, and half of one", get() + "GET / HTTP/1.1\r\nHost: x\r\n", outcome{
			codes:  "200 400",
			closed: true,
			seen:   []string{"GET /"},
		}, "what follows has no place in its head"},
		{"D19 the client has sent everything", get("Connection: close"), outcome{
			codes: "200",
			half:  true,
			seen:  []string{"GET /"},
		}.by(patient), ""},
		{"D19 the client has sent everything, and a body", post("Content-Length: 5") + "hello", outcome{
			codes: "200",
			half:  true,
			seen:  []string{"POST /"},
		}.by(patient), ""},
		{"D19 the client has sent everything, and chunks", post(chunked) + "5\r\nhello\r\n0\r\n\r\n", outcome{
			codes: "200",
			half:  true,
			seen:  []string{"POST /"},
		}.by(patient), ""},
	}
}

// randomBytes are the same each time.
func randomBytes(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return string(b)
}
