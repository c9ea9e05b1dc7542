package realapps_test

import (
	"net/http"
	"strconv"
	"testing"
)

// flaskApp is put together from the pages of Flask's quick start.
const flaskApp = `import os, time

from flask import Flask, Response, flash, redirect, render_template, request, session, url_for

app = Flask(__name__)
app.secret_key = "only for a test"


@app.route("/")
def index():
    return render_template("index.html")


@app.post("/login")
def login():
    session["username"] = request.form["username"]
    flash("You were successfully logged in")
    return redirect(url_for("index"))


@app.post("/upload")
def upload_file():
    f = request.files["the_file"]
    return {"name": f.filename, "size": len(f.read())}


@app.route("/address")
def address():
    return request.remote_addr


@app.route("/stream")
def stream():
    def generate():
        yield "first\n"
        while not os.path.exists("second"):
            time.sleep(0.01)
        yield "second\n"
    return Response(generate(), mimetype="text/plain")


@app.errorhandler(404)
def page_not_found(error):
    return render_template("page_not_found.html"), 404
`

const flaskIndex = `<!doctype html>
<link rel="stylesheet" href="{{ url_for('static', filename='style.css') }}">
{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
<h1>Hello, {{ session.username or "World" }}!</h1>
`

func TestFlask(t *testing.T) {
	t.Parallel()
	python := python(t, "flask")
	w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
	w.write(t, "hello.py", flaskApp)
	w.write(t, "templates/index.html", flaskIndex)
	w.write(t, "templates/page_not_found.html", "<p>There is no such page.</p>")
	w.write(t, "static/style.css", "h1 { color: green }\n")
	w.write(t, "public/static/print.css", "h1 { color: black }\n")
	s := w.start(t, "--python", python)

	s.get(t, "/", http.StatusOK, "Hello, World!")
	s.post(t, "/login", "username", "Zoë").requireRedirect(t, http.StatusFound, "/")
	s.get(t, "/", http.StatusOK, "<p>You were successfully logged in</p>").require(t, http.StatusOK, "Hello, Zoë!")
	s.get(t, "/static/style.css", http.StatusOK, "color: green")
	s.requireStatic(t, "/static/print.css", "text/css", "color: black")
	s.get(t, "/missing", http.StatusNotFound, "There is no such page.")
	s.upload(t, "/upload", "the_file", "photo.png").require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
	s.requireClientAddress(t)
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, "WSGI")
	s.restartUnderLoad(t, "/", "Hello, World!")
}
