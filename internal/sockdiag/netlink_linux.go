package sockdiag

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The messages of include/uapi/linux/inet_diag.h, which have a fixed size. Numbers are in
// the host's byte order, but ports and addresses in that of the network.
const (
	// sockDiagByFamily is SOCK_DIAG_BY_FAMILY.
	sockDiagByFamily = 20
	// requestSize is that of struct inet_diag_req_v2, responseSize that of struct inet_diag_msg.
	requestSize  = 56
	responseSize = 72
	// anyCookie is INET_DIAG_NOCOOKIE: whichever socket it is.
	anyCookie = 0xffffffff
	// maxDump is the size of the largest part of a list that the kernel sends in one piece.
	maxDump = 32 << 10
)

var errMessage = errors.New("the kernel's message has an unknown form")

// netlinkTable asks the kernel for one socket at a time, or for those that listen on a port.
type netlinkTable struct{}

func (netlinkTable) connection(local, remote netip.AddrPort) (socket, error) {
	s, at, err := ask(local, remote)

	// Where there is no such connection, the kernel names the socket that listens.
	if err == nil && (s.state == listening || at != [2]netip.AddrPort{local, remote}) {
		err = ErrNotHere
	}

	return s, err
}

func (netlinkTable) listener(local netip.AddrPort) (socket, error) {
	none := netip.IPv4Unspecified()
	if local.Addr().Is6() {
		none = netip.IPv6Unspecified()
	}

	s, _, err := ask(local, netip.AddrPortFrom(none, 0))
	if err == nil && s.state != listening {
		err = ErrNotHere
	}

	return s, err
}

// ask returns the socket that the kernel finds, with its own addresses.
func ask(local, remote netip.AddrPort) (socket, [2]netip.AddrPort, error) {
	response, err := exchange(request(local, remote))
	if err != nil {
		return socket{}, [2]netip.AddrPort{}, err
	}

	return parse(response)
}

// listeners returns the sockets that listen on a port, on any address.
func (netlinkTable) listeners(port int) (found []Listening, err error) {
	for _, none := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		at := netip.AddrPortFrom(none, uint16(port)) //nolint:gosec // G115: a port
		message := request(at, netip.AddrPortFrom(none, 0))
		ne := binary.NativeEndian
		ne.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
		ne.PutUint32(message[unix.NLMSG_HDRLEN+4:], 1<<listening)

		err := exchangeList(message, func(s socket, at [2]netip.AddrPort) {
			if s.state == listening && int(at[0].Port()) == port {
				found = append(found, newListening(at[0], s))
			}
		})
		if err != nil {
			return nil, err
		}
	}

	return found, nil
}

// exchangeList sends a request for a list to the kernel and calls f with each socket of its response.
func exchangeList(request []byte, f func(s socket, at [2]netip.AddrPort)) error {
	fd, err := send(request)
	if err != nil {
		return err
	}

	defer func() { _ = unix.Close(fd) }()

	buf := make([]byte, maxDump)
	for {
		part, err := receive(fd, buf)
		if err != nil {
			return err
		}

		if ended, err := parseList(part, f); ended || err != nil {
			return err
		}
	}
}

// parseList reads a part of a list. ended reports whether it is the last one.
func parseList(part []byte, f func(s socket, at [2]netip.AddrPort)) (ended bool, err error) {
	ne := binary.NativeEndian
	for len(part) > 0 {
		if len(part) < unix.NLMSG_HDRLEN {
			return false, unavailable(errMessage)
		}

		size := int(ne.Uint32(part))
		// A list that has changed while the kernel wrote it may lack sockets.
		if size < unix.NLMSG_HDRLEN || size > len(part) || ne.Uint16(part[6:])&unix.NLM_F_DUMP_INTR != 0 {
			return false, unavailable(errMessage)
		}

		if ne.Uint16(part[4:]) == unix.NLMSG_DONE {
			if size >= unix.NLMSG_HDRLEN+4 && ne.Uint32(part[unix.NLMSG_HDRLEN:]) != 0 {
				return false, unavailable(errMessage)
			}

			return true, nil
		}

		s, at, err := parse(part[:size])
		if err != nil {
			return false, err
		}

		f(s, at)
		part = part[min(len(part), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}

	return false, nil
}

// exchange sends a request to the kernel and returns its response.
func exchange(request []byte) ([]byte, error) {
	fd, err := send(request)
	if err != nil {
		return nil, err
	}

	defer func() { _ = unix.Close(fd) }()

	return receive(fd, make([]byte, 1024))
}

// send sends a request to the kernel on a new socket.
func send(request []byte) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, unavailable(os.NewSyscallError("socket", err))
	}

	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return -1, unavailable(os.NewSyscallError("sendto", err))
	}

	return fd, nil
}

// receive reads a part of the response. The kernel has written the first one before it returns from the request, and
// each other one before it returns from the read of that before.
func receive(fd int, buf []byte) ([]byte, error) {
	n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
	if err != nil {
		return nil, unavailable(os.NewSyscallError("recvfrom", err))
	}

	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, unavailable(errMessage)
	}

	return buf[:n], nil
}

// request is a message that asks for one socket.
func request(local, remote netip.AddrPort) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+requestSize)
	ne := binary.NativeEndian
	ne.PutUint32(b[0:], uint32(len(b))) //nolint:gosec // G115: it is short
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)

	r := b[unix.NLMSG_HDRLEN:]
	r[0] = unix.AF_INET
	if local.Addr().Is6() {
		r[0] = unix.AF_INET6
	}

	r[1] = unix.IPPROTO_TCP
	ne.PutUint32(r[4:], 0xffffffff) // all states

	id := r[8:]
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	ne.PutUint32(id[40:], anyCookie)
	ne.PutUint32(id[44:], anyCookie)

	return b
}

// parse reads what the kernel has sent.
func parse(b []byte) (s socket, at [2]netip.AddrPort, err error) {
	ne := binary.NativeEndian
	if len(b) < unix.NLMSG_HDRLEN+4 {
		return s, at, unavailable(errMessage)
	}

	kind, m := ne.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:]
	if kind == unix.NLMSG_ERROR {
		errno := syscall.Errno(-int32(ne.Uint32(m))) //nolint:gosec // G115: it is a negative errno
		if errno == syscall.ENOENT {
			return s, at, ErrNotHere
		}

		return s, at, unavailable(errno)
	}

	if kind != sockDiagByFamily || len(m) < responseSize {
		return s, at, unavailable(errMessage)
	}

	// A socket for both kinds of addresses has IPv4 ones within IPv6.
	size := 4
	if m[0] == unix.AF_INET6 {
		size = 16
	}

	for i := range at {
		addr, _ := netip.AddrFromSlice(m[8+16*i : 8+16*i+size])
		at[i] = netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(m[4+2*i:]))
	}

	s = socket{state: tcpState(m[1]), uid: ne.Uint32(m[64:]), inode: ne.Uint32(m[68:])}

	return s, at, nil
}
