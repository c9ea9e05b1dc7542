package realapps_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
)

// celeryTasks is put together from Celery's first steps. Its broker is a directory, so that no other server is needed.
const celeryTasks = `import os, time

from celery import Celery

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}
app.conf.beat_schedule = {"tick": {"task": "tasks.tick", "schedule": 0.5}}


@app.task
def work(name):
    open(name + ".begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.05)
    open(name + ".done", "w").close()


@app.task
def tick():
    open("ticked", "w").close()
`

const celeryApp = `import os, time

import tasks


def parts():
    yield b"first\n"
    while not os.path.exists("second"):
        time.sleep(0.01)
    yield b"second\n"


def application(environ, start_response):
    text = b"Hello, World!"
    if environ["REQUEST_METHOD"] == "POST":
        tasks.work.delay(environ["PATH_INFO"].removeprefix("/work/"))
        text = b"queued"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return parts() if environ["PATH_INFO"] == "/stream" else [text]
`

// A worker that is replaced finishes the task that it has, as Celery says of SIGTERM: its children must not get that.
func TestCelery(t *testing.T) {
	t.Parallel()
	interpreter := python(t, "celery")
	w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
	w.write(t, "passenger_wsgi.py", celeryApp)
	w.write(t, "tasks.py", celeryTasks)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	w.write(t, "Passengerfile.json", strings.ReplaceAll(`{"companions": {
		"celery": {"command": "PYTHON -m celery -A tasks worker --concurrency 2", "stop_timeout": 50},
		"beat": {"command": "PYTHON -m celery -A tasks beat", "overlap": false}
	}}`, "PYTHON", interpreter))
	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "queue"), 0o755))

	s := w.start(t, "--python", interpreter)
	s.get(t, "/", http.StatusOK, "Hello, World!")
	s.post(t, "/work/first").require(t, http.StatusOK, "queued")
	w.await(t, "first.begun")
	w.await(t, "ticked")
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, "WSGI")

	s.restartUnderLoad(t, "/", "Hello, World!")
	s.Await(t, "Warm shutdown", 1)
	require.NoFileExists(t, filepath.Join(w.dir, "first.done"))

	// The new worker works meanwhile.
	s.post(t, "/work/second").require(t, http.StatusOK, "queued")
	w.await(t, "second.begun")
	w.write(t, "go", "")
	w.await(t, "first.done")
	w.await(t, "second.done")
	s.Await(t, `companion=celery number=1 status="exit status 0"`, 1)
}

// await waits until there is a file in the application's directory.
func (w *workshop) await(t testing.TB, name string) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, func() error {
		_, err := os.Stat(filepath.Join(w.dir, name))
		return err
	}))
}
