package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

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
		x.small = x.scratch(int(x.length))[:x.length]
		client := x.slowClient()
		defer client.release()
		_, err := io.ReadFull(client, x.small)
		if errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF { // not wrapped, so that it is ReadFull's
			err = errBadUpload // no server lets this happen
		}
		if err == nil {
			x.body = nil
			x.received.Store(x.length)
		}
		return err
	}
	return x.storeBody()
}

// storeBody reads the body to its end, which gives it a length.
func (x *exchange) storeBody() error {
	x.enter(StateBuffering)
	client := x.slowClient()
	defer client.release()
	b := &x.stored
	for {
		to := b.space()
		var n int
		var readErr error
		if to != nil {
			n, readErr = client.Read(to)
			b.inMem += n
		} else {
			to = x.scratch(mostMemory)
			n, readErr = client.Read(to)
			if err := b.spill(x.h.cfg.DataBufferDir, to[:n]); err != nil {
				x.h.diskTrouble(err)
				return fmt.Errorf("%w: %w", errNoSpace, err)
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

// mustStore: the body was to be streamed, but the process takes only what has a
// length.
func (x *exchange) mustStore() bool {
	return x.length < 0 && x.session.Protocol() == spawner.SessionProtocol
}

// slowClient reads a body from a client that has to keep a pace.
type slowClient struct {
	x       *exchange
	limited bool
	began   time.Time
	read    int64
}

func (x *exchange) slowClient() *slowClient {
	c := &x.client
	*c = slowClient{x: x, limited: x.h.limitsClients(), began: time.Now()}
	if s, ok := x.ctx.Value(http.ServerContextKey).(*http.Server); ok && s.ReadTimeout > 0 {
		c.limited = false
	}
	return c
}

// Read tells the end of the body, io.EOF, from a connection that ends in it.
func (c *slowClient) Read(p []byte) (n int, err error) {
	if c.limited {
		c.x.readBy(c.began.Add(c.x.h.cfg.clientTime(c.read)))
	}
	n, err = c.x.body.Read(p)
	c.read += int64(n)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case c.limited && errors.Is(err, os.ErrDeadlineExceeded):
		err = errClientSlow
	default:
		err = fmt.Errorf("%w: %w", readFault(err), err)
	}
	return n, err
}

// release lets net/http wait for the client without a deadline again.
func (c *slowClient) release() {
	if c.limited {
		c.x.readBy(time.Time{})
	}
}

// clientTime is how long a client may take for so many bytes.
func (c *Config) clientTime(bytes int64) time.Duration {
	return c.ClientGrace + time.Duration(bytes/c.MinClientRate)*time.Second
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
