package handler

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// FuzzResponseHead: what is accepted is what net/http, which is more lenient,
// reads as well; and nothing in it can end a line.
func FuzzResponseHead(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.0 404\r\nConnection: keep-alive\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-\xc4\xb0: \xff\r\n\r\n",
		"HTTP/1.1 999 \t\r\nx-a:\r\nX-A:  y \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\n c\r\n\r\n", "\r\n\r\n",
	} {
		f.Add(head, http.MethodGet)
	}

	f.Fuzz(func(t *testing.T, head, method string) {
		head, _, _ = strings.Cut(head, "\r\n\r\n")
		head += "\r\n\r\n"
		var p response
		if p.parse(head) != nil {
			return
		}

		require.True(t, 100 <= p.status && p.status <= 999)

		fields := 0
		for name, values := range p.header {
			require.True(t, httpfield.IsToken(name), "%q", name)

			for _, v := range values {
				require.NotContains(t, v, "\r")
				require.NotContains(t, v, "\n")
				require.NotContains(t, v, "\x00")
				fields++
			}
		}

		require.LessOrEqual(t, fields, maxResponseFields)
		framed := p.frame(method) == nil
		if framed {
			lengths := p.header["Content-Length"]
			require.LessOrEqual(t, len(lengths), 1)
			require.False(t, p.chunked && len(lengths) > 0)
			if p.length > 0 {
				require.Equal(t, lengths[0], strings.TrimLeft(lengths[0], "+-"))
				n, err := strconv.ParseInt(lengths[0], 10, 64)
				require.NoError(t, err)
				require.Equal(t, n, p.length)
			}
		}

		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), nil)
		if err != nil {
			return // net/http has its own limits, of names for instance
		}

		require.Equal(t, theirs.StatusCode, p.status)

		for name, values := range theirs.Header {
			require.Equal(t, values, p.header[name], name)
		}
	})
}
