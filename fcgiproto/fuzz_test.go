package fcgiproto_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/fcgiproto"
)

// FuzzReader: whatever an application says, the result does not depend on how it arrives.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"", record(stdout, "hello") + record(end, complete), recordOf(stdout, 1, "a", 9) + record(stderr, "e\n"),
		record(end, "\x00\x00\x00\x01\x02\x00\x00\x00"), record(stdout, ""), recordOf(getValues, 0, "", 0),
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, said []byte) {
		read := func(in io.Reader) (out, lines string, err error) {
			var r fcgiproto.Reader
			r.Reset(in, func(line []byte) { lines += string(line) + "\n" })
			out, err = readAll(&r)
			require.True(t, r.Ended())

			return out, lines, err
		}
		out, lines, err := read(bytes.NewReader(said))
		slowOut, slowLines, slowErr := read(iotest.OneByteReader(bytes.NewReader(said)))
		require.Equal(t, out, slowOut)
		require.Equal(t, lines, slowLines)
		require.Equal(t, err == nil, slowErr == nil)
		require.LessOrEqual(t, len(out), len(said))
	})
}

// FuzzConn: what an application has taken is what an Encoder makes of it.
func FuzzConn(f *testing.F) {
	for _, seed := range []string{
		"", record(begin, keep) + record(params, pair("A", "1")) + record(params, "") + record(stdin, ""),
		recordOf(getValues, 0, pair("FCGI_MAX_CONNS", ""), 3), recordOf(begin, 3, noKeep, 1), record(abort, ""),
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, said []byte) {
		r, err := fcgiproto.NewConn(&application{in: bytes.NewReader(said)}).Accept()
		if err != nil {
			require.Nil(t, r)
			return
		}

		body, _ := io.ReadAll(r.Stdin())

		var e fcgiproto.Encoder
		e.Begin(r.KeepConn)

		for _, name := range slices.Sorted(maps.Keys(r.Params)) {
			e.Add(name, r.Params[name])
		}

		e.EndParams()
		e.Stdin(body)
		e.EndStdin()

		wire, err := e.Bytes()
		if errors.Is(err, fcgiproto.ErrTooLarge) {
			return // a pair lay in two records
		}

		require.NoError(t, err)
		again, err := fcgiproto.NewConn(&application{in: bytes.NewReader(wire)}).Accept()
		require.NoError(t, err)
		require.Equal(t, r.Params, again.Params)
		require.Equal(t, r.KeepConn, again.KeepConn)
		got, err := io.ReadAll(again.Stdin())
		require.NoError(t, err)
		require.Len(t, got, len(body))
	})
}

func BenchmarkReader(b *testing.B) {
	wire := []byte(record(stdout, strings.Repeat("x", 64<<10-9)) + record(end, complete))

	var r fcgiproto.Reader
	buf := make([]byte, 32<<10)
	in := bytes.NewReader(nil)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()

	for b.Loop() {
		in.Reset(wire)
		r.Reset(in, nil)

		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}
