package rawsock_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// pair returns both ends of a connection: near is one of this package, far of
// package net.
func pair(t testing.TB, network string) (near, far net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}

	plain, err := net.Listen(network, address)
	require.NoError(t, err)
	l := rawsock.Listener(plain)
	defer l.Close()
	far, err = net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	near, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })

	return near, far
}

func each(t *testing.T, test func(t *testing.T, near, far net.Conn)) {
	t.Helper()

	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			near, far := pair(t, network)
			test(t, near, far)
		})
	}
}

func TestBothDirectionsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		data := make([]byte, 3<<20) // more than the sockets hold
		_, _ = rand.Read(data)

		var sending, receiving sync.WaitGroup
		for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
			sending.Go(func() {
				// Small pieces, as heads are, and one large one.
				for rest := data[:1<<20]; len(rest) > 0; rest = rest[min(len(rest), 7000):] {
					n, err := ends[0].Write(rest[:min(len(rest), 7000)])
					if err != nil || n != min(len(rest), 7000) {
						t.Errorf("%d bytes were written: %v", n, err)
						return
					}
				}

				n, err := ends[0].Write(data[1<<20:])
				if err != nil || n != 2<<20 {
					t.Errorf("%d bytes were written: %v", n, err)
				}

				if half, ok := ends[0].(interface{ CloseWrite() error }); ok {
					_ = half.CloseWrite()
				}
			})
			receiving.Go(func() {
				got, err := io.ReadAll(ends[1])
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes were read, not those that were sent: %v", len(got), err)
				}
			})
		}

		sending.Wait()
		receiving.Wait()
	})
}

func TestNothingToReadOrWrite(t *testing.T) {
	each(t, func(t *testing.T, near, _ net.Conn) {
		n, err := near.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = near.Write(nil)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestDeadlines(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		reading := make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			reading <- err
		}()
		require.NoError(t, near.SetReadDeadline(time.Unix(1, 0)))
		require.ErrorIs(t, <-reading, os.ErrDeadlineExceeded)

		require.NoError(t, near.SetReadDeadline(time.Time{}))
		_, err := far.Write([]byte("x"))
		require.NoError(t, err)
		n, err := near.Read(make([]byte, 8))
		require.NoError(t, err)
		require.Equal(t, 1, n)

		require.NoError(t, near.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))

		for err = nil; err == nil; { // until the socket is full
			_, err = near.Write(make([]byte, 10_000))
		}

		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// A write that is cut short says how much of it was sent.
func TestWriteThatIsCutShort(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		received := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, far)
			received <- n
		}()
		var sent int64
		require.NoError(t, near.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))

		for {
			n, err := near.Write(make([]byte, 10_000))
			sent += int64(n)
			if err != nil {
				break
			}
		}

		half, ok := near.(interface{ CloseWrite() error })
		require.True(t, ok)
		require.NoError(t, half.CloseWrite())
		require.Equal(t, sent, <-received)
	})
}

// What a peer does not read is not kept after the end, and what it reads is not lost.
func TestOnlyAPeerThatDoesNotReadIsReset(t *testing.T) {
	writes := map[string]func(near net.Conn, b []byte) error{
		"write": func(near net.Conn, b []byte) error { _, err := near.Write(b); return err },
		"file": func(near net.Conn, b []byte) error {
			_, err := io.Copy(near, io.LimitReader(bytes.NewReader(b), int64(len(b)))) // by ReadFrom
			return err
		},
	}
	for name, write := range writes {
		for _, size := range []int{rawsock.MaxSend, 1 << 20} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				stalled, far := pair(t, "tcp")

				// Where other programs run, the time may be over before the socket is full.
				var err error
				for err == nil {
					require.NoError(t, stalled.SetWriteDeadline(time.Now().Add(time.Second/10)))

					for err == nil {
						err = write(stalled, make([]byte, size))
					}

					require.ErrorIs(t, err, os.ErrDeadlineExceeded)

					// TLS writes an alert before it closes, with a time limit of its own.
					require.NoError(t, stalled.SetWriteDeadline(time.Time{}))
					err = write(stalled, []byte("alert"))
				}

				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.NoError(t, stalled.Close())
				_, err = io.Copy(io.Discard, far)
				require.ErrorIs(t, err, syscall.ECONNRESET)

				near, far := pair(t, "tcp")
				require.NoError(t, write(near, []byte("hello")))
				require.NoError(t, near.SetWriteDeadline(time.Unix(1, 0)))
				require.ErrorIs(t, write(near, make([]byte, size)), os.ErrDeadlineExceeded)
				require.NoError(t, near.Close())
				got, err := io.ReadAll(far)
				require.NoError(t, err)
				require.Equal(t, "hello", string(got))
			})
		}
	}
}

func TestThePeerLeaves(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		require.NoError(t, far.Close())
		_, err := near.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)

		for err = nil; err == nil; {
			_, err = near.Write([]byte("x"))
		}

		require.True(t, errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET), "%v", err)
		var op *net.OpError
		require.ErrorAs(t, err, &op)
	})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, near, _ net.Conn) {
		reading := make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			reading <- err
		}()
		require.NoError(t, near.Close())
		require.ErrorIs(t, <-reading, net.ErrClosed)
		_, err := near.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// What of package net's connections is more than a net.Conn is there as well.
func TestAbilities(t *testing.T) {
	each(t, func(t *testing.T, near, _ net.Conn) {
		require.Implements(t, (*syscall.Conn)(nil), near)
		require.Implements(t, (*interface{ CloseWrite() error })(nil), near)
		if near.LocalAddr().Network() == "tcp" {
			require.Implements(t, (*io.ReaderFrom)(nil), near)
		}
	})
}

func TestOtherConnections(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	require.Same(t, a, rawsock.Conn(a))
}

func TestListenerThatIsClosed(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := rawsock.Listener(plain)
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// BenchmarkEcho is a conversation of small messages, beside package net's.
func BenchmarkEcho(b *testing.B) {
	for _, kind := range []string{"net", "rawsock"} {
		b.Run(kind, func(b *testing.B) {
			near, far := pair(b, "tcp")
			if kind == "net" {
				near, far = far, near
			}

			done := make(chan struct{})
			go func() {
				defer close(done)

				buf := make([]byte, 512)
				for {
					n, err := far.Read(buf)
					if err != nil {
						return
					}

					if _, err := far.Write(buf[:n]); err != nil {
						return
					}
				}
			}()

			buf := make([]byte, 512)
			for b.Loop() {
				if _, err := near.Write(buf[:100]); err != nil {
					b.Fatal(err)
				}

				if _, err := io.ReadFull(near, buf[:100]); err != nil {
					b.Fatal(err)
				}
			}

			_ = near.Close()
			<-done
		})
	}
}
