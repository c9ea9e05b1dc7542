//go:build !linux

package handler

import (
	"errors"
	"net"
)

// headWriter writes the head of a request.
type headWriter struct{}

var errNotSilent = errors.New("the application wrote to an idle connection")

func (*headWriter) writeAndWait(conn net.Conn, head []byte, _ bool) (int, error) {
	return conn.Write(head)
}

func (*headWriter) write(conn net.Conn, head []byte, _ bool) (int, error) { return conn.Write(head) }
