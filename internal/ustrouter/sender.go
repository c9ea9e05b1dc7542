package ustrouter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
)

// How long connecting and greeting may take, and writing what fits into a
// buffer; and how far attempts to connect are apart.
const (
	greetTimeout = 5 * time.Second
	writeTimeout = 5 * time.Second
	minBackoff   = time.Second
	maxBackoff   = 15 * time.Second
)

type dialFunc func(ctx context.Context) (net.Conn, error)

// dialer connects to routers of root or the own user.
func dialer(socket string) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, err
		}

		if err := checkPeer(conn); err != nil {
			_ = conn.Close() // nothing was sent
			return nil, fmt.Errorf("the router at %s is not to be trusted: %w", socket, err)
		}

		return conn, nil
	}
}

// sender takes transactions from the queue and sends them, over one connection
// after the other. Its goroutine ends when it was stopped and has sent all.
type sender struct {
	queue *queue
	dial  dialFunc
	log   logr.Logger

	drops     drops
	delivered atomic.Uint64

	closed  atomic.Bool
	closing chan struct{}
	ctx     context.Context // ends when what is left is to be dropped
	giveUp  context.CancelFunc
	done    chan struct{}

	// pending was taken from the queue and not yet sent.
	pending *Transaction
	// outage reports whether there was no connection at the last attempt, which was logged.
	outage  bool
	outages ratelog.Line
	backoff time.Duration
	attempt time.Time
	// left is how many transactions were not sent at the end.
	left uint64
}

func newSender(q *queue, dial dialFunc, log logr.Logger) *sender {
	s := &sender{
		queue:   q,
		dial:    dial,
		log:     log,
		backoff: minBackoff,
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.ctx, s.giveUp = context.WithCancel(context.Background())

	return s
}

func (s *sender) start() {
	go func() {
		defer close(s.done)
		s.run()
		s.abandon()
	}()
}

// stop lets the goroutine end when all is sent.
func (s *sender) stop() {
	s.closed.Store(true)
	close(s.closing)
}

func (s *sender) wait(ctx context.Context) error {
	select {
	case <-s.done:
	case <-ctx.Done():
		s.giveUp()
		<-s.done
	}

	s.giveUp()
	if s.left > 0 {
		return fmt.Errorf("%d transactions were not sent to the router and are lost", s.left)
	}

	return nil
}

func (s *sender) run() {
	for s.await() {
		if !s.pause() {
			return
		}

		l, err := s.connect()
		if err != nil {
			s.failed(err)
			// At the end there is one attempt, and no pause for another.
			if s.stopping() {
				return
			}

			continue
		}

		s.connected()
		if l.serve(); s.stopping() {
			return
		}
	}
}

// await waits for something to send, and reports false when there will be none.
// At the end, what was lost is something as well.
func (s *sender) await() bool {
	for s.pending == nil {
		s.drops.log(s.log, "on the way to the router")

		select {
		case e := <-s.queue.entries:
			s.pending = s.queue.took(&e)
		case <-s.drops.dueToLog():
		case <-s.closing:
			s.pending, _ = s.queue.next()
			return s.pending != nil || s.drops.untold()
		}
	}

	return true
}

// pause keeps attempts to connect apart. At the end it allows one more at once.
func (s *sender) pause() bool {
	for !s.attempt.IsZero() {
		s.drops.log(s.log, "on the way to the router")
		left := s.backoff - time.Since(s.attempt)
		if left <= 0 {
			break
		}

		// It wakes in between to log what was dropped.
		timer := time.NewTimer(min(left, dropInterval))
		select {
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			return s.ctx.Err() == nil
		}
	}

	return s.ctx.Err() == nil
}

func (s *sender) connect() (*link, error) {
	s.attempt = time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, greetTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}

	l := newLink(s, conn)
	if err := l.greet(); err != nil {
		l.close()
		return nil, err
	}

	return l, nil
}

func (s *sender) failed(err error) {
	s.backoff = min(maxBackoff, s.backoff*2)
	s.backoff -= rand.N(s.backoff/4 + 1) //nolint:gosec // G404: it keeps observers from coming all at once
	s.backoff = max(s.backoff, minBackoff)
	if s.outage {
		return
	}

	s.outages.Tell(func(int) {
		s.outage = true
		s.log.Error(err, "cannot send transactions, because the router does not respond as it should: trying again")
	})
}

func (s *sender) connected() {
	if s.outage {
		s.outage = false
		s.log.Info("transactions are sent to the router again")
	}
}

func (s *sender) stopping() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// abandon counts what is left at the end.
func (s *sender) abandon() {
	var left uint64
	for s.pending != nil {
		left++
		s.pending, _ = s.queue.next()
	}

	s.left += left
	s.drops.count.Add(left)
	s.drops.logged.at = time.Time{} // there is no later time
	s.drops.log(s.log, "on the way to the router")
}
