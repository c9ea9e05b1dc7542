package handler

import (
	"net/http"
	"time"
)

// endHurry takes the time limit for writing back, after what was written has left
// us: the connection may serve another request.
func (x *exchange) endHurry() {
	if x.hurried {
		_ = x.control().Flush()
		x.writeBy(time.Time{})
	}
}

// readBy and writeBy set until when the client's connection may be read and
// written; zero: for ever. There are writers without deadlines.
func (x *exchange) readBy(t time.Time) {
	_ = x.control().SetReadDeadline(t)
	if x.disconnected.Load() {
		_ = x.control().SetReadDeadline(past)
	}
}

func (x *exchange) writeBy(t time.Time) {
	_ = x.control().SetWriteDeadline(t)
	if x.disconnected.Load() {
		_ = x.control().SetWriteDeadline(past)
	}
}

// past is a deadline that makes whatever waits fail at once.
var past = time.Unix(1, 0)

// disconnect is for another goroutine, which holds the lock of the flights, so that
// the exchange does not end meanwhile.
func (x *exchange) disconnect() {
	x.disconnected.Store(true)
	// Neither is there for a tunnel, whose client goes with the application's
	// connection.
	rc := http.NewResponseController(x.w)
	_ = rc.SetReadDeadline(past)
	_ = rc.SetWriteDeadline(past)
	x.h.streams.cut(x)
}

func (h *Handler) limitsClients() bool { return h.cfg.ClientGrace > 0 && h.cfg.MinClientRate > 0 }
