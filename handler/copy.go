package handler

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/validators"
)

// copyWhole copies a body that has been read to its end.
func (x *exchange) copyWhole(body []byte) error {
	if len(body) == 0 {
		return nil
	}

	return x.client.write(body)
}

// copyStreaming copies each piece as it comes, after the first, and holds nothing back.
func (x *exchange) copyStreaming(first []byte) error {
	if err := x.copyWhole(first); err != nil {
		return err
	}

	u, buf := &x.upstream, x.scratch.borrow(copyBufferSize)

	// At first, the head.
	unflushed := true
	for {
		// What is there already goes out with it.
		if unflushed && u.reader.Buffered() == 0 {
			x.client.flush()
			unflushed = false
		}

		n, err := u.body.Read(buf)
		if n > 0 {
			if err := x.client.write(buf[:n]); err != nil {
				return err
			}

			unflushed = true
		}

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// copyBuffered copies at the client's pace, while a goroutine reads the response into a spool and lets the process go.
func (x *exchange) copyBuffered(first []byte) error {
	x.client.openAccount()
	s := newSpool(x.h.cfg.MaxResponseBuffer, x.h.cfg.DataBufferDir, &x.client.account, x.h.logBufferError)
	conn := x.upstream.conn
	// Both goroutines need the controller.
	x.client.control()

	var reading sync.WaitGroup
	reading.Go(func() { x.fillSpool(s) })

	// A writer of middleware may panic.
	defer func() {
		s.abandon(conn)
		reading.Wait()
		s.close()
	}()

	err := x.copyWhole(first)
	if err == nil {
		err = x.copySpool(s)
	}

	// The client gets what there is of the response, so that it sees one that was cut and not none.
	if err != nil && !errors.Is(err, errClientGone) {
		x.client.flush()
	}

	return err
}

// fillSpool reads the rest of the response into a spool.
func (x *exchange) fillSpool(s *spool) {
	for {
		p := piece{memory: newMemory(copyBufferSize)}
		n, err := x.upstream.body.Read(p.b)

		p.length = n
		if n == 0 {
			p.free()
		} else if !s.add(p) {
			err = errors.Join(err, errClientGone)
		}

		switch {
		case errors.Is(err, io.EOF):
			// In this order: the connection may serve another request once the process is let go, so that copyBuffered
			// must not interrupt it any more.
			x.release(s.complete())
			s.end(nil)
			return
		case err != nil:
			s.end(err)
			return
		}
	}
}

// copySpool copies what a spool has until it ends.
func (x *exchange) copySpool(s *spool) error {
	for {
		p, file, n, err := s.next(x.client.flush)
		switch {
		case err != nil:
			return err
		case p.memory != nil:
			err = x.client.write(p.bytes())
			p.free()
		case file != nil:
			n, err = x.client.writeFrom(file, min(n, pace.Piece))
			s.advance(n)
		default:
			return nil
		}

		if err != nil {
			return err
		}
	}
}

// copyFile copies the file that the application has named instead of a body. The head is the application's but for the
// fields that describe the body.
func (x *exchange) copyFile(f *sentFile) error {
	if f.err != nil {
		x.h.cfg.Logger.Error(f.err, "the file that the application named cannot be sent", "app", x.h.appName(),
			"requestId", x.req.mark.id)
		return fmt.Errorf("%w: %w", errNoFile, f.err)
	}

	defer f.file.Close()

	out := x.client.header()
	x.copyHeader(out)
	x.h.addOwnFields(out, x.upstream.response.status)

	for _, name := range []string{"Content-Length", "Content-Range", "Accept-Ranges"} {
		out.Del(name)
	}

	// What the application says of the file's version counts, else what static files have.
	if out.Get("ETag") == "" {
		out.Set("ETag", validators.ETag(f.file, f.info, ""))
	}

	return x.client.writeFile(f)
}
