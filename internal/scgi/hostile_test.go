package scgi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
)

// Requests that are odd or hostile: the status of the response to each, and a
// part of the reason in the log; those without one get to the handler.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	minimal := []string{"CONTENT_LENGTH", "0", "SCGI", "1", "REQUEST_METHOD", "GET", "REQUEST_URI", "/"}
	with := func(more ...string) string { return frame(head(append(minimal[:8:8], more...)...), "") }
	length := func(v string) string {
		return frame(head(append([]string{"CONTENT_LENGTH", v}, minimal[2:]...)...), "xxxxxxxxxx")
	}

	many := func(n int, name string) []string {
		all := make([]string, 0, 2*n)
		for i := range n {
			all = append(all, strings.ReplaceAll(name, "#", fmt.Sprint(i)), "")
		}

		return all
	}
	for name, c := range map[string]struct {
		request string
		status  int
		reason  string
	}{
		"the example of the specification": {frame(head("CONTENT_LENGTH", "27", "SCGI", "1", "REQUEST_METHOD", "POST",
			"REQUEST_URI", "/deepthought"), "What is the answer to life?"), 200, ""},
		"one byte":                           {"5", 400, "ended within"},
		"no colon":                           {"70x", 400, "decimal"},
		"many digits without a colon":        {"1111111111", 431, "larger"},
		"digits as many as allowed":          {"111111x", 400, "colon"},
		"no length":                          {":abc", 400, "missing"},
		"a leading zero":                     {"0" + with(), 400, "zero"},
		"an empty head":                      {"0:,", 400, "empty"},
		"a sign":                             {"+" + with(), 400, "decimal"},
		"a space":                            {" " + with(), 400, "decimal"},
		"a negative length":                  {"-5:abcde,", 400, "decimal"},
		"a hexadecimal length":               {"0x10:abc", 400, "decimal"},
		"a head that is too large":           {"131073:", 431, "larger than 131072"},
		"HTTP":                               {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "told to speak SCGI"},
		"HTTP/2":                             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "decimal"},
		"TLS":                                {"\x16\x03\x01\x02\x00\x01\x00\x01", 400, "decimal"},
		"NULs":                               {strings.Repeat("\x00", 1000), 400, "decimal"},
		"no comma":                           {strings.TrimSuffix(with(), ",") + ";", 400, "comma"},
		"a head that is longer than it says": {"20:" + head(minimal...) + ",", 400, "comma"},
		"a head that ends early":             {with()[:30], 400, "ended within"},
		"a head without NUL":                 {frame("CONTENT_LENGTH", ""), 400, "NUL"},
		"a head that does not end with NUL":  {frame(strings.TrimSuffix(head(minimal...), "\x00"), ""), 400, "NUL"},
		"a name without value":               {with("A"), 400, "no value"},
		"an empty name":                      {with("", "x"), 400, "parameter 5 of the request has no name"},
		"a NUL in a value":                   {with("A", "x\x00y"), 400, "no value"},
		"only NULs":                          {frame("\x00\x00\x00\x00", ""), 400, "no name"},
		"CONTENT_LENGTH is not first": {frame(head("SCGI", "1", "CONTENT_LENGTH", "0", "REQUEST_METHOD", "GET",
			"REQUEST_URI", "/"), ""), 400, `is \"SCGI\" and not CONTENT_LENGTH`},
		"no CONTENT_LENGTH":                 {frame(head(minimal[2:]...), ""), 400, "not CONTENT_LENGTH"},
		"two CONTENT_LENGTHs":               {with("CONTENT_LENGTH", "5"), 400, `\"CONTENT_LENGTH\" is there twice`},
		"two equal CONTENT_LENGTHs":         {with("CONTENT_LENGTH", "0"), 400, "twice"},
		"an empty CONTENT_LENGTH":           {length(""), 400, "CONTENT_LENGTH"},
		"CONTENT_LENGTH with a sign":        {length("+5"), 400, "CONTENT_LENGTH"},
		"a negative CONTENT_LENGTH":         {length("-5"), 400, "CONTENT_LENGTH"},
		"CONTENT_LENGTH with an underscore": {length("5_0"), 400, "CONTENT_LENGTH"},
		"a hexadecimal CONTENT_LENGTH":      {length("0x5"), 400, "CONTENT_LENGTH"},
		"an octal CONTENT_LENGTH":           {length("010"), 400, "CONTENT_LENGTH"},
		"a list of CONTENT_LENGTHs":         {length("5, 5"), 400, "CONTENT_LENGTH"},
		"CONTENT_LENGTH 2^63":               {length("9223372036854775808"), 400, "CONTENT_LENGTH"},
		"CONTENT_LENGTH 2^64+5":             {length("18446744073709551621"), 400, "CONTENT_LENGTH"},
		"CONTENT_LENGTH with a line break":  {length("5\r\n"), 400, "CONTENT_LENGTH"},
		"no SCGI":                           {frame(head(append(minimal[:2:2], minimal[4:]...)...), ""), 400, "SCGI"},
		"SCGI is 2": {frame(head("CONTENT_LENGTH", "0", "SCGI", "2", "REQUEST_METHOD", "GET",
			"REQUEST_URI", "/"), ""), 400, "SCGI"},
		"two SCGIs":        {with("SCGI", "1"), 400, "twice"},
		"two REQUEST_URIs": {with("REQUEST_URI", "/other"), 400, "twice"},
		"an option twice":  {with("PASSENGER_USER", "a", "PASSENGER_USER", "b"), 400, "twice"},
		"an option twice among many": {
			with(append(many(100, "X#"), "X50", "")...), 400,
			`\"X50\" is there twice`,
		},
		"as many parameters as allowed": {with(many(1020, "HTTP_X")...), 200, ""},
		"one parameter more":            {with(many(1021, "HTTP_X")...), 431, "1025 parameters"},
		"a large header":                {with("HTTP_X", strings.Repeat("x", 100<<10)), 200, ""},
		"no method": {
			frame(head("CONTENT_LENGTH", "0", "SCGI", "1", "REQUEST_URI", "/"), ""),
			400, "REQUEST_METHOD",
		},
		"a method with a space":        {request("GET /", "/", ""), 400, "REQUEST_METHOD"},
		"a method with a line break":   {request("GET\r\nX: y", "/", ""), 400, `\"GET\\r\\nX: y\"`},
		"an unusual method":            {request("PROPFIND", "/", ""), 200, ""},
		"CONNECT":                      {request("CONNECT", "x:443", ""), 501, "CONNECT"},
		"a target with a space":        {request("GET", "/a b", ""), 400, "space"},
		"a target with a line break":   {request("GET", "/a\r\nX: y", ""), 400, "control"},
		"a target that is no path":     {request("GET", "x", ""), 400, "no path"},
		"a target of another scheme":   {request("GET", "file:///etc/passwd", ""), 400, "neither"},
		"a target with a bad escape":   {request("GET", "/%zz", ""), 400, "no path"},
		"an asterisk":                  {request("GET", "*", ""), 400, "neither"},
		"OPTIONS and an asterisk":      {request("OPTIONS", "*", ""), 200, ""},
		"an absolute target":           {request("GET", "http://x/", "", "HTTP_HOST", "x"), 200, ""},
		"an absolute target elsewhere": {request("GET", "http://y/", "", "HTTP_HOST", "x"), 400, "another host"},
		"an absolute target of a user": {request("GET", "http://u@x/", "", "HTTP_HOST", "x"), 400, "neither"},
		"a host with a slash":          {request("GET", "/", "", "HTTP_HOST", "x/y"), 400, "host"},
		"a host with a line break":     {request("GET", "/", "", "HTTP_HOST", "x\nX: y"), 400, "control"},
		"a host with a user":           {request("GET", "/", "", "HTTP_HOST", "u@x"), 400, "host"},
		"two hosts": {
			request("GET", "/", "", "HTTP_HOST", "x", "HTTP_HOST", "x"), 400,
			"twice",
		},
		"a header with a line break": {with("HTTP_X", "a\r\nb"), 400, `\"HTTP_X\" has a control character`},
		"a header with a bare CR":    {with("HTTP_X", "a\rb"), 400, "control character"},
		"a type with a line break":   {with("CONTENT_TYPE", "a\nb"), 400, "control character"},
		"a header that is no secret": {with("HTTP_!~PASSENGER_APP_ROOT", "/"), 200, ""},
		"a name in small letters":    {with("proxy-sendcl", "1", "http_x", "1"), 200, ""},
		"Transfer-Encoding: chunked": {with("HTTP_TRANSFER_ENCODING", "Chunked"), 200, ""},
		"another Transfer-Encoding": {
			with("HTTP_TRANSFER_ENCODING", "gzip, chunked"), 501,
			"Transfer-Encoding",
		},
		"no address": {with("REMOTE_ADDR", "localhost"), 400, "REMOTE_ADDR"},
		"a port beyond all": {
			with("REMOTE_ADDR", "192.0.2.1", "REMOTE_PORT", "65536"), 400,
			"REMOTE_PORT",
		},
		"no protocol":                  {with("SERVER_PROTOCOL", "SPDY/3"), 400, "SERVER_PROTOCOL"},
		"a protocol that is not known": {with("SERVER_PROTOCOL", "HTTP/9.0"), 505, "SERVER_PROTOCOL"},
		"a part of a page":             {with("SERVER_PROTOCOL", "INCLUDED"), 200, ""},
		"a second request":             {with() + with(), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			s := start(t, func(_ http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
			})
			conn := s.dial()
			_, err := io.WriteString(conn, c.request)
			require.NoError(t, err)
			if c.status != http.StatusOK {
				closeWrite(t, conn)
			}

			raw, err := io.ReadAll(conn)
			require.NoError(t, err)
			got := parseReply(t, string(raw))
			want := fmt.Sprintf("%d %s", c.status, http.StatusText(c.status))
			require.Equal(t, want, got.status, "the log: %s", s.log.String())
			if c.status == http.StatusOK {
				require.EqualValues(t, 1, hits.Load())
				require.Empty(t, s.log.String())
				return
			}

			require.Zero(t, hits.Load())
			require.Equal(t, want+"\n", got.body)
			require.Contains(t, s.log.String(), c.reason)
		})
	}
}

// What the log says of a request does not hold values beyond what is at fault, nor
// line breaks or secrets.
func TestLogsNoSecrets(t *testing.T) {
	s := start(t, func(http.ResponseWriter, *http.Request) {})
	s.requireReply(request("GET", "/"+strings.Repeat("x", 1000)+"\n", "", "PASSENGER_PASSWORD", "canary"))
	s.requireReply(request("GET", "/", "", "PASSENGER_PASSWORD", "canary", "PASSENGER_PASSWORD", "canary"))
	require.NotContains(t, s.log.String(), "canary")
	require.Equal(t, 1, strings.Count(s.log.String(), "\n"), "there may be many")
	require.Less(t, len(s.log.String()), 500)
}

// Every byte in every position of a name: only headers of plain names reach the
// handler.
func TestNames(t *testing.T) {
	var got atomic.Pointer[http.Request]

	s := start(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r) })
	for b := 1; b < 256; b++ {
		for _, name := range []string{string([]byte{byte(b)}) + "AB", "A" + string([]byte{byte(b)}) + "B", "AB" +
			string([]byte{byte(b)})} {
			s.requireReply(request("GET", "/", "", "HTTP_"+name, "x"))
			plain := b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
			r := got.Load()
			if !plain {
				require.Empty(t, r.Header, "%q", name)
				require.Equal(t, "x", scgi.Params(r).Get("HTTP_"+name))
				continue
			}

			require.Len(t, r.Header, 1)
			require.Equal(t, "x", r.Header.Get(strings.ReplaceAll(name, "_", "-")))
		}
	}
}
