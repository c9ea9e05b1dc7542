package httphead_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/httphead"
)

const host = "Host: x\r\n"

// heads are good ones.
var heads = []string{
	"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://x/a?b HTTP/1.1\r\nHost: X\r\n\r\n",
	"POST /a?b=c HTTP/1.1\r\nhost: x:80\r\nContent-Length:\t 5 \r\nX-A:\r\nx-b: \xe4\t\xff\r\n\r\n",
	"PUT /\xc3\xa4%zz HTTP/1.1\r\nHost: [::1]:80\r\nTRANSFER-ENCODING: Chunked\r\nUpgrade: " +
		"websocket\r\nContent-Type: a/b\r\n\r\n",
	"!#$%&'*+-.^_`|~0a / HTTP/1.1\r\nHost:\r\nX-A: voil\u00e0\r\n\r\n",
}

// refused are bad ones, with the status of the response.
var refused = []struct {
	raw    string
	status int
}{
	{"\r\n\r\n", 400},
	{"\n", 400},
	{"GET / HTTP/1.1\nHost: x\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: x\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: x\r\n\n", 400},
	{"GET / HTTP/1.1\rHost: x\r\n\r\n", 400},
	{"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"GET /  HTTP/1.1\r\n" + host + "\r\n", 400},
	{"GET / HTTP/1.1 \r\n", 400},
	{"GET /\r\n", 400},
	{" GET / HTTP/1.1\r\n", 400},
	{"G(T / HTTP/1.1\r\n", 400},
	{"GET\x00 / HTTP/1.1\r\n", 400},
	{strings.Repeat("M", 33) + " / HTTP/1.1\r\n", 501},
	{"CONNECT x:80 HTTP/1.1\r\n", 501},
	{"GET x HTTP/1.1\r\n", 400},
	{"GET * HTTP/1.1\r\n", 400},
	{"GET /a#b HTTP/1.1\r\n", 400},
	{"GET /\x7f HTTP/1.1\r\n", 400},
	{"GET ftp://x/ HTTP/1.1\r\n", 400},
	{"GET http:///a HTTP/1.1\r\n", 400},
	{"GET http://a@x/ HTTP/1.1\r\n", 400},
	{"GET http://y/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"GET / http/1.1\r\n", 400},
	{"GET / HTTP/1.10\r\n", 400},
	{"GET / HTTP/1.2\r\n", 505},
	{"GET / HTTP/2.0\r\n", 505},
	{"GET / HTTP/0.9\r\n", 505},
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: x:a\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A : b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X A: b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + ": b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: b\r\n c\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: b\rc\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: b\x00\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: 12345678\x7f\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: \xa0b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: b\x85\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: b\u00a0\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "X-A: \u0085b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Type: a\r\ncontent-type: a\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 9223372036854775808\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 00000000000000000005\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"GET / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n\r\n", 501},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chun\u212aed\r\n\r\n", 501},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	{"GET /" + strings.Repeat("a", 100) + " HTTP/1.1\r\n" + host + "\r\n", 414},
	{"GET / HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 400) + "\r\n\r\n", 431},
	{"GET / HTTP/1.1\r\n" + host + strings.Repeat("A:\r\n", 12) + "\r\n", 431},
	{"GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 200) + "\r\n", 431},
	{strings.Repeat(" ", 2000), 431},
}

var small = httphead.Limits{
	Head:   1000,
	Target: 100,
	Fields: 10,
	Field:  300,
}

// Faults: P14.
func TestRefusedHeads(t *testing.T) {
	for _, c := range refused {
		raw, status := c.raw, c.status
		t.Run(fmt.Sprintf("%.60q", raw), func(t *testing.T) {
			var h httphead.Head
			_, err := h.Parse([]byte(raw), &small)
			refusal, ok := errors.AsType[*httphead.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, status, refusal.Status, "%v", err)

			_, err = parseBytewise(raw)
			require.Equal(t, refusal.Status, statusOf(err), "byte by byte it is %v", err)
		})
	}
}

func statusOf(err error) int {
	if refusal, ok := errors.AsType[*httphead.Error](err); ok {
		return refusal.Status
	}

	return 0
}

// parseBytewise gets a head byte by byte, from memory that moves.
func parseBytewise(raw string) (*httphead.Head, error) {
	h := &httphead.Head{}
	for n := range len(raw) {
		got, err := h.Parse([]byte(raw[:n+1]), &small)
		if errors.Is(err, httphead.ErrIncomplete) {
			continue
		}

		if err == nil && got != n+1 {
			err = fmt.Errorf("it has %d bytes, not %d", n+1, got)
		}

		return h, err
	}

	return h, httphead.ErrIncomplete
}

func TestHeads(t *testing.T) {
	for _, raw := range heads {
		t.Run(raw, func(t *testing.T) {
			var h httphead.Head
			n, err := h.Parse([]byte(raw+"GET"), &small)
			require.NoError(t, err)
			require.Equal(t, len(raw), n)

			bytewise, err := parseBytewise(raw)
			require.NoError(t, err)
			require.Equal(t, h.Fields, bytewise.Fields)
			require.Equal(t, h.Framing, bytewise.Framing)
		})
	}
}

func TestWhatAHeadSays(t *testing.T) {
	var h httphead.Head
	_, err := h.Parse([]byte(heads[4]), &httphead.Limits{})
	require.NoError(t, err)
	require.Equal(t, "POST", string(h.Method))
	require.Equal(t, "/a?b=c", string(h.Target))
	require.EqualValues(t, 1, h.Minor)
	require.Equal(t, "x:80", string(h.Host))
	require.Equal(t, httphead.Length, h.Framing)
	require.EqualValues(t, 5, h.Length)
	require.Len(t, h.Fields, 4)
	require.Equal(t, "X-A", string(h.Fields[2].Name))
	require.Empty(t, h.Fields[2].Value)
	require.Equal(t, "\xe4\t\xff", string(h.Fields[3].Value))

	h.Reset()
	_, err = h.Parse([]byte(heads[5]), &httphead.Limits{})
	require.NoError(t, err)
	require.Equal(t, httphead.Chunked, h.Framing)
	require.True(t, h.Upgrade)
}

// Each byte at each place of a head: what is accepted is no other head than it was,
// but for the bytes that a token, a target or a value may have.
func TestEachByteAtEachPlace(t *testing.T) {
	const raw = "GET /abc?d HTTP/1.1\r\nHost: x.example\r\nX-A: bcd\r\nContent-Length: 5\r\n\r\n"
	for i := range len(raw) {
		for c := range 256 {
			changed := []byte(raw)
			changed[i] = byte(c)
			var h httphead.Head
			n, err := h.Parse(changed, &httphead.Limits{})
			if err != nil {
				continue
			}

			require.Equal(t, len(raw), n, "%q", changed)
			require.False(t, c < ' ' && c != '\t' && raw[i] != byte(c), "%q", changed)
			require.Equal(t, bytes.Count(changed, []byte("\r\n")), bytes.Count(changed, []byte("\n")))
			require.Len(t, h.Fields, 3, "%q", changed)
		}
	}
}

func TestParsingDoesNotAllocate(t *testing.T) {
	raw := []byte(heads[4])
	var h httphead.Head
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h.Reset()
		if _, err := h.Parse(raw, &small); err != nil {
			panic(err)
		}
	}))
}

// bodies are in chunks, with what follows them.
var bodies = []string{
	"0\r\n\r\n",
	"5\r\nhello\r\n0\r\n\r\n",
	"000A;a=\"b;c\"\r\n0123456789\r\n3;x\r\nabc\r\n0;y\r\nX-A: b\r\nX-B:\r\n\r\n",
}

func TestChunks(t *testing.T) {
	for _, body := range bodies {
		var c httphead.Chunks
		n, err := c.Next([]byte(body + "GET"))
		require.NoError(t, err)
		require.Equal(t, len(body), n)
		require.Equal(t, httphead.Ended, c.Part())

		part, err := chunksBytewise(body)
		require.NoError(t, err)
		require.Equal(t, httphead.Ended, part, "%q", body)
	}
}

func chunksBytewise(body string) (httphead.Part, error) {
	var c httphead.Chunks

	good := 0
	for i := range len(body) {
		n, err := c.Next([]byte(body[good : i+1]))
		if err != nil {
			return c.Part(), err
		}

		good += n
	}

	return c.Part(), nil
}

// Faults: R-15.
func TestBrokenChunks(t *testing.T) {
	for _, body := range []string{
		"\r\n", " 5\r\n", "5 \r\n", "+5\r\n", "-5\r\n", "0x5\r\n", "5_\r\n", "5\n", ";a\r\n", "5\x00\r\n", "5;a\nb\r\n",
		"5;a\rb\r\n", "5;\x7f\r\n",
		"00000000000000005\r\n", "5;" + strings.Repeat("x", 256) + "\r\n", "5;" + strings.Repeat("x", 1000),
		strings.Repeat("1;"+strings.Repeat("x", 255)+"\r\nx\r\n", 65),
		"5\r\nhello\n", "5\r\nhello!\r\n", "5\r\nhello\rx",
		"0\r\nX-A\r\n\r\n", "0\r\n X-A: b\r\n", "0\r\nX-A: b\n", "0\r\n\n", "0\r\nXX\n\r\n", "0\r\nX-A: b\r\n c\r\n",
		"0\r\nX-A: \x00\r\n\r\n",
		"0\r\nContent-Length: 5\r\n\r\n", "0\r\ntransfer-encoding: chunked\r\n", "0\r\nHOST: x\r\n",
		"0\r\nTrailer: x\r\n",
		"0\r\nX-A: " + strings.Repeat("b", 5000),
	} {
		var c httphead.Chunks
		_, err := c.Next([]byte(body))
		require.Equal(t, 400, statusOf(err), "%.60q: %v", body, err)
		_, err = chunksBytewise(body)
		require.Equal(t, 400, statusOf(err), "byte by byte, %.60q: %v", body, err)
	}
}

// Faults.
func FuzzHead(f *testing.F) {
	for _, raw := range heads {
		f.Add([]byte(raw))
	}

	for _, c := range refused {
		f.Add([]byte(c.raw))
	}

	f.Fuzz(func(t *testing.T, raw []byte) {
		var h httphead.Head
		n, err := h.Parse(raw, &small)
		bytewise, splitErr := parseBytewise(string(raw[:max(n, min(len(raw), 2000))]))
		require.Equal(t, statusOf(err) == 0 && n > 0, splitErr == nil, "at once %v, byte by byte %v", err, splitErr)
		if err != nil {
			return
		}

		require.Equal(t, h.Fields, bytewise.Fields)
		require.LessOrEqual(t, n, len(raw))
		require.True(t, bytes.HasSuffix(raw[:n], []byte("\r\n\r\n")))
		require.Equal(t, 1, bytes.Count(raw[:n], []byte("\r\n\r\n")))
		require.Equal(t, bytes.Count(raw[:n], []byte("\n")), bytes.Count(raw[:n], []byte("\r")))
		require.LessOrEqual(t, len(h.Method), httphead.MaxMethod)
		require.True(t, httpfield.IsToken(string(h.Method)))

		for _, field := range h.Fields {
			require.True(t, httpfield.IsToken(string(field.Name)))
			require.True(t, httpfield.ValidValue(string(field.Value)))
		}
	})
}

// Faults: R-15.
func FuzzChunks(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}

	f.Fuzz(func(t *testing.T, body []byte) {
		var c httphead.Chunks
		n, err := c.Next(body)
		require.LessOrEqual(t, n, len(body))
		part, splitErr := chunksBytewise(string(body[:n]))
		if err == nil {
			require.NoError(t, splitErr)
			require.Equal(t, c.Part(), part)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := []byte("GET /articles/42?page=2 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; " +
		"Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: " +
		"en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\nCookie: session=" + strings.Repeat("abcdef0123456789", 30) + "\r\n\r\n")
	var h httphead.Head
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()

	for b.Loop() {
		h.Reset()
		if _, err := h.Parse(raw, &httphead.Limits{Head: 64 << 10}); err != nil {
			b.Fatal(err)
		}
	}
}
