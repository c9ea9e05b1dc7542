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

// checkout gets a session and its connection. A process that takes no
// connection has seen nothing of the request, so another one is tried.
func (x *exchange) checkout() error {
	options := x.options()
	x.enter(StateCheckingOut)
	for try := 1; ; try++ {
		began := time.Now()
		s, err := x.h.pool.Get(x.ctx, options)
		x.event.Queued += time.Since(began)
		if err != nil {
			return x.giveUp(err)
		}
		x.session = s
		x.event.PID, x.event.GUPID = s.PID(), s.GUPID()
		x.event.Processes++
		x.pid.Store(int64(x.event.PID))
		s.Describe(x.target.host, x.target.uri)
		if err = x.connect(); err == nil {
			x.event.CheckedOut = x.since()
			return nil
		}
		s.Close(passenger.Discard)
		if try == maxCheckouts || !errors.As(err, new(*passenger.ConnectError)) {
			return x.giveUp(err)
		}
	}
}

// connect takes the session's idle connection or makes a new one.
func (x *exchange) connect() (err error) {
	ctx := x.ctx
	if !x.session.Reused() || x.conn != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.h.cfg.ConnectTimeout)
		defer cancel()
	}
	x.conn, err = x.session.Connect(ctx)
	if errors.Is(err, context.DeadlineExceeded) && x.ctx.Err() == nil {
		err = errBusy
	}
	return err
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
