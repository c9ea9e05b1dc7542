//go:build !linux

package handler

import (
	"errors"
	"net"
)

// sending writes the head of a request.
type sending struct{}

var errNotSilent = errors.New("the connection was not silent")

func (*sending) send(conn net.Conn, head []byte, _ bool) (int, error) { return conn.Write(head) }

func (*sending) begin(conn net.Conn, head []byte, _ bool) (int, error) { return conn.Write(head) }
