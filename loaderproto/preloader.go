package loaderproto

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

const (
	spawnCommand = "spawn"
	replyOK      = "OK"
)

// SendSpawnCommand asks a preloader for a worker.
func SendSpawnCommand(w io.Writer, r *Request) error {
	b, e := r.encodePairs(r.appPairs())
	if e != nil {
		return e
	}
	b = append([]byte(spawnCommand+"\n"), b...)
	if _, err := w.Write(append(b, '\n')); err != nil {
		return writeFailure(err, SendRequest)
	}
	return nil
}

// ReadSpawnReply reads a preloader's answer: the pid of the worker, which
// then runs a handshake of its own on the rest of the connection. The pid is
// what the preloader says, not to be trusted.
func ReadSpawnReply(r io.Reader) (pid int, rest io.Reader, err error) {
	br := bufio.NewReader(r)
	line, err := plainLine(br)
	if err != nil {
		return 0, nil, firstLineFailure(err, AwaitReply, line)
	}
	switch line {
	case replyOK:
	case errorMessage:
		m := &markedLines{br: br, noise: func([]byte) {}}
		return 0, nil, m.readMessage(func(Step) {})
	default:
		return 0, nil, fail(Refused, AwaitReply, line)
	}
	line, err = plainLine(br)
	if err != nil {
		return 0, nil, firstLineFailure(err, AwaitReply, line)
	}
	pid, ok := parsePID(line)
	if !ok {
		return 0, nil, fail(BadPID, AwaitReply, line)
	}
	return pid, br, nil
}

// ErrUnknownCommand is what [ReadSpawnCommand] returns for another command.
var ErrUnknownCommand = errors.New("unknown preloader command")

// ReadSpawnCommand is the preloader's side of [SendSpawnCommand].
func ReadSpawnCommand(r io.Reader) (Options, error) {
	br := bufio.NewReader(r)
	line, err := plainLine(br)
	if err != nil {
		return nil, firstLineFailure(err, SendRequest, line)
	}
	if line != spawnCommand {
		e := fail(UnexpectedLine, SendRequest, line)
		e.Err = ErrUnknownCommand
		return nil, e
	}
	return readOptions(br)
}

// SendSpawnReply is the preloader's side of [ReadSpawnReply].
func SendSpawnReply(w io.Writer, pid int) error {
	line := strconv.Itoa(pid)
	if _, ok := parsePID(line); !ok {
		return fail(BadPID, AwaitReply, line)
	}
	if _, err := io.WriteString(w, replyOK+"\n"+line+"\n"); err != nil {
		return writeFailure(err, AwaitReply)
	}
	return nil
}
