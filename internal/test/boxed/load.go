package boxed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/gopassenger/passenger/internal/test/awaited"
)

// Load is clients that ask until they are stopped.
type Load struct {
	Served, Lost atomic.Int64
	loss         atomic.Pointer[error] // of the first request that was lost
	stop         context.CancelFunc
	asking       sync.WaitGroup
	refused      atomic.Pointer[error]
	// asked counts what each client has asked, with any outcome.
	asked []atomic.Int64
}

// NewLoad starts a client for each function, which asks once, on connections of its own. No connection may be refused.
func NewLoad(ctx context.Context, t TB, clients []func(context.Context) error) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{stop: cancel, asked: make([]atomic.Int64, len(clients))}
	t.Cleanup(func() {
		l.Stop()
		if refused := l.refused.Load(); refused != nil {
			t.Fatal(fmt.Sprintf("a client was refused: %v", *refused))
		}
	})

	for i, ask := range clients {
		l.asking.Go(func() {
			for ctx.Err() == nil {
				err := ask(ctx)
				l.asked[i].Add(1)

				switch {
				case err == nil:
					l.Served.Add(1)
				case ctx.Err() != nil:
				// The file of a Unix socket may be missing.
				case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist):
					l.refused.CompareAndSwap(nil, &err)
				default:
					l.loss.CompareAndSwap(nil, &err)
					l.Lost.Add(1)
				}
			}
		})
	}

	return l
}

// Stop ends the clients. Requests in flight do not count.
func (l *Load) Stop() {
	l.stop()
	l.asking.Wait()
}

// Settle waits until no client is in the middle of what it asked for before.
func (l *Load) Settle(t TB) {
	t.Helper()

	before := make([]int64, len(l.asked))
	for i := range l.asked {
		before[i] = l.asked[i].Load()
	}

	must(t, awaited.Within(Deadline, func() error {
		for i := range l.asked {
			if l.asked[i].Load() == before[i] {
				return fmt.Errorf("client %d still asks; lost: %w", i, l.FirstLoss())
			}
		}

		return nil
	}))
}

// Progress waits until more requests have been served.
func (l *Load) Progress(t TB, more int) {
	t.Helper()
	l.Await(t, more, func() error { return nil })
}

// Await waits until more requests have been served and check returns nil.
func (l *Load) Await(t TB, more int, check func() error) {
	t.Helper()
	before := l.Served.Load()
	must(t, awaited.Within(Deadline, func() error {
		if served := l.Served.Load() - before; served < int64(more) {
			return fmt.Errorf("%d requests were served, not %d; lost: %w", served, more, l.FirstLoss())
		}

		return check()
	}))
}

// RequireNoneLost stops the clients, too.
func (l *Load) RequireNoneLost(t TB) {
	t.Helper()
	l.Stop()
	if n := l.Lost.Load(); n > 0 {
		t.Fatal(fmt.Sprintf("%d requests were lost: %v", n, l.FirstLoss()))
	}
}

// FirstLoss is the error of the first request that was lost.
func (l *Load) FirstLoss() error {
	if loss := l.loss.Load(); loss != nil {
		return *loss
	}

	return errors.New("none")
}
