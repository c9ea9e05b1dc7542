//go:build !linux

package scgi

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: only on Linux does what is left in a socket become an error of
// the other side, so that it is not worth peeking elsewhere.
func rawConn(net.Conn) syscall.RawConn { return nil }

func peek(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

func waitGone(net.Conn, syscall.RawConn) error { return errors.ErrUnsupported }
