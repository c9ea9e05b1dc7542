package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopassenger/passenger"
)

// maxCheckouts is how many processes are tried until one takes a connection.
const maxCheckouts = 10

// busyTime is how long a process may take to accept a connection before another
// one is tried; twice as long the next time, as it may be the host that is busy.
const busyTime = 20 * time.Millisecond

// checkout gets a session and its connection. A process that takes no
// connection has seen nothing of the request, so another one is tried.
func (x *exchange) checkout() error {
	x.enter(StateCheckingOut)

	for try := 1; ; try++ {
		began := time.Now()
		s, err := x.get()
		x.event.Queued += time.Since(began)
		if err != nil {
			return x.giveUp(err)
		}

		x.useSession(s)
		if err = x.connect(); err == nil {
			x.event.CheckedOut = x.since()
			return nil
		}

		if errors.Is(err, errBusy) {
			x.session.Report(err)
		}

		x.session.Close(passenger.Discard)
		if try == maxCheckouts || !errors.As(err, new(*passenger.ConnectError)) {
			return x.giveUp(err)
		}
	}
}

func (x *exchange) useSession(s *passenger.Session) {
	x.session = s
	x.event.PID, x.event.GUPID = s.PID(), s.GUPID()
	x.event.Processes++
	x.pid.Store(int64(x.event.PID))
	s.Describe(x.target.host, x.target.uri)
}

// connect takes the session's idle connection or makes a new one.
func (x *exchange) connect() (err error) {
	if x.session.Reused() && x.conn == nil {
		x.conn, err = x.session.Connect(x.ctx)
		return err
	}

	until := time.Now().Add(x.h.cfg.ConnectTimeout)
	for patience := busyTime; ; patience *= 2 {
		left := time.Until(until)
		if left <= 0 {
			return errBusy
		}

		ctx, cancel := context.WithTimeout(x.ctx, min(left, patience))
		x.conn, err = x.session.Connect(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || x.ctx.Err() != nil {
			return err
		}

		x.tryAnother()
	}
}

// tryAnother exchanges the session for one with another process, if there is one
// that has room.
func (x *exchange) tryAnother() {
	ctx, cancel := context.WithTimeout(x.ctx, busyTime)
	defer cancel()

	// Meanwhile the busy one keeps its session, so that it looks busy.
	s, err := x.h.pool.Get(ctx, x.options())
	switch {
	case err != nil:
	case s.GUPID() == x.session.GUPID():
		s.Close(passenger.KeepAlive)
	default:
		x.session.Close(passenger.Discard)
		x.useSession(s)
	}
}

// reconnect makes a new connection: to another process if this one takes none
// any more and has seen nothing of the request. One that died of the request
// must not take others with it.
func (x *exchange) reconnect() error {
	err := x.connect()
	if !x.unsent || !errors.As(err, new(*passenger.ConnectError)) {
		return err
	}

	x.session.Close(passenger.Discard)

	return x.checkout()
}

func (x *exchange) giveUp(err error) error {
	if errors.Is(x.ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}

	return err
}
