package e2e_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// balancer plays a Service: it passes each connection on to one of the addresses that
// are ready, in turn.
type balancer struct {
	net.Listener
	conns sync.WaitGroup

	mu    sync.Mutex
	ready []string
	next  int
	// taken are all that ever got a connection.
	taken map[string]bool
}

func newBalancer(t testing.TB) *balancer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{Listener: l, taken: map[string]bool{}}
	b.conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}

			b.conns.Go(func() { b.pass(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.conns.Wait()
	})

	return b
}

// set makes an address ready or not.
func (b *balancer) set(address string, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = slices.DeleteFunc(b.ready, func(a string) bool { return a == address })
	if ready {
		b.ready = append(b.ready, address)
	}
}

func (b *balancer) has(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.ready, address)
}

func (b *balancer) hasTaken(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken[address]
}

func (b *balancer) choose() (address string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return "", false
	}

	b.next++
	address = b.ready[b.next%len(b.ready)]
	b.taken[address] = true

	return address, true
}

func (b *balancer) pass(client net.Conn) {
	defer client.Close()
	address, ok := b.choose()
	if !ok {
		return
	}

	conn, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()

	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, conn}, {conn, client}} {
		copying.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite() //nolint:forcetypeassert,errcheck // it may be closed
		})
	}

	copying.Wait()
}

// front is what clients see of the balancer.
func (b *balancer) front() *server { return &server{url: "http://" + b.Addr().String()} }

// release is that of the pod which responds.
func (c *client) release(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/release", nil)
	if err != nil {
		return "", err
	}

	a, err := c.do(r)
	if err != nil {
		return "", err
	}

	return a.body, nil
}
