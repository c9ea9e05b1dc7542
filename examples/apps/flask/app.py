"""A small Flask application."""

import hashlib
import os
import signal

from flask import Flask, Response, abort, jsonify, make_response, redirect, request, url_for

CHUNK = b"x" * 65536

app = Flask(__name__)


@app.get("/")
def home():
    return "<!doctype html><title>Flask</title><h1>Hello from Flask</h1>"


@app.post("/form")
def form():
    return jsonify(request.form.to_dict())


@app.post("/upload")
def upload():
    file = request.files.get("file")
    if file is None:
        abort(400, "send a file in the form field 'file'")
    digest, size = hashlib.sha256(), 0
    while chunk := file.stream.read(len(CHUNK)):
        digest.update(chunk)
        size += len(chunk)
    return jsonify(size=size, sha256=digest.hexdigest())


@app.get("/download")
def download():
    count = max(request.args.get("bytes", 1024, type=int), 0)

    def body():
        left = count
        while left:
            chunk = CHUNK[:left]
            left -= len(chunk)
            yield chunk

    return Response(body(), mimetype="application/octet-stream")


@app.post("/chunked")
def chunked():
    stream = request.stream
    return Response(iter(lambda: stream.read(len(CHUNK)), b""), mimetype="application/octet-stream")


@app.get("/cookies")
def cookies():
    visits = request.cookies.get("visits", 0, type=int) + 1
    response = make_response(jsonify(visits=visits))
    response.set_cookie("visits", str(visits), httponly=True, samesite="Lax")
    return response


@app.get("/redirect")
def to_home():
    return redirect(url_for("home"))


@app.get("/pid")
def pid():
    return str(os.getpid()), {"Content-Type": "text/plain"}


@app.get("/crash")
def crash():
    if os.environ.get("CRASH") != "1":
        abort(404)
    os.kill(os.getpid(), signal.SIGKILL)
    return ""
