//go:build race

package rawsock

import (
	"bytes"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// The race detector knows of what package syscall does, and by that in which
// order things happen in two goroutines that talk to each other over a socket.

// Receive returns what has arrived, EAGAIN if nothing has. flags are recv(2)'s.
func Receive(fd uintptr, b []byte, flags int) (int, syscall.Errno) {
	for {
		n, err := 0, error(nil)
		if flags == 0 {
			// A socket of package net does not block.
			n, err = syscall.Read(int(fd), b)
		} else {
			n, _, err = unix.Recvfrom(int(fd), b, flags|unix.MSG_DONTWAIT)
		}
		if errno := number(err); errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}

// Send sends what the socket has room for, and no more than MaxSend bytes; EAGAIN
// if it has none.
func Send(fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Write(int(fd), b[:min(len(b), MaxSend)])
		if errno := number(err); errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}

// SendMore is Send.
func SendMore(fd uintptr, b []byte) (int, syscall.Errno) { return Send(fd, b) }

// SendPieces sends what the socket has room for of up to MaxPieces pieces, and no more than MaxSendPieces bytes; EAGAIN
// if it has none.
func SendPieces(fd uintptr, pieces net.Buffers) (int, syscall.Errno) {
	b := bytes.Join(pieces[:min(len(pieces), MaxPieces)], nil)

	for {
		n, err := syscall.Write(int(fd), b[:min(len(b), MaxSendPieces)])
		if errno := number(err); errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}

func number(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return 0
}
