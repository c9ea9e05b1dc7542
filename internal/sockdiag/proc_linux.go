package sockdiag

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// procTable reads the tables of all sockets, for systems that do not allow to ask for one.
type procTable struct{ root string }

func (p procTable) connection(local, remote netip.AddrPort) (found socket, err error) {
	err = p.each(func(at [2]netip.AddrPort, s socket) {
		if s.state != listening && at == [2]netip.AddrPort{local, remote} {
			found = s
		}
	})
	if err == nil && found.state == 0 {
		err = ErrNotHere
	}

	return found, err
}

// listener prefers, as the kernel does, the socket of the very address, and then that
// of its own family.
func (p procTable) listener(local netip.AddrPort) (found socket, err error) {
	best := 0
	err = p.each(func(at [2]netip.AddrPort, s socket) {
		if s.state != listening || at[0].Port() != local.Port() {
			return
		}

		score := 0
		switch addr := at[0].Addr(); {
		case addr == local.Addr():
			score = 3
		case addr.IsUnspecified() && addr.Is4() == local.Addr().Is4():
			score = 2
		case addr == netip.IPv6Unspecified():
			score = 1
		}

		if score > best {
			best, found = score, s
		}
	})
	if err == nil && best == 0 {
		err = ErrNotHere
	}

	return found, err
}

// listeners returns the sockets that listen on a port, on any address.
func (p procTable) listeners(port int) ([]Listening, error) {
	found, err := p.allListeners()
	return slices.DeleteFunc(found, func(l Listening) bool { return l.Port != port }), err
}

func (p procTable) allListeners() (found []Listening, err error) {
	err = p.each(func(at [2]netip.AddrPort, s socket) {
		if s.state == listening {
			found = append(found, newListening(at[0], s))
		}
	})

	return found, err
}

// each calls f with each socket and its addresses.
func (p procTable) each(f func(at [2]netip.AddrPort, s socket)) error {
	for _, name := range []string{"tcp", "tcp6"} {
		err := p.scan(name, f)
		if name == "tcp6" && errors.Is(err, fs.ErrNotExist) {
			continue // IPv6 is off
		}

		if err != nil {
			return unavailable(err)
		}
	}

	return nil
}

func (p procTable) scan(name string, f func(at [2]netip.AddrPort, s socket)) error {
	file, err := os.Open(filepath.Join(p.root, name)) //nolint:gosec // G304: of the kernel
	if err != nil {
		return err
	}

	defer func() { _ = file.Close() }()

	lines := bufio.NewScanner(file)
	lines.Scan() // the heading

	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			return errMessage
		}

		local, localErr := procAddress(fields[1])
		remote, remoteErr := procAddress(fields[2])
		state, stateErr := strconv.ParseUint(fields[3], 16, 8)
		uid, uidErr := strconv.ParseUint(fields[7], 10, 32)
		inode, inodeErr := strconv.ParseUint(fields[9], 10, 32)
		if err := errors.Join(localErr, remoteErr, stateErr, uidErr, inodeErr); err != nil {
			return err
		}

		f([2]netip.AddrPort{local, remote}, socket{state: tcpState(state), uid: uint32(uid), inode: uint32(inode)})
	}

	return lines.Err()
}

// procAddress reads an address as 0100007F:1F90: its 32-bit words are in the host's
// byte order.
func procAddress(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err := errors.Join(err, portErr); err != nil {
		return netip.AddrPort{}, err
	}

	for i := 0; i+4 <= len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}

	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, errMessage
	}

	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
