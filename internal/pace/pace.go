// Package pace limits how long a client may take for steps of a request's body, or of a response.
package pace

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// Pace is a time limit for steps of reading from a client, or of writing to it. It
// leaves deadlines alone that the program has set: the connection gets one only when
// the time for a step is up, and it is in the past then. A nil one sets no limit.
type Pace struct {
	rc Deadlines
	// writing reports whether the steps are of writing.
	writing bool
	unsent  Unsent

	mu    sync.Mutex
	timer *time.Timer
	// until is when the time for the step is up; zero means that there is none.
	until time.Time
	// step is how long the step may take, and left what the client had not taken at the last look, or less than zero.
	step time.Duration
	left int64
	up   bool
}

// Deadlines are those of an [http.ResponseController], or of a connection.
type Deadlines interface {
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// Reading returns the limit for reading a request.
func Reading(rc Deadlines) *Pace { return &Pace{rc: rc} }

// Writing returns the limit for writing a response. A client that takes a [Piece] of what the kernel has to send in the
// time for a step has that time again. unsent may be nil.
func Writing(rc Deadlines, unsent Unsent) *Pace { return &Pace{rc: rc, writing: true, unsent: unsent} }

// past is a deadline that makes whatever waits fail at once.
var past = time.Unix(1, 0)

// Begin begins a step that may take until then.
func (p *Pace) Begin(until time.Time) {
	if p == nil {
		return
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	p.until, p.step, p.left = until, time.Until(until), -1
	if p.timer == nil {
		p.timer = time.AfterFunc(p.nextLook(p.step), p.expire)
	} else {
		p.timer.Reset(p.nextLook(p.step))
	}
}

// nextLook is when to look at the step, of which so much time is left.
func (p *Pace) nextLook(left time.Duration) time.Duration {
	if p.unsent == nil {
		return left
	}

	return min(left, p.step/looks)
}

// expire runs when a timer ends, which may be that of a step before.
func (p *Pace) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		return
	}

	now := time.Now()
	if p.takesMore() {
		p.until = now.Add(p.step)
	}

	if left := p.until.Sub(now); left > 0 {
		p.timer.Reset(p.nextLook(left))
		return
	}

	p.up = true

	// Where there are no deadlines, there is no limit.
	if p.writing {
		_ = p.rc.SetWriteDeadline(past)
	} else {
		_ = p.rc.SetReadDeadline(past)
	}
}

// takesMore reports whether the client has taken a piece since the last look that found one, or the first.
func (p *Pace) takesMore() bool {
	if p.unsent == nil {
		return false
	}

	left, known := p.unsent()
	if !known {
		return false
	}

	first := p.left < 0
	// The kernel has taken more only if the client has.
	if first || left > p.left || p.left-left >= Piece {
		p.left = left
		return !first
	}

	return false
}

// End ends the step.
func (p *Pace) End() {
	if p == nil {
		return
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	p.until = time.Time{}
	if p.timer != nil {
		p.timer.Stop()
	}
}

// Over reports whether the time was up in one of the steps.
func (p *Pace) Over() bool {
	if p == nil {
		return false
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	return p.up
}

// Hijacker is an [http.ResponseController], or what else can hijack.
type Hijacker interface {
	Hijack() (net.Conn, *bufio.ReadWriter, error)
}

// Reset closes the client's connection and drops what the kernel has still to send on it, which a client that does not
// read would let it keep for minutes. Where there is no connection, as with HTTP/2, it does nothing.
func Reset(rc Hijacker) {
	conn, _, err := rc.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()

	// A layer above, such as TLS, would end in order what was cut.
	_ = resettable(conn).Close()
}

// resettable returns the outermost layer of conn that Close resets now, which the client notices; if there is none, as
// with Unix sockets, the innermost.
func resettable(conn net.Conn) net.Conn {
	for {
		if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
			_ = c.SetLinger(0)
			return conn
		}

		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}

		conn = outer.NetConn()
	}
}
