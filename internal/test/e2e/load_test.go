package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// load is clients that ask until they are stopped.
type load struct{ *boxed.Load }

// load starts clients, of which each has connections of its own and one request
// under way. None of them may be refused.
func (s *server) load(t testing.TB, clients int, ask func(ctx context.Context, c *client) error) *load {
	t.Helper()

	asking := make([]func(context.Context) error, clients)
	for i := range asking {
		c := s.client(t)
		asking[i] = func(ctx context.Context) error { return ask(ctx, c) }
	}

	return &load{boxed.NewLoad(t.Context(), t, asking)}
}

// killCore kills the server's core, and waits until there is another one and more
// requests have been served.
func (l *load) killCore(t testing.TB, s *server, more int) {
	t.Helper()
	core := s.core(t)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	l.Await(t, more, func() error {
		if s.core(t) == core {
			return errors.New("the core has not been replaced")
		}

		return nil
	})
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
		return fmt.Errorf("the response is %s", resp.Status)
	}

	return nil
}
