package loaders_test

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/sessionproto"
)

// session is a connection that speaks the session protocol.
type session struct {
	net.Conn
	br *bufio.Reader
}

func (p *process) session(t *testing.T) *session {
	t.Helper()
	conn := p.dial(t)
	return &session{conn, bufio.NewReader(conn)}
}

type vars map[string]string

// header encodes the header of a request; more wins, and an empty value leaves
// a variable out.
func header(t *testing.T, method, uri string, more vars) []byte {
	t.Helper()
	path, query, _ := strings.Cut(uri, "?")
	v := vars{
		"REQUEST_URI": uri, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": query, "REQUEST_METHOD": method,
		"SERVER_NAME": "example.com", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "test",
		"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1234", "HTTP_HOST": "example.com",
		"PASSENGER_CONNECT_PASSWORD": password,
	}
	maps.Copy(v, more)

	var e sessionproto.Encoder
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if v[name] != "" || name == "SCRIPT_NAME" || name == "QUERY_STRING" {
			e.Add(name, v[name])
		}
	}

	b, err := e.Bytes()
	require.NoError(t, err)

	return slices.Clone(b)
}

func (s *session) write(t *testing.T, b ...[]byte) {
	t.Helper()
	_, err := s.Write(slices.Concat(b...))
	require.NoError(t, err)
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body string
}

// read reads a response, which has to be complete.
func (s *session) read(t *testing.T, method string) reply {
	t.Helper()
	res, err := http.ReadResponse(s.br, &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)

	return reply{res, string(body)}
}

func (s *session) get(t *testing.T, uri string) reply {
	t.Helper()
	s.write(t, header(t, "GET", uri, nil))
	return s.read(t, "GET")
}

func (s *session) post(t *testing.T, uri, body string) reply {
	t.Helper()
	s.write(t, header(t, "POST", uri, vars{"CONTENT_LENGTH": strconv.Itoa(len(body))}), []byte(body))
	return s.read(t, "POST")
}

// raw reads everything up to the end of the connection.
func (s *session) raw(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(s.br)
	if !errors.Is(err, syscall.ECONNRESET) {
		require.NoError(t, err)
	}

	return string(b)
}

// requireClosed checks that the other side closes the connection without
// another byte.
func (s *session) requireClosed(t *testing.T) {
	t.Helper()
	require.Empty(t, s.raw(t))
}

// get asks on a connection of its own.
func (p *process) get(t *testing.T, uri string) reply {
	t.Helper()
	s := p.session(t)
	r := s.get(t, uri)
	require.NoError(t, s.Close())

	return r
}
