package sessionproto_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/sessionproto"
)

func FuzzReadHeader(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x00", framed(""), framed(block("A", "B")) + "body", framed(block("A", "", "B", "\xff")),
		announced(sessionproto.MaxHeader, block("A", "B")), announced(sessionproto.MaxHeader+1, ""), framed("\x00"),
		framed(block("A", "1", "A", "2")), framed("A\x00B"), framed(block("REQUEST_METHOD", "PING")),
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, said []byte) {
		in := bytes.NewReader(said)
		h, err := sessionproto.ReadHeader(in)
		if err != nil {
			require.Nil(t, h)
			return
		}

		var e sessionproto.Encoder
		for _, name := range slices.Sorted(maps.Keys(h)) {
			e.Add(name, h[name])
		}

		b, err := e.Bytes()
		require.NoError(t, err)
		require.Len(t, b, len(said)-in.Len())
		again, err := sessionproto.ReadHeader(bytes.NewReader(b))
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

func FuzzEncoder(f *testing.F) {
	f.Add("A", "1", "B", "2", "Host", "h")
	f.Add("A", "", "A", "", "a", "")
	f.Add("HTTP_A_B", "1", "", "2", "a-b", "3")
	f.Add("A\x00", "1", "B", "\x00", "\xc3\xa9", "\xff")
	f.Add("A", strings.Repeat("x", 1000), "B", strings.Repeat("y", 1000), "c", "")
	var e sessionproto.Encoder
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, header, value3 string) {
		want := sessionproto.Header{}
		var wantErr error
		size := 0
		expect := func(name, value string) {
			size += len(name) + len(value) + 2
			switch _, twice := want[name]; {
			case strings.Contains(name+value, "\x00") || name == "" || name == "HTTP_" && header == "":
				wantErr = errors.Join(wantErr, sessionproto.ErrNUL)
			case twice:
				wantErr = errors.Join(wantErr, sessionproto.ErrDuplicate)
			case size > sessionproto.MaxHeader:
				wantErr = errors.Join(wantErr, sessionproto.ErrTooLarge)
			}

			want[name] = value
		}
		e.Reset()
		e.Add(name1, value1)
		expect(name1, value1)
		e.Add(name2, value2)
		expect(name2, value2)
		e.AddHeader(header, value3)
		expect("HTTP_"+upper(header), value3)

		b, err := e.Bytes()
		if wantErr != nil {
			require.Error(t, err)
			require.Nil(t, b)
			return
		}

		require.NoError(t, err)
		got, err := sessionproto.ReadHeader(bytes.NewReader(b))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// upper is how CGI names a header, byte by byte.
func upper(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c == '-':
			b[i] = '_'
		case 'a' <= c && c <= 'z':
			b[i] = c &^ 0x20
		}
	}

	return string(b)
}
