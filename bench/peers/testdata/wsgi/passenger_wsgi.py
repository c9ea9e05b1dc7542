BODIES = {"/": b"Hello, world!\n", "/64k": b"x" * (64 << 10), "/1m": b"x" * (1 << 20)}


def application(environ, start_response):
    status, body = "200 OK", BODIES.get(environ["PATH_INFO"])
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == "/upload":
        length = 0
        while chunk := environ["wsgi.input"].read(64 << 10):
            length += len(chunk)
        body = b"%d\n" % length
    elif body is None:
        status, body = "404 Not Found", b"not found\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
