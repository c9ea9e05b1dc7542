package loaders_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
)

const examples = "../examples/apps"

// requireModules ends the test if an example's packages are not installed.
func requireModules(t *testing.T, app string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(examples, app, "node_modules")); err != nil {
		interpreters.Missing(t, "node", "the packages of examples/apps/"+app+
			" are missing: run scripts/install-test-deps.sh")
	}
}

func exampleSpec(t *testing.T, app string) *spec {
	t.Helper()

	file := func(name string) string { return absolute(t, examples, app, name) }
	switch app {
	case "flask", "django":
		return wsgiSpec(t, python(t, app), file("passenger_wsgi.py"), keepAlive)
	case "sinatra":
		s := rackSpec(t, file("config.ru"), keepAlive)
		if exec.CommandContext(t.Context(), s.argv[0], "-e", "require 'sinatra/base'").Run() != nil {
			interpreters.Missing(t, "ruby", "Sinatra is missing: run scripts/install-test-deps.sh")
		}

		s.argv = append(s.argv[:1], s.argv[2:]...) // without -w: Sinatra has warnings
		s.env = append(s.env, "RACK_ENV=production")

		return s
	case "go":
		binary := filepath.Join(t.TempDir(), "app")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary,
			absolute(t, examples, app)).CombinedOutput()
		require.NoError(t, err, string(out))

		return &spec{argv: []string{binary}}
	default:
		if app != "sse" {
			requireModules(t, app)
		}

		s := nodeSpec(t, file("app.js"))
		s.env = append(s.env, "NODE_ENV=production")

		return s
	}
}

// do sends a request to the process by the protocol it speaks.
func (p *process) do(t *testing.T, method, uri, contentType, cookie, body string) reply {
	t.Helper()
	s := p.session(t)
	defer s.Close()
	if p.address(t).Protocol == loaderproto.Session {
		length := ""
		if body != "" {
			length = strconv.Itoa(len(body))
		}

		v := vars{"CONTENT_TYPE": contentType, "HTTP_COOKIE": cookie, "CONTENT_LENGTH": length}
		s.write(t, header(t, method, uri, v))
	} else {
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: example.com\r\n", method, uri)
		for name, value := range map[string]string{
			"Content-Type": contentType, "Cookie": cookie, "Content-Length": strconv.Itoa(len(body)),
		} {
			if value != "" {
				head += name + ": " + value + "\r\n"
			}
		}

		s.write(t, []byte(head+"\r\n"))
	}

	// The application may respond while the body is still on its way.
	go func() { _, _ = io.WriteString(s, body) }()

	return s.read(t, method)
}

func TestExamples(t *testing.T) {
	t.Parallel()

	for _, app := range []string{"flask", "django", "sinatra", "express", "go"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			requireExample(t, exampleSpec(t, app))
		})
	}
}

func requireExample(t *testing.T, s *spec) {
	t.Helper()
	p := start(t, s)
	get := func(uri string) reply { return p.do(t, http.MethodGet, uri, "", "", "") }

	r := get("/")
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, r.Header.Get("Content-Type"), "text/html")
	require.Contains(t, r.body, "<h1>Hello from ")
	head := p.do(t, http.MethodHead, "/", "", "", "")
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Empty(t, head.body)

	form := url.Values{"name": {"Ada & Grace"}, "city": {"Zürich"}}
	r = p.do(t, http.MethodPost, "/form", "application/x-www-form-urlencoded", "", form.Encode())
	require.JSONEq(t, `{"name": "Ada & Grace", "city": "Zürich"}`, r.body)

	contentType, upload, sum := multipartFile(t, 3<<20)
	r = p.do(t, http.MethodPost, "/upload", contentType, "", upload)
	require.JSONEq(t, fmt.Sprintf(`{"size": %d, "sha256": %q}`, 3<<20, sum), r.body)

	for _, size := range []int{0, 5, 100_000} {
		require.Equal(t, strings.Repeat("x", size), get(fmt.Sprintf("/download?bytes=%d", size)).body)
	}

	requireConstantMemory(t, p)

	large := strings.Repeat("0123456789", 100_000)
	r = p.do(t, http.MethodPost, "/chunked", "application/octet-stream", "", large)
	require.Equal(t, large, r.body)
	require.Equal(t, []string{"chunked"}, r.TransferEncoding)

	r = get("/cookies")
	require.JSONEq(t, `{"visits": 1}`, r.body)
	require.Equal(t, "visits", r.Cookies()[0].Name)
	r = p.do(t, http.MethodGet, "/cookies", "", "visits=1", "")
	require.JSONEq(t, `{"visits": 2}`, r.body)
	require.Equal(t, "2", r.Cookies()[0].Value)

	r = get("/redirect")
	require.Contains(t, []int{http.StatusFound, http.StatusSeeOther}, r.StatusCode)
	require.Regexp(t, `^(http://example\.com(:80)?)?/$`, r.Header.Get("Location"))
	require.Equal(t, http.StatusNotFound, get("/no/such/page").StatusCode)
	require.Equal(t, http.StatusNotFound, get("/crash").StatusCode)
	require.Equal(t, strconv.Itoa(p.cmd.Process.Pid), get("/pid").body)
	p.requireCleanStop(t)
	requireCrash(t, s)
}

// requireCrash checks that an example kills itself where that is asked for.
func requireCrash(t *testing.T, s *spec) {
	t.Helper()
	s.env = append(s.env, "CRASH=1")
	s.request.SocketDir = ""
	p := start(t, s)
	c := p.session(t)
	if p.address(t).Protocol == loaderproto.Session {
		c.write(t, header(t, "GET", "/crash", nil))
	} else {
		c.write(t, []byte("GET /crash HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	}

	require.Equal(t, -1, p.exitCode(t))
	require.Equal(t, "signal: killed", p.cmd.ProcessState.String())
}

func multipartFile(t *testing.T, size int) (contentType, body, sum string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.WriteField("other", "field"))
	file, err := w.CreateFormFile("file", "upload.bin")
	require.NoError(t, err)
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	_, err = file.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	digest := sha256.Sum256(content)

	return w.FormDataContentType(), b.String(), hex.EncodeToString(digest[:])
}

// requireConstantMemory downloads 100 MB and looks at the peak of the
// process's memory.
func requireConstantMemory(t *testing.T, p *process) {
	t.Helper()
	const size = 100_000_000
	before, ok := peakMemory(p)
	s := p.session(t)
	uri := fmt.Sprintf("/download?bytes=%d", size)
	if p.address(t).Protocol == loaderproto.Session {
		s.write(t, header(t, "GET", uri, nil))
	} else {
		s.write(t, []byte("GET "+uri+" HTTP/1.1\r\nHost: example.com\r\n\r\n"))
	}

	res, err := http.ReadResponse(s.br, nil)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.NoError(t, s.Close())
	if after, _ := peakMemory(p); ok {
		require.Less(t, after-before, size/2, "bytes of memory more for a download of %d", size)
	}
}

var highWaterMark = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func peakMemory(p *process) (bytes int, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	m := highWaterMark.FindSubmatch(status)
	if err != nil || m == nil {
		return 0, false
	}

	kilobytes, err := strconv.Atoi(string(m[1]))

	return kilobytes << 10, err == nil
}

func dialer(p *process) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		a := p.ready.Sockets[0].Address
		return (&net.Dialer{}).DialContext(ctx, a.Network, a.Addr)
	}}
}

func TestExampleWebSocket(t *testing.T) {
	t.Parallel()
	p := start(t, exampleSpec(t, "websocket"))
	require.Contains(t, p.http(t).get(t, "/").body, "<h1>Hello from a WebSocket server</h1>")
	require.Equal(t, http.StatusNotFound, p.http(t).get(t, "/other").StatusCode)

	client := &http.Client{Timeout: deadline, Transport: dialer(p)}
	conn, res, err := websocket.Dial(t.Context(), "ws://example.com/", &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)

	for kind, message := range map[websocket.MessageType]string{
		websocket.MessageText: "a text", websocket.MessageBinary: strings.Repeat("\xff", 10_000),
	} {
		require.NoError(t, conn.Write(t.Context(), kind, []byte(message)))
		echoed, b, err := conn.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, kind, echoed)
		require.Equal(t, message, string(b))
	}

	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
	p.requireCleanStop(t)
}

func TestExampleSSE(t *testing.T) {
	t.Parallel()
	p := start(t, exampleSpec(t, "sse"))
	require.Contains(t, p.http(t).get(t, "/").body, "<h1>Hello from an event stream</h1>")

	s := p.http(t)
	s.send(t, "/events?count=3")
	res, err := http.ReadResponse(s.br, nil)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	begun := time.Now()
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan())
	require.Equal(t, "id: 1", lines.Text())

	events := 1
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "id: ") {
			events++
		}
	}

	require.NoError(t, lines.Err())
	require.Equal(t, 3, events)
	require.Greater(t, time.Since(begun), 100*time.Millisecond, "the events must not come all at once")
	p.requireCleanStop(t)
}
