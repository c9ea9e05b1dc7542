package loaderproto

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Kind is the outcome of a failed negotiation.
type Kind uint8

// The outcomes. [Kind.Category] groups them for users.
const (
	// ExitedEarly: the connection ended before the loader said anything, or
	// between the request and its reply.
	ExitedEarly Kind = iota + 1
	// UnexpectedLine: a message that is not allowed in this step.
	UnexpectedLine
	// UnsupportedVersion: a handshake in another version of the protocol.
	UnsupportedVersion
	// TruncatedLine: the connection ended inside a message.
	TruncatedLine
	// TruncatedBlock: the connection ended inside a Ready or Error block.
	TruncatedBlock
	// MalformedLine: a line of a block without a name and a value.
	MalformedLine
	// UnknownKey: a name that a Ready block does not know.
	UnknownKey
	// BadSocket: a socket that is not name;address;protocol;concurrency.
	BadSocket
	// BadAddress: an address that is neither unix:/path nor tcp://host:port,
	// or a path that is not clean and absolute.
	BadAddress
	// BadPID: a pid that is not a positive number.
	BadPID
	// NoRequestSocket: no socket that takes requests.
	NoRequestSocket
	// TooManySockets: more than [MaxRequestSockets] of them.
	TooManySockets
	// LineTooLong: a line over [MaxLine].
	LineTooLong
	// BlockTooLong: a block over [MaxHeaderLines], or more than
	// [MaxHandshakes] handshakes.
	BlockTooLong
	// ReadFailed and WriteFailed: the connection broke.
	ReadFailed
	WriteFailed
	// TimedOut: the deadline of the connection passed.
	TimedOut
	// AppError: the loader sent a complete Error message.
	AppError
	// BadRequest: a value of the request cannot be sent, since it contains CR, LF or NUL, or is too
	// long.
	BadRequest
	// Refused: the reply of a preloader to a command was not OK.
	Refused
)

var kindTexts = map[Kind]string{
	ExitedEarly:        "exited early",
	UnexpectedLine:     "unexpected message",
	UnsupportedVersion: "unsupported protocol version",
	TruncatedLine:      "connection ended inside a message",
	TruncatedBlock:     "connection ended inside a block",
	MalformedLine:      "line without a name and a value",
	UnknownKey:         "unknown key",
	BadSocket:          "malformed socket",
	BadAddress:         "unacceptable address",
	BadPID:             "unacceptable pid",
	NoRequestSocket:    "no socket that takes requests",
	TooManySockets:     "too many sockets",
	LineTooLong:        "line too long",
	BlockTooLong:       "too many lines",
	ReadFailed:         "read failed",
	WriteFailed:        "write failed",
	TimedOut:           "timed out",
	AppError:           "the application reported an error",
	BadRequest:         "a value cannot be sent",
	Refused:            "the command was refused",
}

func (k Kind) String() string {
	if s, ok := kindTexts[k]; ok {
		return s
	}

	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Category groups outcomes by what the user should look at.
type Category uint8

// The categories, as the original names them: APP_STARTUP_ERROR and so on.
const (
	// StartupError: the program ended instead of responding.
	StartupError Category = iota + 1
	// ProtocolError: the program does not speak the protocol, or broke off.
	ProtocolError
	// Timeout: the program was too slow.
	Timeout
	// Explainable: the program itself reported what is wrong.
	Explainable
	// Internal: the spawner could not send its request.
	Internal
)

// Category returns the category of k.
func (k Kind) Category() Category {
	switch k {
	case ExitedEarly:
		return StartupError
	case TimedOut:
		return Timeout
	case AppError:
		return Explainable
	case BadRequest, WriteFailed:
		return Internal
	case UnexpectedLine, UnsupportedVersion, TruncatedLine, TruncatedBlock, MalformedLine, UnknownKey,
		BadSocket, BadAddress, BadPID, NoRequestSocket, TooManySockets, LineTooLong, BlockTooLong,
		ReadFailed, Refused:
		return ProtocolError
	}

	return ProtocolError
}

// Step is a step of the negotiation.
type Step uint8

// The steps, in their order.
const (
	AwaitHandshake Step = iota + 1
	SendRequest
	AwaitReply
	ReadReady
	ReadErrorAttributes
	ReadErrorText
)

var stepTexts = map[Step]string{
	AwaitHandshake:      "waiting for the handshake",
	SendRequest:         "sending the request",
	AwaitReply:          "waiting for the application to be ready",
	ReadReady:           "reading the list of sockets",
	ReadErrorAttributes: "waiting for the error that it reports",
	ReadErrorText:       "waiting for the end of the error that it reports",
}

func (s Step) String() string {
	if t, ok := stepTexts[s]; ok {
		return t
	}

	return fmt.Sprintf("Step(%d)", uint8(s))
}

// Error reports why a negotiation failed.
type Error struct {
	Kind Kind
	Step Step
	// Line is the offending line or value, cut to 200 bytes.
	Line string
	// Message is what the loader reported, for [AppError] and for an Error message that was cut
	// short.
	Message *Message
	// Err is the error of the connection, if that is the cause.
	Err error
}

// Message is the text of an Error message.
type Message struct {
	Text string
	// HTML reports whether the text is HTML and not plain text.
	HTML bool
}

func (e *Error) Error() string {
	if e.Kind == AppError {
		return e.Kind.String() // its Message says which
	}

	s := fmt.Sprintf("%s while %s", e.Kind, e.Step)
	if e.Line != "" {
		s += fmt.Sprintf(": %q", e.Line)
	}

	if e.Err != nil {
		s += ": " + e.Err.Error()
	}

	return s
}

func (e *Error) Unwrap() error { return e.Err }

func fail(kind Kind, step Step, line string) *Error {
	const most = 200
	if len(line) > most {
		// A copy, so that an error does not keep the whole line in memory.
		line = strings.Clone(line[:most])
	}

	return &Error{Kind: kind, Step: step, Line: line}
}

// readFailure maps an error of the connection. eof is the meaning of an end of the stream at this
// place.
func readFailure(err error, eof Kind, step Step, partial string) *Error {
	kind := ReadFailed
	switch {
	case errors.Is(err, errTooLong):
		kind, err = LineTooLong, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		kind = TimedOut
	case ended(err):
		kind, err = eof, nil
	}

	e := fail(kind, step, partial)
	e.Err = err

	return e
}

// firstLineFailure is readFailure where a message was due.
func firstLineFailure(err error, step Step, partial string) *Error {
	eof := ExitedEarly
	if partial != "" {
		eof = TruncatedLine
	}

	return readFailure(err, eof, step, partial)
}

func writeFailure(err error, step Step) *Error {
	e := fail(WriteFailed, step, "")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Kind = TimedOut
	}

	e.Err = err

	return e
}
