package ustrouter

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
)

const (
	// maxConnections is how many observers a router serves at once.
	maxConnections = 64
	// receiptInterval is after how many transactions an observer hears of it at
	// the latest.
	receiptInterval = 256
	// lastRead is how long observers may still send, and drainTimeout how long
	// the sink may take for what waits, when a router ends.
	lastRead     = time.Second
	drainTimeout = 10 * time.Second
	// acceptPause is how long a router waits when it can take no connection.
	acceptPause = time.Second
)

// Router takes transactions from observers and gives them to a sink.
type Router struct {
	sink  Sink
	log   logr.Logger
	queue *queue
	drops drops
	trust func(net.Conn) error

	received, refused atomic.Uint64
	connections       atomic.Int64
	complaints        ratelog.Line
}

// NewRouter returns a Router with the QueueLength of c. The sink stays the
// caller's, to be closed when Serve has returned. log gets what goes wrong; the
// zero value discards it.
func NewRouter(c Config, sink Sink, log logr.Logger) *Router {
	return &Router{
		sink:  sink,
		log:   log,
		queue: newQueue(c.queueLength()),
		trust: checkPeer,
	}
}

// Serve takes connections from l, a Unix socket, which it closes, until ctx
// ends; then it takes for a second more what observers have sent, and gives it
// to the sink. Its error is l's, or that the sink does not take what it was
// given in ten seconds. It is called once.
func (r *Router) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drain, drained := make(chan struct{}), make(chan struct{})
	// The sink may be slow, as its disk is, and observers are read meanwhile.
	go func() {
		defer close(drained)
		r.feed(drain)
	}()
	err := r.accept(ctx, l) // has waited for all connections
	close(drain)
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()

	select {
	case <-drained:
		return err
	case <-timer.C:
		return errors.Join(err, errors.New("the sink of transactions hangs: see whether its disk does"))
	}
}

func (r *Router) accept(ctx context.Context, l net.Listener) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // no caller waits for it
	defer stop()
	defer func() { _ = l.Close() }() // as above

	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close() // nothing was said
			}

			return nil
		}

		if errors.Is(err, net.ErrClosed) {
			return err
		}

		if err != nil {
			// Mostly there are no descriptors left. Trying again at once would only take the CPU.
			r.complain(err, "the router of transactions cannot accept a connection")

			timer := time.NewTimer(acceptPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}

			continue
		}

		connections.Go(func() { r.serve(ctx, conn) })
	}
}

func (r *Router) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }() // all is read, or it is broken
	if n := r.connections.Add(1); n > maxConnections {
		r.refuse(errors.New("there are too many connections already"))
	} else if err := r.receive(ctx, conn); err != nil {
		r.refuse(err)
	}

	r.connections.Add(-1)
}

func (r *Router) refuse(err error) {
	r.refused.Add(1)
	r.complain(err, "the router of transactions has closed a connection")
}

// complain logs what any client can cause.
func (r *Router) complain(err error, message string) {
	r.complaints.Tell(func(int) { r.log.Error(err, message) })
}

// receive fails when the other side does not behave.
func (r *Router) receive(ctx context.Context, conn net.Conn) error {
	if err := r.trust(conn); err != nil {
		return err
	}

	in := newLines(conn, maxLine)
	if err := greetBack(conn, in); err != nil {
		return err
	}

	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now().Add(lastRead)) // fails if it is closed, as it should be then
	})
	defer stop()

	var taken, told uint64
	for {
		line, err := in.next()
		// An observer that was killed says nothing at its end, which is no fault.
		if _, broken := errors.AsType[net.Error](err); broken || errors.Is(err, io.EOF) ||
			errors.Is(err, io.ErrClosedPipe) {
			return nil
		}

		if err != nil {
			return err
		}

		t, err := decode(line)
		if err != nil {
			return err
		}

		taken++
		r.take(t)
		// One for each would double the traffic. If nothing more is there, the observer may wait for it.
		if taken-told >= receiptInterval || !in.waiting() {
			if say(conn, receipt{taken}) != nil {
				return nil // it has gone, or does not listen
			}

			told = taken
		}
	}
}

func (r *Router) take(t *Transaction) {
	r.received.Add(1)
	if !r.queue.put(t, 0) {
		r.drops.count.Add(1)
	}
}

func greetBack(conn net.Conn, in *lines) error {
	if err := say(conn, hello{protocolName, protocolVersion}); err != nil {
		return err
	}

	if err := conn.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}

	if err := in.hello(); err != nil {
		return err
	}

	return conn.SetReadDeadline(time.Time{})
}

func say(conn net.Conn, v any) error {
	line, err := encode(v)
	if err != nil {
		return err
	}

	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}

	_, err = conn.Write(line)

	return err
}

// feed gives the sink what comes, until drain is closed and nothing is left.
func (r *Router) feed(drain <-chan struct{}) {
	for {
		select {
		case e := <-r.queue.entries:
			r.sink.Write(r.queue.took(&e))
		case <-r.drops.due():
		case <-drain:
			for {
				t, more := r.queue.next()
				if !more {
					r.drops.logged.at, r.drops.told.at = time.Time{}, time.Time{} // there is no later time
					r.tell()
					return
				}

				r.sink.Write(t)
			}
		}

		r.tell()
	}
}

// tell says what the sink did not get.
func (r *Router) tell() {
	r.drops.log(r.log, "in the router, whose sink is too slow")
	if t := r.drops.record(); t != nil {
		r.sink.Write(t)
	}
}
