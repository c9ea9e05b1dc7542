package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// DefaultMaxResponse is the default of Client.MaxResponse.
const DefaultMaxResponse = 64 << 20

// Client calls the API on a Unix socket. It keeps no connections, and is safe
// for concurrent use.
//
// A password is only sent to a process of root, of this program's user, or of
// the owner of the socket's directory, where the system tells who listens.
//
// Errors are [*UnauthorizedError], [*StatusError], [*UntrustedServerError], or
// those of the connection and the context.
type Client struct {
	// Socket is the path of the Unix socket.
	Socket string
	// Name and Password are an account's, or "api" and an application's API
	// key; without a Name, the server goes by the user of this program.
	Name, Password string
	// MaxResponse limits a response, in bytes; zero means DefaultMaxResponse.
	MaxResponse int64
}

// Response is a response of the server, whatever its status.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a call and returns the response, which is no error whatever its
// status. Path has a slash at its beginning, and may have a query. A body, which
// may be nil, is JSON.
func (c *Client) Do(ctx context.Context, method, path string, body []byte) (*Response, error) {
	target, err := url.ParseRequestURI(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is no path of the admin API: it has to begin with a slash", path)
	}

	target.Scheme, target.Host = "http", "passenger"
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot call the admin API: %w", err)
	}

	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}

	if c.Name != "" {
		req.SetBasicAuth(c.Name, c.Password)
	}

	resp, err := c.transport().RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("cannot call the admin API at %s: %w", c.Socket, err)
	}

	defer func() { _ = resp.Body.Close() }() // it is read or given up
	limit := c.MaxResponse
	if limit == 0 {
		limit = DefaultMaxResponse
	}

	// With one byte more, a response that is too long differs from one that just fits.
	content, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the response of the admin API at %s breaks off: %w", c.Socket, err)
	}

	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the response of the admin API at %s has more than %d bytes", c.Socket, limit)
	}

	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: content}, nil
}

func (c *Client) transport() http.RoundTripper {
	return &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
			if err != nil {
				return nil, err
			}

			// There is no password that another program could get.
			if c.Name == "" {
				return conn, nil
			}

			if err := checkServer(conn, c.Socket); err != nil {
				_ = conn.Close() // nothing was sent
				return nil, err
			}

			return conn, nil
		},
	}
}

// Call makes a call and returns the body of the response; another status than 2xx is an
// error.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	a, err := c.Do(ctx, method, path, body)
	if err != nil {
		return nil, err
	}

	switch {
	case a.Status == http.StatusUnauthorized:
		return nil, &UnauthorizedError{Socket: c.Socket, PoolEmpty: a.Header.Get("Pool-Empty") == "true"}
	case a.Status < 200 || a.Status > 299:
		return nil, newStatusError(method, path, a)
	}

	return a.Body, nil
}

// Get is Call with GET.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.Call(ctx, http.MethodGet, path, nil)
}

// Post sends a value as JSON; nil means no body.
func (c *Client) Post(ctx context.Context, path string, value any) ([]byte, error) {
	return c.send(ctx, http.MethodPost, path, value)
}

// Put sends a value as JSON; nil means no body.
func (c *Client) Put(ctx context.Context, path string, value any) ([]byte, error) {
	return c.send(ctx, http.MethodPut, path, value)
}

func (c *Client) send(ctx context.Context, method, path string, value any) ([]byte, error) {
	if value == nil {
		return c.Call(ctx, method, path, nil)
	}

	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("cannot send this to the admin API: %w", err)
	}

	return c.Call(ctx, method, path, body)
}

// Pool returns the pool as far as the caller may see it and the JSON form of a
// Snapshot holds it. One of Phusion's agents, which does not know that form, returns
// one whose Schema is 0.
func (c *Client) Pool(ctx context.Context) (*passenger.Snapshot, error) {
	body, err := c.Get(ctx, "/pool.json?form=snapshot")
	if err != nil {
		return nil, err
	}

	s := &passenger.Snapshot{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("the admin API at %s responds with something else than a pool: %w", c.Socket, err)
	}

	return s, nil
}

// RestartOptions say how Client.Restart restarts.
type RestartOptions struct {
	// Method is "blocking" or "rolling"; empty means what the application is
	// configured for.
	Method string
	// Wait lets it wait for the new processes, whose failure is an error then.
	Wait bool
}

// Figures returns those of all applications that the caller may see, with at most the newest points of each. One of
// Phusion's agents has none.
func (c *Client) Figures(ctx context.Context, points int) ([]status.Figures, error) {
	var response struct {
		Figures []status.Figures `json:"figures"`
	}
	err := c.getIfThere(ctx, fmt.Sprintf("/figures.json?points=%d", points), &response)

	return response.Figures, err
}

// Incidents returns those of all applications, the newest first. There are none for callers who may see only
// applications of their own, and from one of Phusion's agents.
func (c *Client) Incidents(ctx context.Context) ([]status.Incident, error) {
	var response struct {
		Incidents []status.Incident `json:"incidents"`
	}
	err := c.getIfThere(ctx, "/incidents.json", &response)

	return response.Incidents, err
}

// getIfThere is getJSON for what one of Phusion's agents does not have, or the caller may not see: then the value stays
// as it is.
func (c *Client) getIfThere(ctx context.Context, path string, value any) error {
	err := c.getJSON(ctx, path, value)
	if e, ok := errors.AsType[*StatusError](err); ok && e.Status == http.StatusNotFound {
		return nil
	}

	if _, ok := errors.AsType[*UnauthorizedError](err); ok {
		return nil
	}

	return err
}

// getJSON sets value to the response's.
func (c *Client) getJSON(ctx context.Context, path string, value any) error {
	body, err := c.Get(ctx, path)
	if err != nil {
		return err
	}

	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("the response of the admin API at %s is not what it should be: %w", c.Socket, err)
	}

	return nil
}

// Explain asks what would become of the next request to the applications of a name, and why: see
// [passenger.Pool.Explain].
func (c *Client) Explain(ctx context.Context, name string) ([]passenger.Explanation, error) {
	var response struct {
		Explanations []passenger.Explanation `json:"explanations"`
	}
	err := c.getJSON(ctx, "/pool/explain.json?app="+url.QueryEscape(name), &response)

	return response.Explanations, err
}

// Restart restarts the applications of this group name and reports whether there
// are any.
func (c *Client) Restart(ctx context.Context, name string, o RestartOptions) (bool, error) {
	order := map[string]any{"name": name}
	if o.Method != "" {
		order["restart_method"] = o.Method
	}

	if o.Wait {
		order["wait"] = true
	}

	return c.report(ctx, "/pool/restart_app_group.json", order, "restarted")
}

// DetachProcess takes a process out of the pool and reports whether there is one
// of that pid.
func (c *Client) DetachProcess(ctx context.Context, pid int) (bool, error) {
	return c.report(ctx, "/pool/detach_process.json", map[string]any{"pid": pid}, "detached")
}

func (c *Client) report(ctx context.Context, path string, order map[string]any, field string) (bool, error) {
	body, err := c.Post(ctx, path, order)
	if err != nil {
		return false, err
	}

	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		return false, fmt.Errorf("the admin API at %s responds with something else than JSON: %w", c.Socket, err)
	}

	done, ok := fields[field].(bool)
	if !ok {
		return false, errors.New("the admin API at " + c.Socket + " does not say whether it was " + field)
	}

	return done, nil
}
