package middleware_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
)

const wiki = `import json
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "app=1")])
    return [json.dumps({"path": environ["PATH_INFO"], "traceparent": environ.get("HTTP_TRACEPARENT")}).encode()]
`

// program is the Go program of the journey while it runs.
type program struct {
	cmd *exec.Cmd
	url string
	mu  sync.Mutex
	log strings.Builder
	eof chan struct{}
}

func (p *program) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// runJourney builds the program and its first application, and starts it.
func runJourney(t *testing.T) (p *program, wikiFile string) {
	t.Helper()

	// Processes run as the user nobody where the test is root, and cannot enter t.TempDir.
	dir, err := os.MkdirTemp("", "journey") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))

	for _, sub := range []string{"shop", "wiki"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}

	for program, source := range map[string]string{"journey": "./journey", "shop/shop": "./testdata/application"} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, program),
			source).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}

	wikiFile = filepath.Join(dir, "wiki", "passenger_wsgi.py")
	require.NoError(t, os.WriteFile(wikiFile, []byte("import no_such_module\n"), 0o644))

	p = &program{eof: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(dir, "journey"), "127.0.0.1:0",
		filepath.Join(dir, "shop"), filepath.Join(dir, "wiki"))
	p.cmd.Env = append(os.Environ(), "OF_JOURNEY=yes")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.read(t, stderr)

	return p, wikiFile
}

// read keeps the log, and returns when it has the address.
func (p *program) read(t *testing.T, stderr io.Reader) {
	t.Helper()
	address := make(chan string, 1)
	go func() {
		defer close(p.eof)
		serving := regexp.MustCompile(`serving address=(\S+)`)

		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()

	select {
	case a := <-address:
		p.url = "http://" + a
	case <-p.eof:
		require.Fail(t, "the program has ended", p.logged())
	}
}

func TestJourneyOfAGoProgram(t *testing.T) {
	interpreters.Find(t, "python", "python3")
	leakgate.Check(t, leakgate.Marker("OF_JOURNEY=yes"))
	p, wikiFile := runJourney(t)
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = p.cmd.Process.Kill()
			<-p.eof
			_ = p.cmd.Wait()
		}
	})

	// An application that does not start is in the program's own log, which no request has asked for.
	status, _, _ := p.get(t, "/wiki/Home", "")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Contains(t, p.logged(), "no_such_module")
	require.NoError(t, os.WriteFile(wikiFile, []byte(wiki), 0o644))

	// Spans join, and each side has its cookie.
	const trace = "0af7651916cd43dd8448eb211c80319c"
	status, body, cookies := p.get(t, "/wiki/Home", trace)
	require.Equal(t, http.StatusOK, status, p.logged())
	require.Equal(t, []string{"visit", "app"}, cookies)
	var page struct{ Path, Traceparent string }
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	require.Equal(t, "/Home", page.Path)
	requireChild(t, trace, page.Traceparent)
	status, body, cookies = p.get(t, "/shop"+app.Request+"/", trace)
	require.Equal(t, http.StatusOK, status, p.logged())
	require.Equal(t, []string{"visit", app.Cookie}, cookies)
	var got app.Received
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	requireChild(t, trace, got.Header.Get("Traceparent"))

	p.stopUnderLoad(t)
	stopped = true
}

// requireChild wants a span of this trace that is not the client's own.
func requireChild(t *testing.T, trace, traceparent string) {
	t.Helper()
	require.Regexp(t, "^00-"+trace+"-[0-9a-f]{16}-01$", traceparent)
	require.NotContains(t, traceparent, clientSpan)
}

const clientSpan = "b7ad6b7169203331"

func (p *program) get(t *testing.T, target, trace string) (status int, body string, cookies []string) {
	t.Helper()
	r, err := http.NewRequestWithContext(bounded(t), http.MethodGet, p.url+target, http.NoBody)
	require.NoError(t, err)
	if trace != "" {
		r.Header.Set("Traceparent", "00-"+trace+"-"+clientSpan+"-01")
	}

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	for _, c := range resp.Cookies() {
		cookies = append(cookies, c.Name)
	}

	return resp.StatusCode, string(b), cookies
}

// stopUnderLoad ends the program while it has uploads, which must get responses, and
// others that come all the time: a response that begins is sent as a whole.
func (p *program) stopUnderLoad(t *testing.T) {
	t.Helper()

	uploads := make([]*upload, 8)
	for i := range uploads {
		uploads[i] = p.upload(t)
	}

	for _, u := range uploads {
		u.waitBegun(t)
	}

	refused := p.pages(t)

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))

	select {
	case err := <-refused: // it takes no more requests
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "it takes requests still")
	}

	for _, u := range uploads {
		u.end(t)
	}

	<-p.eof
	require.NoError(t, p.cmd.Wait(), p.logged())
}

// pages asks for pages until there is no response. The result is nil then, and an error
// for one that was cut or wrong.
func (p *program) pages(t *testing.T) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	ctx := bounded(t)
	go func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()

		for {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/shop"+app.Request+"/", http.NoBody)
			if err != nil {
				result <- err
				return
			}

			resp, err := transport.RoundTrip(r)
			if err != nil {
				result <- ctx.Err() // refused
				return
			}

			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
			if err != nil || resp.StatusCode != http.StatusOK {
				result <- fmt.Errorf("status %d, %w", resp.StatusCode, err)
				return
			}
		}
	}()

	return result
}

// upload is a request whose body ends when the test says so.
type upload struct {
	body    *io.PipeWriter
	begun   chan struct{}
	replied chan error
}

// upload begins one. The server says 100 Continue when the handler reads the body.
func (p *program) upload(t *testing.T) *upload {
	t.Helper()
	reader, writer := io.Pipe()
	u := &upload{body: writer, begun: make(chan struct{}), replied: make(chan error, 1)}
	ctx := httptrace.WithClientTrace(bounded(t), &httptrace.ClientTrace{Got100Continue: func() { close(u.begun) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/shop"+app.Body, reader)
	require.NoError(t, err)
	r.Header.Set("Expect", "100-continue")
	go func() { u.replied <- fetch(r) }()

	return u
}

const uploaded = "the end of the body"

func fetch(r *http.Request) error {
	transport := &http.Transport{ExpectContinueTimeout: patience}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}

	sum := sha256.Sum256([]byte(uploaded))
	if want := app.Sum(int64(len(uploaded)), sum[:]); string(got) != want {
		return fmt.Errorf("status %d: %s, not %s", resp.StatusCode, got, want)
	}

	return nil
}

func (u *upload) waitBegun(t *testing.T) {
	t.Helper()

	select {
	case <-u.begun:
	case err := <-u.replied:
		require.Fail(t, "it got a response before its body", "%v", err)
	}
}

func (u *upload) end(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(u.body, uploaded)
	require.NoError(t, err)
	require.NoError(t, u.body.Close())
	require.NoError(t, <-u.replied)
}
