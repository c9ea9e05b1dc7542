package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/spawner"
)

// readBody reads what of the body is to be there before a process is taken up
// by the request: all of it, or nothing if it is to be streamed, since a small one may
// be as long on its way as a large one. A small one goes out with the head in one
// piece.
func (x *exchange) readBody() error {
	if limit := x.h.cfg.MaxRequestBody; limit > 0 && x.length > limit {
		return errBodyTooLarge
	}

	switch {
	case x.length == 0:
		return nil
	case x.h.cfg.StreamRequests:
		if limit := x.h.cfg.MaxRequestBody; limit > 0 {
			x.body = &limitedBody{r: x.body, left: limit}
		}

		return nil
	case x.length > 0 && x.length <= copyBufferSize:
		x.enter(StateBuffering)
		return x.readSmall()
	}

	return x.storeBody()
}

// readSmall reads a body of known length into memory.
func (x *exchange) readSmall() error {
	x.openAccount()
	if err := x.takeRoom(inMemory, x.length); err != nil {
		return err
	}

	x.small = x.scratch(int(x.length))[:x.length]
	client := x.slowClient()
	defer client.release()

	for n := 0; ; {
		m, err := client.Read(x.small[n:])
		n += m

		switch {
		case errors.Is(err, io.EOF): // which exactBody says at the very end
			x.body = nil
			x.received.Store(x.length)
			return nil
		case err != nil:
			return err
		}
	}
}

// storeBody reads the body to its end, which gives it a length.
func (x *exchange) storeBody() error {
	x.enter(StateBuffering)
	x.openAccount()
	client := x.slowClient()
	defer client.release()

	b := &x.stored
	for {
		had := b.memory.bytes()
		to := b.space()
		if err := x.takeRoom(inMemory, b.memory.bytes()-had); err != nil {
			return err
		}

		var n int
		var readErr error
		if to != nil {
			n, readErr = client.Read(to)
			b.inMem += n
		} else {
			if b.file == nil { // what is read into, too
				if err := x.takeRoom(inMemory, mostMemory); err != nil {
					return err
				}
			}

			to = x.scratch(mostMemory)
			n, readErr = client.Read(to)
			if err := x.spillRequest(to[:n]); err != nil {
				return err
			}
		}

		x.received.Store(b.length())

		switch limit := x.h.cfg.MaxRequestBody; {
		case limit > 0 && b.length() > limit:
			return errBodyTooLarge
		case errors.Is(readErr, io.EOF):
			x.length, x.body = b.length(), nil
			return nil
		case readErr != nil:
			return readErr
		}
	}
}

// spillRequest puts more of the body into its file.
func (x *exchange) spillRequest(p []byte) error {
	if err := x.takeRoom(onDisk, int64(len(p))); err != nil {
		return err
	}

	if err := x.stored.spill(x.h.cfg.DataBufferDir, p); err != nil {
		x.h.diskTrouble(err)
		return fmt.Errorf("%w: %w", errNoSpace, err)
	}

	return nil
}

// openAccount lets the exchange take of the budget.
func (x *exchange) openAccount() {
	x.account.open(x.h.cfg.Buffers, x.h.cfg.DataBufferDir, func(writing bool) {
		// It runs in another goroutine, while the exchange waits for its client.
		rc := http.NewResponseController(x.w)
		if writing {
			_ = rc.SetWriteDeadline(past)
		} else {
			_ = rc.SetReadDeadline(past)
		}
	})
}

// takeRoom takes of the budget for the request's body. The error is answered with 507.
func (x *exchange) takeRoom(part int, n int64) error {
	if n <= 0 {
		return nil
	}

	err := x.account.take(part, n)
	if err == nil {
		return nil
	}

	x.h.diskTrouble(err)

	return fmt.Errorf("%w: %w", errNoRoom, err)
}

// mustStore: the body was to be streamed, but the process takes only what has a
// length.
func (x *exchange) mustStore() bool {
	return x.length < 0 && x.session.Protocol() == spawner.SessionProtocol
}

// slowClient reads a body from a client that has to keep a pace.
type slowClient struct {
	x     *exchange
	pace  *pace.Pace // nil: the client has none to keep
	began time.Time
	read  int64
}

func (x *exchange) slowClient() *slowClient {
	c := &x.client
	*c = slowClient{x: x, began: time.Now()}
	if x.h.limitsClients() && !x.hasReadTimeout() {
		c.pace = pace.Reading(x.control())
	}

	return c
}

// hasReadTimeout reports whether the server bounds the time for a body itself.
func (x *exchange) hasReadTimeout() bool {
	s, ok := x.ctx.Value(http.ServerContextKey).(*http.Server)
	return ok && s.ReadTimeout > 0
}

// Read tells the end of the body, io.EOF, from a connection that ends in it.
func (c *slowClient) Read(p []byte) (n int, err error) {
	if c.pace != nil {
		now, cfg := time.Now(), &c.x.h.cfg
		c.pace.Begin(now.Add(cfg.stepTime(c.began.Add(cfg.clientTime(c.read)).Sub(now))))
	}

	c.x.account.wait(false)
	n, err = c.x.body.Read(p)
	dropped := c.x.account.proceed()
	c.pace.End()

	c.read += int64(n)
	if dropped { // also if the rest came at the last moment: the connection has our deadline
		return n, fmt.Errorf("%w: %w", errClientSlow, errDropped)
	}

	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", readFault(err), err)
	}

	return n, err
}

// release lets net/http wait for the client without our deadline again.
func (c *slowClient) release() {
	if c.pace.Over() {
		c.x.readBy(time.Time{})
	}
}

// limitedBody fails where a streamed body becomes larger than it may.
type limitedBody struct {
	r    io.Reader
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errBodyTooLarge
	}

	return n, err
}

// exactBody is a body that has to be as long as the request's head says. net/http
// makes sure of the client's; one that middleware has put in its place may be longer
// or shorter, and what the application got would be cut, or taken for the beginning of
// its next request.
type exactBody struct {
	r            io.Reader
	length, left int64
	one          [1]byte
}

// Read returns io.EOF with the last byte, or after it, and only if nothing follows.
func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.end()
	}

	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])

	b.left -= int64(n)
	switch {
	case b.left == 0 && (err == nil || errors.Is(err, io.EOF)):
		return n, b.end()
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("%w: it ends after %d bytes of %d", errBodyLength, b.length-b.left, b.length)
	}

	return n, err
}

// end makes sure that nothing follows.
func (b *exactBody) end() error {
	for range maxEmptyReads {
		n, err := b.r.Read(b.one[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: it has more than %d bytes", errBodyLength, b.length)
		case err != nil:
			return err
		}
	}

	return io.ErrNoProgress
}

// maxEmptyReads is how often a reader may return nothing, and no error.
const maxEmptyReads = 100
