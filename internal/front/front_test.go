//go:build linux

package front_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// inputs are what clients send.
func inputs() (all []string) {
	get := func(target, more string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x.example:80\r\n" + more + "\r\n"
	}
	for _, as := range []string{
		"", "flushed", "large", "long", "short", "over", "close", "204", "304", "599", "103", "untyped", "encoded",
		"nothing", "abort",
	} {
		all = append(all, get("/a?as="+as, ""), "HEAD /a?as="+as+" HTTP/1.1\r\nHost: x\r\n\r\n",
			get("/a?as="+as, "")+get("/b", "Connection: close\r\n"), get("/a?as="+as, "connection: foo, CLOSE\r\n"))
	}

	post := func(more, body string) string { return "POST /p HTTP/1.1\r\nHost: x\r\n" + more + "\r\n" + body }

	return append(all,
		get("/a%20b/%2f?c=%zz&d", "A: b\r\nA:  c\t\r\na-b: \xe4\r\nX_Y: \r\nCookie: a\r\n"),
		get("/a%zz", ""), get("//x/y?", ""), get("/?", "Pragma: no-cache\r\n"), get("/a;b,c:d@e!$&'()*+=~", ""),
		get("*", ""), get("http://x.example:80/a", ""), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", get("/#a", ""),
		"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		post("Content-Length: 3\r\n", "abc"), post("Content-Length: 3\r\n", "abc\r\n"+get("/b", "")),
		post("Content-Length: 3\r\n", "abc"+get("/b", "")), post("Content-Length: 5\r\n", "abc"),
		post("Content-Length: 0\r\n", "abc"), post("Content-Length: 20000\r\n", strings.Repeat("y", 20000)),
		post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"+get("/b", "")),
		post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
		post("Content-Length: 3\r\nExpect: 100-continue\r\n", "abc"),
		post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "abc"),
		get("/", "Upgrade: x\r\nConnection: upgrade\r\n"),
		get("/", "X: "+strings.Repeat("z", 17<<10)+"\r\n"), get("/", "X: "+strings.Repeat("z", 30<<10)+"\r\n"),
		"GET / HTTP/1.1\r\nHost: x\r\nA", "G", "\r\n", strings.Repeat(get("/many", ""), 50),
		"get / HTTP/1.1\r\nHost: x\r\n\r\n", get("/", " a: b\r\n"), get("/", "Host: y\r\n"),
	)
}

// Whatever a client sends, it gets the same from a Server as from net/http behind the guard.
func TestResponsesAreThoseOfTheStandardServer(t *testing.T) {
	ours, theirs := start(t, show, false), start(t, show, true)
	for _, input := range inputs() {
		t.Run(fmt.Sprintf("%.60q", input), func(t *testing.T) {
			requireSame(t, theirs.exchange(input), ours.exchange(input), input)
		})
	}
}

// The bytes may come one by one.
func TestRequestsMayComeInPieces(t *testing.T) {
	s := start(t, show, false)

	want := s.exchange("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, size := range []int{1, 7, 30} {
		c := s.dial()

		input := []byte("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
		for piece := range slices.Chunk(input, size) {
			_, err := c.Write(piece)
			require.NoError(t, err)
		}

		require.NoError(t, c.CloseWrite())
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		requireSame(t, want, string(got), "")
	}
}

// What a connection had when a request was served is not seen by the next one.
func TestRequestsShareNothing(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			w.Header().Set("X-Secret", r.Header.Get("Cookie"))
			_, _ = io.WriteString(w, "first")
			return
		}

		_, _ = io.WriteString(w, fmt.Sprint(r.Header))
	}, false)
	all := s.exchange("GET /first HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, 1, strings.Count(all, "secret"))
	require.Equal(t, 1, strings.Count(all, "X-Secret"))
	require.Contains(t, all, "map[]")
}

// FuzzAgainstTheStandardServer gives both servers the same bytes.
func FuzzAgainstTheStandardServer(f *testing.F) {
	for _, input := range inputs() {
		f.Add(input)
	}

	var once sync.Once
	var ours, theirs *server
	f.Fuzz(func(t *testing.T, input string) {
		once.Do(func() {
			holder := &testing.T{}
			ours, theirs = start(holder, show, false), start(holder, show, true)
		})

		if len(input) > 50<<10 {
			return // it would only take longer
		}

		ours.t, theirs.t = t, t
		requireSame(t, theirs.exchange(input), ours.exchange(input), input)
	})
}
