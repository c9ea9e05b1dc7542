package sessionproto_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gopassenger/passenger/sessionproto"
)

func TestReadHeader(t *testing.T) {
	wire := framed(block("REQUEST_METHOD", "POST", "SCRIPT_NAME", "", "HTTP_HOST", "a:80", "X", "\xff=\n"))

	want := sessionproto.Header{"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "HTTP_HOST": "a:80", "X": "\xff=\n"}
	for name, r := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"in bytes":     iotest.OneByteReader,
		"EOF at once":  iotest.DataErrReader,
		"half at once": iotest.HalfReader,
	} {
		t.Run(name, func(t *testing.T) {
			in := r(strings.NewReader(wire + "body"))
			h, err := sessionproto.ReadHeader(in)
			require.NoError(t, err)
			require.Equal(t, want, h)
			body, err := io.ReadAll(in)
			require.NoError(t, err)
			require.Equal(t, "body", string(body))
		})
	}

	h, err := sessionproto.ReadHeader(strings.NewReader(framed("")))
	require.NoError(t, err)
	require.Equal(t, sessionproto.Header{}, h)
}

func TestReadHeaderFails(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		says string
		then error
		want error
	}{
		"end":                    {"", nil, io.EOF},
		"end in the length":      {"\x00\x00", nil, io.ErrUnexpectedEOF},
		"end after the length":   {announced(10, ""), nil, io.ErrUnexpectedEOF},
		"end in the block":       {announced(10, block("A", "B")), nil, io.ErrUnexpectedEOF},
		"read fails at once":     {"", broken, broken},
		"read fails in a block":  {announced(10, "A"), broken, broken},
		"over the limit":         {announced(sessionproto.MaxHeader+1, block("A", "B")), nil, sessionproto.ErrTooLarge},
		"far over the limit":     {announced(1<<32-1, ""), nil, sessionproto.ErrTooLarge},
		"HTTP on a session port": {"GET / HTTP/1.1\r\n\r\n", nil, sessionproto.ErrTooLarge},
		"no NUL":                 {framed("A"), nil, sessionproto.ErrMalformed},
		"no value":               {framed("A\x00"), nil, sessionproto.ErrMalformed},
		"value without NUL":      {framed("A\x00B"), nil, sessionproto.ErrMalformed},
		"bytes after the pairs":  {framed(block("A", "B") + "C"), nil, sessionproto.ErrMalformed},
		"no name":                {framed(block("", "B")), nil, sessionproto.ErrMalformed},
		"one NUL":                {framed("\x00"), nil, sessionproto.ErrMalformed},
		"name twice":             {framed(block("A", "1", "B", "", "A", "1")), nil, sessionproto.ErrDuplicate},
		"password twice": {
			framed(block("PASSENGER_CONNECT_PASSWORD", "a", "PASSENGER_CONNECT_PASSWORD", "b")), nil,
			sessionproto.ErrDuplicate,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var in io.Reader = strings.NewReader(tc.says)
			if tc.then != nil {
				in = io.MultiReader(in, iotest.ErrReader(tc.then))
			}

			h, err := sessionproto.ReadHeader(in)
			require.Nil(t, h)
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestReadHeaderMaxHeader(t *testing.T) {
	body := block("A", strings.Repeat("x", sessionproto.MaxHeader-len(block("A", ""))))
	require.Len(t, body, sessionproto.MaxHeader)
	h, err := sessionproto.ReadHeader(strings.NewReader(framed(body)))
	require.NoError(t, err)
	require.Len(t, h, 1)
	_, err = sessionproto.ReadHeader(strings.NewReader(framed(block("A", h["A"]+"x"))))
	require.ErrorIs(t, err, sessionproto.ErrTooLarge)
}

// A length costs its sender four bytes and must not cost us more.
func TestReadHeaderDoesNotTrustTheLength(t *testing.T) {
	for _, said := range []string{
		announced(sessionproto.MaxHeader, ""),
		announced(sessionproto.MaxHeader, "A"),
		announced(sessionproto.MaxHeader+1, ""),
		announced(1<<32-1, ""),
	} {
		in := strings.NewReader(said)
		var err error
		require.Less(t, allocated(func() { _, err = sessionproto.ReadHeader(in) }), uint64(16<<10))
		require.Error(t, err)
	}
}

// ReadHeader asks the connection for nothing behind the block: it would block
// there, or take what is of the body.
func TestReadHeaderReadsNothingAfter(t *testing.T) {
	for _, body := range []string{"", block("A", "B"), block("A", strings.Repeat("x", 5000))} {
		tooFar := errors.New("read too far")
		in := io.MultiReader(strings.NewReader(framed(body)), iotest.ErrReader(tooFar))
		_, err := sessionproto.ReadHeader(in)
		require.NoError(t, err)
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[^\x00]{1,40}`)
		value := rapid.StringMatching(`[^\x00]{0,200}`)
		want := sessionproto.Header(rapid.MapOfN(name, value, 0, 40).Draw(t, "header"))
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")

		var e sessionproto.Encoder
		for name, value := range want {
			e.Add(name, value)
		}

		b, err := e.Bytes()
		require.NoError(t, err)
		in := bytes.NewReader(append(b, body...))
		got, err := sessionproto.ReadHeader(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, len(body), in.Len())
	})
}

func TestControlRequestsOfOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		h          sessionproto.Header
		ping, oobw bool
	}{
		"upper case":       {sessionproto.Header{"REQUEST_METHOD": "PING"}, true, false},
		"lower case":       {sessionproto.Header{"REQUEST_METHOD": "ping"}, true, false},
		"out-of-band work": {sessionproto.Header{"REQUEST_METHOD": "oobw"}, false, true},
		"from a client":    {sessionproto.Header{"REQUEST_METHOD": "PING", "REQUEST_URI": "/"}, false, false},
		"no path":          {sessionproto.Header{"REQUEST_METHOD": "OOBW", "REQUEST_URI": ""}, false, false},
		"other method":     {sessionproto.Header{"REQUEST_METHOD": "PINGS"}, false, false},
		"no method":        {sessionproto.Header{}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.ping, tc.h.IsPing())
			require.Equal(t, tc.oobw, tc.h.IsOOBW())
		})
	}
}

func TestCheckPassword(t *testing.T) {
	const key = "PASSENGER_CONNECT_PASSWORD"
	for name, tc := range map[string]struct {
		h        sessionproto.Header
		password string
		want     error
	}{
		"right":            {sessionproto.Header{key: "secret"}, "secret", nil},
		"wrong":            {sessionproto.Header{key: "secreT"}, "secret", sessionproto.ErrPassword},
		"prefix":           {sessionproto.Header{key: "secre"}, "secret", sessionproto.ErrPassword},
		"longer":           {sessionproto.Header{key: "secret "}, "secret", sessionproto.ErrPassword},
		"empty":            {sessionproto.Header{key: ""}, "secret", sessionproto.ErrPassword},
		"missing":          {sessionproto.Header{}, "secret", sessionproto.ErrPassword},
		"nil":              {nil, "secret", sessionproto.ErrPassword},
		"none asked":       {sessionproto.Header{}, "", nil},
		"none asked, sent": {sessionproto.Header{key: "x"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.h != nil {
				tc.h["OTHER"] = "stays"
			}

			require.ErrorIs(t, tc.h.CheckPassword(tc.password), tc.want)
			require.NotContains(t, tc.h, key)
			if tc.h != nil {
				require.Equal(t, sessionproto.Header{"OTHER": "stays"}, tc.h)
			}
		})
	}
}
