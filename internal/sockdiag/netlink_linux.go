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
)

var errMessage = errors.New("the kernel's message has an unknown form")

// netlinkTable asks the kernel for one socket at a time.
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

// exchange sends a request to the kernel and returns its response.
func exchange(request []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, unavailable(os.NewSyscallError("socket", err))
	}

	defer func() { _ = unix.Close(fd) }()

	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, unavailable(os.NewSyscallError("sendto", err))
	}

	// The kernel has written its response before it returns from the request.
	buf := make([]byte, 1024)
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
