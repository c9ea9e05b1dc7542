package loaderproto_test

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// outcome is all that a negotiation yields.
type outcome struct {
	ready       *loaderproto.Ready
	addr        loaderproto.Address
	rest, noise string
	err         *loaderproto.Error
}

func negotiate(t *testing.T, in io.Reader, preloader bool) outcome {
	t.Helper()
	var noise recorder
	n := loaderproto.Negotiation{
		Request: loaderproto.Request{Features: []string{loaderproto.FeatureSessionKeepAlive}},
		Noise: func(p []byte) {
			require.NotEmpty(t, p)
			require.LessOrEqual(t, len(p), noiseAt)
			noise.piece(p)
		},
	}
	var o outcome
	var rest io.Reader
	var err error
	conn := &script{Reader: in}
	if preloader {
		var r *loaderproto.PreloaderReady
		if r, rest, err = n.NegotiatePreloader(conn); r != nil {
			o.addr = r.Address
		}
	} else {
		o.ready, rest, err = n.Negotiate(conn)
	}

	o.noise = noise.String()
	if err != nil {
		require.Nil(t, rest)
		e := asError(t, err)
		o.err = &e

		return o
	}

	require.Zero(t, noise.uneven)
	o.rest = readAll(t, rest)

	return o
}

// requireValid requires that a Ready block can be written again.
func requireValid(t *testing.T, r *loaderproto.Ready) {
	t.Helper()
	require.LessOrEqual(t, len(r.Sockets), loaderproto.MaxHeaderLines)
	require.GreaterOrEqual(t, r.PID, 0)

	taking := 0
	for _, s := range r.Sockets {
		if s.Protocol.TakesRequests() {
			taking++
		}

		require.GreaterOrEqual(t, s.Concurrency, 0)

		// Lines of an application may hold these, those of a Loader may not.
		if strings.ContainsAny(s.Name+s.Address.String()+string(s.Protocol), "\r\x00") {
			return
		}
	}

	require.GreaterOrEqual(t, taking, 1)
	require.LessOrEqual(t, taking, loaderproto.MaxRequestSockets)

	var again bytes.Buffer
	require.NoError(t, loaderproto.NewLoader(nil, &again).Ready(r))
	o := negotiate(t, strings.NewReader(control+again.String()), false)
	require.Nil(t, o.err)
	require.Equal(t, r, o.ready)
}

func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{
		"", control, control + readyOK, "noise\n" + control + control + "noise" + "\n" + readyOK + "rest",
		control + readyBlock("socket: a;tcp://[::1]:80;http_session;0", "pid: 12", "features: session_keep_alive"),
		control + readyBlock("socket: unix:/tmp/a"), control + readyBlock("socket: tcp://localhost:80"),
		control + "!> Error\n!> html: true\n!> \ntext", "!> Error\n!> \n", "!> I have control 2.0\n", "!> ", "!>\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}

	f.Fuzz(func(t *testing.T, said []byte, preloader bool) {
		// A byte of the peer costs a bounded number of ours.
		conn := &script{Reader: bytes.NewReader(said)}
		var n loaderproto.Negotiation
		require.Less(t, allocated(func() { _, _, _ = n.Negotiate(conn) }), uint64(256<<10+64*len(said)))

		o := negotiate(t, bytes.NewReader(said), preloader)
		if o.ready != nil {
			requireValid(t, o.ready)
		}

		// However the bytes arrive, they mean the same.
		require.Equal(t, o, negotiate(t, iotest.OneByteReader(bytes.NewReader(said)), preloader))
	})
}

func FuzzLoaderHandshake(f *testing.F) {
	for _, seed := range []string{
		"", fullRequestBytes, preloaderRequestBytes, "You have control 1.0\n\n",
		"You have control 1.0\r\na:\n\n",
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, said []byte) {
		var sent bytes.Buffer
		opts, err := loaderproto.NewLoader(bytes.NewReader(said), &sent).Handshake()
		require.Equal(t, "\n"+control, sent.String())
		if err != nil {
			require.Nil(t, opts)
			asError(t, err)
			return
		}

		require.LessOrEqual(t, len(opts), loaderproto.MaxHeaderLines)
	})
}

func FuzzReadOptions(f *testing.F) {
	for _, seed := range []string{"", "\n", appKeys + "\n", "a:b\r\n\n", "a:\n\n", "a: b: c\na: d\n\n", ":\n\n"} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, said string) {
		opts, err := loaderproto.ReadSpawnCommand(bufio.NewReader(strings.NewReader("spawn\n" + said)))
		if err != nil {
			asError(t, err)
			return
		}

		var again strings.Builder
		for key, value := range opts {
			require.NotEmpty(t, key)
			line := key + ": " + value
			if strings.HasSuffix(line, "\r") || len(line) > loaderproto.MaxLine {
				return
			}

			again.WriteString(line + "\n")
		}

		back, err := loaderproto.ReadSpawnCommand(bufio.NewReader(strings.NewReader("spawn\n" + again.String() + "\n")))
		require.NoError(t, err)
		require.Equal(t, opts, back)
	})
}

// FuzzRequest: a value is refused or arrives.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"", "/srv/app", "a: b", " a", "a ", "a\nb", "a\r", "\x00", "\xff"} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, value string) {
		req := loaderproto.Request{AppRoot: "/", ProcessTitle: value}
		var sent bytes.Buffer
		err := loaderproto.SendSpawnCommand(&sent, &req)
		if strings.ContainsAny(value, "\r\n\x00") || len("process_title: "+value) > loaderproto.MaxLine {
			requireKind(t, err, loaderproto.BadRequest, loaderproto.SendRequest)
			return
		}

		require.NoError(t, err)
		opts, err := loaderproto.ReadSpawnCommand(bufio.NewReader(&sent))
		require.NoError(t, err)
		require.Equal(t, strings.TrimLeft(value, " "), opts["process_title"])
	})
}

func FuzzSpawnReply(f *testing.F) {
	for _, seed := range []string{
		"", "OK\n1\n", "OK\r\n1\r\nrest", "OK\n-1\n", "Error\n!> html: true\n!> \ntext",
		"No\n", "OK\n+1\n",
	} {
		f.Add([]byte(seed))
	}

	f.Fuzz(func(t *testing.T, said []byte) {
		pid, rest, err := loaderproto.ReadSpawnReply(bytes.NewReader(said))
		if err != nil {
			require.Zero(t, pid)
			require.Nil(t, rest)
			asError(t, err)

			return
		}

		after := readAll(t, rest)
		require.True(t, bytes.HasSuffix(said, []byte(after)))

		var again bytes.Buffer
		require.NoError(t, loaderproto.SendSpawnReply(&again, pid))
		again.WriteString(after)
		back, rest, err := loaderproto.ReadSpawnReply(&again)
		require.NoError(t, err)
		require.Equal(t, pid, back)
		require.Equal(t, after, readAll(t, rest))
	})
}
