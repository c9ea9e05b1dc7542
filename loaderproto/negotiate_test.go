package loaderproto_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

var errBroken = errors.New("broken")

func TestNegotiateFails(t *testing.T) {
	const (
		readyLine = "!> Ready\n"
		errorLine = "!> Error\n"
		end       = "!> \n"
	)
	long := "!> " + strings.Repeat("x", loaderproto.MaxLine+1) + "\n"
	longest := "!> " + strings.Repeat("x", loaderproto.MaxLine) + "\n"
	cut := strings.Repeat("x", 200)
	message := func(text string) *loaderproto.Message { return &loaderproto.Message{Text: text} }

	for name, tc := range map[string]struct {
		says  string
		then  error // after the script; nil means EOF
		kind  loaderproto.Kind
		step  loaderproto.Step
		cat   loaderproto.Category
		line  string
		msg   *loaderproto.Message
		cause error
	}{
		// The program ends.
		"end at once":        {says: "", kind: loaderproto.ExitedEarly, step: loaderproto.AwaitHandshake, cat: loaderproto.StartupError},
		"end after noise":    {says: "Segmentation fault\n", kind: loaderproto.ExitedEarly, step: loaderproto.AwaitHandshake, cat: loaderproto.StartupError},
		"end in noise":       {says: "!>", kind: loaderproto.ExitedEarly, step: loaderproto.AwaitHandshake, cat: loaderproto.StartupError},
		"noise swallows all": {says: "noise" + control, kind: loaderproto.ExitedEarly, step: loaderproto.AwaitHandshake, cat: loaderproto.StartupError},
		"end after request":  {says: control, kind: loaderproto.ExitedEarly, step: loaderproto.AwaitReply, cat: loaderproto.StartupError},
		"end after request and noise": {
			says: control + "Killed\n",
			kind: loaderproto.ExitedEarly,
			step: loaderproto.AwaitReply,
			cat:  loaderproto.StartupError,
		},
		"reset at once": {
			then: syscall.ECONNRESET,
			kind: loaderproto.ExitedEarly,
			step: loaderproto.AwaitHandshake,
			cat:  loaderproto.StartupError,
		},
		"reset after request": {
			says: control, then: &os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET},
			kind: loaderproto.ExitedEarly, step: loaderproto.AwaitReply, cat: loaderproto.StartupError,
		},

		// Messages that have no place.
		"unknown first message": {says: "!> Hello\n", kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "Hello"},
		"Ready first":           {says: readyOK, kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "Ready"},
		"terminator first":      {says: end, kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError},
		"no version":            {says: "!> I have control\n", kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "I have control"},
		"longest message":       {says: longest, kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: cut},
		"other version":         {says: "!> I have control 2.0\n", kind: loaderproto.UnsupportedVersion, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "2.0"},
		"longer version":        {says: "!> I have control 1.01\n", kind: loaderproto.UnsupportedVersion, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "1.01"},
		"unknown reply":         {says: control + "!> ready\n", kind: loaderproto.UnexpectedLine, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, line: "ready"},
		"other version in reply": {
			says: control + "!> I have control 1.1\n",
			kind: loaderproto.UnsupportedVersion,
			step: loaderproto.AwaitReply,
			cat:  loaderproto.ProtocolError,
			line: "1.1",
		},
		"unknown reply to second request": {
			says: control + control + "!> \n",
			kind: loaderproto.UnexpectedLine,
			step: loaderproto.AwaitReply,
			cat:  loaderproto.ProtocolError,
		},
		"endless handshakes": {
			says: strings.Repeat(control, loaderproto.MaxHandshakes+1) + readyOK,
			kind: loaderproto.BlockTooLong,
			step: loaderproto.AwaitReply,
			cat:  loaderproto.ProtocolError,
			line: "too many handshakes",
		},

		// Messages cut short.
		"cut in handshake":      {says: "!> I have con", kind: loaderproto.TruncatedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "!> I have con"},
		"cut in marker's end":   {says: "!> ", kind: loaderproto.TruncatedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "!> "},
		"handshake, no newline": {says: "!> I have control 1.0", kind: loaderproto.TruncatedLine, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: "!> I have control 1.0"},
		"Ready, no newline":     {says: control + "!> Ready", kind: loaderproto.TruncatedLine, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, line: "!> Ready"},
		"Error, no newline":     {says: control + "!> Error", kind: loaderproto.TruncatedLine, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, line: "!> Error"},
		"end in Ready block":    {says: control + readyLine + "!> pid: 1\n", kind: loaderproto.TruncatedBlock, step: loaderproto.ReadReady, cat: loaderproto.ProtocolError},
		"cut in Ready block":    {says: control + readyLine + "!> pid: 1", kind: loaderproto.TruncatedBlock, step: loaderproto.ReadReady, cat: loaderproto.ProtocolError, line: "!> pid: 1"},
		"terminator, no newline": {
			says: control + strings.TrimSuffix(readyOK, "\n"),
			kind: loaderproto.TruncatedBlock,
			step: loaderproto.ReadReady,
			cat:  loaderproto.ProtocolError,
			line: "!> ",
		},
		"reset in Ready block": {
			says: control + readyLine,
			then: syscall.ECONNRESET,
			kind: loaderproto.TruncatedBlock,
			step: loaderproto.ReadReady,
			cat:  loaderproto.ProtocolError,
		},
		"end in Error block":       {says: errorLine, kind: loaderproto.TruncatedBlock, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError},
		"cut in Error block":       {says: errorLine + "!> html", kind: loaderproto.TruncatedBlock, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError, line: "!> html"},
		"end in reply Error block": {says: control + errorLine, kind: loaderproto.TruncatedBlock, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError},

		// Lines that are wrong. Those of a Ready block: TestReadyRefused.
		"attribute without value": {says: errorLine + "!> html\n", kind: loaderproto.MalformedLine, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError, line: "html"},
		"too many attributes": {
			says: errorLine + strings.Repeat("!> a: b\n", loaderproto.MaxHeaderLines+1) + end,
			kind: loaderproto.BlockTooLong,
			step: loaderproto.ReadErrorAttributes,
			cat:  loaderproto.ProtocolError,
			line: "a: b",
		},
		"long first message": {says: long, kind: loaderproto.LineTooLong, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, line: cut},
		"long reply":         {says: control + long, kind: loaderproto.LineTooLong, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, line: cut},
		"long Ready line":    {says: control + readyLine + long, kind: loaderproto.LineTooLong, step: loaderproto.ReadReady, cat: loaderproto.ProtocolError, line: cut},
		"long attribute":     {says: errorLine + long, kind: loaderproto.LineTooLong, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError, line: cut},

		// The connection breaks.
		"read fails in handshake":   {then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, cause: errBroken},
		"read fails in noise":       {says: "nois", then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.AwaitHandshake, cat: loaderproto.ProtocolError, cause: errBroken},
		"read fails in reply":       {says: control, then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, cause: errBroken},
		"read fails in Ready":       {says: control + readyLine + "!> p", then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.ReadReady, cat: loaderproto.ProtocolError, line: "!> p", cause: errBroken},
		"read fails in attributes":  {says: errorLine, then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.ReadErrorAttributes, cat: loaderproto.ProtocolError, cause: errBroken},
		"read fails in Error text":  {says: errorLine + end + "half", then: errBroken, kind: loaderproto.ReadFailed, step: loaderproto.ReadErrorText, cat: loaderproto.ProtocolError, msg: message("half"), cause: errBroken},
		"unexpected EOF, not clean": {says: control, then: io.ErrUnexpectedEOF, kind: loaderproto.ReadFailed, step: loaderproto.AwaitReply, cat: loaderproto.ProtocolError, cause: io.ErrUnexpectedEOF},

		// The program says what is wrong.
		"Error first": {
			says: errorLine + end + "no such file\nat line 1\n",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message("no such file\nat line 1\n"),
		},
		"Error as reply": {
			says: control + errorLine + end + "text",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message("text"),
		},
		"Error as second reply": {
			says: control + control + errorLine + end + "text",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message("text"),
		},
		"Error without text": {says: errorLine + end, kind: loaderproto.AppError, step: loaderproto.ReadErrorText, cat: loaderproto.Explainable, msg: message("")},
		"Error text that looks like the protocol": {
			says: errorLine + end + readyOK,
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message(readyOK),
		},
		"Error in HTML": {
			says: errorLine + "!> html: true\n" + end + "<b>x</b>",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  &loaderproto.Message{Text: "<b>x</b>", HTML: true},
		},
		"html is exactly true": {
			says: errorLine + "!> html: True\n!> Html: true\n" + end + "x",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message("x"),
		},
		"other attributes, noise": {
			says: errorLine + "trace\n!> color: red\ntrace\n!> html: true\n!> x: \n" + end + "x",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  &loaderproto.Message{Text: "x", HTML: true},
		},
		"reset after Error text": {
			says: control + errorLine + end + "text",
			then: syscall.ECONNRESET,
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message("text"),
		},
		"longest Error text": {
			says: errorLine + end + strings.Repeat("x", loaderproto.MaxErrorText),
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message(strings.Repeat("x", loaderproto.MaxErrorText)),
		},
		"Error text over the limit": {
			says: errorLine + end + strings.Repeat("x", loaderproto.MaxErrorText) + "yz",
			kind: loaderproto.AppError,
			step: loaderproto.ReadErrorText,
			cat:  loaderproto.Explainable,
			msg:  message(strings.Repeat("x", loaderproto.MaxErrorText)),
		},
		"read fails behind the limit": {
			says:  errorLine + end + strings.Repeat("x", loaderproto.MaxErrorText) + "yz",
			then:  errBroken,
			kind:  loaderproto.ReadFailed,
			step:  loaderproto.ReadErrorText,
			cat:   loaderproto.ProtocolError,
			msg:   message(strings.Repeat("x", loaderproto.MaxErrorText)),
			cause: errBroken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n loaderproto.Negotiation
			r, rest, err := n.Negotiate(says(tc.says).then(tc.then))
			require.Nil(t, r)
			require.Nil(t, rest)
			e := requireKind(t, err, tc.kind, tc.step)
			require.Equal(t, tc.cat, e.Kind.Category())
			require.Equal(t, tc.line, e.Line)
			require.Equal(t, tc.msg, e.Message)
			require.Equal(t, tc.cause, e.Err)
		})
	}
}

func TestWriteFails(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		says string
		kind loaderproto.Kind
		step loaderproto.Step
	}{
		"broken":                 {errBroken, "", loaderproto.WriteFailed, loaderproto.SendRequest},
		"deadline":               {os.ErrDeadlineExceeded, "", loaderproto.TimedOut, loaderproto.SendRequest},
		"EPIPE, nothing said":    {syscall.EPIPE, "", loaderproto.ExitedEarly, loaderproto.AwaitReply},
		"EPIPE after Error":      {syscall.EPIPE, "!> Error\n!> \nwhy", loaderproto.AppError, loaderproto.ReadErrorText},
		"reset after Error":      {syscall.ECONNRESET, "!> Error\n!> \nwhy", loaderproto.AppError, loaderproto.ReadErrorText},
		"closed after Error":     {io.ErrClosedPipe, "!> Error\n!> \nwhy", loaderproto.AppError, loaderproto.ReadErrorText},
		"EPIPE after half Error": {syscall.EPIPE, "!> Error\n", loaderproto.TruncatedBlock, loaderproto.ReadErrorAttributes},
	} {
		t.Run(name, func(t *testing.T) {
			conn := says(control, tc.says)
			conn.writeErr = tc.err
			var n loaderproto.Negotiation
			_, _, err := n.Negotiate(conn)
			e := requireKind(t, err, tc.kind, tc.step)
			if tc.step == loaderproto.SendRequest {
				require.ErrorIs(t, err, tc.err)
			}

			if tc.kind == loaderproto.AppError {
				require.Equal(t, &loaderproto.Message{Text: "why"}, e.Message)
			}
		})
	}
}

// A program may execute another one after it has read the request.
func TestHandshakeAgain(t *testing.T) {
	conn := says(control, "exec!\n", control, control, readyOK)
	n := loaderproto.Negotiation{Request: fullRequest()}
	_, _, err := n.Negotiate(conn)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(fullRequestBytes, 3), conn.sent.String())

	conn = says(strings.Repeat(control, loaderproto.MaxHandshakes), readyOK)
	_, _, err = n.Negotiate(conn)
	require.NoError(t, err)
}

func TestProgress(t *testing.T) {
	for name, tc := range map[string]struct {
		says      string
		preloader bool
		want      []loaderproto.Step
	}{
		"ready": {control + readyOK, false, []loaderproto.Step{
			loaderproto.AwaitHandshake, loaderproto.SendRequest, loaderproto.AwaitReply, loaderproto.ReadReady,
		}},
		"again": {control + control + readyOK, false, []loaderproto.Step{
			loaderproto.AwaitHandshake, loaderproto.SendRequest, loaderproto.AwaitReply,
			loaderproto.SendRequest, loaderproto.AwaitReply, loaderproto.ReadReady,
		}},
		"error": {control + "!> Error\n!> \n", false, []loaderproto.Step{
			loaderproto.AwaitHandshake, loaderproto.SendRequest, loaderproto.AwaitReply,
			loaderproto.ReadErrorAttributes, loaderproto.ReadErrorText,
		}},
		"error first": {"!> Error\n!> \n", false, []loaderproto.Step{
			loaderproto.AwaitHandshake, loaderproto.ReadErrorAttributes, loaderproto.ReadErrorText,
		}},
		"preloader": {control + readyBlock("socket: unix:/a"), true, []loaderproto.Step{
			loaderproto.AwaitHandshake, loaderproto.SendRequest, loaderproto.AwaitReply, loaderproto.ReadReady,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []loaderproto.Step
			n := loaderproto.Negotiation{Progress: func(s loaderproto.Step) { got = append(got, s) }}

			// The error itself is of TestNegotiateFails.
			if tc.preloader {
				_, _, _ = n.NegotiatePreloader(says(tc.says))
			} else {
				_, _, _ = n.Negotiate(says(tc.says))
			}

			require.Equal(t, tc.want, got)
		})
	}
}

// What the program prints right after Ready is in the same packet.
func TestRestFollowsReady(t *testing.T) {
	const after = "Listening\n!> not of the protocol\nno newline"
	var n loaderproto.Negotiation
	_, rest, err := n.Negotiate(says(control, readyOK, after))
	require.NoError(t, err)
	require.Equal(t, after, readAll(t, rest))

	_, rest, err = n.NegotiatePreloader(says(control, readyBlock("socket: unix:/a"), after))
	require.NoError(t, err)
	require.Equal(t, after, readAll(t, rest))
}

func TestErrorText(t *testing.T) {
	e := &loaderproto.Error{Kind: loaderproto.BadPID, Step: loaderproto.ReadReady, Line: "0\x1b"}
	require.EqualError(t, e, `unacceptable pid while reading the list of sockets: "0\x1b"`)
	e = &loaderproto.Error{Kind: loaderproto.TimedOut, Step: loaderproto.AwaitHandshake, Err: os.ErrDeadlineExceeded}
	require.EqualError(t, e, "timed out while waiting for the handshake: i/o timeout")
	require.ErrorIs(t, e, os.ErrDeadlineExceeded)
}

func TestKindsAndStepsHaveDistinctTexts(t *testing.T) {
	texts := map[string]bool{}
	for k := loaderproto.ExitedEarly; k <= loaderproto.Refused; k++ {
		require.NotZero(t, k.Category())
		require.NotContains(t, k.String(), "Kind(")
		texts[k.String()] = true
	}

	require.Len(t, texts, int(loaderproto.Refused))

	for s := loaderproto.AwaitHandshake; s <= loaderproto.ReadErrorText; s++ {
		require.NotContains(t, s.String(), "Step(")
		texts[s.String()] = true
	}

	require.Len(t, texts, int(loaderproto.Refused)+int(loaderproto.ReadErrorText))
	require.Equal(t, "Kind(200)", loaderproto.Kind(200).String())
	require.Equal(t, "Step(200)", loaderproto.Step(200).String())
	require.Equal(t, loaderproto.ProtocolError, loaderproto.Kind(200).Category())
}
