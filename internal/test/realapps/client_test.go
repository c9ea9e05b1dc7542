package realapps_test

import (
	"bufio"
	"bytes"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// client asks a server as a browser does, with cookies, and follows no redirects.
type client struct {
	*http.Client
	base string
	// evidence gets what was seen of the application.
	evidence *evidence
}

func (s *server) newClient(t testing.TB) *client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)

	return &client{base: s.url, evidence: s.evidence, Client: &http.Client{
		Transport: transport,
		Jar:       jar,
		Timeout:   deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body string
}

func (c *client) do(r *http.Request) (*reply, error) {
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}

	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)

	return &reply{Response: resp, body: string(body)}, err
}

// ask sends a request with headers as name, value.
func (c *client) ask(t testing.TB, method, target string, body io.Reader, header ...string) *reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.base+target, body)
	require.NoError(t, err)

	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}

	a, err := c.do(r)
	require.NoError(t, err)
	c.evidence.saw(method, target, a.StatusCode)

	return a
}

// get asks for a page, which must have a status and a part in it.
func (c *client) get(t testing.TB, target string, status int, part string) *reply {
	t.Helper()
	a := c.ask(t, http.MethodGet, target, nil)
	a.require(t, status, part)

	return a
}

// post sends a form, with names and values in turn.
func (c *client) post(t testing.TB, target string, fields ...string) *reply {
	t.Helper()

	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}

	return c.ask(t, http.MethodPost, target, strings.NewReader(form.Encode()),
		"Content-Type", "application/x-www-form-urlencoded", "Origin", c.base, "Referer", c.base+target)
}

// uploadSize is more than is kept in memory anywhere on the way.
const uploadSize = 1 << 20

// upload sends a file of uploadSize bytes as a field of a form, with others.
func (c *client) upload(t testing.TB, target, field, name string, fields ...string) *reply {
	t.Helper()
	var body bytes.Buffer

	form := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, form.WriteField(fields[i], fields[i+1]))
	}

	file, err := form.CreateFormFile(field, name)
	require.NoError(t, err)
	_, err = io.WriteString(file, strings.Repeat("x", uploadSize))
	require.NoError(t, err)
	require.NoError(t, form.Close())

	return c.ask(t, http.MethodPost, target, &body,
		"Content-Type", form.FormDataContentType(), "Origin", c.base, "Referer", c.base+target)
}

func (a *reply) require(t testing.TB, status int, part string) {
	t.Helper()
	require.Equal(t, status, a.StatusCode, "%s: %.1500s", a.Request.URL, a.body)
	require.Contains(t, a.body, part, "%s", a.Request.URL)
}

// requireRedirect checks where the response leads.
func (a *reply) requireRedirect(t testing.TB, status int, target string) {
	t.Helper()
	require.Equal(t, status, a.StatusCode, "%s: %.1500s", a.Request.URL, a.body)
	location, err := a.Location()
	require.NoError(t, err)
	require.Equal(t, target, location.RequestURI())
	require.Equal(t, a.Request.URL.Host, location.Host, "a redirect has to lead to where the client asked")
}

var (
	inputs     = regexp.MustCompile(`<input[^>]*>`)
	attributes = regexp.MustCompile(`([a-z]+)=["']([^"']*)["']`)
)

// field returns the value of a hidden field in the response's forms.
func (a *reply) field(t testing.TB, name string) string {
	t.Helper()

	for _, input := range inputs.FindAllString(a.body, -1) {
		values := map[string]string{}
		for _, attribute := range attributes.FindAllStringSubmatch(input, -1) {
			values[attribute[1]] = html.UnescapeString(attribute[2])
		}

		if values["name"] == name {
			return values["value"]
		}
	}

	require.FailNow(t, "no field "+name, a.body)

	return ""
}

// requireStatic checks that a file is served, by the server or the application, and not again to one that has it.
func (s *server) requireStatic(t testing.TB, target, contentType, part string) {
	t.Helper()
	a := s.get(t, target, http.StatusOK, part)
	require.Contains(t, a.Header.Get("Content-Type"), contentType)
	again := s.ask(t, http.MethodGet, target, nil, "If-None-Match", a.Header.Get("ETag"))
	again.require(t, http.StatusNotModified, "")
	s.add(gotFile)
}

// requireClientAddress checks that the page /address is the client's, which no client may
// choose.
func (s *server) requireClientAddress(t testing.TB) {
	t.Helper()
	a := s.ask(t, http.MethodGet, "/address", nil, "X-Forwarded-For", "203.0.113.9")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(t, "127.0.0.1", a.body)
}

// requireStream checks that a response comes to the client while it is made: a line of its
// first part has first in it, and the application makes the second when there is a
// file "second" in its directory.
func (s *server) requireStream(t testing.TB, target, first, second string) {
	t.Helper()
	path := filepath.Join(s.dir, "second")
	require.NoFileExists(t, path)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+target, nil)
	require.NoError(t, err)
	resp, err := s.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)

	body := bufio.NewReader(resp.Body)
	for line := ""; !strings.Contains(line, first); {
		line, err = body.ReadString('\n')
		require.NoError(t, err)
	}

	require.NoError(t, os.WriteFile(path, nil, 0o644))
	rest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Contains(t, string(rest), second)
	require.NoError(t, os.Remove(path))
	s.add(gotStream)
}
