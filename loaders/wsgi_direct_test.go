package loaders_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Faults: R-57.
func TestWSGIDirectAccessNeedsThePassword(t *testing.T) {
	requireDirectAccess(t, startWSGI(t, keepAlive))
}

func TestWSGIDirectEnvironment(t *testing.T) {
	t.Parallel()
	p := startWSGIProcess(t, keepAlive)
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "PUT", "http://example.com/environment/?a=%20b")+
		"Content-Type: text/x\r\nContent-Length: 3\r\nX-Twice: one\r\nX-Twice: two\r\nCookie: a=1\r\nCookie: b=2\r\n"+
		"X-Latin: \xe9\r\nX-Empty:\r\n\r\none"))
	var env map[string]any
	r := s.read(t, "PUT")
	require.NoError(t, json.Unmarshal([]byte(r.body), &env), r.body)
	clientHost, clientPort, err := net.SplitHostPort(s.LocalAddr().String())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(p.directAddress(t))
	require.NoError(t, err)

	for name, want := range map[string]any{
		"REQUEST_METHOD": "PUT", "REQUEST_URI": "/environment/?a=%20b", "SCRIPT_NAME": "", "PATH_INFO": "/environment/",
		"QUERY_STRING": "a=%20b", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": port,
		"REMOTE_ADDR": clientHost, "REMOTE_PORT": clientPort, "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "3",
		"HTTP_HOST": "localhost", "HTTP_X_TWICE": "one, two", "HTTP_COOKIE": "a=1; b=2", "HTTP_X_LATIN": "é",
		"HTTP_X_EMPTY": "", "wsgi.url_scheme": "http", "wsgi.multithread": false,
	} {
		require.Equal(t, want, env[name], name)
	}

	require.NotContains(t, env, "HTTP_CONTENT_TYPE")
	require.NotContains(t, r.body, password)
}

func TestWSGIDirectRequests(t *testing.T) {
	t.Parallel()
	p := startWSGI(t, keepAlive)
	get := fmt.Sprintf(directHead, "GET", "/ignore_body")

	withPassword := get[strings.Index(get, "X-Passenger"):]
	large := "X-Large: " + strings.Repeat(" ", 100_000) + "x\r\n"

	for request, status := range map[string]int{
		"GET /ignore_body?x HTTP/1.1\r\n" + withPassword + "\r\n":           http.StatusOK,
		"GET http://h/ignore_body HTTP/1.0\r\n" + withPassword + "\r\n":     http.StatusOK,
		"OOBW /ignore_body HTTP/1.1\r\n" + withPassword + "\r\n":            http.StatusOK,
		"GET ignore_body HTTP/1.1\r\n" + withPassword + "\r\n":              http.StatusBadRequest,
		"GET ?x HTTP/1.1\r\n" + withPassword + "\r\n":                       http.StatusBadRequest,
		"GET  HTTP/1.1\r\n" + withPassword + "\r\n":                         http.StatusBadRequest,
		"OPTIONS * HTTP/1.1\r\n" + withPassword + "\r\n":                    http.StatusBadRequest,
		"GET /ignore_body HTTP/1.1\n" + withPassword + "\r\n":               http.StatusBadRequest,
		"GET /ignore_body HTTP/1.1\n\n":                                     http.StatusBadRequest,
		"\r\n\r\n":                                                          http.StatusBadRequest,
		get + "X-Folded: a\r\n b\r\n\r\n":                                   http.StatusBadRequest,
		get + "X-Bare: a\rb\r\n\r\n":                                        http.StatusBadRequest,
		get + "X-Bare: a\nb\r\n\r\n":                                        http.StatusBadRequest,
		get + "Host: another\r\n\r\n":                                       http.StatusBadRequest,
		get + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody":          http.StatusBadRequest,
		get + "Content-Length:\r\n\r\n":                                     http.StatusBadRequest,
		get + "Transfer-Encoding: gzip\r\n\r\n":                             http.StatusLengthRequired,
		get + "Content_Length: 4\r\nTransfer_Encoding: chunked\r\n\r\n":     http.StatusOK,
		"POST /ignore_body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0": http.StatusForbidden,
		"PING /ignore_body HTTP/1.1\r\n" + large + "\r\n":                   http.StatusForbidden,
	} {
		r := p.directRequest(t, "GET", request)
		require.Equal(t, status, r.StatusCode, "%.200q", request)
	}

	require.Empty(t, p.directGet(t, "/echo").body, "reading a body that there is not must not wait")

	for _, uri := range []string{"/generator", "/file"} {
		require.NotEmpty(t, p.directGet(t, uri).body)
	}

	require.Equal(t, http.StatusInternalServerError, p.directGet(t, "/fail").StatusCode)
	require.NotContains(t, p.out.String(), password)
}

// A client that asks whether it may send its body gets 100 when the application
// wants it, and only then.
func TestWSGIDirectContinue(t *testing.T) {
	t.Parallel()
	p := startWSGI(t, keepAlive)
	expect := "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "POST", "/echo")+expect))
	line, err := s.br.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = s.br.ReadString('\n')
	require.NoError(t, err)
	s.write(t, []byte("body"))
	require.Equal(t, "body", s.read(t, "POST").body)

	s = p.direct(t)
	s.write(t, []byte(fmt.Sprintf(directHead, "POST", "/ignore_body")+expect))
	require.Equal(t, "ignored", s.read(t, "POST").body)
}

func TestWSGIDirectTimeLimits(t *testing.T) {
	t.Parallel()
	p := start(t, wsgiSpec(t, python(t), writeWSGIApp(t, impatient+`
def application(env, start_response):
    if env["PATH_INFO"] == "/read":
        env["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"served"]
`)))

	post := fmt.Sprintf(directHead, "POST", "%s") + "Content-Length: 100\r\n\r\nhalf"
	for _, sent := range []string{"", "GET / HT", fmt.Sprintf(post, "/read")} {
		s := p.direct(t)
		s.write(t, []byte(sent))
		s.requireClosed(t)
	}

	// It ends although the client has not closed its end.
	s := p.direct(t)
	s.write(t, []byte(fmt.Sprintf(post, "/")))
	require.Equal(t, "served", s.read(t, "POST").body)
	require.Eventually(t, func() bool {
		_, err := s.Write([]byte("x"))
		return err != nil
	}, deadline, 10*time.Millisecond)
	require.Equal(t, "served", p.directGet(t, "/").body)
	p.requireCleanStop(t)
}

// The application never sees two requests at once unless it has threads.
func TestWSGIDirectTakesTurns(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p := startWSGIProcess(t, keepAlive)
	s, d := p.session(t), p.direct(t)
	s.write(t, header(t, "GET", "/wait?"+fifo, nil))
	p.out.await(t, "waiting")
	d.write(t, []byte(fmt.Sprintf(directHead, "GET", "/identity")+"\r\n"))
	writeFIFO(t, fifo, "finished")
	require.JSONEq(t, `"finished"`, s.read(t, "GET").body)
	var id wsgiIdentity
	require.NoError(t, json.Unmarshal([]byte(d.read(t, "GET").body), &id))
	require.Equal(t, 1, id.MostAtOnce)
}

// A process that knows no connect password has no direct access.
func TestWSGIDirectNeedsPassword(t *testing.T) {
	t.Parallel()
	s := wsgiSpec(t, python(t), absolute(t, "testdata/wsgiprocess/passenger_wsgi.py"))
	s.request.ConnectPassword = ""
	p := launch(t, s)
	_, err := fmt.Fprintf(p.stdio, "You have control 1.0\napp_root: %s\nstartup_file: %s\nsocket_dir: %s\n\n",
		s.request.AppRoot, s.request.StartupFile, p.socketDir)
	require.NoError(t, err)

	var sockets []string
	for lines := bufio.NewScanner(p.stdio); lines.Scan() && lines.Text() != "!> "; {
		if line, ok := strings.CutPrefix(lines.Text(), "!> socket: "); ok {
			sockets = append(sockets, line)
		}
	}

	require.Len(t, sockets, 1)
	require.True(t, strings.HasPrefix(sockets[0], "main;unix:"))
	p.requireCleanStop(t)
}
