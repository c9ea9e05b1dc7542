package handler

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pair returns both ends of a connection of the system's.
func pair(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}

	l, err := net.Listen(network, addr)
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	near, err = net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	far = <-accepted
	require.NotNil(t, far)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })

	return near, far
}

func TestHeadIsWrittenAndItsResponseAwaited(t *testing.T) {
	large := make([]byte, 8<<20) // more than a socket takes at once

	_, _ = rand.Read(large)
	for _, network := range []string{"unix", "tcp"} {
		for _, reused := range []bool{false, true} {
			for name, head := range map[string][]byte{"small": []byte("GET /"), "large": large} {
				t.Run(network+" "+name, func(t *testing.T) {
					near, far := pair(t, network)
					go func() {
						got := make([]byte, len(head))
						_, _ = io.ReadFull(far, got)
						if bytes.Equal(got, head) {
							_, _ = io.WriteString(far, "ok")
						}

						_ = far.Close()
					}()
					var s headWriter
					n, err := s.writeAndWait(near, head, reused)
					require.NoError(t, err)
					require.Equal(t, len(head), n)
					got, err := io.ReadAll(near)
					require.NoError(t, err)
					require.Equal(t, "ok", string(got))
				})
			}
		}
	}
}

// A reused connection on which something is there already gets no request.
//
// Faults: R-52.
func TestHeadIsNotWrittenToAConnectionThatIsNotSilent(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for name, damage := range map[string]func(c net.Conn){
			"bytes without a request": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") },
			"closed":                  func(c net.Conn) { _ = c.Close() },
			"half closed":             func(c net.Conn) { closeWrite(c) },
		} {
			t.Run(network+" "+name, func(t *testing.T) {
				near, far := pair(t, network)
				damage(far)
				conn, ok := near.(syscall.Conn)
				require.True(t, ok)
				raw, err := conn.SyscallConn()
				require.NoError(t, err)

				// Until it has come, which takes no time with Unix sockets.
				require.NoError(t, raw.Read(func(fd uintptr) bool {
					_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
					return !errors.Is(err, unix.EAGAIN)
				}))

				for _, send := range []func(net.Conn, []byte, bool) (int, error){
					(&headWriter{}).writeAndWait,
					(&headWriter{}).write,
				} {
					n, err := send(near, []byte("GET /"), true)
					require.ErrorIs(t, err, errNotSilent)
					require.Zero(t, n)
				}
			})
		}
	}
}

// A body follows: the response may come only after it.
func TestHeadBeforeABodyIsWrittenWithoutWaiting(t *testing.T) {
	var w headWriter
	near, far := pair(t, "unix")
	_, err := io.WriteString(far, "ok")
	require.NoError(t, err)
	_, err = w.writeAndWait(near, []byte("GET /"), false)
	require.NoError(t, err)

	near, _ = pair(t, "unix")
	deadline := time.Now().Add(10 * time.Second)
	require.NoError(t, near.SetReadDeadline(deadline))
	n, err := w.write(near, []byte("POST /"), false)
	require.NoError(t, err)
	require.Equal(t, len("POST /"), n)
	require.True(t, time.Now().Before(deadline), "nothing was awaited")
}

func TestHeadIsNotWrittenToAnInterruptedConnection(t *testing.T) {
	near, far := pair(t, "unix")
	interrupt(near)
	n, err := (&headWriter{}).writeAndWait(near, []byte("GET /"), false)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, n)
	require.NoError(t, far.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err = far.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing was sent")
	near, _ = pair(t, "unix")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = (&headWriter{}).writeAndWait(near, []byte("GET /"), false)
	}()
	interrupt(near)
	<-done
}
