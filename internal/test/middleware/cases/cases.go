// Package cases has what each middleware is tried with: requests of a real client, of
// which each says what of them did not work.
package cases

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Site is a server to try.
type Site struct {
	// URL is where the application's root is.
	URL string
	// Cookies are the names of those that are set on the way.
	Cookies []string
	// HTTP2 has the client speak HTTP/2 without TLS.
	HTTP2 bool
}

// Case is one thing to try.
type Case struct {
	// Name is the heading of its column.
	Name string
	// Play returns why the case does not work.
	Play func(ctx context.Context, s *Site) error
	// HTTP1 reports whether HTTP/2 does not have it in this form.
	HTTP1 bool
}

// All returns the cases, in the order of the table's columns.
func All() []Case {
	return []Case{
		{Name: "GET", Play: get},
		{Name: "cookies", Play: cookies},
		{Name: "POST", Play: post},
		{Name: "SSE", Play: events},
		{Name: "WebSocket", Play: webSocket, HTTP1: true},
		{Name: "hints", Play: hints},
		{Name: "cut", Play: cut},
	}
}

// transport returns one for a case, which closes its connections at the end.
func (s *Site) transport() *http.Transport {
	t := &http.Transport{}
	if s.HTTP2 {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}

	return t
}

func (s *Site) request(ctx context.Context, method, target string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL, body)
	if err != nil {
		return nil, err
	}

	// As it is, with the escapes that the case has chosen.
	u, err := url.Parse(s.URL + target)
	if err != nil {
		return nil, err
	}

	r.URL = u

	return r, nil
}

// roundTrip returns the header and the body of a response of status 200.
func (s *Site) roundTrip(ctx context.Context, method, target string, body io.Reader) (http.Header, string, error) {
	t := s.transport()
	defer t.CloseIdleConnections()
	r, err := s.request(ctx, method, target, body)
	if err != nil {
		return nil, "", err
	}

	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()

	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, "", fmt.Errorf("the body of the response: %w", err)
	}

	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("status %d: %.100s", resp.StatusCode, got)
	}

	return resp.Header, string(got), nil
}

// want returns an error if the two differ.
func want[T comparable](what string, got, expected T) error {
	if got != expected {
		return fmt.Errorf("%s is %v, not %v", what, got, expected)
	}

	return nil
}

// missing returns the names that no cookie of a response has.
func missing(header http.Header, names []string) string {
	cookies := (&http.Response{Header: header}).Cookies()

	var gone []string
	for _, name := range names {
		if !slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == name }) {
			gone = append(gone, name)
		}
	}

	return strings.Join(gone, ", ")
}
