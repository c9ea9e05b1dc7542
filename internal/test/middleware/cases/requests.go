package cases

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
)

// get sends a path and a query with escapes, which the application has to get as they are.
func get(ctx context.Context, s *Site) error {
	const target = app.Request + "/caf%C3%A9%2Fbar/a%20b?x=1&y=%2F&z"
	_, body, err := s.roundTrip(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}

	var got app.Received
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		return fmt.Errorf("the body %.100q: %w", body, err)
	}

	return errors.Join(want("the method", got.Method, http.MethodGet), want("the target", got.Target, target))
}

// cookies wants those of the application and of all that is around it.
func cookies(ctx context.Context, s *Site) error {
	header, _, err := s.roundTrip(ctx, http.MethodGet, app.Request+"/", nil)
	if err != nil {
		return err
	}

	if gone := missing(header, append([]string{app.Cookie}, s.Cookies...)); gone != "" {
		return fmt.Errorf("no cookie %s", gone)
	}

	return nil
}

// post sends a small body and a large one, each with and without a length.
func post(ctx context.Context, s *Site) error {
	for _, size := range []int{5, 1 << 20} {
		sent := bytes.Repeat([]byte("x1y2z"), size/5+1)[:size]

		sum := sha256.Sum256(sent)
		for _, chunked := range []bool{false, true} {
			_, got, err := s.roundTrip(ctx, http.MethodPost, app.Body, unsized(bytes.NewReader(sent), chunked))
			if err != nil {
				return fmt.Errorf("a body of %d bytes: %w", size, err)
			}

			if err := want("what has arrived", got, app.Sum(int64(size), sum[:])); err != nil {
				return err
			}
		}
	}

	return nil
}

// TooLong sends a body of this size, for which the middleware has no room, and wants 413.
func TooLong(ctx context.Context, s *Site, size int, chunked bool) error {
	body := unsized(bytes.NewReader(make([]byte, size)), chunked)
	_, _, err := s.roundTrip(ctx, http.MethodPost, app.Body, body)
	if err == nil || !strings.Contains(err.Error(), "status 413") {
		return fmt.Errorf("a body of %d bytes does not get 413: %w", size, err)
	}

	return nil
}
