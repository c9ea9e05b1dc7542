package loaders_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// Faults: R-57.
func TestRackDirectAccessNeedsThePassword(t *testing.T) {
	requireDirectAccess(t, startRack(t, keepAlive))
}

func TestRackDirectAccessWithThreads(t *testing.T) {
	requireDirectAccess(t, startRack(t, keepAlive, threads(3)))
}

func TestRackDirectAccessForked(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, rackPreloaderSpec(t, absolute(t, "testdata/rack/config.ru")))
	w := p.spawn(t, rackWorkerSpec())
	requireDirectResponses(t, w.process)
	requireDirectHeaders(t, w.process)
}

func TestRackDirectNeedsPassword(t *testing.T) {
	t.Parallel()
	s := rackSpec(t, absolute(t, "testdata/rack/config.ru"))
	p := launch(t, s)
	n := loaderproto.Negotiation{Request: s.request}
	ready, _, err := n.Negotiate(p.stdio)
	require.NoError(t, err)
	require.Len(t, ready.Sockets, 1)
}

func TestRackDirectEnvironment(t *testing.T) {
	t.Parallel()
	p := startRack(t)
	r := p.directRequest(t, "GET", "GET /show_env/%C3%A9?a=%20b HTTP/1.1\r\nHost: localhost:1\r\n"+
		"x-passenger-connect-password:"+password+
		"\t\r\nCookie: a=b\r\nCookie: c=d\r\nAccept: text/x\r\nAccept: text/y\r\n"+
		"Content-Type: text/z\r\nContent-Length: 0\r\n\r\n")
	var env map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &env))

	_, port, _ := strings.Cut(p.directAddress(t), ":")
	for name, value := range map[string]any{
		"REQUEST_METHOD": "GET", "REQUEST_URI": "/show_env/%C3%A9?a=%20b", "PATH_INFO": "/show_env/%C3%A9",
		"QUERY_STRING": "a=%20b", "SCRIPT_NAME": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": port,
		"SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:1",
		"HTTP_COOKIE": "a=b; c=d", "HTTP_ACCEPT": "text/x,text/y", "CONTENT_TYPE": "text/z", "CONTENT_LENGTH": "0",
		"rack.url_scheme": "http", "rack.multithread": false,
	} {
		require.Equal(t, value, env[name], name)
	}

	require.NotContains(t, env, "HTTP_CONTENT_TYPE")
}

// Whatever an application returns arrives as HTTP, whichever version the client
// speaks.
func TestRackDirectResponses(t *testing.T) {
	t.Parallel()
	p := startRack(t)

	large := strings.Repeat("x", 1000000)
	for uri, want := range map[string]string{
		"/generator": "onetwo", "/file": large, "/without_body?204": "", "/streaming": "onetwo",
		"/partial_hijack": "hijacked", "/chunked_by_itself": "own", "/too_much": "abc",
	} {
		require.Equal(t, want, p.directGet(t, uri).body, uri)
		if uri == "/chunked_by_itself" {
			continue
		}

		r := p.directRequest(t, "GET", "GET "+uri+" HTTP/1.0\r\nX-Passenger-Connect-Password: "+password+"\r\n\r\n")
		require.Equal(t, want, r.body, uri)
		require.Empty(t, r.TransferEncoding)
	}

	require.Equal(t, http.StatusInternalServerError, p.directGet(t, "/fail").StatusCode)
	require.JSONEq(t, `["generator", "generator", "file", "file", "without", "without", "partial", "partial"]`,
		sorted(t, p.directGet(t, "/which_closed").body, "generator", "file", "without", "partial"))

	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "GET", "/full_hijack")+"\r\nping"))
	require.Equal(t, "ping", s.read(t, "GET").body)
	s.requireClosed(t)
}

// sorted puts the strings of a JSON array in an order.
func sorted(t *testing.T, array string, order ...string) string {
	t.Helper()
	var all, result []string
	require.NoError(t, json.Unmarshal([]byte(array), &all))

	for _, name := range order {
		for _, s := range all {
			if s == name {
				result = append(result, s)
			}
		}
	}

	require.Len(t, result, len(all))
	b, err := json.Marshal(result)
	require.NoError(t, err)

	return string(b)
}

func TestRackDirectRefusals(t *testing.T) {
	t.Parallel()
	p := startRack(t)
	allowed := "X-Passenger-Connect-Password: " + password + "\r\n"

	head := "POST /echo HTTP/1.1\r\nHost: localhost\r\n" + allowed
	for request, status := range map[string]int{
		"GET /echo HTTP/1.1\n" + allowed + "\n":                              http.StatusBadRequest,
		"GET /echo HTTP/1.1\nHost: localhost\n" + allowed + "\r\n":           http.StatusBadRequest,
		"GET /echo HTTP/1.1\r\nHost: localhost\nX: y\r\n" + allowed + "\r\n": http.StatusBadRequest,
		"GET /echo HTTP/1.1\r\n" + allowed + "\r\n":                          http.StatusBadRequest,
		"GET /echo HTTP/1.1\r\nHost: a\r\nHost: a\r\n" + allowed + "\r\n":    http.StatusBadRequest,
		"GET http://localhost/ HTTP/1.1\r\nHost: a\r\n" + allowed + "\r\n":   http.StatusBadRequest,
		head + "X: y\r\n folded\r\n\r\n":                                     http.StatusBadRequest,
		head + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody":          http.StatusBadRequest,
		"\r\n\r\n": http.StatusBadRequest,
		head + "Transfer-Encoding: chunked\r\n\r\n":                                 http.StatusLengthRequired,
		head + "Transfer-Encoding: xchunked\r\n\r\n":                                http.StatusLengthRequired,
		head + "Content-Length: 9000000\r\n\r\n":                                    http.StatusRequestEntityTooLarge,
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n": http.StatusForbidden,
	} {
		r := p.directRequest(t, "GET", request)
		require.Equal(t, status, r.StatusCode, "%q", request)
	}

	s := p.direct(t)
	s.write(t, []byte(head+"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
	line, err := s.br.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = s.br.ReadString('\n')
	require.NoError(t, err)
	s.write(t, []byte("body"))
	require.Equal(t, "body", s.read(t, "POST").body)
}

// An application that is not safe with threads sees one request at once,
// wherever it comes from, and slow bodies wait outside.
func TestRackDirectOneAtOnce(t *testing.T) {
	t.Parallel()
	p := startRackThreads(t, keepAlive)
	slow := p.direct(t)
	slow.write(t, []byte(fmt.Sprintf(directHead, "POST", "/state")+"Content-Length: 4\r\n\r\nhal"))

	for range 5 {
		gates, sessions := holdUp(t, p, 1)
		direct := p.direct(t)
		direct.write(t, []byte(fmt.Sprintf(directHead, "GET", "/counted")+"\r\n"))
		gates[0].open(t)
		require.Equal(t, "through", sessions[0].read(t, "GET").body)
		require.Equal(t, "counted", direct.read(t, "GET").body)
	}

	slow.write(t, []byte("f"))
	var state insideState
	require.NoError(t, json.Unmarshal([]byte(slow.read(t, "POST").body), &state))
	require.Equal(t, insideState{Inside: 1, Most: 1, Closed: 5}, state)
}

// hurried makes the deadlines of direct access short.
const hurried = `
PassengerLoader::DirectConnection.class_eval do
  %i[ARRIVAL_SECONDS STALL_SECONDS LINGER_SECONDS].each { |name| remove_const(name) && const_set(name, 0.2) }
end
class Endless
  def each = loop { yield "x" * 65_536 }
  def close = puts("given up")
end
ROUTES = {
  "/" => ->(_env) { ["ignored"] },
  "/endless" => ->(_env) { Endless.new },
  "/wait" => ->(env) { puts "waiting for #{env["QUERY_STRING"]}"; [File.read(env["QUERY_STRING"])] }
}
run ->(env) { [200, {}, ROUTES.fetch(env["PATH_INFO"]).call(env)] }`

func TestRackDirectDeadlines(t *testing.T) {
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, hurried)))
	silent, half, body := p.direct(t), p.direct(t), p.direct(t)
	half.write(t, []byte("GET / HT"))
	body.write(t, []byte(fmt.Sprintf(directHead, "POST", "/")+"Content-Length: 4\r\n\r\nhal"))

	for _, s := range []*session{silent, half, body} {
		s.requireClosed(t)
	}

	// A client that does not read holds the application only so long.
	stalled := p.direct(t)
	stalled.write(t, []byte(fmt.Sprintf(directHead, "GET", "/endless")+"\r\n"))
	require.Equal(t, "ignored", p.get(t, "/").body)
	p.out.await(t, "given up")

	// One that does not close after the response is closed.
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "GET", "/")+"\r\n"))
	require.Equal(t, "ignored", s.read(t, "GET").body)
	require.Eventually(t, func() bool {
		_, err := s.Write([]byte("x"))
		return err != nil
	}, deadline, 10*time.Millisecond)
}

// The deadlines are for the client, not for the application.
func TestRackDirectDeadlinesSpareTheApplication(t *testing.T) {
	t.Parallel()
	p := start(t, rackSpec(t, writeRackApp(t, hurried), threads(2)))
	g, held := newGate(t), p.direct(t)
	held.write(t, []byte(fmt.Sprintf(directHead, "GET", g.uri())+"\r\n"))
	g.await(t, p)
	p.direct(t).requireClosed(t) // at a deadline that is later than the other's
	g.open(t)
	require.Equal(t, "through", held.read(t, "GET").body)
}

// What is between the application and the server is not for people.
func TestRackDirectHidesOwnHeaders(t *testing.T) {
	t.Parallel()
	app := `run ->(env) { [200, { "!~Request-OOB-Work" => "true", "X-Shown" => "1" }, ["hello"]] }`
	p := start(t, rackSpec(t, writeRackApp(t, app), keepAlive))
	r := p.directRequest(t, "GET", "GET / HTTP/1.1\r\nHost: x\r\nX-Passenger-Connect-Password: "+password+"\r\n\r\n")
	require.Equal(t, "hello", r.body)
	require.Equal(t, "1", r.Header.Get("X-Shown"))

	for name := range r.Header {
		require.False(t, strings.HasPrefix(name, "!~"), name)
	}

	require.Equal(t, "true", p.get(t, "/").Header.Get("!~Request-OOB-Work"), "the server gets it")
}
