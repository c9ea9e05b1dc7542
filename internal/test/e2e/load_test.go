package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// load is clients that ask until they are stopped.
type load struct {
	served, lost atomic.Int64
	loss         atomic.Pointer[error] // of the first request that was lost
	cancel       context.CancelFunc
	asking       sync.WaitGroup
}

// load starts clients, of which each has connections of its own and one request
// under way. None of them may be refused.
func (s *server) load(t testing.TB, clients int, ask func(ctx context.Context, c *client) error) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	t.Cleanup(l.stop)

	for range clients {
		c := s.client(t)
		l.asking.Go(func() {
			for ctx.Err() == nil {
				err := ask(ctx, c)
				switch {
				case err == nil:
					l.served.Add(1)
				case ctx.Err() != nil:
				case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
					t.Errorf("a client was refused: %v", err)
				default:
					l.loss.CompareAndSwap(nil, &err)
					l.lost.Add(1)
				}
			}
		})
	}

	return l
}

// stop ends the clients. What is under way is not counted.
func (l *load) stop() {
	l.cancel()
	l.asking.Wait()
}

// progress waits until more requests have been served.
func (l *load) progress(t testing.TB, more int) {
	t.Helper()
	l.await(t, more, func() error { return nil })
}

// killCore kills the server's core, and waits until there is another one and more
// requests have been served.
func (l *load) killCore(t testing.TB, s *server, more int) {
	t.Helper()
	core := s.core(t)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	l.await(t, more, func() error {
		if s.core(t) == core {
			return errors.New("the core has not been replaced")
		}

		return nil
	})
}

func (l *load) await(t testing.TB, more int, check func() error) {
	t.Helper()
	before := l.served.Load()
	eventuallyWithin(t, deadline, func() error {
		if served := l.served.Load() - before; served < int64(more) {
			return fmt.Errorf("%d requests were served, not %d; lost: %w", served, more, l.firstLoss())
		}

		return check()
	})
}

// requireNoneLost stops the clients, too.
func (l *load) requireNoneLost(t testing.TB) {
	t.Helper()
	l.stop()
	require.Zero(t, l.lost.Load(), "%v", l.firstLoss())
}

func (l *load) firstLoss() error {
	if loss := l.loss.Load(); loss != nil {
		return *loss
	}

	return errors.New("none")
}

// askOnce asks the application, over a connection that may have been used.
func askOnce(ctx context.Context, c *client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/", nil)
	if err != nil {
		return err
	}

	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s", resp.Status)
	}

	return nil
}
