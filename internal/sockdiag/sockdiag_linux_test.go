package sockdiag

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// listenVar makes the test binary a program that listens on the address it has, accepts
// a connection and closes it, each after a line on stdin.
const listenVar = "SOCKDIAG_TEST_LISTEN"

func TestMain(m *testing.M) {
	if address, ok := os.LookupEnv(listenVar); ok {
		listen(address)
		return
	}

	os.Exit(m.Run())
}

func listen(address string) {
	in := bufio.NewScanner(os.Stdin)
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		return
	}

	_, port, err := net.SplitHostPort(l.Addr().String())
	fmt.Println(port, err)
	in.Scan()
	conn, err := l.Accept()
	fmt.Println("accepted", err)
	in.Scan()
	fmt.Println("closed", errors.Join(conn.Close(), l.Close()))
	in.Scan()
}

// stranger is a user who need not exist.
const stranger = 61001

// other is a program of another user.
type other struct {
	t    *testing.T
	in   func(string)
	out  *bufio.Scanner
	port string
}

func startOther(t *testing.T, address string) *other {
	t.Helper()
	if os.Geteuid() != 0 {
		interpreters.Missing(t, "root", "needs root, to become another user")
	}

	// The test's own binary may be where only root can go.
	fd, err := unix.MemfdCreate("listener", 0)
	require.NoError(t, err)
	program := os.NewFile(uintptr(fd), "listener")
	defer program.Close()
	content, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	_, err = program.Write(content)
	require.NoError(t, err)

	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", 3))
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env = []string{listenVar + "=" + address, "GORACE=atexit_sleep_ms=0"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	o := &other{t: t, out: bufio.NewScanner(out), in: func(s string) {
		_, err := fmt.Fprintln(in, s)
		require.NoError(t, err)
	}}
	o.port = strings.TrimSuffix(o.line(), " <nil>")

	return o
}

func (o *other) line() string {
	o.t.Helper()
	require.True(o.t, o.out.Scan())
	return o.out.Text()
}

// Both ways find the owner, whatever address the socket listens on, before and after it
// was accepted.
func TestPeerIsTheUserAtTheOtherEnd(t *testing.T) {
	for _, test := range []struct{ listens, host string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1"},
		{"[::]:0", "127.0.0.1"},
		{"[::]:0", "::1"},
		{"[::1]:0", "::1"},
	} {
		t.Run(test.listens+" by "+test.host, func(t *testing.T) {
			o := startOther(t, test.listens)
			conn, err := net.Dial("tcp", net.JoinHostPort(test.host, o.port))
			require.NoError(t, err)
			defer conn.Close()
			require.Equal(t, []int{stranger, stranger, stranger}, owners(t, conn))

			o.in("accept")
			require.Equal(t, "accepted <nil>", o.line())
			require.Equal(t, []int{stranger, stranger, stranger}, owners(t, conn))

			o.in("close")
			require.Equal(t, "closed <nil>", o.line())
			_, err = Peer(tcp(t, conn))
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

func tcp(t testing.TB, conn net.Conn) *net.TCPConn {
	t.Helper()
	c, ok := conn.(*net.TCPConn)
	require.True(t, ok)

	return c
}

func at(t testing.TB, addr net.Addr) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(addr.String())
	require.NoError(t, err)

	return unmapped(a)
}

// owners are those that Peer and each way by itself find.
func owners(t *testing.T, conn net.Conn) []int {
	t.Helper()
	uid, err := Peer(tcp(t, conn))
	require.NoError(t, err)
	found := make([]int, 0, 3)
	found = append(found, uid)
	ours := at(t, conn.LocalAddr())

	theirs := at(t, conn.RemoteAddr())
	for _, table := range []table{netlinkTable{}, procTable{root: "/proc/net"}} {
		uid, err := owner(table, theirs, ours)
		require.NoError(t, err)
		l, err := table.listener(theirs)
		require.NoError(t, err)
		require.EqualValues(t, uid, l.uid)
		found = append(found, uid)
	}

	return found
}

func TestPeerThatThereIsNotIsNotFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()

	for _, table := range []table{netlinkTable{}, procTable{root: "/proc/net"}} {
		// Nor is it whoever listens there.
		_, err = owner(table, at(t, l.Addr()), netip.MustParseAddrPort("127.0.0.1:1"))
		require.ErrorIs(t, err, ErrNotHere)
		_, err = table.listener(netip.MustParseAddrPort("127.0.0.1:1"))
		require.ErrorIs(t, err, ErrNotHere)
	}
}

// Both ways find the sockets that listen on a port, and no connections to it.
func TestListenersAreTheSameByBothWays(t *testing.T) {
	for _, test := range []struct {
		network, address string
		want             netip.Addr
	}{
		{"tcp4", "127.0.0.1:0", netip.MustParseAddr("127.0.0.1")},
		{"tcp4", "0.0.0.0:0", netip.IPv4Unspecified()},
		{"tcp", "[::]:0", netip.IPv6Unspecified()},
		{"tcp6", "[::]:0", netip.IPv6Unspecified()},
		{"tcp6", "[::1]:0", netip.IPv6Loopback()},
	} {
		t.Run(test.network+" "+test.address, func(t *testing.T) {
			l, err := net.Listen(test.network, test.address)
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			port := int(at(t, l.Addr()).Port())
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer conn.Close()

			found, err := netlinkTable{}.listeners(port)
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, test.want, found[0].Addr)
			require.Equal(t, os.Geteuid(), found[0].UID)
			require.NotZero(t, found[0].Inode)

			listed, err := procTable{root: "/proc/net"}.listeners(port)
			require.NoError(t, err)
			require.Equal(t, listed, found)

			require.NoError(t, l.Close())
			found, err = Listeners(port)
			require.NoError(t, err)
			require.Empty(t, found)
		})
	}
}

// More sockets than the kernel tells in one piece listen on a port.
func TestListenersOfManyAddresses(t *testing.T) {
	first, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer first.Close()
	port := int(at(t, first.Addr()).Port())

	const many = 1000
	for i := 2; i <= many; i++ {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.%d.%d:%d", i/250, 1+i%250, port))
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
	}

	found, err := netlinkTable{}.listeners(port)
	require.NoError(t, err)
	require.Len(t, found, many)
	listed, err := procTable{root: "/proc/net"}.listeners(port)
	require.NoError(t, err)
	require.ElementsMatch(t, listed, found)
}

func TestPeerIsUnavailableWithoutTables(t *testing.T) {
	_, err := owner(procTable{root: t.TempDir()}, netip.MustParseAddrPort("127.0.0.1:1"),
		netip.MustParseAddrPort("127.0.0.1:2"))
	require.ErrorIs(t, err, ErrUnavailable)
}

// script replies in turn, as a kernel before 6.17 does.
type script struct {
	connections []socket
	listeners   []socket
}

func (s *script) connection(_, _ netip.AddrPort) (socket, error) {
	next := s.connections[0]
	s.connections = s.connections[1:]
	return next, nil
}

func (s *script) listener(netip.AddrPort) (socket, error) { return s.listeners[0], nil }

func TestConnectionThatWaitsBelongsToWhoListens(t *testing.T) {
	waiting := socket{state: established}

	for name, test := range map[string]struct {
		table script
		uid   int
		err   error
	}{
		"still waits": {script{[]socket{waiting, waiting}, []socket{{listening, 7, 1}}}, 7, nil},
		"accepted by a thief since": {
			script{[]socket{waiting, {established, 8, 2}}, []socket{{listening, 7, 1}}},
			8,
			nil,
		},
		"ended with a thief's socket": {
			script{[]socket{waiting, {state: 6}}, []socket{{listening, 7, 1}}},
			0,
			ErrClosed,
		},
		"root's": {script{[]socket{{established, 0, 3}}, nil}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			uid, err := owner(&test.table, netip.AddrPort{}, netip.AddrPort{})
			require.ErrorIs(t, err, test.err)
			require.Equal(t, test.uid, uid)
		})
	}
}

func TestUnknownMessagesAreRefused(t *testing.T) {
	whole := request(netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:2"))
	for n := range len(whole) {
		_, _, err := parse(whole[:n])
		require.ErrorIs(t, err, ErrUnavailable)

		_, err = parseList(whole[:n], func(socket, [2]netip.AddrPort) {})
		require.Equal(t, n > 0, errors.Is(err, ErrUnavailable), "%d", n)
	}

	for _, text := range []string{"", "x", "sl\n0: 1\n", "sl\n" + strings.Repeat("zz ", 12) + "\n"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(dir+"/tcp", []byte(text), 0o600))
		_, err := procTable{root: dir}.listener(netip.MustParseAddrPort("127.0.0.1:1"))
		require.Error(t, err)
	}
}

func BenchmarkPeer(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	defer conn.Close()

	for b.Loop() {
		if _, err := Peer(tcp(b, conn)); err != nil {
			b.Fatal(err)
		}
	}
}
