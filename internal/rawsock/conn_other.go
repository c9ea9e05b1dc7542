//go:build !linux

package rawsock

import (
	"net"
	"syscall"
	"time"
)

func wrap(c net.Conn) net.Conn { return c }

// Unsent does not work on this system.
func Unsent(net.Conn) (bytes int64, known bool) { return 0, false }

// BoundUnsent does not work on this system.
func BoundUnsent(net.Conn, time.Duration) {}

// Drop does not work on this system.
func Drop(net.Conn) {}

// Receive does not work on this system.
func Receive(uintptr, []byte, int) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// SendMore does not work on this system.
func SendMore(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Send does not work on this system.
func Send(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// SendPieces does not work on this system.
func SendPieces(uintptr, net.Buffers) (int, syscall.Errno) { return 0, syscall.ENOSYS }
