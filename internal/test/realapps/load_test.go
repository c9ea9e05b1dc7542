package realapps_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

const loadClients = 3

// load starts clients that ask for a page until they are stopped, each with connections of its own. A response must
// have status 200 and a part of the page in it.
func (s *server) load(t testing.TB, page, part string) *boxed.Load {
	t.Helper()

	asking := make([]func(context.Context) error, loadClients)
	for i := range asking {
		c := s.newClient(t)
		asking[i] = func(ctx context.Context) error { return c.check(ctx, page, part) }
	}

	return boxed.NewLoad(t.Context(), t, asking)
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
		return fmt.Errorf("%s: the response is %s: %.500s", page, a.Status, a.body)
	case !strings.Contains(a.body, part):
		return fmt.Errorf("%s: %q is not in %.500s", page, part, a.body)
	}

	return nil
}
