package fcgiproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/fcgiproto"
)

// record is a record of request 1 as it stands on the wire.
func record(kind byte, content string) string { return recordOf(kind, 1, content, 0) }

func recordOf(kind byte, id uint16, content string, padding int) string {
	b := []byte{1, kind}
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	b = append(b, byte(padding), 0)

	return string(b) + content + strings.Repeat("\xaa", padding)
}

// Kinds of records.
const (
	begin, abort, end, params, stdin, stdout, stderr, data = 1, 2, 3, 4, 5, 6, 7, 8
	getValues, unknown                                     = 9, 11
)

const (
	complete = "\x00\x00\x00\x00\x00\x00\x00\x00"
	keep     = "\x00\x01\x01\x00\x00\x00\x00\x00"
	noKeep   = "\x00\x01\x00\x00\x00\x00\x00\x00"
)

// pair is a parameter with short lengths.
func pair(name, value string) string {
	return string([]byte{byte(len(name)), byte(len(value))}) + name + value
}

// readers read in all of the ways in which bytes arrive.
var readers = map[string]func(io.Reader) io.Reader{
	"at once":       func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"in halves":     iotest.HalfReader,
	"with the end":  iotest.DataErrReader,
	"with timeouts": func(r io.Reader) io.Reader { return iotest.TimeoutReader(iotest.HalfReader(r)) },
}

// readAll reads again after what is no end.
func readAll(r io.Reader) (text string, err error) {
	var b strings.Builder
	buf := make([]byte, 11000)

	for {
		n, err := r.Read(buf)
		b.Write(buf[:n])

		switch {
		case errors.Is(err, io.EOF):
			return b.String(), nil
		case err != nil && !errors.Is(err, iotest.ErrTimeout):
			return b.String(), err
		}
	}
}

func TestEncoderWritesTheBytesOfTheSpecification(t *testing.T) {
	var e fcgiproto.Encoder
	e.Begin(true)
	e.Add("REQUEST_METHOD", "POST")
	e.AddHeader("X-Long", strings.Repeat("v", 128))
	e.EndParams()
	e.Stdin([]byte("a=1"))
	e.EndStdin()

	got, err := e.Bytes()
	require.NoError(t, err)
	require.Equal(t, "\x01\x01\x00\x01\x00\x08\x00\x00"+"\x00\x01\x01\x00\x00\x00\x00\x00"+
		"\x01\x04\x00\x01\x00\xa4\x00\x00"+"\x0e\x04REQUEST_METHODPOST"+
		"\x0b\x80\x00\x00\x80HTTP_X_LONG"+strings.Repeat("v", 128)+
		"\x01\x04\x00\x01\x00\x00\x00\x00"+
		"\x01\x05\x00\x01\x00\x03\x00\x00a=1"+
		"\x01\x05\x00\x01\x00\x00\x00\x00", string(got))
	require.Equal(t, "\x01\x02\x00\x01\x00\x00\x00\x00", string(fcgiproto.Abort()))
	require.Equal(t, "\x01\x09\x00\x00\x00\x10\x00\x00\x0e\x00FCGI_MAX_CONNS", string(fcgiproto.GetValues()))

	e.Begin(false)
	e.EndParams()
	got, err = e.Bytes()
	require.NoError(t, err)
	require.Equal(t, record(begin, noKeep)+record(params, ""), string(got))
}

func TestEncoderRefuses(t *testing.T) {
	long := strings.Repeat("x", fcgiproto.MaxContent)
	for name, test := range map[string]struct {
		pairs []string
		want  error
	}{
		"a parameter without a name":        {[]string{"", "x"}, fcgiproto.ErrEmptyName},
		"a parameter twice":                 {[]string{"A", "1", "B", "", "A", "1"}, fcgiproto.ErrDuplicate},
		"a parameter longer than a record":  {[]string{"A", long}, fcgiproto.ErrTooLarge},
		"parameters longer than the limit":  {[]string{"A", long[9:], "B", long[9:], "C", long[9:]}, fcgiproto.ErrTooLarge},
		"a name longer than a record":       {[]string{long, ""}, fcgiproto.ErrTooLarge},
		"the first error, whatever follows": {[]string{"", "", "A", long}, fcgiproto.ErrEmptyName},
	} {
		t.Run(name, func(t *testing.T) {
			var e fcgiproto.Encoder
			e.Begin(false)

			for i := 0; i < len(test.pairs); i += 2 {
				e.Add(test.pairs[i], test.pairs[i+1])
			}

			e.EndParams()
			got, err := e.Bytes()
			require.ErrorIs(t, err, test.want)
			require.Nil(t, got)
		})
	}
}

// PHP reads the pairs of each record by themselves.
func TestEncoderKeepsPairsWithinRecords(t *testing.T) {
	var e fcgiproto.Encoder
	e.Begin(false)

	value := strings.Repeat("v", 50_000)
	e.Add("A", value)
	e.Add("B", value)
	e.EndParams()
	got, err := e.Bytes()
	require.NoError(t, err)

	content := func(name string) string { return "\x01\x80\x00\xc3\x50" + name + value }
	require.Equal(t, record(begin, noKeep)+record(params, content("A"))+record(params, content("B"))+
		record(params, ""), string(got))
}

func TestEncoderReuseAllocatesNothing(t *testing.T) {
	var e fcgiproto.Encoder
	body := bytes.Repeat([]byte("b"), 1000)
	allocs := testing.AllocsPerRun(100, func() {
		e.Begin(true)
		e.Add("REQUEST_METHOD", "GET")
		e.Add("REQUEST_URI", "/")
		e.AddHeader("Host", "a")
		e.EndParams()
		e.Stdin(body)
		e.EndStdin()

		if _, err := e.Bytes(); err != nil {
			t.Fatal(err)
		}
	})
	require.Zero(t, allocs)
}

func TestReaderReadsResponses(t *testing.T) {
	long := strings.Repeat("0123456789", 6000)
	for name, test := range map[string]struct {
		wire, want string
		lines      []string
		reusable   bool
		then       error
	}{
		"one record": {record(stdout, "hello") + record(end, complete), "hello", nil, true, nil},
		"end of the stream": {
			record(stdout, "hello") + record(stdout, "") + record(end, complete), "hello", nil, true, nil,
		},
		"nothing": {record(end, complete), "", nil, true, nil},
		"padding": {
			recordOf(stdout, 1, "a", 7) + recordOf(stdout, 1, "b", 255) + recordOf(end, 1, complete, 8), "ab", nil,
			true, nil,
		},
		"long records": {
			strings.Repeat(record(stdout, long), 3) + record(end, complete), strings.Repeat(long, 3), nil, true, nil,
		},
		"errors between": {
			record(stdout, "a") + record(stderr, "one\ntw") + record(stdout, "b") + record(stderr, "o\r\n\nlast") +
				record(stderr, "") + record(end, complete), "ab", []string{"one", "two", "", "last"}, true, nil,
		},
		"long line of errors": {
			record(stderr, strings.Repeat("e", 10_000)) + record(end, complete), "",
			[]string{strings.Repeat("e", 8<<10), strings.Repeat("e", 10_000-8<<10)},
			true, nil,
		},
		"bytes behind": {record(stdout, "a") + record(end, complete) + "x", "a", nil, false, nil},
		"exit status":  {record(end, "\x00\x00\x00\x03\x00\x00\x00\x00"), "", nil, true, nil},
		"overloaded": {
			record(end, "\x00\x00\x00\x00\x02\x00\x00\x00"), "", nil, false, fcgiproto.ErrOverloaded,
		},
		"cannot multiplex": {
			record(end, "\x00\x00\x00\x00\x01\x00\x00\x00"), "", nil, false, fcgiproto.ErrCannotMultiplex,
		},
		"unknown role": {
			record(stdout, "a") + record(end, "\x00\x00\x00\x00\x03\x00\x00\x00"), "a", nil, false,
			fcgiproto.ErrUnknownRole,
		},
	} {
		for way, in := range readers {
			t.Run(name+", "+way, func(t *testing.T) {
				var lines []string
				var r fcgiproto.Reader
				r.Reset(in(strings.NewReader(test.wire)), func(line []byte) { lines = append(lines, string(line)) })
				got, err := readAll(&r)
				require.ErrorIs(t, err, test.then)
				require.Equal(t, test.want, got)
				require.Equal(t, test.lines, lines)
				require.True(t, r.Ended())
				if way == "at once" {
					require.Equal(t, test.reusable, r.IsReusable())
				}

				_, err = r.Read(make([]byte, 1))
				require.Error(t, err)
			})
		}
	}
}

// Who knows the length of a body need not read again to learn that the request has ended.
func TestReaderSeesTheEndBehindTheLastByte(t *testing.T) {
	for _, padding := range []int{0, 3, 255} {
		var r fcgiproto.Reader
		r.Reset(strings.NewReader(recordOf(stdout, 1, "hello", padding)+record(stderr, "e")+
			recordOf(end, 1, complete, padding)), nil)
		n, err := io.ReadFull(&r, make([]byte, 5))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		require.True(t, r.Ended())
		require.True(t, r.IsReusable())
	}

	// It does not wait for it.
	var r fcgiproto.Reader
	r.Reset(io.MultiReader(strings.NewReader(record(stdout, "hello")), iotest.ErrReader(iotest.ErrTimeout)), nil)
	_, err := r.Read(make([]byte, 10))
	require.NoError(t, err)
	require.False(t, r.Ended())
	_, err = r.Read(make([]byte, 10))
	require.ErrorIs(t, err, iotest.ErrTimeout)
	require.False(t, r.Ended())
}

// TestReaderRefuses is about applications that break the rules.
func TestReaderRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		wire string
		want error
	}{
		"nothing at all":                       {"", io.ErrUnexpectedEOF},
		"end within a header":                  {record(stdout, "a")[:5], io.ErrUnexpectedEOF},
		"end after a header":                   {record(stdout, "a")[:8], io.ErrUnexpectedEOF},
		"end within content":                   {record(stdout, "hello")[:10], io.ErrUnexpectedEOF},
		"end within padding":                   {recordOf(stdout, 1, "a", 8)[:12], io.ErrUnexpectedEOF},
		"end before END_REQUEST":               {record(stdout, "hello"), io.ErrUnexpectedEOF},
		"end within END_REQUEST":               {record(end, complete)[:14], io.ErrUnexpectedEOF},
		"end within END_REQUEST's padding":     {recordOf(end, 1, complete, 8)[:17], io.ErrUnexpectedEOF},
		"version 0":                            {"\x00" + record(stdout, "a")[1:], fcgiproto.ErrMalformed},
		"version 2":                            {"\x02" + record(stdout, "a")[1:], fcgiproto.ErrMalformed},
		"HTTP":                                 {"HTTP/1.1 200 OK\r\n\r\n", fcgiproto.ErrMalformed},
		"request 0":                            {recordOf(stdout, 0, "a", 0), fcgiproto.ErrMalformed},
		"request 2":                            {recordOf(stdout, 2, "a", 0), fcgiproto.ErrMalformed},
		"request 256":                          {recordOf(stdout, 256, "a", 0), fcgiproto.ErrMalformed},
		"another request's end":                {recordOf(end, 2, complete, 0), fcgiproto.ErrMalformed},
		"type 0":                               {record(0, ""), fcgiproto.ErrMalformed},
		"BEGIN_REQUEST":                        {record(begin, keep), fcgiproto.ErrMalformed},
		"ABORT_REQUEST":                        {record(abort, ""), fcgiproto.ErrMalformed},
		"PARAMS":                               {record(params, ""), fcgiproto.ErrMalformed},
		"STDIN":                                {record(stdin, "a"), fcgiproto.ErrMalformed},
		"DATA":                                 {record(data, "a"), fcgiproto.ErrMalformed},
		"GET_VALUES_RESULT that no one wanted": {recordOf(10, 0, "", 0), fcgiproto.ErrMalformed},
		"UNKNOWN_TYPE":                         {recordOf(unknown, 0, complete, 0), fcgiproto.ErrMalformed},
		"type 255":                             {record(255, ""), fcgiproto.ErrMalformed},
		"short END_REQUEST":                    {record(end, complete[:7]), fcgiproto.ErrMalformed},
		"empty END_REQUEST":                    {record(end, ""), fcgiproto.ErrMalformed},
		"long END_REQUEST":                     {record(end, complete+"x"), fcgiproto.ErrMalformed},
		"protocol status 4":                    {record(end, "\x00\x00\x00\x00\x04\x00\x00\x00"), fcgiproto.ErrMalformed},
		"output after its end":                 {record(stdout, "") + record(stdout, "a"), fcgiproto.ErrMalformed},
		"a flood of ends of output":            {strings.Repeat(record(stdout, ""), 1000), fcgiproto.ErrMalformed},
		"a flood of ends of errors":            {strings.Repeat(record(stderr, ""), 1000), fcgiproto.ErrMalformed},
	} {
		for way, in := range readers {
			t.Run(name+", "+way, func(t *testing.T) {
				var r fcgiproto.Reader
				r.Reset(in(strings.NewReader(test.wire)), nil)
				_, err := readAll(&r)
				require.ErrorIs(t, err, test.want)
				require.True(t, r.Ended())
				require.False(t, r.IsReusable())
			})
		}
	}
}
