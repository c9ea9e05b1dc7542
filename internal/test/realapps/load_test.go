package realapps_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
)

// load is clients that ask for a page until they are stopped.
type load struct {
	served, lost atomic.Int64
	loss         atomic.Pointer[error] // of the first request that was lost
	cancel       context.CancelFunc
	asking       sync.WaitGroup
}

const loadClients = 3

// load starts clients, each with connections of its own. A response must have
// status 200 and a part of the page in it.
func (s *server) load(t testing.TB, page, part string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	t.Cleanup(l.stop)

	for range loadClients {
		c := s.newClient(t)
		l.asking.Go(func() {
			for ctx.Err() == nil {
				err := c.check(ctx, page, part)
				switch {
				case err == nil:
					l.served.Add(1)
				case ctx.Err() == nil:
					l.loss.CompareAndSwap(nil, &err)
					l.lost.Add(1)
				}
			}
		})
	}

	return l
}

func (c *client) check(ctx context.Context, page, part string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+page, nil)
	if err != nil {
		return err
	}

	a, err := c.do(r)
	switch {
	case err != nil:
		return err
	case a.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: answered with %s: %.500s", page, a.Status, a.body)
	case !strings.Contains(a.body, part):
		return fmt.Errorf("%s: %q is not in %.500s", page, part, a.body)
	}

	return nil
}

// stop ends the clients. What is under way is not counted.
func (l *load) stop() {
	l.cancel()
	l.asking.Wait()
}

// progress waits until more requests have been served.
func (l *load) progress(t testing.TB, more int64) {
	t.Helper()
	wanted := l.served.Load() + more
	require.NoError(t, awaited.Within(deadline, func() error {
		if served := l.served.Load(); served < wanted {
			return errors.Join(fmt.Errorf("%d requests were served, not %d", served, wanted), l.firstLoss())
		}

		return nil
	}))
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

	return nil
}
