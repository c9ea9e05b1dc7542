package agent

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// hasIPv6 reports whether this machine has the address ::1.
func hasIPv6(t *testing.T) bool {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		return false
	}

	require.NoError(t, err)
	require.NoError(t, l.Close())

	return true
}

// A name is listened on at all of its addresses: else another user's program, at the one that is free, would get what
// browsers send.
func TestNamesAreListenedOnAtEachAddress(t *testing.T) {
	own := []string{"127.0.0.1"}
	if hasIPv6(t) {
		own = append(own, "::1")
	}

	for _, row := range []struct {
		address string
		want    []string
	}{
		{"localhost", own},
		{"127.0.0.1", own[:1]},
		{"::1", own[1:]},
	} {
		if len(row.want) == 0 {
			continue
		}

		c := Config{Address: row.address, MetricsAddress: net.JoinHostPort(row.address, "0")}
		ports, err := c.openPorts(t.Context())
		require.NoError(t, err)

		for _, name := range []string{httpFile, metricsFile} {
			var hosts []string
			var port int

			for _, socket := range portNames(name) {
				if l := ports.sockets[socket]; l != nil {
					host, _, err := net.SplitHostPort(l.Addr().String())
					require.NoError(t, err)
					hosts = append(hosts, host)
					require.True(t, port == 0 || port == portOf(t, l), "one port at all addresses")
					port = portOf(t, l)
				}
			}

			require.Equal(t, row.want, hosts, "%s of %s", name, row.address)
		}

		require.Len(t, c.urls(ports.sockets), len(row.want))
		require.NoError(t, closeAll(ports.sockets))
	}
}

// listenAlone listens at one address, on a port that no other program has at another one.
func listenAlone(t *testing.T, at, free string) net.Listener {
	t.Helper()

	for {
		l, err := net.Listen("tcp", net.JoinHostPort(at, "0"))
		require.NoError(t, err)

		other, err := net.Listen("tcp", net.JoinHostPort(free, strconv.Itoa(portOf(t, l))))
		if err == nil {
			require.NoError(t, other.Close())
			return l
		}

		require.NoError(t, l.Close())
	}
}

// What others have at one of the addresses is an error, and nothing stays open.
func TestAddressOfANameThatIsInUse(t *testing.T) {
	if !hasIPv6(t) {
		t.Skip("this machine has no IPv6")
	}

	for taken, free := range map[string]string{"127.0.0.1": "::1", "::1": "127.0.0.1"} {
		l := listenAlone(t, taken, free)
		port := strconv.Itoa(portOf(t, l))
		_, err := listenPort(t.Context(), "localhost:"+port, "--port")
		require.ErrorContains(t, err, "the address "+net.JoinHostPort(taken, port)+" is in use by another program")
		require.NoError(t, l.Close())

		sockets, err := listenPort(t.Context(), "localhost:"+port, "--port")
		require.NoError(t, err)
		require.Len(t, sockets, 2)

		for _, s := range sockets {
			require.NoError(t, s.Close())
		}
	}
}

func TestNamesWithoutAnAddressOfThisMachine(t *testing.T) {
	_, err := listenAll(t.Context(), []string{"192.0.2.1", "2001:db8::1"}, "0", "--port")
	require.ErrorContains(t, err, "cannot listen on 192.0.2.1:0: ")
	require.ErrorContains(t, err, "check --port, and --address")

	sockets, err := listenAll(t.Context(), []string{"192.0.2.1", "127.0.0.1"}, "0", "--port")
	require.NoError(t, err)
	require.Len(t, sockets, 1)
	require.NoError(t, sockets[0].Close())
}

func TestAddressesAsOfOtherServersSayWhatToWrite(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8000": "the port is an option of its own: address 127.0.0.1, port 8000",
		"[::1]:8000":     "the port is an option of its own: address ::1, port 8000",
		":8000":          "the port is an option of its own: port 8000",
		"[::1]":          "write it without the brackets: ::1",
		"::1":            "",
		"fe80::1%eth0":   "",
		"localhost":      "",
		"0.0.0.0":        "",
		"":               "",
	} {
		err := (&Config{Address: address}).checkAddress()
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}
