package handler

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
)

// untimedBytes is how much of a response is written without a look at the time: what the buffers of the server take.
const untimedBytes = 2 << 10

// beginWrite sets the time for the next n bytes of the response, until endWrite.
func (c *client) beginWrite(n int) {
	c.account.wait(true)

	cfg := &c.req.h.cfg
	if c.sent.Load()+int64(n) <= untimedBytes || !cfg.limitsClients() {
		return
	}

	// Where the server has a time limit of its own, that one counts.
	if s := c.req.server(); s != nil && s.WriteTimeout > 0 {
		return
	}

	if c.writing == nil {
		c.writing = pace.Writing(c.control(), pace.UnsentOf(c.req.ctx))
	}

	// A body that is written at once has the time of the pieces that it would have been written in.
	left := cfg.clientTime(int64(n))
	if cfg.ClientStallTimeout > 0 {
		left = min(left, time.Duration(int64(pace.Pieces(n))*int64(cfg.ClientStallTimeout)))
	}

	c.writing.Begin(time.Now().Add(left))
}

func (c *client) endWrite() {
	c.account.proceed()
	c.writing.End()
}

// pacedBody reads the body of a request from a client that has to keep a pace.
type pacedBody struct {
	client *client
	body   io.Reader
	pace   *pace.Pace // nil means that the client has none to keep
	began  time.Time
	read   int64
	empty  emptyReads
	// limited reports whether the client has a rate to keep; otherwise, there is only the deadline of the request's
	// context, which is zero if there is none.
	limited  bool
	deadline time.Time
}

// readPaced returns the reader of a body; release ends its use.
func (c *client) readPaced(body io.Reader) *pacedBody {
	deadline, bounded := c.req.ctx.Deadline()
	b := &c.reader
	*b = pacedBody{
		client:   c,
		body:     body,
		began:    time.Now(),
		limited:  c.limitsReading(),
		deadline: deadline,
	}

	if b.limited || bounded {
		b.pace = pace.Reading(c.control())
	}

	return b
}

// readingPace is the pace for a client that sends; nil means that it has none to keep.
func (c *client) readingPace() *pace.Pace {
	if !c.limitsReading() {
		return nil
	}

	return pace.Reading(c.control())
}

// limitsReading reports whether the handler, and not the server, bounds how long a client sends.
func (c *client) limitsReading() bool {
	s := c.req.server()
	return c.req.h.cfg.limitsClients() && (s == nil || s.ReadTimeout <= 0)
}

// Read returns io.EOF at the end of the body. A connection that breaks is another error.
func (b *pacedBody) Read(p []byte) (n int, err error) {
	c := b.client
	if b.pace != nil {
		b.pace.Begin(b.nextDeadline())
	}

	c.account.wait(false)
	n, err = b.body.Read(p)
	dropped := c.account.proceed()
	b.pace.End()

	b.read += int64(n)
	err = b.empty.check(p, n, err)

	// Also if the rest came at the last moment: the connection has our deadline.
	if dropped {
		return n, fmt.Errorf("%w: %w", errClientSlow, errDropped)
	}

	if err != nil && !errors.Is(err, io.EOF) {
		err = readError(err)
	}

	return n, err
}

// nextDeadline is until when the next read may take.
func (b *pacedBody) nextDeadline() time.Time {
	if !b.limited {
		return b.deadline
	}

	now, cfg := time.Now(), &b.client.req.h.cfg

	until := now.Add(cfg.stepTime(b.began.Add(cfg.clientTime(b.read)).Sub(now)))
	if !b.deadline.IsZero() && b.deadline.Before(until) {
		return b.deadline
	}

	return until
}

// release lets net/http wait for the client without our deadline again.
func (b *pacedBody) release() {
	if b.pace.Over() {
		b.client.setReadDeadline(time.Time{})
	}
}

// stallingBody is a body that is streamed: each read has a time limit, and there is no mean rate to keep.
type stallingBody struct {
	body  io.Reader
	limit time.Duration
	pace  *pace.Pace // nil means that there is no limit
	empty emptyReads
}

func (b *stallingBody) Read(p []byte) (int, error) {
	b.pace.Begin(time.Now().Add(b.limit))
	defer b.pace.End()

	n, err := b.body.Read(p)

	return n, b.empty.check(p, n, err)
}

// emptyReads counts the reads in a row that have returned nothing, and no error. A body of middleware's that does so
// for ever would keep a processor busy, and not notice that the client has gone.
type emptyReads int

// check returns the error of a read into p.
func (e *emptyReads) check(p []byte, n int, err error) error {
	if n > 0 || err != nil || len(p) == 0 {
		*e = 0
		return err
	}

	if *e++; *e > maxEmptyReads {
		return io.ErrNoProgress
	}

	return nil
}

// limitsClients reports whether a client has a time limit at all.
func (c *Config) limitsClients() bool { return c.keepsRate() || c.ClientStallTimeout > 0 }

func (c *Config) keepsRate() bool { return c.ClientGrace > 0 && c.MinClientRate > 0 }

// noLimit is longer than any client waits.
const noLimit = 365 * 24 * time.Hour

// clientTime is how long a client may take for n bytes by its mean rate.
func (c *Config) clientTime(n int64) time.Duration {
	if !c.keepsRate() {
		return noLimit
	}

	return c.ClientGrace + time.Duration(min(n/c.MinClientRate, int64(noLimit/time.Second)))*time.Second
}

// stepTime is how long one step of reading or writing may take, where left is the time that the mean rate leaves.
func (c *Config) stepTime(left time.Duration) time.Duration {
	if c.ClientStallTimeout > 0 {
		return min(left, c.ClientStallTimeout)
	}

	return left
}
