package loaderproto_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

func handshake(said string, then error) (loaderproto.Options, error) {
	conn := says(said).then(then)
	return loaderproto.NewLoader(conn, conn).Handshake()
}

func TestLoaderHandshake(t *testing.T) {
	conn := says(fullRequestBytes)
	opts, err := loaderproto.NewLoader(conn, conn).Handshake()
	require.NoError(t, err)
	require.Equal(t, "\n"+control, conn.sent.String())
	require.Len(t, opts, strings.Count(fullRequestBytes, "\n")-2)
	require.Equal(t, "ruby\t/opt/passenger/rack-loader.rb\ta b", opts["start_command"])
	require.Equal(t, []string{loaderproto.FeatureSessionKeepAlive, "other"}, opts.Features())
	require.Empty(t, loaderproto.Options{}.Features())
}

func TestLoaderToleratesWhatTheOriginalsDo(t *testing.T) {
	opts, err := handshake("You have control 1.0\r\na:b\r\nc:   d e \nf: g: h\ni:\n\n", nil)
	require.NoError(t, err)
	require.Equal(t, loaderproto.Options{"a": "b", "c": "d e ", "f": "g: h", "i": ""}, opts)
}

func TestLoaderHandshakeFails(t *testing.T) {
	const begin = "You have control 1.0\n"

	for name, tc := range map[string]struct {
		says string
		then error
		kind loaderproto.Kind
		step loaderproto.Step
		line string
	}{
		"end": {"", nil, loaderproto.ExitedEarly, loaderproto.AwaitHandshake, ""},
		"cut": {"You have", nil, loaderproto.TruncatedLine, loaderproto.AwaitHandshake, "You have"},
		"other reply": {
			"Who are you?\n", nil, loaderproto.UnexpectedLine, loaderproto.AwaitHandshake,
			"Who are you?",
		},
		"other version": {
			"You have control 2.0\n", nil, loaderproto.UnexpectedLine, loaderproto.AwaitHandshake,
			"You have control 2.0",
		},
		"read fails": {"", errBroken, loaderproto.ReadFailed, loaderproto.AwaitHandshake, ""},
		"late":       {"", os.ErrDeadlineExceeded, loaderproto.TimedOut, loaderproto.AwaitHandshake, ""},
		"reply too long": {
			strings.Repeat("x", loaderproto.MaxLine+1) + "\n", nil, loaderproto.LineTooLong,
			loaderproto.AwaitHandshake, strings.Repeat("x", 200),
		},
		"no keys":      {begin, nil, loaderproto.TruncatedBlock, loaderproto.SendRequest, ""},
		"cut in a key": {begin + "a: b\nc: d", nil, loaderproto.TruncatedBlock, loaderproto.SendRequest, "c: d"},
		"keys fail":    {begin + "a: b\n", errBroken, loaderproto.ReadFailed, loaderproto.SendRequest, ""},
		"no colon":     {begin + "a b\n\n", nil, loaderproto.MalformedLine, loaderproto.SendRequest, "a b"},
		"no key":       {begin + ": b\n\n", nil, loaderproto.MalformedLine, loaderproto.SendRequest, ": b"},
		"key too long": {
			begin + strings.Repeat("x", loaderproto.MaxLine+1) + "\n", nil, loaderproto.LineTooLong,
			loaderproto.SendRequest, strings.Repeat("x", 200),
		},
		"too many keys": {
			begin + strings.Repeat("a: b\n", loaderproto.MaxHeaderLines+1) + "\n", nil,
			loaderproto.BlockTooLong, loaderproto.SendRequest, "a: b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := handshake(tc.says, tc.then)
			require.Nil(t, opts)
			e := requireKind(t, err, tc.kind, tc.step)

			require.Equal(t, tc.line, e.Line)
		})
	}
}

func TestLoaderLimits(t *testing.T) {
	_, err := handshake("You have control 1.0\n"+strings.Repeat("a: b\n", loaderproto.MaxHeaderLines)+"\n", nil)
	require.NoError(t, err)
	value := strings.Repeat("x", loaderproto.MaxLine-len("a: "))
	opts, err := handshake("You have control 1.0\na: "+value+"\n\n", nil)
	require.NoError(t, err)
	require.Equal(t, value, opts["a"])
}

func TestLoaderWriteFails(t *testing.T) {
	conn := says(fullRequestBytes)
	conn.writeErr = errBroken
	l := loaderproto.NewLoader(conn, conn)
	ready := loaderproto.Ready{Sockets: []loaderproto.Socket{{Address: unix("/a"), Protocol: loaderproto.Session}}}
	_, err := l.Handshake()
	requireKind(t, err, loaderproto.WriteFailed, loaderproto.AwaitHandshake)
	requireKind(t, l.Ready(&ready), loaderproto.WriteFailed, loaderproto.ReadReady)
	requireKind(t, l.Error(loaderproto.Message{}), loaderproto.WriteFailed, loaderproto.ReadErrorText)
}

func TestLoaderErrorBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		msg  loaderproto.Message
		want string
	}{
		"text": {loaderproto.Message{Text: "why\n"}, "\n!> Error\n!> \nwhy\n"},
		"HTML": {loaderproto.Message{Text: "<b>", HTML: true}, "\n!> Error\n!> html: true\n!> \n<b>"},
	} {
		t.Run(name, func(t *testing.T) {
			var sent bytes.Buffer
			require.NoError(t, loaderproto.NewLoader(nil, &sent).Error(tc.msg))
			require.Equal(t, tc.want, sent.String())
		})
	}
}

// startLoader runs a program that speaks with the loader's side of the package
// and closes its end afterwards. wait returns the program's error.
func startLoader(t *testing.T, program func(l *loaderproto.Loader, stdout io.Writer) error) (conn net.Conn,
	wait func() error,
) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	done := make(chan error, 1)
	go func() {
		defer theirs.Close()
		done <- program(loaderproto.NewLoader(theirs, theirs), theirs)
	}()

	return ours, func() error { return <-done }
}

func TestRoundTrip(t *testing.T) {
	sent := loaderproto.Ready{
		Sockets: []loaderproto.Socket{
			{Name: "main", Address: unix("/tmp/a.sock"), Protocol: loaderproto.Session, Concurrency: 4},
			{Name: "http", Address: tcp("[::1]:8080"), Protocol: loaderproto.HTTP, Concurrency: 1},
		},
		PID:      1234,
		Features: []string{loaderproto.FeatureSessionKeepAlive},
	}
	var opts loaderproto.Options
	conn, wait := startLoader(t, func(l *loaderproto.Loader, stdout io.Writer) (err error) {
		for range 3 { // it executes itself twice
			if opts, err = l.Handshake(); err != nil {
				return err
			}
		}

		if _, err = io.WriteString(stdout, "Booting..."); err != nil {
			return err
		}

		if err = l.Ready(&sent); err != nil {
			return err
		}

		_, err = io.WriteString(stdout, "Listening\n")

		return err
	})

	var noise strings.Builder
	n := loaderproto.Negotiation{Request: fullRequest(), Noise: func(p []byte) { noise.Write(p) }}
	got, rest, err := n.Negotiate(conn)
	require.NoError(t, err)
	require.Equal(t, &sent, got)
	require.Equal(t, "Booting...", strings.TrimSpace(noise.String()))
	require.Equal(t, "Listening\n", readAll(t, rest))
	require.NoError(t, wait())
	require.Equal(t, "/srv/app", opts["app_root"])
	require.Equal(t, "/srv/app (staging)", opts["app_group_name"])
	require.Equal(t, "18a3f0c-AbCdEfGhIj", opts["gupid"])
}

func TestErrorRoundTrip(t *testing.T) {
	for name, msg := range map[string]loaderproto.Message{
		"text":  {Text: "line 1\n!> line 2\n"},
		"HTML":  {Text: "<p>why</p>", HTML: true},
		"empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			conn, wait := startLoader(t, func(l *loaderproto.Loader, _ io.Writer) error {
				if _, err := l.Handshake(); err != nil {
					return err
				}

				return l.Error(msg)
			})
			var n loaderproto.Negotiation
			_, _, err := n.Negotiate(conn)
			e := requireKind(t, err, loaderproto.AppError, loaderproto.ReadErrorText)
			require.Equal(t, &msg, e.Message)
			require.NoError(t, wait())
		})
	}
}
