//go:build !race

package rawsock

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive returns what has arrived, EAGAIN if nothing has. flags are recv(2)'s.
func Receive(fd uintptr, b []byte, flags int) (int, syscall.Errno) {
	return call(unix.SYS_RECVFROM, fd, b, uintptr(flags|unix.MSG_DONTWAIT))
}

// Send sends what the socket has room for, and no more than MaxSend bytes; EAGAIN
// if it has none.
func Send(fd uintptr, b []byte) (int, syscall.Errno) {
	return call(unix.SYS_SENDTO, fd, b[:min(len(b), MaxSend)], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// SendMore is Send where more follows at once: the system may wait for that, so that both are one packet.
func SendMore(fd uintptr, b []byte) (int, syscall.Errno) {
	return call(unix.SYS_SENDTO, fd, b[:min(len(b), MaxSend)], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_MORE)
}

// SendPieces sends what the socket has room for of up to MaxPieces pieces, and no more than MaxSendPieces bytes; EAGAIN
// if it has none.
func SendPieces(fd uintptr, pieces net.Buffers) (int, syscall.Errno) {
	var (
		parts [MaxPieces]unix.Iovec
		count int
	)

	left := MaxSendPieces
	for _, p := range pieces[:min(len(pieces), MaxPieces)] {
		if p = p[:min(len(p), left)]; len(p) > 0 {
			parts[count].Base = unsafe.SliceData(p) //nolint:gosec // G103: as below
			parts[count].SetLen(len(p))
			count++
		}

		left -= len(p)
	}

	message := unix.Msghdr{Iov: &parts[0]}
	message.SetIovlen(count)

	for {
		//nolint:gosec // G103: the one way to call it
		n, _, err := syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&message)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == 0 {
			return int(n), 0
		}

		if err != syscall.EINTR {
			return 0, err
		}
	}
}

func call(trap, fd uintptr, b []byte, flags uintptr) (int, syscall.Errno) {
	for {
		//nolint:gosec // G103: the one way to call it
		n, _, err := syscall.RawSyscall6(trap, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)),
			flags,
			0, 0)
		if err == 0 {
			return int(n), 0
		}

		if err != syscall.EINTR {
			return 0, err
		}
	}
}
