package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxAddresses bounds the addresses of one port.
const maxAddresses = 8

// portTries is how often a port is chosen that has to be free at several addresses.
const portTries = 16

// portName is the name of the socket of a port at its nth address, from 0 on. Most ports have one.
func portName(name string, n int) string {
	if n == 0 {
		return name
	}

	return name + "-" + strconv.Itoa(n+1)
}

// portNames returns the names that a port's sockets may have, in their order.
func portNames(name string) []string {
	names := make([]string, maxAddresses)
	for n := range names {
		names[n] = portName(name, n)
	}

	return names
}

// checkAddress reports whether the address has a port or brackets, as other servers want them.
func (c *Config) checkAddress() error {
	if inside, ok := strings.CutPrefix(c.Address, "["); ok {
		if inside, ok := strings.CutSuffix(inside, "]"); ok {
			return fmt.Errorf("address is %q: write it without the brackets: %s", c.Address, inside)
		}
	}

	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil //nolint:nilerr // it has no port
	}

	if host == "" {
		return fmt.Errorf("address is %q: the port is an option of its own: port %s", c.Address, port)
	}

	return fmt.Errorf("address is %q: the port is an option of its own: address %s, port %s", c.Address, host, port)
}

// listenPort listens on a TCP address, and on each that its host has on this machine if that is a name.
func listenPort(ctx context.Context, address, option string) ([]socket, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: check %s, and --address", address, err, option)
	}

	hosts, err := addressesOf(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: check %s, and --address", address, err, option)
	}

	for tries := 1; ; tries++ {
		sockets, err := listenAll(ctx, hosts, port, option)
		if err != nil && port == "0" && len(hosts) > 1 && tries < portTries {
			// The port that is free at the first address may not be at another.
			continue
		}

		return sockets, err
	}
}

// addressesOf returns the addresses of a host. localhost is both of this machine's own for browsers, whatever
// /etc/hosts says (RFC 6761): at the one that is free, another user's program would get their requests.
func addressesOf(ctx context.Context, host string) ([]string, error) {
	if host == "localhost" {
		return []string{"127.0.0.1", "::1"}, nil
	}

	if host == "" || net.ParseIP(host) != nil {
		return []string{host}, nil
	}

	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}

	// A host may have an address twice, as in /etc/hosts, and would be in use by itself.
	slices.Sort(found)
	if found = slices.Compact(found); len(found) > maxAddresses {
		return nil, fmt.Errorf("it has %d addresses, more than %d", len(found), maxAddresses)
	}

	return found, nil
}

// listenAll listens on the same port of all hosts that this machine has, and of one at least. For the port 0, the first
// one decides.
func listenAll(ctx context.Context, hosts []string, port, option string) (_ []socket, err error) {
	sockets := map[string]socket{}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(sockets))
		}
	}()

	var missing error
	var listening []socket

	for _, host := range hosts {
		l, err := listenTCP(ctx, net.JoinHostPort(host, port), option)
		switch {
		case err == nil:
		// A host may have an address of IPv6 on a machine without it.
		case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
			missing = errors.Join(missing, err)
			continue
		default:
			return nil, err
		}

		sockets[host], listening = l, append(listening, l)
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			port = strconv.Itoa(addr.Port)
		}
	}

	if len(listening) == 0 {
		return nil, missing
	}

	return listening, nil
}
