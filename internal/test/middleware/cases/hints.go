package cases

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
)

// hints asks for a page that is not found and has early hints before: middleware may
// leave them out, but must not take their status for that of the response.
func hints(ctx context.Context, s *Site) error {
	t := s.transport()
	defer t.CloseIdleConnections()
	r, err := s.request(ctx, http.MethodGet, app.Hints, nil)
	if err != nil {
		return err
	}

	resp, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("the body of the response: %w", err)
	}

	if err := want("the status", resp.StatusCode, http.StatusNotFound); err != nil {
		return err
	}

	if err := want("the body", string(got), app.Missing); err != nil {
		return err
	}

	return want("a hint behind the hints", resp.Header.Get("Link"), "")
}
