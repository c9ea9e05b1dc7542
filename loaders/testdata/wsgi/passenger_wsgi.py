"""An application with a route for each thing that a WSGI server has to do right."""

import io
import json
import os
import sys
import tempfile

print("the application prints while it loads")
sys.stdout.write("and leaves a line unfinished")

closed = []


class Body:
    def __init__(self, name, chunks):
        self.name = name
        self.chunks = iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        closed.append(self.name)


def failing(chunks):
    yield from chunks
    raise RuntimeError("the body fails")


def plain(start_response, *headers):
    return start_response("200 OK", [("Content-Type", "text/plain"), *headers])


def show_env(env, start_response):
    plain(start_response)
    return [json.dumps({k: v for k, v in env.items() if isinstance(v, (str, bool, tuple))}).encode()]


def echo(env, start_response):
    plain(start_response)
    return [env["wsgi.input"].read()]


def echo_lines(env, start_response):
    plain(start_response)
    source = env["wsgi.input"]
    parts = [source.readline(), source.readline(2), *source.readlines(1), *source, source.read(), source.read(5)]
    return [json.dumps([part.decode() for part in parts]).encode()]


def ignore_body(env, start_response):
    plain(start_response)
    return [b"ignored"]


def generator(env, start_response):
    plain(start_response)
    return Body("generator", [b"one", b"", b"two"])


def late_start(env, start_response):
    plain(start_response)
    yield b"late"


def write_callable(env, start_response):
    write = plain(start_response)
    write(b"written ")
    write(b"twice ")
    return [b"and returned"]


def fail(env, start_response):
    raise RuntimeError("the application fails")


def fail_before_first_chunk(env, start_response):
    plain(start_response)
    return Body("before", failing([]))


def fail_after_first_chunk(env, start_response):
    plain(start_response)
    return Body("after", failing([b"one"]))


def fail_after_length(env, start_response):
    plain(start_response, ("Content-Length", "5"))
    return failing([b"whole"])


class BodyThatFailsToClose(Body):
    def close(self):
        raise RuntimeError("it fails late")


def fail_to_close(env, start_response):
    plain(start_response)
    return BodyThatFailsToClose("fails", [b"whole"])


class ListThatFailsToClose(list):
    def close(self):
        raise RuntimeError("it fails late")


def fail_to_close_array(env, start_response):
    plain(start_response)
    return ListThatFailsToClose([b"whole"])


class FileThatFailsToClose(io.FileIO):
    def close(self):
        super().close()
        raise RuntimeError("it fails late")


def fail_to_close_file(env, start_response):
    plain(start_response)
    return env["wsgi.file_wrapper"](FileThatFailsToClose(__file__))


def replace_response(env, start_response):
    plain(start_response)
    try:
        raise RuntimeError("on second thoughts")
    except RuntimeError:
        start_response("418 Teapot", [("X-Replaced", "yes")], sys.exc_info())
    return [b"replaced"]


def exc_info_after_head(env, start_response):
    plain(start_response)(b"begun")
    try:
        raise RuntimeError("too late to replace")
    except RuntimeError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"never sent"]


def start_twice(env, start_response):
    plain(start_response)
    plain(start_response)
    return [b""]


def no_start(env, start_response):
    return [b"without a status"]


def bad_header(env, start_response):
    start_response("200 OK", [("X-Bad", "a" + {"cr": "\r", "lf": "\n", "nul": "\0"}[env["QUERY_STRING"]] + "b")])
    return [b"never sent"]


def reason(env, start_response):
    start_response("200 " + {"in": "Gr\u00fcn", "beyond": "\u2603"}[env["QUERY_STRING"]], [])
    return []


def text_file(env, start_response):
    """An empty one: the others have text where bytes are due."""
    plain(start_response)
    return env["wsgi.file_wrapper"](io.StringIO())


def text_body(env, start_response):
    plain(start_response)
    return ["text"]


def without_body(env, start_response):
    start_response(env["QUERY_STRING"] + " Whatever", [])
    return Body("without", [b"must not be sent"])


def too_much(env, start_response):
    plain(start_response, ("Content-Length", "3"))
    return [b"abc", b"defg"]


def too_little(env, start_response):
    plain(start_response, ("Content-Length", "10"))
    return [b"abc"]


def empty(env, start_response):
    plain(start_response)
    return []


def file(env, start_response):
    plain(start_response)
    source = tempfile.TemporaryFile(buffering=int(env["QUERY_STRING"] or 4096))
    source.write(b"skipped" + b"x" * 1000000)
    source.flush()
    source.seek(7)
    return env["wsgi.file_wrapper"](source)


def endless(env, start_response):
    plain(start_response)

    def forever():
        while True:
            yield b"x" * 65536

    return Body("endless", forever())


def latin1(env, start_response):
    plain(start_response, ("X-Echo", env["HTTP_X_ECHO"]), ("X-Path", env["PATH_INFO"]))
    return [env["PATH_INFO"].encode("latin-1")]


def parts(env, start_response):
    plain(start_response)
    return ["\u00e9".encode(), b"\xff", b"", "\u00e9".encode("utf-16-le")]


def header_name(env, start_response):
    plain(start_response, (env["QUERY_STRING"], "made up"))
    return [b"made up"]


def known_names(env, start_response):
    from passenger_loader import wsgi

    plain(start_response)
    return [b"%d" % len(wsgi.known_names)]


def print_something(env, start_response):
    print("printed in a request")
    print("complained in a request", file=env["wsgi.errors"])
    plain(start_response)
    return [b"ok"]


def wait(env, start_response):
    plain(start_response)
    print("waiting")
    with open(env["QUERY_STRING"]) as fifo:
        return [fifo.read().encode()]


def which_closed(env, start_response):
    plain(start_response)
    return [json.dumps(closed).encode()]


def pid(env, start_response):
    plain(start_response)
    return [str(os.getpid()).encode()]


def application(env, start_response):
    route = env["PATH_INFO"].split("/")[1]
    return globals()[route](env, start_response)
