package loaderproto_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const patience = time.Minute

// silent is a loader that stops talking: it says what it is given, reading a
// request after each handshake but the last.
func silent(conn net.Conn, words []string) {
	br := bufio.NewReader(conn)
	for i, w := range words {
		if _, err := io.WriteString(conn, w); err != nil {
			return
		}

		if w != control || i == len(words)-1 {
			continue
		}

		for line := ""; line != "\n"; {
			var err error
			if line, err = br.ReadString('\n'); err != nil {
				return
			}
		}
	}
}

func TestDeadline(t *testing.T) {
	for name, tc := range map[string]struct {
		words []string
		step  loaderproto.Step
		line  string
		msg   *loaderproto.Message
	}{
		"nothing said":      {nil, loaderproto.AwaitHandshake, "", nil},
		"noise":             {[]string{"Booting...\n", "Boo"}, loaderproto.AwaitHandshake, "", nil},
		"half a handshake":  {[]string{"!> I have"}, loaderproto.AwaitHandshake, "!> I have", nil},
		"request not read":  {[]string{control}, loaderproto.SendRequest, "", nil},
		"no reply":          {[]string{control, "loading\n"}, loaderproto.AwaitReply, "", nil},
		"second not read":   {[]string{control, control}, loaderproto.SendRequest, "", nil},
		"no second reply":   {[]string{control, control, "\n"}, loaderproto.AwaitReply, "", nil},
		"half a Ready":      {[]string{control, "!> Ready\n", "!> pid: 1\n"}, loaderproto.ReadReady, "", nil},
		"half a Ready line": {[]string{control, "!> Ready\n", "!> pid"}, loaderproto.ReadReady, "!> pid", nil},
		"Error attributes":  {[]string{"!> Error\n", "!> html: true\n"}, loaderproto.ReadErrorAttributes, "", nil},
		"Error text":        {[]string{"!> Error\n", "!> \n"}, loaderproto.ReadErrorText, "", &loaderproto.Message{}},
		"half an Error text": {
			[]string{control, "!> Error\n!> html: true\n!> \nso"},
			loaderproto.ReadErrorText, "",
			&loaderproto.Message{
				Text: "so",
				HTML: true,
			},
		},
		"Error text too long": {
			[]string{"!> Error\n!> \n", strings.Repeat("x", loaderproto.MaxErrorText)},
			loaderproto.ReadErrorText, "", &loaderproto.Message{Text: strings.Repeat("x", loaderproto.MaxErrorText)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				defer theirs.Close()
				go silent(theirs, tc.words)

				started := time.Now()
				require.NoError(t, ours.SetDeadline(started.Add(patience)))
				n := loaderproto.Negotiation{Request: fullRequest()}
				_, _, err := n.Negotiate(ours)
				e := requireKind(t, err, loaderproto.TimedOut, tc.step)
				require.Equal(t, loaderproto.Timeout, e.Kind.Category())
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, tc.line, e.Line)
				require.Equal(t, tc.msg, e.Message)
				require.Equal(t, patience, time.Since(started))
			})
		})
	}
}

// A program that starts the exchange again gains no time.
func TestDeadlineIsForAllHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			defer theirs.Close()

			l := loaderproto.NewLoader(theirs, theirs)
			for {
				if _, err := l.Handshake(); err != nil {
					return
				}

				select {
				case <-time.After(patience/4 + time.Second):
				case <-t.Context().Done():
					return
				}
			}
		}()

		started := time.Now()
		require.NoError(t, ours.SetDeadline(started.Add(patience)))
		var n loaderproto.Negotiation
		_, _, err := n.Negotiate(ours)
		requireKind(t, err, loaderproto.TimedOut, loaderproto.AwaitReply)
		require.Equal(t, patience, time.Since(started))
	})
}

func TestDeadlineOfPreloader(t *testing.T) {
	for name, tc := range map[string]struct {
		words []string
		step  loaderproto.Step
	}{
		"handshake": {nil, loaderproto.AwaitHandshake},
		"request":   {[]string{control}, loaderproto.SendRequest},
		"reply":     {[]string{control, "\n"}, loaderproto.AwaitReply},
		"Ready":     {[]string{control, "!> Ready\n"}, loaderproto.ReadReady},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer ours.Close()
				defer theirs.Close()
				go silent(theirs, tc.words)
				require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
				var n loaderproto.Negotiation
				_, _, err := n.NegotiatePreloader(ours)
				requireKind(t, err, loaderproto.TimedOut, tc.step)
			})
		})
	}
}

func TestDeadlineOfSpawnCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
		req := fullRequest()
		requireKind(t, loaderproto.SendSpawnCommand(ours, &req), loaderproto.TimedOut, loaderproto.SendRequest)

		go silent(theirs, []string{"OK\n", "12"})
		require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
		_, _, err := loaderproto.ReadSpawnReply(ours)
		e := requireKind(t, err, loaderproto.TimedOut, loaderproto.AwaitReply)
		require.Equal(t, "12", e.Line)
	})
}

func TestDeadlineOfLoader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		l := loaderproto.NewLoader(theirs, theirs)

		require.NoError(t, theirs.SetDeadline(time.Now().Add(patience)))
		_, err := l.Handshake()
		requireKind(t, err, loaderproto.TimedOut, loaderproto.AwaitHandshake)

		go silent(ours, []string{"You have control 1.0\n", "log_level: 3\n"})
		require.NoError(t, theirs.SetDeadline(time.Now().Add(patience)))
		in := loaderproto.NewLoader(theirs, io.Discard)
		_, err = in.Handshake()
		requireKind(t, err, loaderproto.TimedOut, loaderproto.SendRequest)

		require.NoError(t, theirs.SetDeadline(time.Now().Add(patience)))
		requireKind(t, l.Error(loaderproto.Message{}), loaderproto.TimedOut, loaderproto.ReadErrorText)
	})
}
