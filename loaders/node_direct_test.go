package loaders_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// Faults: R-57.
func TestNodeDirectAccessNeedsThePassword(t *testing.T) {
	requireDirectAccess(t, startNode(t))
}

// What the application's process was started with does not loosen or tighten
// what direct access takes.
func TestNodeDirectAccessLimits(t *testing.T) {
	t.Parallel()
	p := startNode(t, func(s *spec) {
		s.env = append(s.env, "NODE_OPTIONS=--max-http-header-size=2000 --insecure-http-parser")
	})
	request := fmt.Sprintf(directHead, "GET", "/ignore_body") + "X-Large: " + strings.Repeat("x", 100<<10) + "\r\n"
	require.Equal(t, "ignored", p.directRequest(t, "GET", request+"\r\n").body)
	r := p.directRequest(t, "GET", request+"Space-Before : colon\r\n\r\n")
	require.Equal(t, http.StatusBadRequest, r.StatusCode)
}

// An application that asks for a connection to be kept does not get that.
func TestNodeDirectAccessCloses(t *testing.T) {
	t.Parallel()
	p := startNode(t)
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "GET", "/keep_alive")+"\r\n"))
	require.Equal(t, "kept", s.read(t, "GET").body)
	s.requireClosed(t)
}

func TestNodeDirectAccessUpgrade(t *testing.T) {
	t.Parallel()
	p := startNode(t)
	const upgrade = "Connection: upgrade\r\nUpgrade: echo\r\n\r\n"
	r := p.directRequest(t, "GET", "GET / HTTP/1.1\r\nHost: localhost\r\n"+upgrade)
	require.Equal(t, http.StatusForbidden, r.StatusCode)
	require.Contains(t, r.Header.Get("Content-Type"), "text/plain")

	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "GET", "/")+upgrade+"head"))
	res, err := http.ReadResponse(s.br, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	s.write(t, []byte(" tail"))
	echoed := make([]byte, len("head tail"))
	_, err = io.ReadFull(s.br, echoed)
	require.NoError(t, err)
	require.Equal(t, "head tail", string(echoed))

	// The open tunnel does not keep the process from stopping.
	p.requireCleanStop(t)
}

// The application's server is asked for what it does about each kind of
// request, and the password comes first.
func TestNodeDirectAccessEvents(t *testing.T) {
	t.Parallel()
	const plain = "const server = require('http').createServer((req, res) => req.pipe(res)); server.listen();\n"
	const custom = plain + `
		server.on('checkContinue', (req, res) => res.end('application: ' + req.headers.expect));
		server.on('checkExpectation', (req, res) => res.end('application: ' + req.headers.expect));
		server.on('connect', (req, socket) => {
			socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntunnel to ' + req.url);
		});`
	post := fmt.Sprintf(directHead, "POST", "/") + "Content-Length: 4\r\n"
	connect := "CONNECT example.com:1 HTTP/1.1\r\nHost: localhost\r\n"
	access := "X-Passenger-Connect-Password: " + password + "\r\n"

	p := start(t, nodeSpec(t, nodeApp(t, "app.js", custom)))
	require.Equal(t, "application: 100-continue",
		p.directRequest(t, "POST", post+"Expect: 100-continue\r\n\r\nbody").body)
	require.Equal(t, "application: 200-ok", p.directRequest(t, "POST", post+"Expect: 200-ok\r\n\r\nbody").body)
	require.Equal(t, "tunnel to example.com:1", p.directRequest(t, "GET", connect+access+"\r\n").body)

	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nContent-Length: 4\r\n\r\n",
		connect + "\r\n",
	} {
		require.Equal(t, http.StatusForbidden, p.directRequest(t, "GET", request).StatusCode, request)
	}

	p = start(t, nodeSpec(t, nodeApp(t, "app.js", plain)))
	s := p.direct(t)
	s.write(t, []byte(post+"Expect: 100-continue\r\n\r\n"))
	res, err := http.ReadResponse(s.br, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusContinue, res.StatusCode)
	s.write(t, []byte("body"))
	require.Equal(t, "body", s.read(t, "POST").body)
	require.Equal(t, http.StatusExpectationFailed,
		p.directRequest(t, "POST", post+"Expect: 200-ok\r\n\r\nbody").StatusCode)
	s = p.direct(t)
	s.write(t, []byte(connect+access+"\r\n"))
	s.requireClosed(t)
	upgrade := "Connection: upgrade\r\nUpgrade: echo\r\n\r\n"
	require.Equal(t, "body", p.directRequest(t, "POST", post+upgrade+"body").body)
}

// Direct access does not keep a process alive that the application ends.
func TestNodeDirectAccessIsNoReasonToLive(t *testing.T) {
	t.Parallel()
	p := startNode(t)
	silent, half := p.direct(t), p.direct(t)
	half.write(t, []byte("GET / HT"))
	require.Equal(t, "ignored", p.directGet(t, "/ignore_body").body)
	c := p.http(t)
	require.Equal(t, "closing", c.get(t, "/close").body)
	require.NoError(t, c.Close())
	require.Zero(t, p.exitCode(t), p.out.String())
	silent.requireClosed(t)
	require.Contains(t, p.out.String(), "closed")
}

func TestNodeDirectAccessNeedsAPassword(t *testing.T) {
	t.Parallel()
	p := startWithoutPassword(t, nodeSpec(t, absolute(t, "testdata/node/app.js")))
	require.Len(t, p.ready.Sockets, 1)
	require.Equal(t, "hello", p.http(t).get(t, "/").body)
}

// startWithoutPassword starts a process that gets no connect password.
func startWithoutPassword(t *testing.T, s *spec) *process {
	t.Helper()
	p := launch(t, s)
	require.NoError(t, p.stdio.SetDeadline(time.Now().Add(deadline)))
	n := loaderproto.Negotiation{Request: s.request, Noise: func(b []byte) { _, _ = p.out.Write(b) }}
	ready, rest, err := n.Negotiate(p.stdio)
	require.NoError(t, err, p.out.String())
	require.NoError(t, p.stdio.SetDeadline(time.Time{}))
	p.ready = ready
	go func() { _, _ = io.Copy(&p.out, rest) }()

	return p
}
