package ustrouter

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// batchBytes is from which size on a buffer of lines is written.
const batchBytes = 32 << 10

// link is a connection of a sender to a router.
type link struct {
	sender *sender
	conn   net.Conn
	lines  *lines
	out    *encoder
	uncut  func() bool

	// progress has an element when the router has taken something; broken is
	// closed when it responds no more, for the reason err.
	progress chan struct{}
	broken   chan struct{}
	err      error

	mu sync.Mutex
	// sent counts the lines in out as well, and taken those that the router has.
	sent, taken uint64
	// report is the line that tells of drops, and reported how many; zero means that none is on its way.
	report, reported uint64
}

func newLink(s *sender, conn net.Conn) *link {
	l := &link{
		sender:   s,
		conn:     conn,
		lines:    newLines(conn, maxShortLine),
		out:      newEncoder(),
		progress: make(chan struct{}, 1),
		broken:   make(chan struct{}),
	}
	l.uncut = context.AfterFunc(s.ctx, func() { _ = conn.Close() }) // what is lost is counted

	return l
}

func (l *link) close() {
	l.uncut()
	_ = l.conn.Close() // what is lost is counted
}

func (l *link) greet() error {
	if err := l.conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}

	// The router greets first, so that another program at its socket hears nothing of us.
	if err := l.lines.hello(); err != nil {
		return err
	}

	greeting, err := encode(hello{protocolName, protocolVersion})
	if err != nil {
		return err
	}

	if _, err := l.conn.Write(greeting); err != nil {
		return err
	}

	return l.conn.SetDeadline(time.Time{})
}

// serve sends until the connection breaks, or all is sent and the sender stopped.
func (l *link) serve() {
	go l.receive()
	err := l.send()
	// The receiver ends with the connection, and may count until then.
	l.close()
	<-l.broken
	// Where only reading has failed, sending has nothing to say about it.
	if err == nil {
		err = l.err
	}

	l.settle(err)
}

func (l *link) send() error {
	s := l.sender
	for {
		// Transactions come in bursts, and a write for each would cost more than they do.
		for s.pending != nil && l.out.buf.Len() < batchBytes {
			l.add(s.pending)
			s.pending, _ = s.queue.next()
		}

		s.drops.log(s.log, "on the way to the router")
		due, progress := l.addReport()
		if err := l.flush(); err != nil {
			return err
		}

		// The buffer was full before the queue was empty.
		if s.pending != nil {
			continue
		}

		select {
		case e := <-s.queue.entries:
			s.pending = s.queue.took(&e)
		case <-due:
		case <-progress:
		case <-l.broken:
			return nil
		case <-s.closing:
			if s.pending, _ = s.queue.next(); s.pending == nil {
				return l.finish()
			}
		}
	}
}

func (l *link) add(t *Transaction) {
	if l.out.transaction(t) != nil {
		l.sender.drops.count.Add(1) // it has a time that JSON cannot express
		return
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
}

// addReport tells of drops, unless it does already. It returns what to wait for
// until there may be more to tell.
func (l *link) addReport() (due <-chan time.Time, progress <-chan struct{}) {
	drops := &l.sender.drops
	l.mu.Lock()
	busy := l.report > l.taken
	l.mu.Unlock()
	if busy {
		return nil, l.progress
	}

	t := drops.record()
	if t == nil {
		return drops.due(), nil
	}

	l.add(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report, l.reported = l.sent, t.Dropped

	return nil, l.progress
}

func (l *link) flush() error {
	if l.out.buf.Len() == 0 {
		return nil
	}

	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}

	_, err := l.out.buf.WriteTo(l.conn)

	return err
}

// finish waits until the router has taken all, and knows what it did not get.
func (l *link) finish() error {
	// Until all is taken, more may be dropped, and should be in the report.
	l.untilTaken()
	l.sender.drops.told.at = time.Time{} // there is no later time
	l.addReport()
	if err := l.flush(); err != nil {
		return err
	}

	l.untilTaken()

	return nil
}

func (l *link) untilTaken() {
	for {
		l.mu.Lock()
		all := l.taken == l.sent
		l.mu.Unlock()
		if all {
			return
		}

		select {
		case <-l.progress:
		case <-l.broken:
			return
		}
	}
}

// receive notes what the router has taken.
func (l *link) receive() {
	defer close(l.broken)

	for {
		n, err := l.lines.receipt()
		if err == nil {
			err = l.take(n)
		}

		if err != nil {
			l.err = err
			return
		}

		// One element wakes the sender, however often something was taken.
		select {
		case l.progress <- struct{}{}:
		default:
		}
	}
}

func (l *link) take(n uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.taken || n > l.sent {
		return errors.New("the router says that it has taken more than it was sent, or less than before")
	}

	delivered := n - l.taken
	// The report of drops is a line as well, and no transaction.
	if l.taken < l.report && l.report <= n {
		delivered--
	}

	l.sender.delivered.Add(delivered)
	l.taken = n

	return nil
}

// settle counts what was lost on the way.
func (l *link) settle(err error) {
	s := l.sender
	lost := l.sent - l.taken
	// A report on its way is no lost transaction, and has to be sent again.
	if l.report > l.taken {
		lost--
		s.drops.told.known -= l.reported
	}

	s.drops.told.at = time.Time{} // tell the next router at once
	s.drops.count.Add(lost)
	// A router that has taken something works, so that it is tried again soon.
	if l.taken > 0 {
		s.backoff = minBackoff
	} else {
		s.failed(err)
	}

	if s.stopping() {
		s.left += lost
	}
}
