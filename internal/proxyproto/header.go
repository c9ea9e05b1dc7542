package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// The shortest lines of version 1, and the longest, section 2.1 of the specification.
	firstBytes    = len("PROXY ")
	shortestV1    = len("PROXY UNKNOWN\r\n")
	longestV1     = 107
	signature     = "\r\n\r\n\x00\r\nQUIT\n"
	sizeOfHeadV2  = len(signature) + 4
	sizeOfTCP4    = 2 * (4 + 2)
	sizeOfTCP6    = 2 * (16 + 2)
	sizeOfUnix    = 2 * 108
	sizeOfTLVHead = 3
	// maxV2 bounds what follows the head: two paths, and a client's certificate's name and
	// the like.
	maxV2 = 4 << 10
)

// ErrHeader is in each error about what a proxy has sent.
var ErrHeader = errors.New("this is no header of the PROXY protocol")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHeader, fmt.Sprintf(format, args...))
}

// Unknown is the address of a client that a proxy cannot name, or that has none, as on a Unix socket of the proxy's.
var Unknown net.Addr = unknown{}

type unknown struct{}

func (unknown) Network() string { return "unknown" }

// String returns what is no address of any peer: neither the proxy's, nor "@" as on a socket of this machine.
func (unknown) String() string { return "unknown" }

// ReadHeader reads the header, and no byte behind it. addr is the client's address; Unknown means that the proxy does
// not say it.
func ReadHeader(r io.Reader) (addr net.Addr, err error) {
	head := make([]byte, longestV1)
	if _, err := io.ReadFull(r, head[:firstBytes]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}

	switch first := string(head[:firstBytes]); {
	case first == "PROXY ":
		return readV1(r, head)
	case strings.HasPrefix(signature, first):
		return readV2(r, head)
	default:
		return nil, malformed("it begins with %q", first)
	}
}

// readV1 reads byte by byte up to the end of the line, since what follows is the
// client's.
func readV1(r io.Reader, line []byte) (net.Addr, error) {
	n := shortestV1
	if _, err := io.ReadFull(r, line[firstBytes:n]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}

	for !bytes.Contains(line[:n], []byte("\n")) {
		if n == longestV1 {
			return nil, malformed("its line is over %d bytes", longestV1)
		}

		if _, err := io.ReadFull(r, line[n:n+1]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHeader, err)
		}

		n++
	}

	text, ended := strings.CutSuffix(string(line[:n]), "\r\n")
	if !ended || strings.ContainsAny(text, "\r\n") {
		return nil, malformed("its line does not end with CRLF")
	}

	return parseV1(text)
}

func parseV1(line string) (net.Addr, error) {
	fields := strings.Split(line, " ")
	if len(fields) > 1 && fields[1] == "UNKNOWN" {
		return Unknown, nil
	}

	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return nil, malformed("its line is %q", line)
	}

	var source netip.AddrPort
	for i := range 2 {
		addr, err := netip.ParseAddr(fields[2+i])
		if err != nil || addr.Is4() != (fields[1] == "TCP4") || addr.Zone() != "" {
			return nil, malformed("%q is no address of %s", fields[2+i], fields[1])
		}

		port, err := strconv.ParseUint(fields[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != fields[4+i] {
			return nil, malformed("%q is no port", fields[4+i])
		}

		if i == 0 {
			source = netip.AddrPortFrom(addr.Unmap(), uint16(port))
		}
	}

	return net.TCPAddrFromAddrPort(source), nil
}

func readV2(r io.Reader, head []byte) (net.Addr, error) {
	if _, err := io.ReadFull(r, head[firstBytes:sizeOfHeadV2]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}

	if string(head[:len(signature)]) != signature {
		return nil, malformed("it begins with %q", head[:len(signature)])
	}

	command, family := head[len(signature)], head[len(signature)+1]
	if command != localV2 && command != proxyV2 {
		return nil, malformed("its version and command are %#x", command)
	}

	size := int(binary.BigEndian.Uint16(head[len(signature)+2:]))
	if size > maxV2 {
		return nil, malformed("it has %d bytes, and may have %d", size, maxV2)
	}

	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}

	if command == localV2 {
		// The proxy asks for itself, or, as HAProxy, for a client on a Unix socket of its own.
		return Unknown, nil
	}

	return parseV2(family, body)
}

// Versions with commands, and families with protocols, section 2.2.
const (
	localV2 = 0x20
	proxyV2 = 0x21
	unspec  = 0x00
	tcp4    = 0x11
	tcp6    = 0x21
	unix    = 0x31
)

func parseV2(family byte, body []byte) (addr net.Addr, err error) {
	size := map[byte]int{
		unspec: 0,
		tcp4:   sizeOfTCP4,
		tcp6:   sizeOfTCP6,
		unix:   sizeOfUnix,
	}

	addresses, known := size[family]
	switch {
	case !known:
		return nil, malformed("its family and protocol are %#x, and not TCP or a Unix socket", family)
	case len(body) < addresses:
		return nil, malformed("its addresses have %d bytes, and not %d", len(body), addresses)
	}

	if family == unspec {
		return Unknown, nil
	}

	if err := checkTLVs(body[addresses:]); err != nil {
		return nil, err
	}

	switch family {
	case tcp4:
		source, _ := netip.AddrFromSlice(body[:4])
		return tcpAddr(source, body[8:10]), nil
	case tcp6:
		source, _ := netip.AddrFromSlice(body[:16])
		return tcpAddr(source.Unmap(), body[32:34]), nil
	}

	// The client has connected to a socket of the proxy's, not to ours.
	return Unknown, nil
}

func tcpAddr(ip netip.Addr, port []byte) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port)))
}

// checkTLVs makes sure that what follows the addresses is whole. Nothing of it is used.
func checkTLVs(b []byte) error {
	for len(b) > 0 {
		if len(b) < sizeOfTLVHead {
			return malformed("what follows its addresses is cut short")
		}

		size := sizeOfTLVHead + int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < size {
			return malformed("what follows its addresses is cut short")
		}

		b = b[size:]
	}

	return nil
}
