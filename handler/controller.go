package handler

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"
)

// controller calls the methods that not every writer has. Those of gin and echo have some of them, and panic if the
// writer below them has not, as that of http.TimeoutHandler: for a controller, that is an error like any other.
type controller struct{ *http.ResponseController }

func newController(w http.ResponseWriter) controller {
	return controller{http.NewResponseController(w)}
}

func optional(method func() error) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("%w: %v", http.ErrNotSupported, p)
		}
	}()

	return method()
}

func (c controller) Flush() error { return optional(c.ResponseController.Flush) }

func (c controller) SetReadDeadline(t time.Time) error {
	return optional(func() error { return c.ResponseController.SetReadDeadline(t) })
}

func (c controller) SetWriteDeadline(t time.Time) error {
	return optional(func() error { return c.ResponseController.SetWriteDeadline(t) })
}

func (c controller) EnableFullDuplex() error { return optional(c.ResponseController.EnableFullDuplex) }

func (c controller) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	err = optional(func() (err error) {
		conn, rw, err = c.ResponseController.Hijack()
		return err
	})

	return conn, rw, err
}
