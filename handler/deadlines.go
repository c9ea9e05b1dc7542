package handler

import (
	"errors"
	"net/http"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
)

// freely is how much of a response is written without a look at the time: what
// the buffers of the server take.
const freely = 2 << 10

// beginWrite sets the time for the next n bytes of the response, until endWrite.
func (x *exchange) beginWrite(n int) {
	x.account.wait(true)
	if x.sent.Load()+int64(n) <= freely || !x.h.limitsClients() {
		return
	}

	if s, ok := x.ctx.Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout > 0 {
		return
	}

	if x.writing == nil {
		x.writing = pace.Writing(x.control())
	}

	// A body that is written at once has the time of the pieces that it would have been written in.
	cfg, pieces := &x.h.cfg, pace.Pieces(n)
	left := cfg.clientTime(int64(n))
	if cfg.ClientStallTimeout > 0 {
		left = min(left, time.Duration(int64(pieces)*int64(cfg.ClientStallTimeout)))
	}

	x.writing.Begin(time.Now().Add(left))
}

func (x *exchange) endWrite() {
	x.account.proceed()
	x.writing.End()
}

// flush gives the client what the server has buffered. Writers that cannot flush do
// not hold anything back.
func (x *exchange) flush() {
	x.account.wait(true)
	defer x.account.proceed()
	if x.writing != nil {
		x.writing.Begin(time.Now().Add(x.h.cfg.stepTime(x.h.cfg.clientTime(0))))
		defer x.writing.End()
	}

	_ = x.control().Flush()
}

// endHurry waits until what was written has left us, as far as there is a time limit
// for it.
func (x *exchange) endHurry() {
	if x.writing == nil {
		return
	}

	x.flush()
	if x.writing.Over() { // too late to matter: the connection may serve another request
		x.writeBy(time.Time{})
	}
}

// breakOff makes sure that a response that ended because of err does not look whole,
// even where middleware recovers from the panic to come, and net/http, or a writer that
// compresses, would end it in order.
func (x *exchange) breakOff(err error) {
	rc := x.control()
	if !errors.Is(err, errClientGone) {
		x.flush() // what there is of it is the client's
	}

	// Without chunks or a length only a reset tells a broken end from another one. Web
	// servers speak HTTP/1.0 to us.
	unmarked := !x.r.ProtoAtLeast(1, 1) && len(x.w.Header()["Content-Length"]) == 0
	if !unmarked && !x.writing.Over() && rc.SetWriteDeadline(past) == nil {
		return // HTTP/2 has reset the stream
	}

	pace.Reset(rc)
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

// limitsClients reports whether a client has a time for anything.
func (h *Handler) limitsClients() bool { return h.cfg.keepsRate() || h.cfg.ClientStallTimeout > 0 }

func (c *Config) keepsRate() bool { return c.ClientGrace > 0 && c.MinClientRate > 0 }

// noLimit is longer than any client waits.
const noLimit = 365 * 24 * time.Hour

// clientTime is how long a client may take for so many bytes by its mean rate.
func (c *Config) clientTime(bytes int64) time.Duration {
	if !c.keepsRate() {
		return noLimit
	}

	return c.ClientGrace + time.Duration(min(bytes/c.MinClientRate, int64(noLimit/time.Second)))*time.Second
}

// stepTime is how long one step of reading or writing may take, where left is the time that the mean rate leaves.
func (c *Config) stepTime(left time.Duration) time.Duration {
	if c.ClientStallTimeout > 0 {
		return min(left, c.ClientStallTimeout)
	}

	return left
}
