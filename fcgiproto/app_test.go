package fcgiproto_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/fcgiproto"
)

// application is what an application has got and said.
type application struct {
	in  io.Reader
	out bytes.Buffer
}

func (a *application) Read(p []byte) (int, error)  { return a.in.Read(p) }
func (a *application) Write(p []byte) (int, error) { return a.out.Write(p) }

func TestConnTakesRequests(t *testing.T) {
	wire := record(begin, keep) + record(params, pair("A", "1")) + record(params, pair("LONG", "")) +
		record(params, "") + record(stdin, "bo") + recordOf(stdin, 1, "dy", 6) + record(stdin, "") +
		recordOf(getValues, 0, pair("FCGI_MAX_CONNS", "")+pair("FCGI_MPXS_CONNS", "")+pair("X", ""), 5) +
		recordOf(77, 0, "x", 1) +
		record(begin, noKeep) + record(params, "") + record(stdin, "rest") + record(stdin, "")
	for way, in := range readers {
		if way == "with timeouts" {
			continue
		}

		t.Run(way, func(t *testing.T) {
			app := &application{in: in(strings.NewReader(wire))}
			c := fcgiproto.NewConn(app)
			r, err := c.Accept()
			require.NoError(t, err)
			require.Equal(t, map[string]string{"A": "1", "LONG": ""}, r.Params)
			require.True(t, r.KeepConn)
			body, err := io.ReadAll(r.Stdin())
			require.NoError(t, err)
			require.Equal(t, "body", string(body))
			require.NoError(t, r.Stdout([]byte("out")))
			require.NoError(t, r.Stderr([]byte("err")))
			require.NoError(t, r.End(7, fcgiproto.RequestComplete))
			require.Error(t, r.Stdout([]byte("late")))
			require.Error(t, r.End(0, fcgiproto.RequestComplete))

			r, err = c.Accept()
			require.NoError(t, err)
			require.False(t, r.KeepConn)
			require.NoError(t, r.End(0, fcgiproto.RequestComplete))
			require.Equal(t, record(stdout, "out")+record(stderr, "err")+
				record(end, "\x00\x00\x00\x07\x00\x00\x00\x00")+
				recordOf(10, 0, pair("FCGI_MAX_CONNS", "1")+pair("FCGI_MPXS_CONNS", "0"), 0)+
				recordOf(unknown, 0, "\x4d\x00\x00\x00\x00\x00\x00\x00", 0)+record(end, complete), app.out.String())

			_, err = c.Accept()
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

// TestConnRefuses is about servers that break the rules.
func TestConnRefuses(t *testing.T) {
	good := record(begin, keep) + record(params, pair("A", "1")) + record(params, "")
	for name, test := range map[string]struct {
		wire string
		want error
		says string
	}{
		"nothing":                  {"", io.EOF, ""},
		"end within a header":      {record(begin, keep)[:5], io.ErrUnexpectedEOF, ""},
		"end within BEGIN_REQUEST": {record(begin, keep)[:12], io.ErrUnexpectedEOF, ""},
		"end after BEGIN_REQUEST":  {record(begin, keep), io.ErrUnexpectedEOF, ""},
		"end within parameters":    {good[:len(good)-10], io.ErrUnexpectedEOF, ""},
		"end before the body":      {good, io.ErrUnexpectedEOF, ""},
		"end within the body":      {good + record(stdin, "hello")[:10], io.ErrUnexpectedEOF, ""},
		"end within padding":       {good + recordOf(stdin, 1, "a", 100)[:20], io.ErrUnexpectedEOF, ""},
		"abort within parameters":  {record(begin, keep) + record(abort, ""), fcgiproto.ErrAborted, ""},
		"abort within the body":    {good + record(stdin, "a") + record(abort, ""), fcgiproto.ErrAborted, ""},
		"version 0":                {"\x00" + good[1:], fcgiproto.ErrMalformed, ""},
		"HTTP":                     {"GET / HTTP/1.1\r\n\r\n", fcgiproto.ErrMalformed, ""},
		"short BEGIN_REQUEST":      {record(begin, keep[:7]), fcgiproto.ErrMalformed, ""},
		"long BEGIN_REQUEST":       {record(begin, keep+"x"), fcgiproto.ErrMalformed, ""},
		"BEGIN_REQUEST twice":      {record(begin, keep) + record(begin, keep), fcgiproto.ErrMalformed, ""},
		"BEGIN_REQUEST in a body":  {good + record(begin, keep), fcgiproto.ErrMalformed, ""},
		"body before parameters":   {record(begin, keep) + record(stdin, ""), fcgiproto.ErrMalformed, ""},
		"parameters in a body":     {good + record(params, ""), fcgiproto.ErrMalformed, ""},
		"data in a body":           {good + record(data, ""), fcgiproto.ErrMalformed, ""},
		"an application's record":  {record(stdout, "a"), fcgiproto.ErrMalformed, ""},
		"length without its value": {record(begin, keep) + record(params, "\x01") + record(params, ""), fcgiproto.ErrMalformed, ""},
		"length of two bytes":      {record(begin, keep) + record(params, "\x80\x00") + record(params, ""), fcgiproto.ErrMalformed, ""},
		"name that is cut off":     {record(begin, keep) + record(params, "\x05\x00AB") + record(params, ""), fcgiproto.ErrMalformed, ""},
		"value that is cut off":    {record(begin, keep) + record(params, "\x01\x05AB") + record(params, ""), fcgiproto.ErrMalformed, ""},
		"huge lengths": {
			record(begin, keep) + record(params, "\xff\xff\xff\xff\xff\xff\xff\xffA") + record(params, ""),
			fcgiproto.ErrMalformed, "",
		},
		"parameter without a name": {record(begin, keep) + record(params, "\x00\x01B") + record(params, ""), fcgiproto.ErrEmptyName, ""},
		"parameter twice": {
			record(begin, keep) + record(params, pair("A", "1")+pair("A", "2")) + record(params, ""),
			fcgiproto.ErrDuplicate, "",
		},
		"too many parameters": {
			record(begin, keep) + strings.Repeat(record(params, strings.Repeat(pair("A", "x"), 10_000)), 10),
			fcgiproto.ErrTooLarge, "",
		},
		"an authorizer": {
			record(begin, "\x00\x02\x01\x00\x00\x00\x00\x00"), io.EOF, record(end, "\x00\x00\x00\x00\x03\x00\x00\x00"),
		},
		"a filter that closes": {
			record(begin, "\x00\x03\x00\x00\x00\x00\x00\x00"), io.EOF, record(end, "\x00\x00\x00\x00\x03\x00\x00\x00"),
		},
		"a second request": {
			good + recordOf(begin, 2, keep, 0) + record(stdin, "") + record(abort, ""), io.EOF,
			recordOf(end, 2, "\x00\x00\x00\x00\x01\x00\x00\x00", 0),
		},
		"records of no request":     {recordOf(stdin, 9, "a", 0) + recordOf(params, 9, "a", 0) + record(abort, ""), io.EOF, ""},
		"values that are malformed": {recordOf(getValues, 0, "\x05", 0), fcgiproto.ErrMalformed, ""},
		"values cut off":            {recordOf(getValues, 0, pair("X", ""), 0)[:9], io.ErrUnexpectedEOF, ""},
	} {
		for way, in := range readers {
			if way == "with timeouts" {
				continue
			}

			t.Run(name+", "+way, func(t *testing.T) {
				app := &application{in: in(strings.NewReader(test.wire))}
				require.ErrorIs(t, serve(app), test.want)
				require.Equal(t, test.says, app.out.String())
			})
		}
	}
}

// serve takes requests until the first error.
func serve(rw io.ReadWriter) error {
	c := fcgiproto.NewConn(rw)
	for {
		r, err := c.Accept()
		if err != nil {
			return err
		}

		if _, err := io.Copy(io.Discard, r.Stdin()); err != nil {
			return err
		}
	}
}

func TestBothSidesUnderstandEachOther(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 20_000)

	var e fcgiproto.Encoder
	e.Begin(true)
	e.AddHeader("X-Name", "value")
	e.Add("LONG", strings.Repeat("v", 60_000))
	e.Add("LONGER", strings.Repeat("v", 60_000))
	e.EndParams()
	wire, err := e.Bytes()
	require.NoError(t, err)

	sent := bytes.NewBuffer(bytes.Clone(wire))
	in := fcgiproto.NewStdinWriter(sent)
	_, err = in.Write(body)
	require.NoError(t, err)
	_, err = in.Write(nil)
	require.NoError(t, err)
	require.NoError(t, in.Close())

	app := &application{in: sent}
	r, err := fcgiproto.NewConn(app).Accept()
	require.NoError(t, err)
	require.Equal(t, "value", r.Params["HTTP_X_NAME"])
	require.Len(t, r.Params, 3)
	got, err := io.ReadAll(r.Stdin())
	require.NoError(t, err)
	require.Equal(t, body, got)
	require.NoError(t, r.Stdout(body))
	require.NoError(t, r.End(0, fcgiproto.RequestComplete))

	var reader fcgiproto.Reader
	reader.Reset(&app.out, nil)
	content, err := readAll(&reader)
	require.NoError(t, err)
	require.Equal(t, string(body), content)
	require.Zero(t, reader.AppStatus())
}

func TestStdinWriterFailsWithItsConnection(t *testing.T) {
	broken := errors.New("broken")
	w := fcgiproto.NewStdinWriter(failing{broken})
	_, err := w.Write([]byte("a"))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, w.Close(), broken)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
