package realapps_test

import (
	"net/http"
	"strings"
	"testing"
)

// quartApp is put together from the pages of Quart's tutorials.
const quartApp = `import asyncio, os

from quart import Quart, redirect, request, url_for, websocket

app = Quart(__name__)
ready = []


@app.before_serving
async def startup():
    ready.append("ready")


@app.route("/")
async def index():
    return "Hello, " + ready[0]


@app.route("/form", methods=["POST"])
async def form():
    return redirect(url_for("greet", name=(await request.form)["name"]))


@app.route("/greet/<name>")
async def greet(name):
    return "Hello " + name


@app.route("/upload", methods=["POST"])
async def upload():
    file = (await request.files)["photo"]
    return {"name": file.filename, "size": len(file.read())}


@app.route("/address")
async def address():
    return request.remote_addr


@app.route("/stream")
async def stream():
    async def parts():
        yield b"first\n"
        while not os.path.exists("second"):
            await asyncio.sleep(0.01)
        yield b"second\n"
    return parts()


@app.websocket("/ws")
async def echo():
    await websocket.accept(subprotocol="chat" if "chat" in websocket.requested_subprotocols else None)
    while True:
        text = await websocket.receive()
        if text == "close":
            await websocket.close(4001)
            return
        await websocket.send(text)
`

func TestQuart(t *testing.T) {
	t.Parallel()

	for _, server := range []string{"uvicorn", "hypercorn"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()

			python := python(t, "quart, websockets, "+server)
			w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
			w.write(t, "app.py", strings.TrimSpace(quartApp)+"\n")
			w.write(t, "public/style.css", "h1 { color: green }\n")
			s := w.start(t, "--python", python, "--asgi-server", server)

			s.get(t, "/", http.StatusOK, "Hello, ready")
			s.post(t, "/form", "name", "Zoe").requireRedirect(t, http.StatusFound, "/greet/Zoe")
			s.get(t, "/greet/Zoe", http.StatusOK, "Hello Zoe")
			s.get(t, "/missing", http.StatusNotFound, "Not Found")
			s.upload(t, "/upload", "photo", "photo.png").require(t, http.StatusOK, `"photo.png"`)
			s.requireStatic(t, "/style.css", "text/css", "color: green")
			s.requireClientAddress(t)
			s.requireStream(t, "/stream", "first", "second")
			s.requireWebSocket(t, "/ws")
			s.restartUnderLoad(t, "/", "Hello, ready")
		})
	}
}
