package loaders_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

// asgiApp shows what it gets.
const asgiApp = `import asyncio, json, os

state = []

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        scope["state"]["database"] = "open"
        while True:
            message = await receive()
            state.append(message["type"])
            if message["type"] == "lifespan.startup" and os.environ.get("BROKEN"):
                await send({"type": "lifespan.startup.failed", "message": "no database"})
                return
            if message["type"] == "lifespan.shutdown":
                with open("ended", "w") as file:
                    file.write(" ".join(state))
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break

    if scope["path"].endswith("/oobw"):
        import phusion_passenger
        phusion_passenger.on_event("oob_work", lambda: open("worked", "w").close())
        phusion_passenger.request_oob_work(scope)

    seen = {name: scope[name] for name in ("method", "path", "root_path", "scheme", "http_version")}
    seen["query"] = scope["query_string"].decode()
    seen["client"] = scope["client"][0] if scope["client"] else ""
    seen["server"] = list(scope["server"])
    seen["body"] = len(body)
    seen["database"] = scope["state"]["database"]
    if scope["path"] == "/names":
        seen["names"] = " ".join(sorted(name.decode().lower() for name, _ in scope["headers"]))
    seen["fields"] = sum(len(name) + len(value) for name, value in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"\n"})
`

// pythonWith returns a Python that has a module, or ends the test for want of one.
func pythonWith(t *testing.T, module string) string {
	t.Helper()

	for _, name := range []string{os.Getenv("PASSENGER_TEST_PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.CommandContext(t.Context(), name, "-c", "import "+module).Run() == nil {
			return name
		}
	}

	interpreters.Missing(t, module, "no Python has the module "+module)

	return ""
}

func asgiSpec(t *testing.T, source string, options ...func(*spec)) *spec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passenger_asgi.py")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))

	return wsgiSpec(t, pythonWith(t, "uvicorn"), file, append(options, func(s *spec) {
		s.request.AppType = "asgi"
	})...)
}

// httpClient asks the process by the socket that it has told of.
func (p *process) httpClient(t *testing.T) *http.Client {
	t.Helper()
	a := p.address(t)
	require.Equal(t, loaderproto.HTTPSession, a.Protocol)
	require.Zero(t, a.Concurrency, "one event loop takes any number of requests")

	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, a.Address.Network, a.Address.Addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)

	return &http.Client{Transport: transport, Timeout: deadline}
}

// ask returns the body of a response, whose request has fields as name, value.
func ask(t *testing.T, c *http.Client, method, target, body string, fields ...string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://shop.example.com"+target, strings.NewReader(body))
	require.NoError(t, err)

	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}

	resp, err := c.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)

	return string(text)
}

// servedBy runs a test with each server that serves applications of ASGI, uvicorn with and without the parser and the
// event loop that are written in C.
func servedBy(t *testing.T, test func(t *testing.T, server func(*spec))) {
	t.Helper()

	for name, c := range map[string]struct{ server, module, without string }{
		"uvicorn, pure": {"uvicorn", "uvicorn", "import sys; sys.modules['httptools'] = sys.modules['uvloop'] = None\n"},
		"uvicorn":       {"", "uvloop,httptools", ""},
		"hypercorn":     {"hypercorn", "hypercorn", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pythonWith(t, c.module)
			test(t, func(s *spec) {
				s.request.ASGIServer = c.server

				source, err := os.ReadFile(s.request.StartupFile)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(s.request.StartupFile, append([]byte(c.without), source...), 0o600))
			})
		})
	}
}

func TestASGI(t *testing.T) {
	t.Parallel()
	servedBy(t, testASGI)
}

func testASGI(t *testing.T, server func(*spec)) {
	t.Helper()
	p := start(t, asgiSpec(t, asgiApp, server))
	p.requireProtected(t)
	c := p.httpClient(t)
	require.JSONEq(t, `{"method": "GET", "path": "/a b", "query": "c=d", "root_path": "", "scheme": "http",
		"http_version": "1.1", "client": "", "server": ["shop.example.com", 80], "body": 0, "database": "open",
		"fields": 67}`,
		ask(t, c, http.MethodGet, "/a%20b?c=d", ""))
	require.Contains(t, ask(t, c, http.MethodPost, "/", strings.Repeat("x", 1<<20)), `"body": 1048576`)

	ticket := strings.Repeat("x", 31_000)
	reply := ask(t, c, http.MethodGet, "/", "", "Authorization", ticket, "Cookie", ticket)
	require.Regexp(t, `"fields": 62\d\d\d`, reply)

	p.requireCleanStop(t)

	ended, err := os.ReadFile(filepath.Join(p.cmd.Dir, "ended"))
	require.NoError(t, err)
	require.Equal(t, "lifespan.startup lifespan.shutdown", string(ended))
}

// A worker that was forked makes its event loop itself.
func TestASGIPreloaderForksWorkers(t *testing.T) {
	t.Parallel()
	s := asgiSpec(t, asgiApp, allPreloaderFeatures)
	s.argv[len(s.argv)-1] = absolute(t, loaders.PythonPreloader)
	p := startPreloader(t, s)

	for range 2 {
		w := p.spawn(t, workerSpec("Worker", func(s *spec) { s.request.AppType = "asgi" }))
		require.Contains(t, ask(t, w.httpClient(t), http.MethodGet, "/a", ""), `"path": "/a"`)
	}
}

// Each server prints what the application raises, which would be nowhere else.
func TestASGIExceptionsArePrinted(t *testing.T) {
	t.Parallel()
	servedBy(t, func(t *testing.T, server func(*spec)) {
		t.Helper()

		const source = "async def app(scope, receive, send):\n    raise ValueError('the basket is empty')\n"
		p := start(t, asgiSpec(t, source, server))

		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example.com/", http.NoBody)
		require.NoError(t, err)
		resp, err := p.httpClient(t).Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusInternalServerError, resp.StatusCode)

		p.out.await(t, "ValueError: the basket is empty")
	})
}

// asgiStream sends parts until the client has left.
const asgiStream = `import asyncio

async def until_left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return

    await send({"type": "http.response.start", "status": 200, "headers": []})
    left = asyncio.ensure_future(until_left(receive))
    try:
        while not left.done():
            await send({"type": "http.response.body", "body": b"part\n", "more_body": True})
            await asyncio.sleep(0.01)
        print("the client has left", flush=True)
    except Exception as err:
        print("instead, there is", repr(err), flush=True)
        raise
`

// An application that sends to a client that has left gets http.disconnect, and its send raises nothing.
func TestASGIClientsThatLeave(t *testing.T) {
	t.Parallel()
	servedBy(t, func(t *testing.T, server func(*spec)) {
		t.Helper()
		p := start(t, asgiSpec(t, asgiStream, server))

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop.example.com/", http.NoBody)
		require.NoError(t, err)
		resp, err := p.httpClient(t).Do(r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		_, err = resp.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		cancel()

		p.out.await(t, "the client has left")
	})
}

func TestASGIFailures(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ source, env, want, printed string }{
		"lifespan":       {asgiApp, "BROKEN=1", "The application's lifespan did not start", ""},
		"no application": {"application = 1", "", "does not define a callable", ""},
		"no server": {
			"import sys\nsys.modules['uvicorn'] = sys.modules['hypercorn'] = None\nasync def app(scope, receive, send): pass", "",
			"pip install 'uvicorn[standard]'", "",
		},
		"broken server": {
			"import sys\nsys.modules['uvicorn.config'] = None\nasync def app(scope, receive, send): pass", "",
			"uvicorn.config", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := startFailure(t, asgiSpec(t, c.source, func(s *spec) { s.env = append(s.env, c.env) }))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)
			require.Equal(t, 1, p.exitCode(t))
		})
	}
}

// The traceback of a startup that raises ends with what it raised, by which the spawner names the reason.
func TestASGIStartupThatRaises(t *testing.T) {
	t.Parallel()
	pythonWith(t, "starlette")

	const source = `from starlette.applications import Starlette

def connect():
    raise ConnectionError("no database")

app = Starlette(on_startup=[connect])
`
	_, err := startFailure(t, asgiSpec(t, source))
	require.Equal(t, loaderproto.AppError, err.Kind)
	require.Regexp(t, `^The application's lifespan did not start: Traceback [^\n]*\n(?s:.*)\n`+
		`ConnectionError: no database\n$`, err.Message.Text)
}

// Who knows the connect password has direct access, and others none.
func TestASGIDirectAccess(t *testing.T) {
	t.Parallel()
	servedBy(t, func(t *testing.T, server func(*spec)) {
		t.Helper()
		p := start(t, asgiSpec(t, asgiApp, server))
		address := "http://" + p.directAddress(t) + "/names"

		for given, status := range map[string]int{
			"":             http.StatusForbidden,
			"wrong":        http.StatusForbidden,
			password:       http.StatusOK,
			password + "x": http.StatusForbidden,
		} {
			for _, control := range []string{"", "OOBW"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
				require.NoError(t, err)
				r.Header.Set("X-Forwarded-For", "192.0.2.1")
				r.Header.Set("!~Passenger-Client", "192.0.2.1 1")
				r.Header.Set("X_Forwarded_For", "192.0.2.1")
				r.Header.Set("Proxy", "192.0.2.1")
				if control != "" {
					r.Header.Set("!~Passenger-Control", control)
				}

				if given != "" {
					r.Header.Set("X-Passenger-Connect-Password", given)
				}

				resp, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, status, resp.StatusCode, "%s", text)
				require.NotContains(t, string(text), "192.0.2.1", "whoever connects can say it")
				require.NotContains(t, string(text), "oobw done", "that is for the server in front")

				if status == http.StatusOK {
					require.Contains(t, string(text), `"names": "accept-encoding host user-agent x-forwarded-for"`)
				}
			}
		}

		http.DefaultClient.CloseIdleConnections()
		p.requireCleanStop(t)
	})
}

// An application asks for out-of-band work by the scope of a request, and does it on request.
func TestASGIOutOfBandWork(t *testing.T) {
	t.Parallel()
	servedBy(t, func(t *testing.T, server func(*spec)) {
		t.Helper()
		p := start(t, asgiSpec(t, asgiApp, server, func(s *spec) {
			s.request.Features = []string{loaderproto.FeatureHTTPOutOfBandWork}
		}))
		require.True(t, p.ready.HasFeature(loaderproto.FeatureHTTPOutOfBandWork))

		for _, c := range []struct{ target, want string }{{"/", ""}, {"/oobw", "true"}} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+c.target, http.NoBody)
			require.NoError(t, err)
			resp, err := p.httpClient(t).Do(r)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, c.want, strings.Join(resp.Header["!~request-Oob-Work"], ""), "%v", resp.Header)
		}

		require.NoFileExists(t, filepath.Join(p.cmd.Dir, "worked"))
		conn := p.dial(t)
		_, err := io.WriteString(conn,
			"GET / HTTP/1.1\r\nHost: x\r\n!~Passenger-Control: OOBW\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		reply, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(reply), "oobw done")
		require.FileExists(t, filepath.Join(p.cmd.Dir, "worked"))
	})
}

// A request in progress has its response; the process ends when it is there.
func TestASGIEndsWithItsRequests(t *testing.T) {
	t.Parallel()
	servedBy(t, testASGIEndsWithItsRequests)
}

func testASGIEndsWithItsRequests(t *testing.T, server func(*spec)) {
	t.Helper()
	const source = `import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    with open("second") as file:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, file.read)
    await send({"type": "http.response.body", "body": b"second\n"})
`

	s := asgiSpec(t, source, server)
	fifo := filepath.Join(s.request.AppRoot, "second")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	holder, err := os.OpenFile(fifo, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = holder.Close() })

	p := start(t, s)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", http.NoBody)
	require.NoError(t, err)
	resp, err := p.httpClient(t).Do(r)
	require.NoError(t, err)
	body := bufio.NewReader(resp.Body)
	line, err := body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)

	p.closeStdin(t)
	require.NoError(t, holder.Close())
	rest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, "second\n", string(rest))
	require.NoError(t, resp.Body.Close())
	require.Zero(t, p.exitCode(t), p.out.String())
}
