package sessionproto_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/sessionproto"
)

func TestEncoderBytes(t *testing.T) {
	var e sessionproto.Encoder
	e.Add("REQUEST_URI", "/p%20q/r?x=1")
	e.Add("SCRIPT_NAME", "")
	e.Add("REQUEST_METHOD", "GET")
	e.AddHeader("User-Agent", "curl/8")
	requireWire(t, "\x00\x00\x00\x50"+
		"REQUEST_URI\x00/p%20q/r?x=1\x00"+
		"SCRIPT_NAME\x00\x00"+
		"REQUEST_METHOD\x00GET\x00"+
		"HTTP_USER_AGENT\x00curl/8\x00", &e)
}

func TestEncoderEmpty(t *testing.T) {
	var e sessionproto.Encoder
	requireWire(t, "\x00\x00\x00\x00", &e)
	e.Reset()
	requireWire(t, "\x00\x00\x00\x00", &e)
}

func TestEncoderGoesOnAfterBytes(t *testing.T) {
	var e sessionproto.Encoder
	e.Add("B", "1")
	requireWire(t, framed(block("B", "1")), &e)
	requireWire(t, framed(block("B", "1")), &e)
	e.Add("A", "2")
	requireWire(t, framed(block("B", "1", "A", "2")), &e)
	e.Reset()
	e.Add("B", "3")
	requireWire(t, framed(block("B", "3")), &e)
}

func TestEncoderLengthIsBigEndian(t *testing.T) {
	b, err := encode("A", strings.Repeat("x", 0x10203-len(block("A", ""))))
	require.NoError(t, err)
	require.Equal(t, "\x00\x01\x02\x03A\x00x", string(b[:7]))
}

func TestAddHeaderNames(t *testing.T) {
	for name, want := range map[string]string{
		"host":              "HTTP_HOST",
		"Accept-Encoding":   "HTTP_ACCEPT_ENCODING",
		"X-REQUEST-ID-0":    "HTTP_X_REQUEST_ID_0",
		"a-z-A-Z-0-9":       "HTTP_A_Z_A_Z_0_9",
		"-":                 "HTTP__",
		"Transfer-Encoding": "HTTP_TRANSFER_ENCODING",
		"\u00e9":            "HTTP_\u00e9", // bytes outside ASCII stay
	} {
		var e sessionproto.Encoder
		e.AddHeader(name, "Value-kept")
		requireWire(t, framed(block(want, "Value-kept")), &e)
	}

	var e sessionproto.Encoder
	e.Add("Kept-as-it-is", "")
	requireWire(t, framed(block("Kept-as-it-is", "")), &e)
}

func TestEncoderRefuses(t *testing.T) {
	add := func(name, value string) func(*sessionproto.Encoder) {
		return func(e *sessionproto.Encoder) { e.Add(name, value) }
	}

	header := func(name, value string) func(*sessionproto.Encoder) {
		return func(e *sessionproto.Encoder) { e.AddHeader(name, value) }
	}
	for name, tc := range map[string]struct {
		adds []func(*sessionproto.Encoder)
		want error
	}{
		"NUL in a name":          {[]func(*sessionproto.Encoder){add("A\x00B", "")}, sessionproto.ErrNUL},
		"NUL in a value":         {[]func(*sessionproto.Encoder){add("A", "\x00")}, sessionproto.ErrNUL},
		"NUL in a header's name": {[]func(*sessionproto.Encoder){header("A\x00", "")}, sessionproto.ErrNUL},
		"NUL in a header's value": {
			[]func(*sessionproto.Encoder){header("A", "b\x00HTTPS\x00on")},
			sessionproto.ErrNUL,
		},
		"no name":        {[]func(*sessionproto.Encoder){add("", "x")}, sessionproto.ErrNUL},
		"no header name": {[]func(*sessionproto.Encoder){header("", "x")}, sessionproto.ErrNUL},
		"twice": {
			[]func(*sessionproto.Encoder){add("A", "1"), add("B", ""), add("A", "1")},
			sessionproto.ErrDuplicate,
		},
		"header twice": {
			[]func(*sessionproto.Encoder){header("a-b", "1"), header("A-B", "2")},
			sessionproto.ErrDuplicate,
		},
		"header that collides": {
			[]func(*sessionproto.Encoder){header("a-b", "1"), header("a_b", "2")},
			sessionproto.ErrDuplicate,
		},
		"header and name": {
			[]func(*sessionproto.Encoder){header("Host", "1"), add("HTTP_HOST", "2")},
			sessionproto.ErrDuplicate,
		},
		"case of a name":    {[]func(*sessionproto.Encoder){add("A", ""), add("a", "")}, nil},
		"prefix of a name":  {[]func(*sessionproto.Encoder){add("AB", ""), add("A", "")}, nil},
		"value like a name": {[]func(*sessionproto.Encoder){add("A", "B"), add("B", "A")}, nil},
		"first error stays": {[]func(*sessionproto.Encoder){
			add("", ""),
			add("A", strings.Repeat("x", sessionproto.MaxHeader)),
		}, sessionproto.ErrNUL},
	} {
		t.Run(name, func(t *testing.T) {
			var e sessionproto.Encoder
			for _, f := range tc.adds {
				f(&e)
			}

			for range 2 {
				b, err := e.Bytes()
				require.ErrorIs(t, err, tc.want)
				require.Equal(t, tc.want == nil, b != nil)
			}

			e.Reset()
			requireWire(t, "\x00\x00\x00\x00", &e)
		})
	}
}

func TestDuplicateIsFoundAfterBytes(t *testing.T) {
	var e sessionproto.Encoder
	e.Add("A", "1")
	requireWire(t, framed(block("A", "1")), &e)
	e.Add("A", "2")
	_, err := e.Bytes()
	require.ErrorIs(t, err, sessionproto.ErrDuplicate)
	e.Add("B", "3")
	_, err = e.Bytes()
	require.ErrorIs(t, err, sessionproto.ErrDuplicate)
}

func TestEncoderMaxHeader(t *testing.T) {
	fill := sessionproto.MaxHeader - len(block("A", ""))
	b, err := encode("A", strings.Repeat("x", fill))
	require.NoError(t, err)
	require.Len(t, b, 4+sessionproto.MaxHeader)
	_, err = encode("A", strings.Repeat("x", fill+1))
	require.ErrorIs(t, err, sessionproto.ErrTooLarge)
	_, err = encode("A", strings.Repeat("x", fill), "B", "")
	require.ErrorIs(t, err, sessionproto.ErrTooLarge)

	fill = sessionproto.MaxHeader - len(block("HTTP_A", ""))
	for more, want := range []error{nil, sessionproto.ErrTooLarge} {
		var e sessionproto.Encoder
		e.AddHeader("a", strings.Repeat("x", fill+more))
		_, err = e.Bytes()
		require.ErrorIs(t, err, want)
	}
}

// manyNames are about as many as a block holds.
func manyNames() []string {
	names := make([]string, 11000)
	for i := range names {
		names[i] = fmt.Sprintf("%04x", (i*7919)%len(names))
	}

	return names
}

// Clients choose how many headers a request has, and their order.
func TestEncoderManyNames(t *testing.T) {
	names := manyNames()

	var e sessionproto.Encoder
	for _, n := range names {
		e.AddHeader(n, "")
	}

	b, err := e.Bytes()
	require.NoError(t, err)
	h, err := sessionproto.DecodeHeader(b[4:])
	require.NoError(t, err)
	require.Len(t, h, len(names))
	e.AddHeader(names[len(names)/2], "")
	_, err = e.Bytes()
	require.ErrorIs(t, err, sessionproto.ErrDuplicate)
}

func TestEncoderReuseAllocatesNothing(t *testing.T) {
	var e sessionproto.Encoder
	var err error
	var b []byte
	allocs := testing.AllocsPerRun(100, func() {
		e.Reset()
		e.Add("REQUEST_METHOD", "GET")
		e.Add("REQUEST_URI", "/")

		for _, name := range requestHeaders {
			e.AddHeader(name, "value of "+"a header")
		}

		b, err = e.Bytes()
	})
	require.NoError(t, err)
	require.NotEmpty(t, b)
	require.Zero(t, allocs)
}

var requestHeaders = []string{
	"Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cookie", "Referer", "Origin",
	"Cache-Control", "If-None-Match", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "Sec-Fetch-Mode",
}

func TestControlRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		request  func(string) ([]byte, error)
		password string
		want     string
		ping     bool
	}{
		"ping": {sessionproto.Ping, "", "\x00\x00\x00\x14REQUEST_METHOD\x00PING\x00", true},
		"ping, password": {
			sessionproto.Ping, "secret",
			"\x00\x00\x00\x36REQUEST_METHOD\x00PING\x00PASSENGER_CONNECT_PASSWORD\x00secret\x00", true,
		},
		"OOBW": {sessionproto.OOBW, "", "\x00\x00\x00\x14REQUEST_METHOD\x00OOBW\x00", false},
		"OOBW, password": {
			sessionproto.OOBW, "secret",
			"\x00\x00\x00\x36REQUEST_METHOD\x00OOBW\x00PASSENGER_CONNECT_PASSWORD\x00secret\x00", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := tc.request(tc.password)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(b))
			h, err := sessionproto.ReadHeader(strings.NewReader(string(b)))
			require.NoError(t, err)
			require.NoError(t, h.CheckPassword(tc.password))
			require.Equal(t, tc.ping, h.IsPing())
			require.Equal(t, !tc.ping, h.IsOOBW())
		})
	}

	_, err := sessionproto.Ping("a\x00b")
	require.ErrorIs(t, err, sessionproto.ErrNUL)
	_, err = sessionproto.OOBW(strings.Repeat("x", sessionproto.MaxHeader))
	require.ErrorIs(t, err, sessionproto.ErrTooLarge)
}

func BenchmarkEncoder(b *testing.B) {
	for name, headers := range map[string][]string{"usual": requestHeaders, "many": manyNames()} {
		b.Run(name, func(b *testing.B) {
			var e sessionproto.Encoder
			b.ReportAllocs()

			for b.Loop() {
				e.Reset()

				for _, name := range headers {
					e.AddHeader(name, "")
				}

				if _, err := e.Bytes(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
