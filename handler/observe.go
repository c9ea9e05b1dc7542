package handler

import (
	"net/textproto"
	"time"

	"github.com/gopassenger/passenger"
)

// reportBegin tells the observer that the request has come.
func (x *exchange) reportBegin() {
	r, e := &x.req, &x.event
	e.ID, e.AppName = r.mark.id, x.h.appName()
	e.Method, e.Target, e.Host = r.http.Method, r.http.RequestURI, r.http.Host
	e.RemoteAddr, e.Protocol, e.Scheme = r.remote.addr, r.http.Proto, r.scheme()
	e.TrustedPeer = r.peer.trusted

	if x.h.observer != nil {
		event := *e
		event.Header = textproto.MIMEHeader(r.header())
		r.ctx = x.h.observer.RequestBegan(r.ctx, &event)
		r.appHeader = x.h.checkAppHeader(event.AppHeader)
	}
}

// reportEnd tells the figures, the observer and the access log how the request ended.
func (x *exchange) reportEnd(err error) {
	x.reported = true
	own := &x.event
	own.Err, own.Ended = err, x.elapsed()
	own.Status = x.client.status
	own.RequestBytes, own.ResponseBytes = x.client.received.Load(), x.client.sent.Load()
	own.Excluded = x.h.uncounted != nil && isBelow(x.h.uncounted, x.req.target.path)
	x.h.figures.count(own)

	if x.h.observer == nil && x.h.cfg.AccessLog.GetSink() == nil {
		return
	}

	e := *own // the observer may keep it
	if x.h.observer != nil {
		x.h.observer.RequestEnded(x.req.ctx, &e)
	}

	logAccess(x.h.cfg.AccessLog, &e)
}

// logAccess writes a line of the access log. Times are in milliseconds.
func logAccess(log interface{ Info(string, ...any) }, e *passenger.RequestEvent) {
	values := []any{
		"id", e.ID, "app", e.AppName, "remote", e.RemoteAddr, "method", e.Method, "host", e.Host, "target", e.Target,
		"protocol", e.Protocol, "status", e.Status, "bytesIn", e.RequestBytes, "bytesOut", e.ResponseBytes,
		"pid", e.PID, "queueMs", milliseconds(e.Queued), "checkoutMs", milliseconds(e.CheckedOut),
		"firstByteMs", milliseconds(e.FirstByte), "appDoneMs", milliseconds(e.AppDone),
		"totalMs", milliseconds(e.Ended),
	}
	if e.Cached {
		values = append(values, "cached", true)
	}

	if e.Err != nil {
		values = append(values, "error", e.Err.Error())
	}

	log.Info("request", values...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
