package headguard_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/headguard"
)

func TestBadHeadBehindGoodOnesIsRefusedInItsTurn(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for _, size := range []int{1, 10, 10_000} {
			raw := post + good + asks + chunk + bad + good

			var pieces []string
			for rest := raw; rest != ""; rest = rest[min(size, len(rest)):] {
				pieces = append(pieces, rest[:min(size, len(rest))])
			}

			statuses, bodies := s.converse(pieces...)
			require.Equal(t, []int{200, 200, 200, 200, 400}, statuses, "%q", bodies)
			require.Contains(t, bodies[4], "folded")
		}
	})
}

func TestStatusesOfWhatIsRefused(t *testing.T) {
	s := serve(t, "tcp", false, nil)
	for raw, status := range map[string]int{
		bad: 400,
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":   501,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 10_000): 431,
		"GET / HTTP/1.5\r\nHost: x\r\n\r\n":                              505,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                               505,
		"something else\r\n":                                             400,
		"\r\n" + last:                                                    400,
	} {
		statuses, bodies := s.converse(raw)
		require.Equal(t, []int{status}, statuses, "%.40q: %q", raw, bodies)
	}
}

func TestRefusalIsTextAndTheLastResponse(t *testing.T) {
	s := serve(t, "tcp", false, nil)
	c := s.dial()
	_, err := io.WriteString(c, bad+good)
	require.NoError(t, err)

	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	require.True(t, resp.Close)
	require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	require.Equal(t, int64(len(body)), resp.ContentLength)
	require.Regexp(t, `^400 Bad Request: .+\n$`, string(body))

	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestBadHeadBehindADeclinedUpgrade(t *testing.T) {
	s := serve(t, "tcp", false, nil)
	c := s.dial()
	_, err := io.WriteString(c, asks)
	require.NoError(t, err)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_, err = io.WriteString(c, bad)
	require.NoError(t, err)
	resp, err = http.ReadResponse(br, nil)
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	require.True(t, resp.Close)
}

func TestBrokenChunksAreBrokenForTheHandler(t *testing.T) {
	const head = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	each(t, func(t *testing.T, s *site) {
		for _, body := range []string{
			"5\nhello\r\n0\r\n\r\n", "5;" + strings.Repeat("x", 300) + "\r\nhello\r\n0\r\n\r\n",
			"5\r\nhello\n0\r\n\r\n",
			"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "5\r\nhello\r\n0\r\nHost: x\r\n\r\n",
			"5 \r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nX-A: b\n\r\n",
		} {
			statuses, bodies := s.converse(head + body + good)
			require.NotEmpty(t, statuses)
			require.Equal(t, 422, statuses[0], "%.40q: %q", body, bodies)

			for _, body := range bodies {
				require.NotContains(t, body, "/good")
			}
		}
	})
}

func TestBadHeadDoesNotEndTheRequestBefore(t *testing.T) {
	came, proceed := make(chan struct{}), make(chan struct{})
	s := serve(t, "tcp", false, func(g *headguard.Guard, server *http.Server) {
		server.Handler = g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(came)
			<-proceed
			_, _ = fmt.Fprint(w, r.Context().Err())
		}))
	})
	c := s.dial()
	_, err := io.WriteString(c, good)
	require.NoError(t, err)
	<-came
	_, err = io.WriteString(c, bad)
	require.NoError(t, err)
	close(proceed)

	br := bufio.NewReader(c)
	for _, want := range []int{200, 400} {
		resp, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
		if want == 200 {
			require.Equal(t, "<nil>", string(body))
		}
	}
}

// Other listeners may have the same handler.
func TestRequestOfAnUnguardedConnectionIsServed(t *testing.T) {
	guard := &headguard.Guard{}
	w := httptest.NewRecorder()
	guard.Handler(http.HandlerFunc(echo)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a", http.NoBody))
	require.Contains(t, w.Body.String(), "GET /a tls=false strict=false")
}
