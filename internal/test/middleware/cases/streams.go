package cases

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
)

// unsized hides the length of a body if chunked.
func unsized(body io.Reader, chunked bool) io.Reader {
	if chunked {
		return io.MultiReader(body)
	}

	return body
}

// events reads the first event before the second one is made.
func events(ctx context.Context, s *Site) error {
	t := s.transport()
	defer t.CloseIdleConnections()
	id := rand.Text()
	r, err := s.request(ctx, http.MethodGet, app.Events+"?id="+id, nil)
	if err != nil {
		return err
	}

	resp, err := t.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("no response before the last event: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("no response before the last event: status %d", resp.StatusCode)
	}

	lines := bufio.NewReader(resp.Body)
	if err := event(lines, "first"); err != nil {
		return err
	}

	if _, _, err := s.roundTrip(ctx, http.MethodGet, app.Release+"?id="+id, nil); err != nil {
		return fmt.Errorf("the release of the second event: %w", err)
	}

	if err := event(lines, "second"); err != nil {
		return err
	}

	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		return fmt.Errorf("behind the last event: %q, %w", rest, err)
	}

	return nil
}

func event(lines *bufio.Reader, data string) error {
	for _, expected := range []string{"data: " + data + "\n", "\n"} {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the %s event: %w", data, err)
		}

		if err := want("a line of the "+data+" event", line, expected); err != nil {
			return err
		}
	}

	return nil
}

func webSocket(ctx context.Context, s *Site) error {
	t := s.transport()
	defer t.CloseIdleConnections()
	conn, resp, err := websocket.Dial(ctx, s.URL+app.WebSocket, //nolint:bodyclose // Dial says that it need not be
		&websocket.DialOptions{
			HTTPClient: &http.Client{Transport: t},
		})
	if err != nil {
		if resp != nil {
			return fmt.Errorf("the response to the upgrade is %d", resp.StatusCode)
		}

		return err
	}

	defer func() { _ = conn.CloseNow() }()
	if gone := missing(resp.Header, s.Cookies); gone != "" {
		return fmt.Errorf("no cookie %s in the response to the upgrade", gone)
	}

	for _, message := range []string{"one", strings.Repeat("two", 10_000)} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			return err
		}

		_, got, err := conn.Read(ctx)
		if err != nil {
			return err
		}

		if err := want("the length of the echo", len(got), len(message)); err != nil {
			return err
		}
	}

	return conn.Close(websocket.StatusNormalClosure, "")
}

// cut reads a response that the application breaks off, and must not take it for a
// whole one.
func cut(ctx context.Context, s *Site) error {
	for _, query := range []string{"", "?length"} {
		for _, coding := range []string{"identity", "gzip"} {
			err := s.readCut(ctx, app.Cut+query, coding)
			if err != nil {
				return fmt.Errorf("%s%s, %s: %w", app.Cut, query, coding, err)
			}
		}
	}

	return nil
}

// readCut reads what has come, compressed as it is: an end in order of a stream that
// is compressed does not look better for a checksum that is missing.
func (s *Site) readCut(ctx context.Context, target, coding string) error {
	t := s.transport()
	defer t.CloseIdleConnections()
	r, err := s.request(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}

	r.Header.Set("Accept-Encoding", coding)

	resp, err := t.RoundTrip(r)
	if err != nil {
		return ctx.Err() // the client sees an error, which is not that it has waited for too long
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}

	if _, err := io.ReadAll(resp.Body); err != nil {
		return ctx.Err()
	}

	return errors.New("the response looks whole")
}
