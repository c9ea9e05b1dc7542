package loaderproto

import (
	"errors"
	"io"
	"strings"
	"syscall"
)

// Negotiation is the side of the spawner in one handshake.
type Negotiation struct {
	Request Request
	// Noise receives what the program prints between the lines of the protocol. The slice is valid
	// only during the call. Nil discards it.
	Noise func([]byte)
	// Progress is called at the beginning of each step. It may be nil.
	Progress func(Step)
	step     Step
}

// Negotiate runs the handshake with the loader of an application. The returned reader continues the
// program's stdout, including bytes that came with the last line. Every error is an [*Error].
func (n *Negotiation) Negotiate(conn io.ReadWriter) (*Ready, io.Reader, error) {
	lines := newMarkedLines(conn, n.Noise)
	n.enter(AwaitHandshake)

	for range MaxHandshakes {
		again, err := n.exchange(conn, lines)
		if err != nil {
			return nil, nil, err
		}

		if again {
			continue
		}

		n.enter(ReadReady)
		r := &Ready{}
		if e := lines.block(ReadReady, func(k, v string) *Error { return r.add(k, v, n.Request.Features) }); e != nil {
			return nil, nil, e
		}

		if e := r.check(); e != nil {
			return nil, nil, e
		}

		return r, lines.br, nil
	}

	return nil, nil, fail(BlockTooLong, n.step, "too many handshakes")
}

// NegotiatePreloader is Negotiate for a preloader, which receives no GUPID and reports one address:
// that of the socket for its commands.
func (n *Negotiation) NegotiatePreloader(conn io.ReadWriter) (*PreloaderReady, io.Reader, error) {
	lines := newMarkedLines(conn, n.Noise)
	n.enter(AwaitHandshake)
	if e := n.awaitHandshake(lines); e != nil {
		return nil, nil, e
	}

	if e := n.sendRequest(conn, true); e != nil {
		return nil, nil, e
	}

	again, e := n.awaitReply(lines)
	if e != nil {
		return nil, nil, e
	}

	// Only the program of an application may execute itself again, as in the original.
	if again {
		return nil, nil, fail(UnexpectedLine, AwaitReply, iHaveControl+Version)
	}

	n.enter(ReadReady)
	r := &PreloaderReady{}
	if e := lines.block(ReadReady, func(k, v string) *Error { return r.add(k, v, n.Request.Features) }); e != nil {
		return nil, nil, e
	}

	if r.Address == (Address{}) {
		return nil, nil, fail(NoRequestSocket, ReadReady, "")
	}

	return r, lines.br, nil
}

// exchange runs up to the first line of the reply. It returns true if that was another handshake.
func (n *Negotiation) exchange(conn io.Writer, lines *markedLines) (again bool, err error) {
	// A further handshake was read already, as the reply to the request.
	if n.step == AwaitHandshake {
		if e := n.awaitHandshake(lines); e != nil {
			return false, e
		}
	}

	if e := n.sendRequest(conn, false); e != nil {
		return false, e
	}

	again, e := n.awaitReply(lines)
	if e != nil {
		return false, e
	}

	return again, nil
}

func (n *Negotiation) enter(s Step) {
	n.step = s
	if n.Progress != nil {
		n.Progress(s)
	}
}

func (n *Negotiation) awaitHandshake(lines *markedLines) *Error {
	line, err := lines.next()
	if err != nil {
		return firstLineFailure(err, n.step, line)
	}

	// A program may fail before it takes control, as when it cannot be executed.
	if line == errorMessage {
		return lines.readMessage(n.enter)
	}

	return n.checkHandshake(line)
}

func (n *Negotiation) checkHandshake(line string) *Error {
	version, ok := strings.CutPrefix(line, iHaveControl)
	if !ok {
		return fail(UnexpectedLine, n.step, line)
	}

	if version != Version {
		return fail(UnsupportedVersion, n.step, version)
	}

	return nil
}

func (n *Negotiation) awaitReply(lines *markedLines) (again bool, e *Error) {
	n.enter(AwaitReply)
	line, err := lines.next()
	if err != nil {
		return false, firstLineFailure(err, n.step, line)
	}

	switch line {
	case ready:
		return false, nil
	case errorMessage:
		return false, lines.readMessage(n.enter)
	}

	return true, n.checkHandshake(line)
}

// sendRequest ignores that the peer is gone: it may have sent the reason, which is read next.
func (n *Negotiation) sendRequest(w io.Writer, preloader bool) *Error {
	n.enter(SendRequest)
	b, e := n.Request.encode(preloader)
	if e != nil {
		return e
	}

	b = append([]byte(youHaveControl+Version+"\n"), b...)
	// The empty line by a write of its own, as the original sends it.
	for _, part := range [][]byte{b, []byte("\n")} {
		if _, err := w.Write(part); err != nil {
			if peerGone(err) {
				return nil
			}

			return writeFailure(err, SendRequest)
		}
	}

	return nil
}

func peerGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe)
}
