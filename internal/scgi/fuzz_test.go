package scgi

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/httpfield"
)

const fuzzLimit = 4 << 10

var heads = []string{
	"CONTENT_LENGTH\x0027\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00REQUEST_URI\x00/deepthought\x00",
	"CONTENT_LENGTH\x000\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00http://x/?a\x00SCGI\x001\x00HTTP_HOST\x00x\x00HTTP_X_A\x001\x00HTTP_X_A\x002\x00",
	"CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00OPTIONS\x00REQUEST_URI\x00*\x00SERVER_PROTOCOL\x00HTTP/1.1\x00HTTPS\x00on\x00",
	"CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00SCRIPT_NAME\x00/a\x00PATH_INFO\x00/b " +
		"c\x00QUERY_STRING\x00x\x00REMOTE_ADDR\x00::1\x00REMOTE_PORT\x001\x00SERVER_NAME\x00n\x00SERVER_PORT\x0081\x00CONTENT_TYPE\x00a/b\x00",
}

var frames = []string{
	"0:,", "00:,", "5:a\x00b\x00c,", "99999999999:", "GET / HTTP/1.1\r\n\r\n",
	"18446744073709551616:x", ":", "", "7",
}

// What is found of a head is what was sent, and only canonical lengths are.
func FuzzHeader(f *testing.F) {
	for _, s := range append(heads, frames...) {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		requireSoundHead(t, string(b))

		frame, found, err := findFrame(b, fuzzLimit)
		switch {
		case err != nil:
			require.False(t, found)
		case !found:
			require.LessOrEqual(t, len(b), len("4096"))
		default:
			require.Equal(t, string(b[:frame.start-1]), strconv.Itoa(frame.end-frame.start))
			require.LessOrEqual(t, frame.end-frame.start, fuzzLimit)
		}
	})
}

func requireSoundHead(t *testing.T, text string) {
	t.Helper()
	params, err := splitHead(text)
	if err != nil {
		return
	}

	var again strings.Builder

	once := map[string]bool{}
	for _, p := range params {
		require.NotEmpty(t, p.Name)
		require.False(t, once[p.Name], "%q is there twice", p.Name)
		once[p.Name] = !strings.HasPrefix(p.Name, headerPrefix)
		again.WriteString(p.Name + "\x00" + p.Value + "\x00")
	}

	require.Equal(t, text, again.String())
	length, err := bodyLength(params)
	if err != nil {
		return
	}

	require.Equal(t, "CONTENT_LENGTH", params[0].Name)
	require.Equal(t, params[0].Value, strconv.FormatInt(length, 10))
	r, err := newRequest(params, length)
	if err != nil {
		require.NotContains(t, err.Error(), "\n")
		return
	}

	requireSound(t, r)
}

func requireSound(t *testing.T, r *http.Request) {
	t.Helper()
	require.True(t, httpfield.IsToken(r.Method))
	require.NotNil(t, r.URL)
	require.NotEmpty(t, r.RequestURI)
	require.True(t, httpfield.ValidTarget(r.RequestURI))
	require.NotContains(t, r.Host, "/")

	for name, values := range r.Header {
		require.Equal(t, http.CanonicalHeaderKey(name), name)
		require.Empty(t, strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"))
		require.NotContains(t, []string{"Proxy", "Connection", "Transfer-Encoding", "Upgrade", "Host"}, name)

		for _, v := range values {
			require.True(t, httpfield.ValidValue(v))
		}
	}

	if r.RemoteAddr != unixAddr && r.RemoteAddr != unknownAddr {
		_, _, err := net.SplitHostPort(r.RemoteAddr)
		require.NoError(t, err)
	}
}

// scripted is a connection that says something, in two pieces, and ends.
type scripted struct {
	net.Conn
	pieces [][]byte
	said   strings.Builder
	closed bool
}

func (c *scripted) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}

	if len(c.pieces) == 0 {
		return 0, io.EOF
	}

	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]

	return n, nil
}

func (c *scripted) Write(p []byte) (int, error)    { return c.said.Write(p) }
func (c *scripted) Close() error                   { c.closed = true; return nil }
func (*scripted) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "scripted", Net: "unix"} }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }

// Whatever is sent, in whatever pieces, there is one response at most, which is well
// formed, and one request at most.
func FuzzServe(f *testing.F) {
	for _, s := range heads {
		f.Add([]byte(s), "What is the answer to life?", true, uint16(7))
	}

	for _, s := range frames {
		f.Add([]byte(s), "", false, uint16(1))
	}

	f.Fuzz(func(t *testing.T, b []byte, body string, framed bool, cut uint16) {
		if framed {
			b = append(strconv.AppendInt(nil, int64(len(b)), 10), ":"+string(b)+","...)
		}

		b = append(b, body...)
		hits := 0
		s := &Server{
			MaxHeaderBytes: fuzzLimit,
			conns:          map[*conn]struct{}{},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hits++
				requireSound(t, r)
				n, err := io.Copy(io.Discard, r.Body)
				if err == nil && n != r.ContentLength {
					t.Errorf("%d bytes instead of %d", n, r.ContentLength)
				}

				_, _ = io.WriteString(w, "done")
			}),
		}
		at := min(int(cut), len(b))
		script := &scripted{pieces: [][]byte{b[:at:at], b[at:]}}
		c := &conn{server: s, conn: script}
		s.track(c)
		c.serve(t.Context())
		require.True(t, script.closed)
		require.Empty(t, s.conns)
		require.LessOrEqual(t, hits, 1)

		said := script.said.String()
		switch {
		case hits == 1:
			require.True(t, strings.HasPrefix(said, "Status: 200 OK\r\n") && strings.HasSuffix(said, "\r\n\r\ndone"),
				"%q", said)
		case len(b) > 0:
			require.Regexp(t, `^Status: [45][0-9][0-9] `, said)
		default:
			require.Empty(t, said)
		}
	})
}
