package loaders_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// Direct access to one process, which every loader has to serve alike. The
// application has the routes /ignore_body, which responds with "ignored", /echo, which
// sends back the request's body, and /show_env, which shows the request's headers.

// maxDirectConnections is how many connections a process keeps open for direct
// access.
const maxDirectConnections = 32

// directHead is what begins a request that is let in.
const directHead = "%s %s HTTP/1.1\r\nHost: localhost\r\nX-Passenger-Connect-Password: " + password + "\r\n"

func (p *process) directAddress(t *testing.T) string {
	t.Helper()

	var found []loaderproto.Socket
	for _, s := range p.ready.Sockets {
		if s.Name == "http" {
			found = append(found, s)
		}
	}

	require.Len(t, found, 1)
	require.Equal(t, loaderproto.HTTP, found[0].Protocol)
	require.Equal(t, 1, found[0].Concurrency)
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, found[0].Address.String())

	return found[0].Address.Addr
}

// direct is a connection for direct access to one process.
func (p *process) direct(t *testing.T) *session {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.directAddress(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))

	return &session{conn, bufio.NewReader(conn)}
}

// directGet asks on a connection of its own, which has to be closed then.
func (p *process) directGet(t *testing.T, uri string) reply {
	t.Helper()
	return p.directRequest(t, http.MethodGet, fmt.Sprintf(directHead, http.MethodGet, uri)+"\r\n")
}

func (p *process) directRequest(t *testing.T, method, request string) reply {
	t.Helper()
	s := p.direct(t)
	s.write(t, []byte(request))
	r := s.read(t, method)
	require.True(t, r.Close, request)
	s.requireClosed(t)
	require.NoError(t, s.Close())

	return r
}

func requireDirectAccess(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	requireDirectResponses(t, p)
	requireDirectPassword(t, p)
	requireDirectHeaders(t, p)
	requireDirectRefusals(t, p)
	requireDirectLimits(t, p)
}

func requireDirectResponses(t *testing.T, p *process) {
	t.Helper()
	r := p.directGet(t, "/ignore_body")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "ignored", r.body)

	r = p.directRequest(t, "GET", "GET /ignore_body HTTP/1.0\r\nX-Passenger-Connect-Password: "+password+"\r\n\r\n")
	require.Equal(t, "ignored", r.body)
	require.Empty(t, r.TransferEncoding)

	post := fmt.Sprintf(directHead, "POST", "/echo")
	r = p.directRequest(t, "POST", post+"Content-Length: 4\r\n\r\nbody")
	require.Equal(t, "body", r.body)
	large := strings.Repeat("0123456789", 100_000)
	r = p.directRequest(t, "POST", post+"Content-Length: 1000000\r\n\r\n"+large)
	require.Equal(t, large, r.body)

	head := fmt.Sprintf(directHead, "HEAD", "/ignore_body") + "\r\n"
	r = p.directRequest(t, "HEAD", head)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Empty(t, r.body)

	chunked := p.directRequest(t, "POST", post+"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
	if chunked.StatusCode != http.StatusLengthRequired {
		require.Equal(t, http.StatusOK, chunked.StatusCode)
		require.Equal(t, "body", chunked.body)
	}
}

func requireDirectPassword(t *testing.T, p *process) {
	t.Helper()

	for _, header := range []string{
		"", "X-Passenger-Connect-Password:\r\n", "X-Passenger-Connect-Password: wrong\r\n",
		"X-Passenger-Connect-Password: " + password[:5] + "\r\n",
		"X-Passenger-Connect-Password: " + password + "x\r\n",
		"X-Passenger-Connect-Password: " + strings.ToUpper(password) + "\r\n",
		"X_Passenger_Connect_Password: " + password + "\r\n",
		"X-Passenger-Connect-Password: caf\xc3\xa9\xff\r\n",
		"X-Passenger-Connect-Password: wrong\r\nX-Passenger-Connect-Password: " + password + "\r\n",
		"X-Passenger-Connect-Password: " + password + "\r\nX-Passenger-Connect-Password: wrong\r\n",
	} {
		r := p.directRequest(t, "GET", "GET /ignore_body HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n")
		require.Equal(t, http.StatusForbidden, r.StatusCode, header)
		require.Contains(t, r.Header.Get("Content-Type"), "text/plain")
		require.NotContains(t, r.body, "ignored")
		require.NotEmpty(t, r.body)
		require.Less(t, len(r.body), 300)
	}

	p.out.await(t, "refused a request with a wrong connect password")
	require.NotContains(t, p.out.String(), password)
}

func requireDirectHeaders(t *testing.T, p *process) {
	t.Helper()
	r := p.directRequest(t, "GET", fmt.Sprintf(directHead, "GET", "/show_env")+
		"X-Seen: seen\r\nX_Underscore: unseen\r\nX.Dot: unseen\r\nProxy: http://unseen\r\n\r\n")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, r.body, `"seen"`)
	require.NotContains(t, r.body, "unseen")
	require.NotContains(t, r.body, password)
	require.NotContains(t, strings.ToLower(r.body), "connect-password")
	require.NotContains(t, strings.ToLower(r.body), "connect_password")
}

func requireDirectRefusals(t *testing.T, p *process) {
	t.Helper()

	get := fmt.Sprintf(directHead, "GET", "/ignore_body")
	for request, status := range map[string]int{
		get + "X-Large: " + strings.Repeat("x", 200<<10) + "\r\n\r\n": http.StatusRequestHeaderFieldsTooLarge,
		get + strings.Repeat("X-Many: x\r\n", 101) + "\r\n":           http.StatusRequestHeaderFieldsTooLarge,
		"hello\r\n\r\n":                      http.StatusBadRequest,
		"\x16\x03\x01\x02\x00\x01\r\n\r\n":   http.StatusBadRequest,
		"GET  /ignore_body HTTP/1.1\r\n\r\n": http.StatusBadRequest,
		"GET /ignore_body HTTP/one\r\n\r\n":  http.StatusBadRequest,
		get + "No colon\r\n\r\n":             http.StatusBadRequest,
		get + "Space-Before : colon\r\n\r\n": http.StatusBadRequest,
		get + ": no name\r\n\r\n":            http.StatusBadRequest,
		get + "X-Nul: a\x00b\r\n\r\n":        http.StatusBadRequest,
		get + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":   http.StatusBadRequest,
		get + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody":                 http.StatusBadRequest,
		get + "Content-Length: 4, 5\r\n\r\nbody":                                   http.StatusBadRequest,
		get + "Content-Length: -1\r\n\r\n":                                         http.StatusBadRequest,
		get + "Content-Length: +4\r\n\r\nbody":                                     http.StatusBadRequest,
		get + "Content-Length: 0x4\r\n\r\nbody":                                    http.StatusBadRequest,
		get + "Content-Length: four\r\n\r\n":                                       http.StatusBadRequest,
		get + "Content-Length: 99999999999999999999999999999999999999\r\n\r\nbody": http.StatusBadRequest,
	} {
		s := p.direct(t)

		// It may be refused, and the connection closed, before all was sent.
		_, _ = s.Write([]byte(request))
		r := s.read(t, "GET")
		require.Equal(t, status, r.StatusCode, "%.200q", request)
		require.True(t, r.Close)
		require.NotContains(t, r.body, "ignored")
		s.requireClosed(t)
		require.NoError(t, s.Close())
	}

	require.Equal(t, "ignored", p.directGet(t, "/ignore_body").body)
}

// requireDirectLimits checks that slow clients hold up nothing, that there are
// only so many of them, and that they do not keep the process from ending.
func requireDirectLimits(t *testing.T, p *process) {
	t.Helper()
	silent, half, body := p.direct(t), p.direct(t), p.direct(t)
	half.write(t, []byte("GET /ignore_body HTTP/1.1\r\nX-Passenger"))
	body.write(t, []byte(fmt.Sprintf(directHead, "POST", "/ignore_body")+"Content-Length: 100000\r\n\r\n"))
	require.Equal(t, "ignored", p.directGet(t, "/ignore_body").body)

	half.write(t, []byte("-Connect-Password: "+password+"\r\nHost: localhost\r\n\r\n"))
	require.Equal(t, "ignored", half.read(t, "GET").body)

	for _, s := range []*session{silent, half, body} {
		require.NoError(t, s.Close())
	}

	// The process may take its time to notice that those are closed.
	opened := make([]*session, 2*maxDirectConnections)
	for i := range opened {
		opened[i] = p.direct(t)
	}

	closed := make(chan error, len(opened))
	for _, s := range opened {
		go func() {
			_, err := s.br.ReadByte()
			closed <- err
		}()
	}

	for range len(opened) - maxDirectConnections {
		require.NotErrorIs(t, <-closed, os.ErrDeadlineExceeded)
	}

	for _, s := range opened {
		_, _ = s.Write([]byte("GET /"))
		require.NoError(t, s.Close())
	}

	require.Eventually(t, func() bool { return p.directWorks(t) }, deadline, 10*time.Millisecond)

	left := p.direct(t)
	left.write(t, []byte("GET / HT"))
	p.requireCleanStop(t)
}

func (p *process) directWorks(t *testing.T) bool {
	t.Helper()
	s := p.direct(t)
	defer func() { require.NoError(t, s.Close()) }()
	_, err := s.Write([]byte(fmt.Sprintf(directHead, "GET", "/ignore_body") + "\r\n"))
	if err != nil {
		return false
	}

	res, err := http.ReadResponse(s.br, nil)
	if err != nil {
		return false
	}

	_ = res.Body.Close()

	return res.StatusCode == http.StatusOK
}
