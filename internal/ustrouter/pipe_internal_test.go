package ustrouter

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
)

// pipes is a listener whose connections are made in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var errNoListener = errors.New("no router listens")

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errNoListener
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// memory is a sink that keeps everything.
type memory struct {
	mu  sync.Mutex
	all []Transaction
	// gate holds Write up until it is closed, if it is there.
	gate chan struct{}
}

func (m *memory) Write(t *Transaction) {
	if m.gate != nil {
		<-m.gate
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, *t)
}

func (*memory) Close(context.Context) error { return nil }

func (m *memory) Stats() SinkStats { return SinkStats{Written: uint64(len(m.kept()))} }

func (m *memory) kept() []Transaction {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Transaction(nil), m.all...)
}

// dropped adds up what records say.
func dropped(all []Transaction) (sum, others uint64) {
	for _, t := range all {
		if t.Kind == KindDropped {
			sum += t.Dropped
		} else {
			others++
		}
	}

	return sum, others
}

// running is a router over pipes.
type running struct {
	*Router
	pipes *pipes
	stop  context.CancelFunc
	done  chan error
}

func startRouter(t *testing.T, c Config, sink Sink, log logr.Logger) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{
		Router: NewRouter(c, sink, log),
		pipes:  newPipes(),
		stop:   stop,
		done:   make(chan error, 1),
	}
	r.trust = func(net.Conn) error { return nil }
	go func() { r.done <- r.Serve(ctx, r.pipes) }()

	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	require.NoError(t, <-r.done)
}

// switchboard lets the router be another one, or none.
type switchboard struct {
	mu sync.Mutex
	to dialFunc
}

func (s *switchboard) connect(to dialFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
}

func (s *switchboard) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	if to == nil {
		return nil, errNoListener
	}

	return to(ctx)
}

// elapse lets virtual time go by.
func elapse(d time.Duration) { <-time.After(d) }
