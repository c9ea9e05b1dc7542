package loaderproto_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

func TestNegotiatePreloader(t *testing.T) {
	var noise strings.Builder
	n := loaderproto.Negotiation{Noise: func(p []byte) { noise.Write(p) }}
	r, _, err := n.NegotiatePreloader(says("a\n", control, "b\n", readyBlock("socket: unix:/tmp/preloader.1")))
	require.NoError(t, err)
	require.Equal(t, &loaderproto.PreloaderReady{Address: unix("/tmp/preloader.1")}, r)
	require.Equal(t, "a\nb\n", noise.String())
}

func TestNegotiatePreloaderFails(t *testing.T) {
	for name, tc := range map[string]struct {
		says string
		kind loaderproto.Kind
		step loaderproto.Step
		line string
	}{
		"end":                   {"", loaderproto.ExitedEarly, loaderproto.AwaitHandshake, ""},
		"end after request":     {control, loaderproto.ExitedEarly, loaderproto.AwaitReply, ""},
		"unknown first message": {"!> x\n", loaderproto.UnexpectedLine, loaderproto.AwaitHandshake, "x"},
		"unknown reply":         {control + "!> x\n", loaderproto.UnexpectedLine, loaderproto.AwaitReply, "x"},
		"handshake again": {
			control + control, loaderproto.UnexpectedLine, loaderproto.AwaitReply,
			"I have control 1.0",
		},
		"Error first":    {"!> Error\n!> \nwhy", loaderproto.AppError, loaderproto.ReadErrorText, ""},
		"Error as reply": {control + "!> Error\n!> \nwhy", loaderproto.AppError, loaderproto.ReadErrorText, ""},
		"unknown key":    {control + readyBlock("pid: 1"), loaderproto.UnknownKey, loaderproto.ReadReady, "pid"},
		"no socket":      {control + readyBlock(), loaderproto.NoRequestSocket, loaderproto.ReadReady, ""},
		"socket of an app": {
			control + readyBlock("socket: main;unix:/a;session;1"), loaderproto.BadAddress,
			loaderproto.ReadReady, "main;unix:/a;session;1",
		},
		"two sockets": {
			control + readyBlock("socket: unix:/a", "socket: unix:/b"),
			loaderproto.TooManySockets, loaderproto.ReadReady, "unix:/b",
		},
		"unasked features": {
			control + readyBlock("socket: unix:/a", "features: x"), loaderproto.UnknownKey,
			loaderproto.ReadReady, "features",
		},
		"malformed": {
			control + readyBlock("socket"), loaderproto.MalformedLine, loaderproto.ReadReady,
			"socket",
		},
		"end in Ready": {control + "!> Ready\n", loaderproto.TruncatedBlock, loaderproto.ReadReady, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n loaderproto.Negotiation
			r, rest, err := n.NegotiatePreloader(says(tc.says))
			require.Nil(t, r)
			require.Nil(t, rest)
			e := requireKind(t, err, tc.kind, tc.step)
			require.Equal(t, tc.line, e.Line)
		})
	}

	n := loaderproto.Negotiation{Request: loaderproto.Request{AppRoot: "\n"}}
	_, _, err := n.NegotiatePreloader(says(control))
	requireKind(t, err, loaderproto.BadRequest, loaderproto.SendRequest)
}

func TestReadSpawnReply(t *testing.T) {
	pid, rest, err := loaderproto.ReadSpawnReply(strings.NewReader("OK\n2147483647\n" + control + "more"))
	require.NoError(t, err)
	require.Equal(t, 1<<31-1, pid)
	require.Equal(t, control+"more", readAll(t, rest))
}

func TestReadSpawnReplyFails(t *testing.T) {
	long := strings.Repeat("x", loaderproto.MaxLine+1) + "\n"

	for name, tc := range map[string]struct {
		says string
		then error
		kind loaderproto.Kind
		step loaderproto.Step
		line string
		msg  *loaderproto.Message
	}{
		"end":           {"", nil, loaderproto.ExitedEarly, loaderproto.AwaitReply, "", nil},
		"reset":         {"", syscall.ECONNRESET, loaderproto.ExitedEarly, loaderproto.AwaitReply, "", nil},
		"cut":           {"OK", nil, loaderproto.TruncatedLine, loaderproto.AwaitReply, "OK", nil},
		"read fails":    {"", errBroken, loaderproto.ReadFailed, loaderproto.AwaitReply, "", nil},
		"too long":      {long, nil, loaderproto.LineTooLong, loaderproto.AwaitReply, long[:200], nil},
		"refused":       {"No\n", nil, loaderproto.Refused, loaderproto.AwaitReply, "No", nil},
		"no pid":        {"OK\n", nil, loaderproto.ExitedEarly, loaderproto.AwaitReply, "", nil},
		"cut in pid":    {"OK\n12", nil, loaderproto.TruncatedLine, loaderproto.AwaitReply, "12", nil},
		"pid: empty":    {"OK\n\n", nil, loaderproto.BadPID, loaderproto.AwaitReply, "", nil},
		"pid: zero":     {"OK\n0\n", nil, loaderproto.BadPID, loaderproto.AwaitReply, "0", nil},
		"pid: negative": {"OK\n-1\n", nil, loaderproto.BadPID, loaderproto.AwaitReply, "-1", nil},
		"pid: word":     {"OK\nx\n", nil, loaderproto.BadPID, loaderproto.AwaitReply, "x", nil},
		"pid: 2^32+1":   {"OK\n4294967297\n", nil, loaderproto.BadPID, loaderproto.AwaitReply, "4294967297", nil},
		"Error": {
			"Error\n!> \nwhy", nil, loaderproto.AppError, loaderproto.ReadErrorText, "",
			&loaderproto.Message{Text: "why"},
		},
		"Error in HTML": {
			"Error\n!> html: true\n!> \nwhy", nil, loaderproto.AppError, loaderproto.ReadErrorText, "",
			&loaderproto.Message{
				Text: "why",
				HTML: true,
			},
		},
		"half an Error": {
			"Error\n!> html: true\n", nil, loaderproto.TruncatedBlock, loaderproto.ReadErrorAttributes,
			"", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			pid, rest, err := loaderproto.ReadSpawnReply(says(tc.says).then(tc.then))
			require.Zero(t, pid)
			require.Nil(t, rest)
			e := requireKind(t, err, tc.kind, tc.step)

			require.Equal(t, tc.line, e.Line)
			require.Equal(t, tc.msg, e.Message)
		})
	}
}

func TestReadSpawnCommand(t *testing.T) {
	opts, err := loaderproto.ReadSpawnCommand(bufio.NewReader(strings.NewReader("spawn\n" + appKeys + "\n")))
	require.NoError(t, err)
	require.Len(t, opts, strings.Count(appKeys, "\n"))
	require.Equal(t, "/srv/app", opts["app_root"])
}

func TestReadSpawnCommandFails(t *testing.T) {
	for name, tc := range map[string]struct {
		says    string
		kind    loaderproto.Kind
		unknown bool
	}{
		"end":             {"", loaderproto.ExitedEarly, false},
		"cut":             {"spaw", loaderproto.TruncatedLine, false},
		"other command":   {"stop\n", loaderproto.UnexpectedLine, true},
		"no keys":         {"spawn\n", loaderproto.TruncatedBlock, false},
		"malformed key":   {"spawn\na\n\n", loaderproto.MalformedLine, false},
		"overlong option": {"spawn\n" + strings.Repeat("x", loaderproto.MaxLine+2), loaderproto.LineTooLong, false},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := loaderproto.ReadSpawnCommand(bufio.NewReader(strings.NewReader(tc.says)))
			require.Nil(t, opts)
			requireKind(t, err, tc.kind, loaderproto.SendRequest)
			if tc.unknown {
				require.ErrorIs(t, err, loaderproto.ErrUnknownCommand)
			} else {
				require.NotErrorIs(t, err, loaderproto.ErrUnknownCommand)
			}
		})
	}
}

func TestSendSpawnReply(t *testing.T) {
	var sent bytes.Buffer
	require.NoError(t, loaderproto.SendSpawnReply(&sent, 1234))
	require.Equal(t, "OK\n1234\n", sent.String())

	sent.Reset()

	for _, pid := range []int{0, -1} {
		requireKind(t, loaderproto.SendSpawnReply(&sent, pid), loaderproto.BadPID, loaderproto.AwaitReply)
	}

	require.Zero(t, sent.Len())

	conn := says()
	conn.writeErr = errBroken
	requireKind(t, loaderproto.SendSpawnReply(conn, 1), loaderproto.WriteFailed, loaderproto.AwaitReply)
}

// A worker runs the handshake of an application on the connection on which the
// preloader replied.
func TestWorkerFromPreloader(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	done := make(chan error, 1)
	var command, request loaderproto.Options
	go func() {
		defer theirs.Close()
		done <- func() (err error) {
			br := bufio.NewReader(theirs)
			if command, err = loaderproto.ReadSpawnCommand(br); err != nil {
				return err
			}

			if err = loaderproto.SendSpawnReply(theirs, 42); err != nil {
				return err
			}

			l := loaderproto.NewLoader(br, theirs)
			if request, err = l.Handshake(); err != nil {
				return err
			}

			return l.Ready(&loaderproto.Ready{
				Sockets: []loaderproto.Socket{{Name: "main", Address: unix("/a"), Protocol: loaderproto.Session}},
			})
		}()
	}()

	req := fullRequest()
	require.NoError(t, loaderproto.SendSpawnCommand(ours, &req))
	pid, rest, err := loaderproto.ReadSpawnReply(ours)
	require.NoError(t, err)
	require.Equal(t, 42, pid)
	n := loaderproto.Negotiation{Request: req}
	r, _, err := n.Negotiate(struct {
		io.Reader
		io.Writer
	}{rest, ours})
	require.NoError(t, err)
	require.Equal(t, unix("/a"), r.Sockets[0].Address)
	require.NoError(t, <-done)
	require.NotContains(t, command, "gupid")
	require.Equal(t, req.GUPID, request["gupid"])

	for key, value := range command {
		require.Equal(t, value, request[key])
	}
}

func TestPreloaderReadyRoundTrip(t *testing.T) {
	features := []string{loaderproto.FeatureWorkerStderr, loaderproto.FeatureWorkerExits}
	sent := loaderproto.PreloaderReady{Address: unix("/a"), Features: features}
	conn, wait := startLoader(t, func(l *loaderproto.Loader, _ io.Writer) error {
		if _, err := l.Handshake(); err != nil {
			return err
		}

		return l.PreloaderReady(&sent)
	})
	n := loaderproto.Negotiation{Request: loaderproto.Request{Features: features}}
	got, _, err := n.NegotiatePreloader(conn)
	require.NoError(t, err)
	require.Equal(t, &sent, got)
	require.True(t, got.HasFeature(loaderproto.FeatureWorkerExits))
	require.False(t, got.HasFeature("x"))
	require.NoError(t, wait())

	l := loaderproto.NewLoader(nil, io.Discard)
	requireKind(t, l.PreloaderReady(&loaderproto.PreloaderReady{Address: unix("a")}), loaderproto.BadAddress,
		loaderproto.ReadReady)
}

func TestWorkerExits(t *testing.T) {
	exits := []loaderproto.WorkerExit{{PID: 12}, {PID: 13, Status: 255}, {PID: 14, Status: -1, Signal: 9}}
	var sent bytes.Buffer
	l := loaderproto.NewLoader(nil, &sent)
	sent.WriteString("unfinished")

	for _, w := range exits {
		require.NoError(t, l.WorkerExited(w))
	}

	require.Equal(t, "unfinished\n!> worker_exit: 12 exit 0\n\n!> worker_exit: 13 exit 255\n\n!> worker_exit: 14 "+
		"signal 9\n", sent.String())

	for _, w := range []loaderproto.WorkerExit{{}, {PID: 1, Status: 256}, {PID: 1, Status: -1}, {PID: -1}} {
		requireKind(t, l.WorkerExited(w), loaderproto.BadRequest, loaderproto.ReadReady)
	}

	long := "!> " + strings.Repeat("x", loaderproto.MaxLine+9) + "\n"
	bad := "!> worker_exit: 1 exit\n!> worker_exit: 0 exit 1\n!> worker_exit: 1 gone 1\n!> worker_exit: 1 signal " +
		"0\n!> x\n"
	var noise strings.Builder
	var got []loaderproto.WorkerExit
	err := loaderproto.ReadWorkerExits(says(sent.String(), bad, long, "!> worker_exit: 15 exit 1\n", "end"),
		func(b []byte) { noise.Write(b) }, func(w loaderproto.WorkerExit) { got = append(got, w) })
	require.NoError(t, err)
	require.Equal(t, exits, got[:3])
	require.Equal(t, []loaderproto.WorkerExit{{PID: 15, Status: 1}}, got[3:])
	require.Contains(t, noise.String(), bad)
	require.True(t, strings.HasSuffix(noise.String(), "xend"), "in the end what is left")
	require.ErrorIs(t, loaderproto.ReadWorkerExits(says("").then(errBroken), nil, nil), errBroken)
}
