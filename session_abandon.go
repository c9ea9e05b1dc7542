package passenger

import (
	"errors"
	"net"
	"os"
	"time"
)

// Abandon ends the session of a request that has been sent and whose response is not wanted any
// more. A process that takes a limited number of requests is likely to work on it still, and another
// request would wait behind it: the process learns it from the end of one direction of the connection,
// and keeps the session's place until it responds, closes the connection or is detached.
// Options.MaxRequestTime still counts. In all other cases Abandon is Close with Discard.
//
// It returns at once. over is called once, when the place is given up, with whether the process
// has kept it without responding; it may be nil. No other method may be called any more, but Close, which gives up
// the place.
func (s *Session) Abandon(over func(unanswered bool)) {
	if over == nil {
		over = func(bool) {}
	}

	if s.conn == nil || s.socket.concurrency == 0 || !closeWrite(s.conn) || !s.keepPlace(over) {
		s.Close(Discard)
		over(false)
	}
}

// keepPlace waits for the process, and reports whether there is anything to wait for.
func (s *Session) keepPlace(over func(unanswered bool)) (kept bool) {
	pr := s.process
	p := pr.group.pool
	p.update(func(*effects) {
		if s.closed.Load() || pr.state == stateDetached || p.state != poolOpen {
			return
		}

		kept, s.over = true, over
		if pr.abandoned == nil {
			pr.abandoned = map[*Session]func(){}
		}

		pr.abandoned[s] = func() { s.Close(Discard) }
		p.wg.Go(s.awaitProcess)
	})

	return kept
}

// awaitProcess closes the session when the process has something to say, or nothing more.
func (s *Session) awaitProcess() {
	var b [1]byte
	n, err := 0, os.ErrDeadlineExceeded

	// Whoever gave up may have set a deadline, and may be just about to do so.
	for range 2 {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = s.conn.SetDeadline(time.Time{}) // an error shows at the read
			n, err = s.conn.Read(b[:])
		}
	}

	if n > 0 {
		s.Report(nil)
	}

	s.Close(Discard)
}

// closeAbandoned gives up the places of abandoned sessions, at the end of the process. A process that an incident is
// recorded of keeps them meanwhile: see endRecording.
func (pr *process) closeAbandoned(fx *effects) {
	if pr.recording {
		return
	}

	for _, giveUp := range pr.abandoned {
		fx.after(giveUp)
	}
}

func closeWrite(conn net.Conn) bool {
	c, ok := conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}
