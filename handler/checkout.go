package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopassenger/passenger"
)

// maxCheckouts bounds how many processes are tried until one takes a connection.
const maxCheckouts = 10

// busyTime is how long a process may take to accept a connection before another one is tried; twice as long the next
// time, as it may be the machine that is busy.
const busyTime = 20 * time.Millisecond

// checkout gets a session and its connection. A process that takes no connection has seen nothing of the request, so
// another one is tried.
func (x *exchange) checkout() error {
	x.setState(StateCheckingOut)

	for try := 1; ; try++ {
		began := time.Now()
		s, err := x.getSession()
		x.event.Queued += time.Since(began)
		if err != nil {
			return x.checkoutError(err)
		}

		x.useSession(s)
		if err = x.connect(); err == nil {
			x.event.CheckedOut = x.elapsed()
			x.queued.Store(int64(x.event.Queued))
			x.checkedOut.Store(int64(x.event.CheckedOut))

			return nil
		}

		// connect may have taken another one.
		s = x.upstream.session
		if errors.Is(err, errBusy) {
			s.Report(err)
		}

		s.Close(passenger.Discard)

		// Other errors, as the end of the context, would come with another process too.
		if try == maxCheckouts || !errors.As(err, new(*passenger.ConnectError)) {
			return x.checkoutError(err)
		}
	}
}

func (x *exchange) useSession(s *passenger.Session) {
	x.upstream.session = s
	x.event.PID, x.event.GUPID = s.PID(), s.GUPID()
	x.event.Processes++
	x.pid.Store(int64(x.event.PID))
	s.Describe(x.req.target.host, x.req.target.uri)
}

// connect takes the session's idle connection or makes a new one.
func (x *exchange) connect() (err error) {
	u, ctx := &x.upstream, x.req.ctx
	// An idle connection is there at once. When this is called again, the application has closed it.
	if u.session.Reused() && u.conn == nil {
		u.conn, err = u.session.Connect(ctx)
		return err
	}

	until := time.Now().Add(x.h.cfg.ConnectTimeout)
	for patience := busyTime; ; patience *= 2 {
		left := time.Until(until)
		if left <= 0 {
			return errBusy
		}

		attempt, cancel := context.WithTimeout(ctx, min(left, patience))
		u.conn, err = u.session.Connect(attempt)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}

		x.tryAnother()
	}
}

// tryAnother exchanges the session for one with another process, if one has room.
func (x *exchange) tryAnother() {
	ctx, cancel := context.WithTimeout(x.req.ctx, busyTime)
	defer cancel()

	// Meanwhile the busy process keeps its session, so that it looks busy.
	s, err := x.h.pool.Get(ctx, x.req.options())
	switch {
	case err != nil:
	case s.GUPID() == x.upstream.session.GUPID():
		s.Close(passenger.KeepAlive)
	default:
		x.upstream.session.Close(passenger.Discard)
		x.useSession(s)
	}
}

// reconnect makes a new connection: to another process if this one takes none any more and has seen nothing of the
// request. A request that a process died of must not take other processes with it.
func (x *exchange) reconnect() error {
	if x.upstream.unsent {
		// One that is ending takes connections still.
		x.upstream.session.AwaitEnd()
	}

	err := x.connect()
	if !x.upstream.unsent || !errors.As(err, new(*passenger.ConnectError)) {
		return err
	}

	x.upstream.session.Close(passenger.Discard)

	return x.checkout()
}

// checkoutError tells a client that has left the queue from an error of the pool.
func (x *exchange) checkoutError(err error) error {
	if errors.Is(x.req.ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}

	return err
}
