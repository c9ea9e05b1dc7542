package front

import (
	"net"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// send sends b, by a system call that does not block as long as the socket has room.
func (w *response) send(b []byte) {
	for w.err == nil && len(b) > 0 {
		if w.timed.Load() || w.conn.isCut.Load() || len(b) > rawsock.MaxSend {
			w.sendPieces(net.Buffers{b})
			return
		}

		send := rawsock.Send
		if w.more {
			send = rawsock.SendMore
		}

		n, errno := send(w.fd, b)
		b = b[n:]
		if errno != 0 {
			// It waits, or says what is wrong.
			w.sendPieces(net.Buffers{b})
			return
		}
	}
}

// sendAll sends pieces as send does.
func (w *response) sendAll(pieces net.Buffers) {
	if w.err != nil {
		return
	}

	if !w.timed.Load() && !w.conn.isCut.Load() {
		// What it leaves waits, or says what is wrong.
		n, _ := rawsock.SendPieces(w.fd, pieces)
		pieces = rest(pieces, n)
	}

	if len(pieces) > 0 {
		w.sendPieces(pieces)
	}
}

// rest returns what is left of pieces after the first n bytes.
func rest(pieces net.Buffers, n int) net.Buffers {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}

	if len(pieces) > 0 {
		pieces[0] = pieces[0][n:]
	}

	return pieces
}

// sendPieces sends pieces, waiting for a client that does not read for no longer than the server allows: the handler
// bounds what it writes, but the end of a response, and one that is small, wait here when it has returned.
func (w *response) sendPieces(pieces net.Buffers) {
	if w.err != nil {
		return
	}

	var stall *pace.Pace
	if limit := w.conn.server.Guard.StallTimeout; limit > 0 {
		size := 0
		for _, p := range pieces {
			size += len(p)
		}

		stall = pace.Writing(w.conn.net, w.conn.unsent)
		stall.Begin(time.Now().Add(limit * time.Duration(pace.Pieces(size))))
	}

	_, err := pieces.WriteTo(w.conn.net)
	stall.End()

	// Else the kernel would keep what it has still to send for minutes.
	w.conn.resets = w.conn.resets || stall.Over()
	w.fail(err)
}

// fail notes that the client takes no more.
func (w *response) fail(err error) {
	if err != nil && w.err == nil {
		w.err = err
		w.ctx.cancel()
	}
}
