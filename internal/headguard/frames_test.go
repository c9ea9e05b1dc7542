package headguard_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gopassenger/passenger/internal/headguard"
)

// frame is one of HTTP/2.
func frame(kind, flags byte, stream uint32, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)

	return append(b, payload...)
}

// getBlock is a head, of a POST if method says so.
func getBlock(method string) string {
	var block bytes.Buffer

	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // a buffer takes everything
	}

	return block.String()
}

// A client of HTTP/2 that sends frames which bring no request further is cut, whatever they are.
func TestFramesThatBringNoRequestFurtherEndTheConnection(t *testing.T) {
	post, open := frame(1, 4, 1, getBlock("POST")), frame(1, 0, 1, getBlock("GET"))
	for name, row := range map[string]struct{ first, flood []byte }{
		"SETTINGS":                {nil, frame(4, 0, 0, "\x00\x04\x00\x01\x00\x00")},
		"empty SETTINGS":          {nil, frame(4, 0, 0, "")},
		"acknowledged SETTINGS":   {nil, frame(4, 1, 0, "")},
		"PING":                    {nil, frame(6, 0, 0, "12345678")},
		"acknowledged PING":       {nil, frame(6, 1, 0, "12345678")},
		"PRIORITY":                {nil, frame(2, 0, 1, "\x00\x00\x00\x00\x01")},
		"windows":                 {nil, frame(8, 0, 0, "\x00\x00\x00\x01")},
		"unknown":                 {nil, frame(99, 0, 0, "x")},
		"empty DATA":              {post, frame(0, 0, 1, "")},
		"padding":                 {post, frame(0, 8, 1, "\x03\x00\x00\x00")},
		"empty CONTINUATION":      {open, frame(9, 0, 1, "")},
		"windows of a stream":     {post, frame(8, 0, 1, "\x00\x00\x00\x01")},
		"resets of other streams": {post, frame(3, 0, 1, "\x00\x00\x00\x08")},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 10)
			s := serve(t, "tcp", false, func(g *headguard.Guard, _ *http.Server) {
				g.HTTP2 = true
				g.Flooded = func(client net.Addr, reason error) { told <- client.String() + ": " + reason.Error() }
			})
			c, err := net.Dial("tcp", s.addr.String())
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(deadline)))

			go func() { _, _ = io.Copy(io.Discard, c) }() // up to the connection's end

			_, err = c.Write(append([]byte(h2.ClientPreface+string(frame(4, 0, 0, ""))), row.first...))
			require.NoError(t, err)

			many := bytes.Repeat(row.flood, 1000)
			for err == nil {
				_, err = c.Write(many)
			}

			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t,
				c.LocalAddr().String()+": a client sends frames of HTTP/2 that bring no request further", <-told)
			require.Empty(t, told, "it is logged once")
		})
	}
}

// A client that takes and sends much has as many windows to update as that needs, on one connection.
func TestBodiesPayForTheFramesThatTheyNeed(t *testing.T) {
	const size = 64 << 20
	s := serve(t, "tcp", false, func(g *headguard.Guard, server *http.Server) {
		g.HTTP2 = true
		server.Handler = g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = io.CopyN(w, zeros{}, size-n) // the client says what is missing
		}))
	})

	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()

	for _, sent := range []int64{0, size / 2} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr.String(),
			io.LimitReader(zeros{}, sent))
		require.NoError(t, err)
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.Equal(t, size-sent, n)
		require.NoError(t, resp.Body.Close())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
