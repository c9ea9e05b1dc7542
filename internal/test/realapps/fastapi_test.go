package realapps_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// fastAPIApp is put together from the pages of FastAPI's tutorial.
const fastAPIApp = `import asyncio, os

from fastapi import FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI()
ready = []


class Item(BaseModel):
    name: str
    price: float


@app.on_event("startup")
async def startup():
    ready.append("ready")


@app.get("/", response_class=HTMLResponse)
async def index():
    return "<h1>Hello World, %s</h1>" % ready[0]


@app.post("/items/")
async def create_item(item: Item):
    return item


@app.post("/upload")
async def upload(file: UploadFile):
    return {"name": file.filename, "size": len(await file.read())}


@app.get("/address")
async def address(request: Request):
    return HTMLResponse(request.client.host)


@app.get("/stream")
async def stream():
    async def parts():
        yield "first\n"
        while not os.path.exists("second"):
            await asyncio.sleep(0.01)
        yield "second\n"
    return StreamingResponse(parts(), media_type="text/plain")


@app.websocket("/ws")
async def echo(socket: WebSocket):
    await socket.accept(subprotocol="chat" if "chat" in socket.scope["subprotocols"] else None)
    while True:
        text = await socket.receive_text()
        if text == "close":
            await socket.close(code=4001)
            return
        await socket.send_text(text)
`

func TestFastAPI(t *testing.T) {
	t.Parallel()

	for _, server := range []string{"uvicorn", "hypercorn"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			testFastAPI(t, server)
		})
	}
}

func testFastAPI(t *testing.T, server string) {
	t.Helper()
	python := python(t, "fastapi, websockets, "+server)
	w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
	w.write(t, "main.py", fastAPIApp)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	s := w.start(t, "--python", python, "--asgi-server", server)

	s.get(t, "/", http.StatusOK, "Hello World, ready")
	s.ask(t, http.MethodPost, "/items/", strings.NewReader(`{"name": "tea", "price": 2}`), "Content-Type",
		"application/json").require(t, http.StatusOK, `"name":"tea"`)
	s.get(t, "/missing", http.StatusNotFound, "Not Found")
	s.get(t, "/openapi.json", http.StatusOK, `"/items/"`)
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireClientAddress(t)
	s.requireStream(t, "/stream", "first", "second")
	s.requireWebSocket(t, "/ws")
	s.restartUnderLoad(t, "/", "Hello World, ready")
}

// requireWebSocket talks to an application that sends back what it gets, takes the subprotocol chat, and closes with
// 4001 when it is asked to.
func (s *server) requireWebSocket(t *testing.T, target string) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+target,
		&websocket.DialOptions{Subprotocols: []string{"chat"}})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "chat", conn.Subprotocol())
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(-1)

	for _, size := range []int{0, 1, 125, 126, 65536, 10 << 20} {
		want := strings.Repeat("x", size)
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(want)), strconv.Itoa(size))
		_, got, err := conn.Read(t.Context())
		require.NoError(t, err)
		require.Len(t, got, size)
	}

	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("close")))
	_, _, err = conn.Read(t.Context())
	require.Equal(t, websocket.StatusCode(4001), websocket.CloseStatus(err))
	s.add(gotSocket)
}
