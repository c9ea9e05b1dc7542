package realapps_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
)

// asgiConformance shows what a server of ASGI gives an application, and does what the specification lets one do.
const asgiConformance = `import asyncio, json

events = []


async def application(scope, receive, send):
    await {"lifespan": lifespan, "http": http, "websocket": websocket}[scope["type"]](scope, receive, send)


async def lifespan(scope, receive, send):
    message = await receive()
    events.append(message["type"])
    scope["state"]["opened"] = "once"
    scope["state"]["shared"] = []
    await send({"type": "lifespan.startup.complete"})
    message = await receive()
    events.append(message["type"])
    with open("ended", "w") as file:
        file.write(" ".join(events))
    await send({"type": "lifespan.shutdown.complete"})


async def respond(send, body, *fields, status=200):
    fields = [(b"content-length", b"%d" % len(body)), *fields]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def shown(scope):
    seen = {}
    for name, value in scope.items():
        if name == "headers":
            value = [[part.decode("latin-1") for part in field] for field in value]
        elif isinstance(value, bytes):
            value = "bytes " + value.decode("latin-1")
        elif isinstance(value, tuple):
            value = list(value)
        if name not in ("extensions", "passenger.oob_work_wishes"):
            seen[name] = value
    return json.dumps(seen).encode()


async def http(scope, receive, send):
    path = scope["path"]
    if path == "/state":
        # Each request has a copy of what the lifespan left, whose values are the same ones.
        scope["state"]["shared"].append(1)
        seen = [scope["state"]["opened"], len(scope["state"]["shared"]), "own" in scope["state"]]
        scope["state"]["own"] = True
        await respond(send, json.dumps(seen).encode())
    elif path == "/body":
        messages, size = 0, 0
        while True:
            message = await receive()
            assert message["type"] == "http.request", message
            messages, size = messages + 1, size + len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        await respond(send, b"%d %d" % (messages > 0, size))
    elif path == "/cookies":
        latin = (b"x-latin", "\xe9".encode("latin-1"))
        await respond(send, b"", (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), latin)
    elif path == "/parts":
        await send({"type": "http.response.start", "status": 201, "headers": []})
        for part in (b"one ", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})
    elif path == "/left":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        open("left", "w").close()
    elif path == "/sends":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        left = asyncio.create_task(until_left(receive))
        while not left.done():
            await send({"type": "http.response.body", "body": b"more\n", "more_body": True})
            await asyncio.sleep(0.01)
        open("sent", "w").close()
    elif path == "/raises":
        raise RuntimeError("before the response")
    elif path == "/breaks":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("within the response")
    else:
        await respond(send, shown(scope))


async def until_left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/refused":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1],
                "headers": [(b"x-accepted", b"yes")]})
    await send({"type": "websocket.send", "text": shown(scope).decode()})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            if scope["path"] == "/coded":
                with open("code", "w") as file:
                    file.write(str(message.get("code")))
            elif scope["path"] == "/vanishes":
                open("vanished", "w").close()
            return
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4002, "reason": "as asked"})
            return
        if message.get("bytes") is not None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        else:
            await send({"type": "websocket.send", "text": message["text"]})
`

// asgiServer is an application of the specification's cases, served whole.
type asgiServer struct {
	*server
	by string
}

// The specification's list, through the whole server.
func TestASGIConformance(t *testing.T) {
	t.Parallel()

	for _, by := range []string{"uvicorn", "hypercorn"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			python := python(t, "websockets, "+by)
			w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
			w.write(t, "main.py", asgiConformance)
			s := asgiServer{by: by}
			s.server = w.start(t, "--python", python, "--asgi-server", by, "--startup-file", "main:application",
				"--app-type", "asgi", "--max-pool-size", "1")

			t.Run("scope", s.testScope)
			t.Run("state", s.testState)
			t.Run("bodies", s.testBodies)
			t.Run("responses", s.testResponses)
			t.Run("exceptions", s.testExceptions)
			t.Run("client leaves", s.testClientLeaves)
			t.Run("WebSocket", s.testWebSocket)
			t.Run("WebSocket ends", s.testWebSocketEnds)

			s.Stop(t)
			ended, err := os.ReadFile(filepath.Join(w.dir, "ended"))
			require.NoError(t, err)
			require.Equal(t, "lifespan.startup lifespan.shutdown", string(ended))
		})
	}
}

// scope is what the application shows of the one it got.
type scope struct {
	Type        string `json:"type"`
	ASGI        struct{ Version, SpecVersion string }
	HTTPVersion string      `json:"http_version"`
	Method      string      `json:"method"`
	Scheme      string      `json:"scheme"`
	Path        string      `json:"path"`
	RawPath     string      `json:"raw_path"`
	Query       string      `json:"query_string"`
	RootPath    string      `json:"root_path"`
	Headers     [][2]string `json:"headers"`
	Client      []any       `json:"client"`
	Protocols   []string    `json:"subprotocols"`
}

func (s *scope) values(name string) (values []string) {
	for _, field := range s.Headers {
		if field[0] == name {
			values = append(values, field[1])
		}
	}

	return values
}

// requireClient checks that the application sees this test, and not the server in front of it.
func (s *scope) requireClient(t *testing.T) {
	t.Helper()
	require.Len(t, s.Client, 2)
	require.Equal(t, "127.0.0.1", s.Client[0])
	require.Greater(t, s.Client[1], 1023.0, "a port of a client")
}

func (s asgiServer) testScope(t *testing.T) {
	resp := s.ask(t, http.MethodGet, "/a%20b/%C3%A9?c=d%20e", http.NoBody, "X-Several", "1", "X-MIXED-Case", "é")
	resp.require(t, http.StatusOK, "")

	var seen scope
	require.NoError(t, json.Unmarshal([]byte(resp.body), &seen), resp.body)
	require.Equal(t, "http", seen.Type)
	require.Equal(t, "3.0", seen.ASGI.Version)
	require.Equal(t, "1.1", seen.HTTPVersion)
	require.Equal(t, "GET", seen.Method)
	require.Equal(t, "http", seen.Scheme)
	require.Equal(t, "/a b/é", seen.Path)
	require.Equal(t, "bytes /a%20b/%C3%A9", seen.RawPath)
	require.Equal(t, "bytes c=d%20e", seen.Query)
	require.Empty(t, seen.RootPath)
	seen.requireClient(t)
	require.Equal(t, []string{"1"}, seen.values("x-several"))
	require.Equal(t, []string{"Ã©"}, seen.values("x-mixed-case"), "bytes as they came")
	require.Len(t, seen.values("host"), 1)
}

func (s asgiServer) testState(t *testing.T) {
	for n, want := range []string{`["once", 1, false]`, `["once", 2, false]`} {
		require.Equal(t, want, s.get(t, "/state", http.StatusOK, "").body, n)
	}
}

func (s asgiServer) testBodies(t *testing.T) {
	for _, size := range []int{0, 1, 70_000, 5 << 20} {
		body, want := strings.Repeat("x", size), "1 "+strconv.Itoa(size)
		s.ask(t, http.MethodPost, "/body", strings.NewReader(body)).require(t, http.StatusOK, want)
		// Of no stated length.
		s.ask(t, http.MethodPut, "/body", io.MultiReader(strings.NewReader(body))).require(t, http.StatusOK, want)
	}
}

func (s asgiServer) testResponses(t *testing.T) {
	resp := s.get(t, "/cookies", http.StatusOK, "")
	require.Equal(t, []string{"a=1", "b=2"}, resp.Header["Set-Cookie"])
	require.Equal(t, "\xe9", resp.Header.Get("X-Latin"))

	require.Equal(t, "one two", s.get(t, "/parts", http.StatusCreated, "").body)
	head := s.ask(t, http.MethodHead, "/", http.NoBody)
	head.require(t, http.StatusOK, "")
	require.Empty(t, head.body)
	require.NotEmpty(t, head.Header.Get("Content-Length"))
}

func (s asgiServer) testExceptions(t *testing.T) {
	s.get(t, "/raises", http.StatusInternalServerError, "")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/breaks", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()

	// While nothing of the response was sent, there can be another one.
	_, err = io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadGateway {
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

func (s asgiServer) testClientLeaves(t *testing.T) {
	s.leave(t, "/sends", "sent")
	if s.by == "hypercorn" {
		// It finds out only when it sends the next part or message, here and by itself.
		return
	}

	s.leave(t, "/left", "left")

	conn, _, err := s.dial(t, "/vanishes")
	require.NoError(t, err)
	// Until the application has sent its greeting, sending fails by an exception, and it hears of no disconnect.
	_, _, err = conn.Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.CloseNow())
	s.awaitFile(t, "vanished")
}

// leave closes the connection of a request after the first part of the response, and waits for the file that the
// application makes when it sees that.
func (s asgiServer) leave(t *testing.T, target, file string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)

	require.NoError(t, conn.Close())
	s.awaitFile(t, file)
}

// awaitFile waits until the application has made a file.
func (s asgiServer) awaitFile(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, func() error {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err == nil && info.Size() == 0 && name == "code" {
			err = errors.New("it is empty")
		}

		return err
	}))
}

func (s asgiServer) dial(t *testing.T, target string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+target,
		&websocket.DialOptions{Subprotocols: []string{"first", "second"}})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
		conn.SetReadLimit(-1)
	}

	return conn, resp, err
}

func (s asgiServer) testWebSocket(t *testing.T) {
	_, resp, err := s.dial(t, "/refused")
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, resp.StatusCode)

	conn, resp, err := s.dial(t, "/talk?a=b")
	require.NoError(t, err)
	require.Equal(t, "second", conn.Subprotocol())
	require.Equal(t, "yes", resp.Header.Get("X-Accepted"))

	_, text, err := conn.Read(t.Context())
	require.NoError(t, err)
	var seen scope
	require.NoError(t, json.Unmarshal(text, &seen))
	require.Equal(t, "websocket", seen.Type)
	require.Equal(t, "ws", seen.Scheme)
	require.Equal(t, "/talk", seen.Path)
	require.Equal(t, "bytes a=b", seen.Query)
	require.Equal(t, []string{"first", "second"}, seen.Protocols)
	seen.requireClient(t)

	for _, size := range []int{0, 1, 125, 126, 65_536, 10 << 20} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			require.NoError(t, conn.Write(t.Context(), kind, []byte(strings.Repeat("x", size))))
			got, back, err := conn.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, kind, got)
			require.Len(t, back, size)
		}
	}
}

func (s asgiServer) testWebSocketEnds(t *testing.T) {
	conn, _, err := s.dial(t, "/talk")
	require.NoError(t, err)
	_, _, err = conn.Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("close")))
	_, _, err = conn.Read(t.Context())
	require.Equal(t, websocket.StatusCode(4002), websocket.CloseStatus(err))
	require.ErrorContains(t, err, "as asked")

	conn, _, err = s.dial(t, "/coded")
	require.NoError(t, err)
	_, _, err = conn.Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Close(4003, "for reasons of the client's"))
	s.awaitFile(t, "code")
	code, err := os.ReadFile(filepath.Join(s.dir, "code"))
	require.NoError(t, err)
	if s.by != "hypercorn" {
		require.Equal(t, "4003", string(code))
	} else {
		require.Contains(t, []string{"1000", "1006"}, string(code), "it tells no other codes")
	}

	conn, _, err = s.dial(t, "/talk")
	require.NoError(t, err)
	_, _, err = conn.Read(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	closed := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(ctx)
		closed <- err
	}()
	out, err := s.passenger(t, "restart-app", "--wait", ".")
	require.NoError(t, err, out)
	require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(<-closed))
}
