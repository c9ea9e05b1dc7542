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
		{"60 KB of head (R-46)", get(lines(60, 1000)...), passed("GET /"), ""},
		{"79 KB of head (R-46)", get(lines(79, 1000)...), passed("GET /"), ""},
		{"90 KB of head (R-46)", get(lines(90, 1000)...), tooLarge, ""},
		{"900 fields (R-46)", get(lines(900, 30)...), passed("GET /"), ""},
		{"1,000 fields (R-46)", get(lines(999, 30)...), passed("GET /"), ""},
		{"1,001 fields (R-46)", get(lines(1001, 30)...), large, ""},
		{"1,001 times one field (R-46)", get(strings.TrimSuffix(strings.Repeat("a:\r\n", 1001), "\r\n")), large, ""},
		{"3,000 fields (R-46)", get(lines(3000, 20)...), large, ""},
		{"16,000 times one field (R-46)", get(strings.TrimSuffix(strings.Repeat("a:\r\n", 16_000), "\r\n")), large, ""},
		{"100,000 fields (R-46 D9)", get(lines(100_000, 20)...), tooLarge, ""},
		{
			"a field of 32 KB less 1 (R-46)",
			get("X-A: " + fill(field-1)), passed("GET /").with("X-A", fill(field-1)), "",
		},
		{"a field of 32 KB (R-46)", get("X-A: " + fill(field)), passed("GET /").with("X-A", fill(field)), ""},
		{"a field of 32 KB and 1 (R-46)", get("X-A: " + fill(field+1)), large, ""},
		{"a field of 60 KB (R-46)", get("X-A: " + fill(60<<10)), large, ""},
		{"a cookie of 1 MB (R-46 D9)", get("Cookie: a=" + fill(1<<20)), tooLarge, ""},
		{"a name of 100 KB (R-46)", get(fill(100<<10) + ": a"), tooLarge, ""},
		{"a field of 1 MB without an end (R-46)", "GET / HTTP/1.1\r\nX-A: " + fill(1<<20), tooLarge, ""},
		{"a folded field of 1 MB (R-46)", get("X-A: " + strings.Repeat("b\r\n ", 1<<18)), tooLarge, ""},
		{
			"a target of 32 KB less 1 (R-46)", request("GET /" + fill(32<<10-2) + " HTTP/1.1"),
			passed("GET /" + fill(32<<10-2)), "",
		},
		{
			"a target of 32 KB (R-46)",
			request("GET /" + fill(32<<10-1) + " HTTP/1.1"), passed("GET /" + fill(32<<10-1)),
			"",
		},
		{"a target of 32 KB and 1 (R-46)", request("GET /" + fill(32<<10) + " HTTP/1.1"), long, ""},
		{"a query of 60 KB (R-46)", request("GET /?" + strings.Repeat("a=b&", 15<<10) + " HTTP/1.1"), long, ""},
		{"a target of 64 KB (R-46 D9)", request("GET /" + fill(64<<10) + " HTTP/1.1"), declined("414|431"), ""},
		{"a target of 1 MB (R-46)", request("GET /" + fill(1<<20) + " HTTP/1.1"), refused("414|431"), ""},
		{"a method of 64 KB (R-46)", request(strings.Repeat("M", 64<<10) + " / HTTP/1.1"), refused("501"), ""},
		{"a method of 1 MB (R-46)", request(strings.Repeat("M", 1<<20) + " / HTTP/1.1"), tooLarge, ""},
		{
			"1,000 cookies (R-46)", get("Cookie: " + strings.TrimSuffix(strings.Repeat("a=b; ", 1000), "; ")),
			passed("GET /"), "the server does not count them",
		},
		{
			"3,000 parameters (R-46)", request("GET /?" + strings.Repeat("a&", 3000) + " HTTP/1.1"),
			passed("GET /?" + strings.Repeat("a&", 3000)), "the server does not count them",
		},
		{"a version of 1 MB (R-46)", request("GET / HTTP/1." + strings.Repeat("1", 1<<20)), tooLarge, ""},
		{"40 KB of a body that is no chunk (R-46)", post(chunked) + fill(40<<10), refusedInBody(), ""},
		{
			"300 KB of a body (R-46)", post("Content-Length: 300000") + fill(300_000),
			passed("POST /").ofBody(fill(300_000)), "it is kept in a file",
		},
		{
			"300 KB of chunks (R-46)", post(chunked) + "493e0\r\n" + fill(300_000) + "\r\n0\r\n\r\n",
			passed("POST /").ofBody(fill(300_000)), "it is kept in a file",
		},
		{
			"300 KB of chunks, and a broken one (R-46)", post(chunked) + "493e0\r\n" + fill(300_000) + "\r\nzz\r\n",
			refusedInBody(), "",
		},
		{"300 KB of half a body, and the client leaves (R-46)", post("Content-Length: 600000") + fill(300_000), outcome{
			half: true,
			cut:  true,
		}, ""},
	}
}

// methodRows are about methods.
func methodRows() []requestRow {
	method := func(name, method string, want outcome) requestRow {
		return requestRow{name + " (R-36)", request(method + " / HTTP/1.1"), want, ""}
	}

	return []requestRow{
		method("method of 32 bytes", strings.Repeat("M", 32), passed(strings.Repeat("M", 32)+" /")),
		method("method of 33 bytes", strings.Repeat("M", 33), refused("501")),
		method("method of 5,000 bytes", strings.Repeat("M", 5000), refused("501")),
		method("method in lower case", "get", passed("get /")),
		method("unknown method", "FOO", passed("FOO /")),
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
		{"HEAD (R-36)", request("HEAD / HTTP/1.1"), passed("HEAD /").by(func() *script {
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
		return requestRow{"1,000 requests and " + name + " (D16)", first + raw + second, outcome{
			codes:  codes + " " + code,
			closed: true,
			reset:  true,
			seen:   seen,
		}, ""}
	}
	patient := func() *script {
		sc := newScript(keeps, plainResponse)
		sc.patient = true
		return sc
	}

	return []requestRow{
		{"1,000 requests (D16)", first + second, passed(append(seen[:many:many], more...)...), ""},
		bad("one with two lengths", post("Content-Length: 1", "Content-Length: 2")+"xy", "400"),
		bad("one with an unknown coding", post("Transfer-Encoding: gzip, chunked")+"0\r\n\r\n", "501"),
		bad("one without Host", bare("GET / HTTP/1.1"), "400"),
		bad("one line of something else", "something else\r\n", "400"),
		{"a request, and half of one (D16 D14)", get() + "GET / HTTP/1.1\r\nHost: x\r\n", outcome{
			codes:  "200 400",
			closed: true,
			seen:   []string{"GET /"},
		}, "what follows has no place in its head"},
		{"the client has sent everything (D19)", get("Connection: close"), outcome{
			codes: "200",
			half:  true,
			seen:  []string{"GET /"},
		}.by(patient), ""},
		{"the client has sent everything, and a body (D19)", post("Content-Length: 5") + "hello", outcome{
			codes: "200",
			half:  true,
			seen:  []string{"POST /"},
		}.by(patient), ""},
		{"the client has sent everything, and chunks (D19)", post(chunked) + "5\r\nhello\r\n0\r\n\r\n", outcome{
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
