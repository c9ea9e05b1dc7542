package sockdiag

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The messages of include/uapi/linux/unix_diag.h.
const (
	unixRequestSize, unixResponseSize = 24, 16
	// showQueues is UDIAG_SHOW_RQLEN, queues the attribute UNIX_DIAG_RQLEN that it asks for.
	showQueues, queues = 0x10, 4
)

// Backlog returns how many connections wait in the kernel until the program accepts them. l is a listener of TCP or of
// Unix sockets of this program. The error is ErrUnavailable, or that of a listener that is closed.
func Backlog(l syscall.Conn) (waiting int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return 0, err
	}

	ask := tcpBacklog
	if _, isUnix := l.(*net.UnixListener); isUnix {
		ask = unixBacklog
	}

	if controlErr := raw.Control(func(fd uintptr) { waiting, err = ask(int(fd)) }); controlErr != nil {
		return 0, controlErr
	}

	return waiting, err
}

// tcpBacklog returns the length of a listening socket's queue, which the kernel has where that of others has the
// segments that are not acknowledged. (Source: tcp_get_info in net/ipv4/tcp.c, since Linux 2.6.24.)
func tcpBacklog(fd int) (int, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, unavailable(os.NewSyscallError("getsockopt", err))
	}

	if tcpState(info.State) != listening {
		return 0, unavailable(errMessage)
	}

	return int(info.Unacked), nil
}

func unixBacklog(fd int) (int, error) {
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return 0, unavailable(os.NewSyscallError("fstat", err))
	}

	b := make([]byte, unix.NLMSG_HDRLEN+unixRequestSize)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], uint32(len(b))) //nolint:gosec // G115: it is short
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)

	r := b[unix.NLMSG_HDRLEN:]
	r[0] = unix.AF_UNIX
	ne.PutUint32(r[4:], 0xffffffff)       // all states
	ne.PutUint32(r[8:], uint32(info.Ino)) //nolint:gosec // G115: the kernel compares 32 bits
	ne.PutUint32(r[12:], showQueues)
	ne.PutUint32(r[16:], anyCookie)
	ne.PutUint32(r[20:], anyCookie)

	response, err := exchange(b)
	if err != nil {
		return 0, err
	}

	return parseUnixQueue(response)
}

// parseUnixQueue finds the attribute with the lengths of the queues.
func parseUnixQueue(b []byte) (int, error) {
	ne := binary.NativeEndian
	if len(b) < unix.NLMSG_HDRLEN+unixResponseSize || ne.Uint16(b[4:]) != sockDiagByFamily {
		return 0, unavailable(errMessage)
	}

	for b = b[unix.NLMSG_HDRLEN+unixResponseSize:]; len(b) >= unix.SizeofNlAttr; {
		size := int(ne.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			break
		}

		if ne.Uint16(b[2:]) == queues && size >= unix.SizeofNlAttr+4 {
			return int(ne.Uint32(b[unix.SizeofNlAttr:])), nil
		}

		b = b[min((size+3)&^3, len(b)):]
	}

	return 0, unavailable(errMessage)
}
